//! The command `hivemind-lite sim`.

use std::io::{self, Write};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;

use super::profile::Faults;
use super::scenario::{Outcome, RunOptions, Scenario, run as run_seed};
use super::summary::{self, Cost};
use super::sweep::sweep_with;
use super::world::World;

/// A run that says nothing for so long tells how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Simulates a cluster in virtual time, deterministically, and checks its invariants after every step.
#[derive(Clone, Debug, Args)]
pub struct SimArgs {
    /// Nodes at birth: 3 voters, about 4 % (2 to 10) that answer for all hosts, and hosts [default: 48; chaos: the seed draws].
    /// More than 200 do not join one by one: they have joined before, lost power together, and are switched on.
    #[arg(long, value_parser = clap::value_parser!(u32).range(i64::from(RunOptions::MIN_NODES)..=50_000))]
    pub nodes: Option<u32>,
    /// Where all chance comes from: one seed, one run.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Run a band of seeds, the last one not included, and sum up; or so many seeds from --seed on. As many run at once as the
    /// machine has cores; what came of them is told in their order.
    #[arg(long, value_name = "A..B|COUNT")]
    pub seeds: Option<Band>,
    /// Seconds of virtual time under load [default: until there are 200 samples; idle: 60; chaos: 20].
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub duration: Option<u64>,
    /// What happens to the cluster.
    #[arg(long, value_enum, default_value_t = Scenario::Idle)]
    pub scenario: Scenario,
    /// What goes wrong by itself.
    #[arg(long, value_enum, default_value_t = Faults::None)]
    pub faults: Faults,
    /// One JSON object per seed; its `trace` is a hash over everything that happened.
    #[arg(long)]
    pub json: bool,
}

/// Which seeds a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Band {
    /// From the first to the one before the second.
    Between(u64, u64),
    /// So many, from `--seed` on.
    Count(u64),
}

impl FromStr for Band {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?} is no number of a seed: {error}"));
        let band = match text.split_once("..") {
            Some((from, to)) => Band::Between(number(from)?, number(to)?),
            None => Band::Count(number(text)?),
        };
        match band {
            Band::Between(from, to) if from >= to => Err("the band is empty; give the lower seed first".to_owned()),
            Band::Count(0) => Err("give at least 1".to_owned()),
            Band::Between(..) | Band::Count(_) => Ok(band),
        }
    }
}

impl SimArgs {
    /// The seeds, in order.
    pub fn all_seeds(&self) -> impl Iterator<Item = u64> + use<> {
        let (first, count) = match self.seeds {
            Some(Band::Between(from, to)) => (from, to - from),
            Some(Band::Count(count)) => (self.seed, count),
            None => (self.seed, 1),
        };
        (0..count).map(move |number| first.wrapping_add(number))
    }

    /// The run of one of the seeds.
    pub fn options(&self, seed: u64) -> RunOptions {
        let duration = self.duration.map(Duration::from_secs);
        RunOptions {
            nodes: self.nodes.unwrap_or_else(|| self.scenario.nodes(seed)),
            seed,
            duration,
            scenario: self.scenario,
            faults: self.faults,
        }
    }
}

/// Runs the command: summaries to `stdout`; progress and violations, with the command that replays them, to `stderr`.
/// The status is 0, 1 after a violation, 2 where `stdout` can not be written.
pub fn run(args: &SimArgs, stdout: &mut dyn Write, stderr: &mut (dyn Write + Send)) -> ExitCode {
    match run_all(args, stdout, stderr) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Whoever closed the pipe has seen enough, and there may be nobody to tell.
            let _ = writeln!(stderr, "error: the summary could not be written: {error}");
            ExitCode::from(2)
        }
    }
}

fn run_all(args: &SimArgs, stdout: &mut dyn Write, stderr: &mut (dyn Write + Send)) -> io::Result<bool> {
    let begin = real_now();
    let stderr = Mutex::new(stderr);
    let mut outcomes = Vec::new();
    let play = |options| {
        let started = real_now();
        let outcome = run_with_progress(options, &stderr);
        (outcome, Cost::after(started.elapsed()))
    };
    sweep_with(args.all_seeds().map(|seed| args.options(seed)), play, |(outcome, cost)| {
        let told = match (args.json, args.seeds) {
            (true, _) => summary::json(&outcome, cost),
            (false, None) => summary::text(&outcome, cost),
            (false, Some(_)) => summary::line(&outcome, cost),
        };
        stdout.write_all(told.as_bytes())?;
        stdout.flush()?;
        with(&stderr, |stderr| tell_violation(&outcome, stderr))?;
        outcomes.push(outcome);
        Ok::<(), io::Error>(())
    })?;
    if args.seeds.is_some() && !args.json {
        stdout.write_all(summary::sum(&outcomes, Cost::after(begin.elapsed())).as_bytes())?;
    }
    Ok(outcomes.iter().all(|outcome| outcome.violation.is_none()))
}

/// What is told at once stands together, whoever else tells something.
fn with<T>(stderr: &Mutex<&mut (dyn Write + Send)>, tell: impl FnOnce(&mut dyn Write) -> T) -> T {
    tell(*stderr.lock().unwrap_or_else(PoisonError::into_inner))
}

