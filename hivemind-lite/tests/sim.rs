//! The simulator as a program: one seed is one trace, every scenario is clean, output goes where it belongs.

use std::process::{Command, Output};

use serde_json::Value;

fn sim(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hivemind-lite")).arg("sim").args(args).output().expect("the binary runs")
}

fn objects(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
}

fn clean(args: &[&str]) -> Vec<Value> {
    let output = sim(args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    objects(&output)
}

#[test]
fn one_seed_is_one_trace_in_every_process() {
    for (scenario, faults) in [("idle", "none"), ("crash", "lan"), ("event", "lan"), ("join", "lan"), ("publish", "lan")] {
        let args = ["--nodes", "8", "--seed", "42", "--duration", "20", "--scenario", scenario, "--faults", faults, "--json"];
        let (first, second) = (clean(&args), clean(&args));
        let trace = |objects: &[Value]| objects[0]["trace"].as_str().expect("a trace").to_owned();
        assert_eq!(trace(&first), trace(&second), "{scenario}");
        let other = clean(&["--nodes", "8", "--seed", "43", "--duration", "20", "--scenario", scenario, "--faults", faults, "--json"]);
        assert_ne!(trace(&first), trace(&other), "{scenario}: another seed is another run");
    }
}

#[test]
fn every_scenario_is_clean_on_several_seeds_and_measures_what_it_is_for() {
    let measured = [("event", "event_known"), ("crash", "gone"), ("join", "in_views"), ("publish", "everywhere")];
    for faults in ["none", "lan"] {
        for (scenario, series) in measured {
            let runs = clean(&[
                "--nodes",
                "9",
                "--seed",
                "100",
                "--seeds",
                "3",
                "--duration",
                "40",
                "--scenario",
                scenario,
                "--faults",
                faults,
                "--json",
            ]);
            assert_eq!(runs.len(), 3);
            for run in runs {
                assert!(run["convergence"][series]["count"].as_u64() > Some(0), "{scenario} {faults}: {run}");
                assert!(run["violation"].is_null());
            }
        }
    }
}

#[test]
fn a_run_without_a_duration_has_at_least_200_samples() {
    let runs = clean(&["--nodes", "8", "--seed", "5", "--scenario", "publish", "--json"]);
    assert!(runs[0]["convergence"]["everywhere"]["count"].as_u64() >= Some(200), "{}", runs[0]);
}

#[test]
fn under_faults_processes_crash_and_frames_are_lost() {
    let runs = clean(&["--nodes", "9", "--seed", "3", "--duration", "200", "--scenario", "crash", "--faults", "lan", "--json"]);
    assert!(runs[0]["incidents"]["crashes"].as_u64() >= Some(8), "{}", runs[0]);
}

#[test]
fn the_summary_is_on_stdout_and_nothing_else() {
    let output = sim(&["--nodes", "6", "--duration", "1"]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.starts_with("seed 1: 6 nodes, scenario idle, faults none\n"), "{text}");
    assert!(text.contains("; peak memory"), "{text}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_wrong_argument_is_a_usage_error() {
    for wrong in [&["--nodes", "2"][..], &["--scenario", "storm"], &["--faults", "storm"], &["--seed", "x"], &["--no-such"]] {
        let output = sim(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(output.stdout.is_empty(), "{wrong:?}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "), "{wrong:?}");
    }
}
