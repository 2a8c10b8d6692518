//! The command `hivemind-lite`.

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hivemind_lite::sim::command::{self, SimArgs};

/// A hivemind cluster in one process.
#[derive(Debug, Parser)]
#[command(name = "hivemind-lite", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Simulate a cluster in virtual time, deterministically, and check its invariants after every step.
    Sim(SimArgs),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Sim(args) => command::run(&args, &mut io::stdout(), &mut io::stderr()),
    }
}
