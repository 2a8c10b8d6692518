//! Many seeds of chaos: what happened in them, and every seed that broke a rule, as JSON.
//!
//! `cargo run --release -p hivemind-benches --bin soak -- --seeds 1000..2000 --duration 12 --out docs/results/chaos.json`
//!
//! Each seed is a run of `hivemind-lite sim --scenario chaos --faults chaos` with a cluster of 20 to 120 nodes that the seed draws.
//! One world per thread. It ends with an error where a seed broke a rule; the file is written all the same.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hivemind_lite::sim::incidents::Incidents;
use hivemind_lite::sim::profile::Faults;
use hivemind_lite::sim::scenario::{Outcome, RunOptions, Scenario};
use hivemind_lite::sim::sweep::sweep;
use serde_json::{Map, Value, json};

const USAGE: &str = "usage: soak [--seeds A..B] [--duration SECS] [--out FILE]";

/// What is asked for.
struct Wanted {
    seeds: Range<u64>,
    duration: Duration,
    out: Option<PathBuf>,
}

impl Wanted {
    fn run(&self, seed: u64) -> RunOptions {
        let scenario = Scenario::Chaos;
        RunOptions { nodes: scenario.nodes(seed), seed, duration: Some(self.duration), scenario, faults: Faults::Chaos }
    }
}

fn main() -> Result<()> {
    let wanted = arguments()?;
    let begun = Instant::now();
    let outcomes = sweep(wanted.seeds.clone().map(|seed| wanted.run(seed)));
    let (result, broken) = result(&wanted, &outcomes, begun.elapsed());
    let text = serde_json::to_string_pretty(&result)?;
    match &wanted.out {
        Some(path) => write(path, &text)?,
        None => println!("{text}"),
    }
    ensure!(broken == 0, "{broken} of {} seeds broke a rule; the result names the command that replays each", outcomes.len());
    Ok(())
}

fn arguments() -> Result<Wanted> {
    let mut wanted = Wanted { seeds: 0..1_000, duration: Duration::from_secs(12), out: None };
    let mut given = std::env::args().skip(1);
    while let Some(flag) = given.next() {
        let value = given.next().with_context(|| format!("{flag} needs a value\n{USAGE}"))?;
        match flag.as_str() {
            "--seeds" => wanted.seeds = range(&value)?,
            "--duration" => {
                wanted.duration = Duration::from_secs(value.parse().with_context(|| format!("{value} is no number of seconds\n{USAGE}"))?)
            }
            "--out" => wanted.out = Some(value.into()),
            other => bail!("{other} is no option of this program\n{USAGE}"),
        }
    }
    Ok(wanted)
}

fn range(text: &str) -> Result<Range<u64>> {
    let parts = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    parts.filter(|seeds: &Range<u64>| !seeds.is_empty()).with_context(|| format!("{text} is no range of seeds such as 0..1000\n{USAGE}"))
}

/// The result, and how many seeds broke a rule.
fn result(wanted: &Wanted, outcomes: &[Outcome], took: Duration) -> (Value, usize) {
    let mut sum = Incidents::default();
    outcomes.iter().for_each(|outcome| sum.merge(&outcome.incidents));
    let happened: Map<String, Value> = sum.happened().map(|(incident, count)| (incident.key(), count.into())).collect();
    let virtual_time: Duration = outcomes.iter().map(|outcome| outcome.virtual_time).sum();
    let broken: Vec<Value> = outcomes
        .iter()
        .filter_map(|outcome| {
            let (violation, _) = outcome.violation.as_ref()?;
            Some(json!({ "seed": outcome.options.seed, "violation": violation.to_string(), "replay": outcome.options.command() }))
        })
        .collect();
    let count = broken.len();
    let result = json!({
        "seeds": format!("{}..{}", wanted.seeds.start, wanted.seeds.end),
        "seconds_of_chaos": wanted.duration.as_secs(),
        "virtual_seconds": virtual_time.as_secs(),
        "real_seconds": took.as_secs(),
        "happened": happened,
        "broken": broken,
    });
    (result, count)
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(|| format!("{} can not be made", folder.display()))?;
    }
    fs::write(path, format!("{text}\n")).with_context(|| format!("{} can not be written", path.display()))
}
