//! The operator's tool.

use std::process::ExitCode;

fn main() -> ExitCode {
    hivemind_node::cli::main()
}
