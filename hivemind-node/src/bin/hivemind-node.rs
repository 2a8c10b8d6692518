//! The daemon: one node of a cluster, from its settings file.

use std::process::ExitCode;

fn main() -> ExitCode {
    hivemind_node::daemon::main()
}
