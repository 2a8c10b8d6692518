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

/// Three seeds of a scenario, all clean.
fn three(scenario: &str, faults: &str, nodes: &str, duration: &str) -> Vec<Value> {
    let size = ["--nodes", nodes, "--duration", duration, "--seed", "7", "--seeds", "3"];
    let runs = clean(&[&["--scenario", scenario, "--faults", faults, "--json"], size.as_slice()].concat());
    assert_eq!(runs.len(), 3, "{scenario} {faults}");
    assert!(runs.iter().all(|run| run["violation"].is_null()), "{scenario} {faults}: {runs:?}");
    runs
}

fn measured(run: &Value, series: &str) -> u64 {
    run["convergence"][series]["count"].as_u64().unwrap_or_default()
}

fn incidents(run: &Value, kind: &str) -> u64 {
    run["incidents"][kind].as_u64().unwrap_or_else(|| panic!("{kind}: {run}"))
}

#[test]
fn among_starved_hosts_those_that_crashed_are_evicted_and_nobody_else() {
    for faults in ["none", "wan"] {
        for run in three("starve", faults, "20", "90") {
            assert!(incidents(&run, "slow_nodes") > 0 && measured(&run, "gone") > 0, "{faults}: {run}");
            assert_eq!(incidents(&run, "leaves"), incidents(&run, "crashes"), "{faults}: {run}");
        }
    }
}

#[test]
fn when_half_of_all_crash_the_others_hear_of_what_follows_and_the_half_resumes() {
    for faults in ["none", "wan"] {
        for run in three("halve", faults, "20", "3") {
            assert!(incidents(&run, "crashes") >= 8 && measured(&run, "most_known") > 0, "{faults}: {run}");
            assert_eq!(incidents(&run, "resumes"), incidents(&run, "crashes"), "{faults}: {run}");
        }
    }
}

#[test]
fn consumers_that_were_parted_are_made_equal() {
    for faults in ["none", "wan"] {
        for run in three("part", faults, "24", "100") {
            let made = run["made_equal"].as_array().expect("a list");
            assert!(!made.is_empty() && made.len() as u64 == measured(&run, "equal"), "{faults}: {run}");
            assert!(made.iter().all(|made| made["lacked"].as_u64() > Some(0)), "somebody published meanwhile, {faults}: {run}");
        }
    }
}

#[test]
fn over_long_lines_every_scenario_is_clean_and_takes_the_time_of_the_lines() {
    let delay_ms = 5.0;
    for (scenario, series) in [("event", "event_known"), ("crash", "gone"), ("join", "in_views"), ("publish", "everywhere")] {
        for run in three(scenario, "wan", "9", "30") {
            let median = run["convergence"][series]["median_ms"].as_f64();
            assert!(median > Some(delay_ms), "{scenario}: {run}");
        }
    }
    let runs = three("chaos", "wan", "9", "60");
    for kind in ["crashes", "partitions", "slow_nodes", "clock_jumps"] {
        assert!(runs.iter().any(|run| incidents(run, kind) > 0), "{kind}: {runs:?}");
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
    let output = sim(&["--nodes", "8", "--duration", "1"]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.starts_with("seed 1: 8 nodes, scenario idle, faults none\n"), "{text}");
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
