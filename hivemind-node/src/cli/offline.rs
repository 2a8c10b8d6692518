//! What needs no node.

use std::path::PathBuf;

use clap::CommandFactory as _;
use serde::Serialize;

use super::args::{Cli, ServerArgs};
use super::failure::Failure;
use super::place::own_authorities;
use super::show::Screen;
use crate::authority::certificate_pem;
use crate::settings_file::{NodeSettings, rules};

/// What was found in host files.
#[derive(Serialize)]
struct Checked {
    files: usize,
    mistakes: Vec<String>,
}

/// Checks host files.
pub(super) fn check(files: &[PathBuf], zones: &[String], screen: &Screen) -> Result<(), Failure> {
    let rules = rules(zones).map_err(|why| Failure::Usage(format!("--zone: {why}")))?;
    let report = crate::daemon::roles::check(files, &rules);
    let checked = Checked { files: report.files, mistakes: report.errors.iter().map(ToString::to_string).collect() };
    screen.data(&checked, |checked| checked.mistakes.iter().map(|mistake| format!("{mistake}\n")).collect())?;
    screen.note(&format!("files checked: {}, mistakes: {}", checked.files, checked.mistakes.len()));
    if report.is_clean() { Ok(()) } else { Err(Failure::Told) }
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
