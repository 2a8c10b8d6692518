//! `hivemind init`: a cluster, its authority, and its first voter.

use std::sync::Arc;
use std::time::Duration;

use hivemind_core::ids::ClusterId;
use hivemind_core::machine::{Birth, Phase};
use hivemind_core::settings::Settings;
use hivemind_core::wire::access::{AdmissionPolicy, Label, Right};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Serialize;
use tokio::time::timeout;

use super::args::{InitArgs, RoleName, ServerArgs};
use super::clock::is_long_ago;
use super::failure::Failure;
use super::prepare::{Prepared, Wish};
use super::show::Screen;
use crate::authority::Authority;
use crate::daemon::{self, Roles};
use crate::enroll::Entry;
use crate::node::{NewCredential, Node, NodeHandle};
use crate::storage::Making;

/// A lone voter elects itself in a second or two.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a new cluster's operator needs.
#[derive(Serialize)]
struct Founded {
    cluster: String,
    credential_id: String,
    credential: String,
}

/// Makes a cluster that admits enrolled keys alone.
pub(super) async fn init(server: &ServerArgs, args: &InitArgs, screen: &Screen) -> Result<(), Failure> {
    if is_long_ago() {
        let message = "the clock of this machine is years behind: what a cluster that is made now certifies would have expired for all others; \
                       set the clock, then try again";
        return Err(Failure::Refused(message.to_owned()));
    }
    let roles = if args.place.roles.is_empty() { vec![RoleName::Observer] } else { args.place.roles.clone() };
    let wish = Wish { name: &args.name, voter: true, roles, seeds: &[] };
    let prepared = Prepared::new(&server.config, &args.place, &wish, screen)?;
    let data = &prepared.settings.data_dir;
    let refused = |error: &dyn std::fmt::Display| Failure::Refused(error.to_string());
    let Some(making) = Making::begin(data).map_err(|error| refused(&error))? else {
        let message = format!("{} is not empty; remove what is there to begin anew, or choose another --data-dir", data.display());
        return Err(Failure::Refused(message));
    };
    if making.cleared() {
        screen.note(&format!(
            "an earlier `hivemind init` was cut short: what it left in {} is removed, and its credential is void",
            data.display()
        ));
    }
    let cluster = ClusterId(random()?);
    let authority = Arc::new(Authority::new(cluster).map_err(|error| refused(&error))?);
    let mut settings = Settings::default();
    settings.control.admission = AdmissionPolicy::Enrolled;
    let builder = daemon::builder(&prepared.settings, Entry::Founder(authority)).settings(settings);
    let (builder, roles) = Roles::install(builder, &prepared.settings).await.map_err(|error| refused(&error))?;
    let node = match builder.birth(Birth { cluster, tag: random()? }).start().await {
        Ok(node) => node,
        Err(error) => {
            roles.stop().await;
            return Err(refused(&error));
        }
    };
    let made = first_credential(node.handle()).await;
    stop(node, roles).await;
    let made = made?;
    let founded = Founded { cluster: cluster.to_string(), credential_id: made.id.to_string(), credential: made.secret.line().to_owned() };
    screen.made(&founded, |founded| format!("{}\n", founded.credential))?;
    screen.note(&format!(
        "cluster {cluster} is there. Above is the first credential, with every right: it is not shown again, so keep it in a safe place"
    ));
    prepared.write()?;
    making.end().map_err(|error| refused(&error))?;
    prepared.launch(args.place.foreground, screen).await
}

/// The cluster is there as soon as its first command is committed.
async fn first_credential(handle: &NodeHandle) -> Result<NewCredential, Failure> {
    let leads = handle.status_where(|status| status.machine.phase == Phase::Member && status.machine.leader.is_some());
    match timeout(PATIENCE, leads).await {
        Ok(Some(_)) => {}
        Ok(None) => return Err(Failure::Refused(format!("the node stopped: {}", handle.stopped().await))),
        Err(_) => {
            return Err(Failure::Refused(format!("the first voter was not elected in {PATIENCE:?}; try again")));
        }
    }
    let label = Label::new("first admin").map_err(|error| Failure::Refused(error.to_string()))?;
    handle.create_credential(label, Right::Admin).await.map_err(|error| Failure::Refused(error.to_string()))
}

async fn stop(node: Node, roles: Roles) {
    node.stop().await;
    roles.stop().await;
}

fn random() -> Result<u64, Failure> {
    let mut octets = [0; 8];
    let filled = SystemRandom::new().fill(&mut octets);
    filled.map_err(|_| Failure::Refused("the operating system gives no randomness; no cluster can be made".to_owned()))?;
    Ok(u64::from_be_bytes(octets))
}
