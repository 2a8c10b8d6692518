//! `hivemind join`: from a bare host to a node that is admitted.

use std::io::Read as _;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use hivemind_core::ids::{NodeName, SectionKind};
use hivemind_core::wire::access::Admits;
use tokio::time::{Instant, timeout};

use super::args::{JoinArgs, RoleName, ServerArgs};
use super::failure::Failure;
use super::prepare::{Prepared, Wish};
use super::show::Screen;
use crate::enroll::{JoinToken, enroll, has_certificate};
use crate::storage::{self, Making};

/// While nobody decides, so often it is said who is asked.
const SAY_AGAIN: Duration = Duration::from_secs(5);
/// No token is that long.
const MAX_INPUT: u64 = 4096;

/// Has this host admitted, and writes its settings.
pub(super) async fn join(server: &ServerArgs, args: &JoinArgs, screen: &Screen) -> Result<(), Failure> {
    let token = JoinToken::parse(&line(args)?).map_err(|error| Failure::Usage(error.to_string()))?;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => host_name()?,
    };
    let roles = if args.place.roles.is_empty() && !args.voter { vec![RoleName::Host] } else { args.place.roles.clone() };
    let wish = Wish { name: &name, voter: args.voter, roles, seeds: token.addresses() };
    let kinds: Result<Vec<_>, _> = wish.roles.iter().map(|role| SectionKind::new(role.name())).collect();
    let wants = Admits { roles: kinds.map_err(|error| Failure::Usage(error.to_string()))?, voter: args.voter };
    let prepared = Prepared::new(&server.config, &args.place, &wish, screen)?;
    let data = &prepared.settings.data_dir;
    if Making::undo(data).map_err(|error| Failure::Refused(error.to_string()))? {
        screen.note(&format!("an earlier `hivemind init` was cut short: what it left in {} is removed", data.display()));
    }
    refuse_a_nodes(data, &name)?;
    admitted(data, &token, &name, &wants, screen).await?;
    screen.note(&format!("{name} is admitted, and becomes a member when it runs"));
    prepared.write()?;
    prepared.launch(args.place.foreground, screen).await
}

/// Has the host admitted, and says who is asked.
async fn admitted(data: &Path, token: &JoinToken, name: &NodeName, wants: &Admits, screen: &Screen) -> Result<(), Failure> {
    let at: Vec<String> = token.addresses().iter().map(ToString::to_string).collect();
    let at = at.join(", ");
    screen.note(&format!("{at}: asked to admit {name}"));
    let _waiting = screen.wait(format!("a voter admits {name}"));
    let mut asked = pin!(enroll(data, token, name, wants));
    let begin = Instant::now();
    loop {
        match timeout(SAY_AGAIN, &mut asked).await {
            Ok(done) => return Ok(done.map(drop)?),
            Err(_) => screen.note(&format!("{at}: nobody there has decided in {} s; asking goes on", begin.elapsed().as_secs())),
        }
    }
}

/// A folder with a membership is that node's, whatever its settings file says. One that was admitted and never ran is not used yet, and
/// the same node without its certificate is enrolled again, under its key.
fn refuse_a_nodes(data: &Path, name: &NodeName) -> Result<(), Failure> {
    match storage::inspect(data).map_err(|error| Failure::Refused(error.to_string()))? {
        Some((Some(identity), _)) if identity.name == *name && !has_certificate(data) => Ok(()),
        Some((Some(identity), _)) => Err(Failure::Refused(format!(
            "{} holds the data of {}, a node of the cluster {}: to run that one again, write its settings file anew; to begin anew, let it leave \
             and remove the folder, or choose another --data-dir; nobody was asked",
            data.display(),
            identity.name,
            identity.cluster
        ))),
        Some((None, _)) | None => Ok(()),
    }
}

fn line(args: &JoinArgs) -> Result<String, Failure> {
    let failed = |from: &str, error: std::io::Error| Failure::Usage(format!("the join token can not be read from {from}: {error}"));
    let mut line = String::new();
    match (&args.token_file, args.token.as_deref()) {
        (Some(file), _) => {
            let from = file.display().to_string();
            let open = std::fs::File::open(file).map_err(|error| failed(&from, error))?;
            open.take(MAX_INPUT).read_to_string(&mut line).map_err(|error| failed(&from, error))?;
        }
        (None, Some("-")) => {
            std::io::stdin().lock().take(MAX_INPUT).read_to_string(&mut line).map_err(|error| failed("standard input", error))?;
        }
        (None, given) => line.push_str(given.unwrap_or_default()),
    }
    Ok(line)
}

/// The first label of this host's name.
fn host_name() -> Result<NodeName, Failure> {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let label = text.trim().split('.').next().unwrap_or_default().to_ascii_lowercase();
    NodeName::new(&label)
        .map_err(|error| Failure::Usage(format!("the host name {label:?} is no name for a node ({error}); give one with --name")))
}
