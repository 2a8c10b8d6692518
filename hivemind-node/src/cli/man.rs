//! The manual pages, from the definitions of the command lines.

use std::path::Path;
use std::{fs, io};

use clap::CommandFactory as _;
use clap_mangen::Man;

use super::args::Cli;
use super::failure::Failure;
use super::show::Screen;
use crate::daemon::Args;

/// Writes `man1/hivemind.1`, a page for each of its commands, and `man8/hivemind-node.8`.
pub(super) fn write(folder: &Path, screen: &Screen) -> Result<(), Failure> {
    let written = tool(&folder.join("man1")).and_then(|()| daemon(&folder.join("man8")));
    written.map_err(|error| Failure::Refused(format!("{}: {error}; name a folder that this user may write into", folder.display())))?;
    screen.note(&format!("the manual pages are in {}", folder.display()));
    Ok(())
}

fn tool(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)
}

fn daemon(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut page = Vec::new();
    Man::new(Args::command().name("hivemind-node")).section("8").render(&mut page)?;
    fs::write(folder.join("hivemind-node.8"), page)
}
