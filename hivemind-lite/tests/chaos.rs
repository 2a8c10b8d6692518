//! The sweep: seeds of the scenario `chaos`, each with a size, settings and a mix of faults of its own, with all checkers on.
//!
//! `CHAOS_SEEDS=1000..2000` in the environment runs other seeds than the committed ones. A failure prints the command that
//! replays it.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use hivemind_lite::sim::incidents::{Incident, Incidents};
use hivemind_lite::sim::profile::Faults;
use hivemind_lite::sim::scenario::{Outcome, RunOptions, Scenario, run};

/// The seeds that every build runs.
const SEEDS: Range<u64> = 0..201;
/// How long the chaos of each lasts, in virtual time.
const LASTS: Duration = Duration::from_secs(12);
/// What must have happened, over all committed seeds: chaos that did nothing proves nothing.
const AT_LEAST: [(Incident, u64); 19] = [
    (Incident::LeaderChange, 100),
    (Incident::Partition, 100),
    (Incident::TornWrite, 50),
    (Incident::EpochAdvance, 20),
    (Incident::Split, 20),
    (Incident::Merge, 20),
    (Incident::Resume, 20),
    (Incident::Fenced, 20),
    (Incident::VoterReplacement, 20),
    (Incident::Crash, 500),
    (Incident::UnsyncedLoss, 100),
    (Incident::LostDisk, 50),
    (Incident::OldDisk, 20),
    (Incident::FullDisk, 20),
    (Incident::Slowness, 50),
    (Incident::ClockJump, 20),
    (Incident::LieTold, 100),
    (Incident::LieRefused, 20),
    (Incident::Flood, 20),
];

fn options(seed: u64) -> RunOptions {
    let scenario = Scenario::Chaos;
    RunOptions { nodes: scenario.nodes(seed), seed, duration: Some(LASTS), scenario, faults: Faults::Chaos }
}

/// Runs all seeds, one world per thread.
fn sweep(seeds: Range<u64>) -> Vec<Outcome> {
    let (next, outcomes) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let outcome = run(options(seed), &mut |_| {});
                    outcomes.lock().expect("no thread panics with it").push(outcome);
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().expect("no thread panics with it");
    outcomes.sort_by_key(|outcome| outcome.options.seed);
    outcomes
}

fn story(outcome: &Outcome) -> Option<String> {
    let (violation, lines) = outcome.violation.as_ref()?;
    Some(format!("{violation}\n  {}\nreplay it with:\n  {}\n", lines.join("\n  "), outcome.options.command()))
}

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("CHAOS_SEEDS") else { return SEEDS };
    let (from, to) = text.split_once("..").expect("CHAOS_SEEDS is a range: 100..400");
    from.parse().expect("a number")..to.parse().expect("a number")
}

#[test]
fn once_chaos_ends_everybody_is_where_everybody_is_and_nothing_forbidden_happened() {
    let seeds = seeds();
    let outcomes = sweep(seeds.clone());
    let mut sum = Incidents::default();
    outcomes.iter().for_each(|outcome| sum.merge(&outcome.incidents));
    let all: Vec<String> = sum.happened().map(|(incident, count)| format!("{count} {}", incident.title())).collect();
    eprintln!("{} seeds: {}", outcomes.len(), all.join(", "));
    let stories: Vec<String> = outcomes.iter().filter_map(story).collect();
    assert!(stories.is_empty(), "{} of {} seeds failed:\n{}", stories.len(), outcomes.len(), stories.join("\n"));
    // Of seeds that are chosen by hand, some need not have it all.
    let rare: Vec<_> = AT_LEAST.into_iter().filter(|(incident, least)| sum.of(*incident) < *least).collect();
    assert!(seeds != SEEDS || rare.is_empty(), "chaos did not happen: {rare:?} are not reached by {}", all.join(", "));
}

#[test]
fn one_seed_is_one_run() {
    let trace = |seed| run(options(seed), &mut |_| {}).trace;
    assert_eq!(trace(3), trace(3));
    assert_ne!(trace(3), trace(4));
}