fn run_with_progress(options: RunOptions, stderr: &Mutex<&mut (dyn Write + Send)>) -> Outcome {
    let mut told = real_now();
    run_seed(options, &mut |world: &World| {
        if told.elapsed() >= PROGRESS_EVERY {
            told = real_now();
            let (now, events, samples) = (world.now().since_origin().as_secs(), world.committed(), samples_of(world));
            // Progress that nobody can see is not worth failing for.
            let _ = with(stderr, |stderr| {
                writeln!(stderr, "seed {}: {now} s virtual, {} members, {events} events, {samples} samples", options.seed, world.members())
            });
        }
    })
}

/// The real clock: it decides when progress is told and what a run is said to have cost, and nothing inside a world.
#[expect(clippy::disallowed_methods, reason = "the cost of a simulation is in real time")]
fn real_now() -> Instant {
    Instant::now()
}

fn samples_of(world: &World) -> usize {
    world.samples().distributions().map(|(_, of)| of.count).max().unwrap_or(0)
}

fn tell_violation(outcome: &Outcome, stderr: &mut dyn Write) -> io::Result<()> {
    let Some((violation, lines)) = &outcome.violation else { return Ok(()) };
    writeln!(stderr, "error: {violation}")?;
    writeln!(stderr, "what the nodes in it did last, and where the voters stand:")?;
    lines.iter().try_for_each(|line| writeln!(stderr, "  {line}"))?;
    writeln!(stderr, "replay it with:\n  {}", outcome.options.command())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::checkers::{Invariant, Violation};
    use super::super::incidents::Incidents;
    use super::super::samples::Samples;
    use super::super::traffic::Traffic;
    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        args: SimArgs,
    }

    #[test]
    fn what_is_typed_again_from_a_replay_command_is_the_same_run() {
        let typed = ["sim", "--nodes", "12", "--seed", "99", "--duration", "30", "--scenario", "crash", "--faults", "lan"];
        let options = Typed::parse_from(typed).args.options(99);
        let again: Vec<_> = options.command().split(' ').skip(1).map(str::to_owned).collect();
        assert_eq!(Typed::parse_from(again).args.options(99), options);
    }

    #[test]
    fn a_band_of_seeds_is_typed_by_its_ends_or_by_how_many_they_are() {
        let seeds = |typed: &[&str]| Typed::parse_from(typed).args.all_seeds().collect::<Vec<_>>();
        assert_eq!(seeds(&["sim", "--seeds", "7..10"]), [7, 8, 9]);
        assert_eq!(seeds(&["sim", "--seed", "4", "--seeds", "2"]), [4, 5]);
        assert_eq!(seeds(&["sim"]), [1]);
    }

    #[test]
    fn a_run_whose_size_the_seed_drew_is_replayed_with_that_size() {
        let options = Typed::parse_from(["sim", "--scenario", "chaos"]).args.options(7);
        let again: Vec<_> = options.command().split(' ').skip(1).map(str::to_owned).collect();
        assert!((20..=120).contains(&options.nodes));
        assert_eq!(Typed::parse_from(again).args.options(7), options);
    }

    #[test]
    fn too_few_nodes_and_unknown_scenarios_are_usage_errors() {
        let seeds = [["sim", "--seeds", "0"], ["sim", "--seeds", "5..5"], ["sim", "--seeds", "1..x"]];
        let others = [["sim", "--nodes", "7"], ["sim", "--scenario", "storm"], ["sim", "--duration", "0"]];
        for wrong in seeds.into_iter().chain(others) {
            let error = Typed::try_parse_from(wrong).err().expect("a usage error");
            assert_eq!(error.exit_code(), 2, "{error}");
        }
    }

    #[test]
    fn a_violation_is_told_with_the_last_lines_and_the_command_that_replays_it() {
        let node = hivemind_core::ids::NodeName::new("dns1").expect("a valid name");
        let violation =
            Violation { invariant: Invariant::S5, node, with: None, time: Default::default(), what: "host3 is gone".to_owned() };
        let outcome = Outcome {
            options: Typed::parse_from(["sim", "--seed", "5"]).args.options(5),
            trace: String::new(),
            members: 0,
            events: 0,
            virtual_time: Duration::ZERO,
            load_time: Duration::ZERO,
            leader_sent: None,
            samples: Samples::default(),
            traffic: Traffic::default(),
            made: Vec::new(),
            sources: Default::default(),
            steps: 0,
            incidents: Incidents::default(),
            junk: 0,
            violation: Some((violation, vec!["1.000000s dns1 timeout".to_owned()])),
        };
        let mut told = Vec::new();
        tell_violation(&outcome, &mut told).expect("a vector takes everything");
        let expected = "error: S5 violated at 0.000000s by dns1: host3 is gone\n\
            what the nodes in it did last, and where the voters stand:\n  1.000000s dns1 timeout\n\
            replay it with:\n  hivemind-lite sim --nodes 48 --seed 5 --scenario idle --faults none\n";
        assert_eq!(String::from_utf8(told).expect("text"), expected);
    }
}
