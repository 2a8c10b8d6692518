//! What needs no node.

use clap::CommandFactory as _;
use hivemind_core::ids::NodeName;
use serde::Serialize;

use super::args::{CheckArgs, Cli, ServerArgs};
use super::failure::Failure;
use super::place::own_authorities;
use super::show::Screen;
use crate::authority::certificate_pem;
use crate::daemon::roles::{DEFAULT_ZONE, Rules, check as check_each, check_parts};
use crate::settings_file::{NodeSettings, rules};

/// What was found in host files.
#[derive(Serialize)]
struct Checked {
    files: usize,
    /// The host that they are parts of; nothing where each is a host of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    mistakes: Vec<String>,
}

/// Checks host files.
pub(super) fn check(server: &ServerArgs, args: &CheckArgs, screen: &Screen) -> Result<(), Failure> {
    let (host, rules) = wanted(server, args)?;
    let report = match &host {
        Some(name) => check_parts(&args.files, name, &rules),
        None => check_each(&args.files, &rules),
    };
    let mistakes = report.errors.iter().map(ToString::to_string).collect();
    let checked = Checked { files: report.files, host: host.map(String::from), mistakes };
    screen.data(&checked, |checked| checked.mistakes.iter().map(|mistake| format!("{mistake}\n")).collect())?;
    let taken_as = match &checked.host {
        Some(name) => format!("as parts of the host {name}"),
        None => "each as a host of its own".to_owned(),
    };
    screen.note(&format!("files checked, {taken_as}: {}, mistakes: {}", checked.files, checked.mistakes.len()));
    if report.is_clean() { Ok(()) } else { Err(Failure::Told) }
}

/// Whose parts the files are to be, where they are of one host, and what they may say.
fn wanted(server: &ServerArgs, args: &CheckArgs) -> Result<(Option<NodeName>, Rules), Failure> {
    let settings = if args.each || args.host.is_some() { None } else { settings(server)? };
    let name = settings.as_ref().map(|settings| settings.name.clone());
    let of_settings = settings.and_then(|settings| settings.host).filter(|_| args.zones.is_empty());
    let rules = match of_settings {
        Some(part) => part.rules,
        None if args.zones.is_empty() => Rules::new(DEFAULT_ZONE).map_err(|error| Failure::Usage(error.to_string()))?,
        None => rules(&args.zones).map_err(|why| Failure::Usage(format!("--zone: {why}")))?,
    };
    Ok((args.host.clone().or(name), rules))
}

/// The settings of this machine, where it is a node that publishes.
fn settings(server: &ServerArgs) -> Result<Option<NodeSettings>, Failure> {
    match NodeSettings::load(&server.config) {
        Ok(settings) => Ok(Some(settings).filter(|settings| settings.host.is_some())),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(Failure::Usage(format!("{error}\nto check without the settings, say --host NAME or --each"))),
    }
}

/// Writes the authority that this host trusts.
pub(super) fn authority(server: &ServerArgs, screen: &Screen) -> Result<(), Failure> {
    let settings = NodeSettings::load(&server.config).map_err(|error| Failure::Usage(error.to_string()))?;
    let text: String = own_authorities(&settings)?.iter().map(certificate_pem).collect();
    screen.text(&text)
}

/// Writes completions.
pub(super) fn completions(shell: clap_complete::Shell, screen: &Screen) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "hivemind", &mut script);
    screen.text(&String::from_utf8_lossy(&script))
}
