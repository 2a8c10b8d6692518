//! Plays one scenario in virtual time and prints the hash of its trace: repeats a run that failed, and
//! shows that one seed is one trace.

use std::process::ExitCode;

use clap::Parser;
use hivemind_lite::sim::profile::Faults;
use hivemind_tests::scenarios;
use hivemind_tests::simulated::{Simulated, SimulatedOptions};

/// Plays a scenario in virtual time.
#[derive(Parser)]
struct Arguments {
    /// The scenario's name.
    name: String,
    /// Where all chance comes from.
    seed: u64,
    /// What the network does to messages.
    #[arg(value_enum)]
    faults: Faults,
}

fn main() -> ExitCode {
    let Arguments { name, seed, faults } = Arguments::parse();
    let bodies = scenarios::all::<Simulated>();
    let Some((_, body)) = bodies.iter().find(|(of, _)| *of == name) else {
        let known: Vec<&str> = bodies.iter().map(|(name, _)| *name).collect();
        eprintln!("there is no scenario {name}; there are:\n{}", known.join("\n"));
        return ExitCode::from(2);
    };
    println!("{}", body(SimulatedOptions::new(seed, faults)).trace());
    ExitCode::SUCCESS
}
