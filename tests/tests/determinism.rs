//! One seed is one trace, over processes, for every scenario.

use std::process::Command;

use hivemind_lite::sim::profile::Faults;
use hivemind_tests::scenarios;
use hivemind_tests::simulated::{Simulated, SimulatedOptions};

/// The trace of a run in a process of its own.
fn elsewhere(name: &str, seed: u64) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_scenario")).args([name, &seed.to_string(), "lan"]).output().expect("the program runs");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

#[test]
fn one_seed_of_every_scenario_is_one_trace_in_every_process() {
    for (name, body) in scenarios::all::<Simulated>() {
        let here = |seed| body(SimulatedOptions::new(seed, Faults::Lan)).trace().to_string();
        let first = here(1);
        assert_eq!(first, elsewhere(name, 1), "{name}");
        assert_ne!(first, here(2), "{name}: another seed is another run");
    }
}
