//! The command line of the daemon.

use std::path::PathBuf;

use clap::Parser;

use crate::settings_file::DEFAULT_CONFIG;

/// Run a node of a hivemind cluster.
///
/// `hivemind init` or `hivemind join` writes its settings first. SIGTERM stops it, and the cluster keeps its place for a while; SIGHUP makes it
/// reread its settings.
#[derive(Clone, Debug, Parser)]
#[command(name = "hivemind-node", version, after_help = "Example:\n  hivemind-node --config /etc/hivemind/node.toml")]
pub struct Args {
    /// The settings file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
}
