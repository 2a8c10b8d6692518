//! What a run came to, in words for people and as JSON for programs.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::incidents::{Incident, Incidents};
use super::samples::Samples;
use super::scenario::{Made, Outcome};
use super::traffic::{Count, Traffic};
use super::world::Sources;

/// What a run cost the machine that it ran on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Real time.
    pub real: Duration,
    /// The most memory that the process has had, in KiB; 0 where the system does not say.
    pub peak_kib: u64,
}

impl Cost {
    /// After `real` time, with the memory that Linux says this process had at most (`VmHWM`).
    pub fn after(real: Duration) -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak_kib = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0);
        Cost { real, peak_kib }
    }

    /// How many times faster than real time.
    pub fn speed(&self, virtual_time: Duration) -> f64 {
        virtual_time.as_secs_f64() / self.real.as_secs_f64().max(1e-9)
    }

    /// The real time that a second of virtual time takes.
    pub fn per_virtual_second(&self, virtual_time: Duration) -> Duration {
        self.real.div_f64(virtual_time.as_secs_f64().max(1e-9))
    }
}

/// The summary of one run, for people. It ends with a line break.
pub fn text(outcome: &Outcome, cost: Cost) -> String {
    let options = &outcome.options;
    let mut out =
        format!("seed {}: {} nodes, scenario {}, faults {}\n", options.seed, options.nodes, options.scenario.name(), options.faults.name());
    row(&mut out, "members", &format!("{} at the end", outcome.members));
    row(&mut out, "events", &format!("{} committed", outcome.events));
    row(&mut out, "time", &time(outcome.virtual_time, cost));
    row(&mut out, "steps", &format!("{}; {} frames dropped as junk", outcome.steps, outcome.junk));
    happened(&mut out, &outcome.incidents);
    convergence(&mut out, &outcome.samples);
    traffic(&mut out, &outcome.traffic, outcome.load_time, options.nodes);
    if let Some(bytes) = leader_rate(outcome) {
        row(&mut out, "leader", &format!("sends {bytes:.0} bytes a second on the wire"));
    }
    sources(&mut out, outcome.sources);
    made(&mut out, &outcome.made);
    row(&mut out, "trace", &outcome.trace);
    out
}

/// One line for one of many runs.
pub fn line(outcome: &Outcome, cost: Cost) -> String {
    let verdict = match outcome.violation {
        None => "ok",
        Some(_) => "VIOLATION",
    };
    let (nodes, events, time) = (outcome.options.nodes, outcome.events, time(outcome.virtual_time, cost));
    format!("seed {}: {verdict}; {nodes} nodes; {events} events; {time}; trace {}\n", outcome.options.seed, outcome.trace)
}

/// The sum over several runs of the same options, for people.
pub fn sum(outcomes: &[Outcome], cost: Cost) -> String {
    let mut samples = Samples::default();
    let mut sent = Traffic::default();
    let mut incidents = Incidents::default();
    for outcome in outcomes {
        samples.merge(&outcome.samples);
        sent.merge(&outcome.traffic);
        incidents.merge(&outcome.incidents);
    }
    let failed = outcomes.iter().filter(|outcome| outcome.violation.is_some()).count();
    let mut out = format!("all {} seeds: {failed} with a violation\n", outcomes.len());
    row(&mut out, "events", &format!("{} committed", outcomes.iter().map(|outcome| outcome.events).sum::<u64>()));
    happened(&mut out, &incidents);
    row(&mut out, "time", &time(outcomes.iter().map(|outcome| outcome.virtual_time).sum(), cost));
    convergence(&mut out, &samples);
    let nodes = outcomes.first().map_or(1, |outcome| outcome.options.nodes);
    traffic(&mut out, &sent, outcomes.iter().map(|outcome| outcome.load_time).sum(), nodes);
    out
}

/// One run as a JSON object, in one line.
pub fn json(outcome: &Outcome, cost: Cost) -> String {
    let options = &outcome.options;
    let series: Map<String, Value> = outcome
        .samples
        .distributions()
        .map(|(series, of)| {
            let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
            let value = json!({
                "count": of.count, "median_ms": ms(of.median), "p95_ms": ms(of.p95), "p99_ms": ms(of.p99), "max_ms": ms(of.max),
            });
            (series.key().to_owned(), value)
        })
        .collect();
    let rate = |count: Count| {
        let (messages, bytes, wire) = per_node_second(count, outcome.load_time, options.nodes);
        json!({ "messages": messages, "bytes": bytes, "wire": wire })
    };
    let kinds: Map<String, Value> = outcome.traffic.kinds().map(|(kind, count)| (kind.to_string(), rate(count))).collect();
    let incidents: Map<String, Value> =
        Incident::ALL.into_iter().map(|incident| (incident.key(), json!(outcome.incidents.of(incident)))).collect();
    let violation = outcome.violation.as_ref().map(|(violation, _)| violation.to_string());
    let object = json!({
        "seed": options.seed,
        "nodes": options.nodes,
        "scenario": options.scenario.name(),
        "faults": options.faults.name(),
        "trace": outcome.trace,
        "violation": violation,
        "replay": options.command(),
        "members": outcome.members,
        "events": outcome.events,
        "incidents": incidents,
        "steps": outcome.steps,
        "junk": outcome.junk,
        "virtual_seconds": outcome.virtual_time.as_secs_f64(),
        "load_seconds": outcome.load_time.as_secs_f64(),
        "real_seconds": cost.real.as_secs_f64(),
        "times_real_time": cost.speed(outcome.virtual_time),
        "real_ms_per_virtual_second": cost.per_virtual_second(outcome.virtual_time).as_secs_f64() * 1e3,
        "peak_kib": cost.peak_kib,
        "peak_kib_per_node": cost.peak_kib as f64 / f64::from(options.nodes),
        "leader_wire_bytes_per_second": leader_rate(outcome),
        "newcomers": { "events_from_voters": outcome.sources.voters, "events_from_others": outcome.sources.others },
        "made_equal": outcome.made.iter().map(|made| json!({ "lacked": made.lacked, "sent": made.sent })).collect::<Vec<_>>(),
        "convergence": series,
        "per_node_second": { "all": rate(outcome.traffic.total()), "kinds": kinds },
    });
    format!("{object}\n")
}

fn row(out: &mut String, title: &str, what: &str) {
    writeln!(out, "  {title:<9} {what}").expect("writing to a string does not fail");
}

fn time(virtual_time: Duration, cost: Cost) -> String {
    let (simulated, real, speed) = (virtual_time.as_secs_f64(), cost.real.as_secs_f64(), cost.speed(virtual_time));
    let (millis, peak) = (cost.per_virtual_second(virtual_time).as_secs_f64() * 1e3, cost.peak_kib / 1024);
    format!("{simulated:.1} s virtual in {real:.1} s real: {speed:.0} times real time, {millis:.1} ms a second; peak memory {peak} MiB")
}

/// From whom newcomers had their events, where there were any.
fn sources(out: &mut String, Sources { voters, others }: Sources) {
    let all = voters + others;
    if all > 0 {
        let percent = others as f64 * 100.0 / all as f64;
        row(out, "newcomers", &format!("had {all} events in their first seconds, {percent:.1} % of them from members that do not vote"));
    }
}

/// What it took to make consumers equal again.
fn made(out: &mut String, made: &[Made]) {
    let (lacked, sent) = made.iter().fold((0, 0), |(lacked, sent), one| (lacked + one.lacked, sent + one.sent));
    if lacked > 0 {
        let (times, ratio) = (made.len(), sent as f64 / lacked as f64);
        row(out, "equal", &format!("{times} times: {sent} bytes about configs for {lacked} that were lacking: {ratio:.2} times as many"));
    }
}

/// What happened, a few kinds to a row.
fn happened(out: &mut String, incidents: &Incidents) {
    let all: Vec<String> = incidents.happened().map(|(incident, count)| format!("{count} {}", incident.title())).collect();
    for (number, few) in all.chunks(6).enumerate() {
        row(out, if number == 0 { "happened" } else { "" }, &few.join(", "));
    }
}

fn convergence(out: &mut String, samples: &Samples) {
    let mut rows = samples.distributions().peekable();
    if rows.peek().is_none() {
        return;
    }
    let expected = "writing to a string does not fail";
    let [a, b, c, d, e] = ["samples", "median", "p95", "p99", "max"];
    writeln!(out, "  {:<30}{a:>8}{b:>11}{c:>11}{d:>11}{e:>11}", "convergence, in virtual time").expect(expected);
    for (series, of) in rows {
        let [median, p95, p99, max] = [of.median, of.p95, of.p99, of.max].map(|took| format!("{:.1} ms", took.as_secs_f64() * 1e3));
        writeln!(out, "    {:<28}{:>8}{median:>11}{p95:>11}{p99:>11}{max:>11}", series.title(), of.count).expect(expected);
    }
}

fn per_node_second(count: Count, time: Duration, nodes: u32) -> (f64, f64, f64) {
    let by = (f64::from(nodes) * time.as_secs_f64()).max(1e-9);
    (count.messages as f64 / by, count.bytes as f64 / by, count.wire as f64 / by)
}

/// What the leader sent in a second of the load.
fn leader_rate(outcome: &Outcome) -> Option<f64> {
    outcome.leader_sent.map(|sent| sent as f64 / outcome.load_time.as_secs_f64().max(1e-9))
}

fn traffic(out: &mut String, traffic: &Traffic, time: Duration, nodes: u32) {
    let expected = "writing to a string does not fail";
    writeln!(out, "  {:<30}{:>11}{:>11}{:>11}", "sent, per node and second", "messages", "bytes", "on wire").expect(expected);
    let all = std::iter::once(("all".to_owned(), traffic.total()));
    for (kind, count) in all.chain(traffic.kinds().map(|(kind, count)| (kind.to_string(), count))) {
        let (messages, bytes, wire) = per_node_second(count, time, nodes);
        writeln!(out, "    {kind:<28}{messages:>11.2}{bytes:>11.1}{wire:>11.1}").expect(expected);
    }
}

#[cfg(test)]
mod tests {
    use super::super::checkers::{Invariant, Violation};
    use super::super::profile::Faults;
    use super::super::samples::Series;
    use super::super::scenario::{RunOptions, Scenario};
    use super::*;

    fn outcome() -> Outcome {
        let options = RunOptions { nodes: 48, seed: 7, duration: None, scenario: Scenario::Crash, faults: Faults::Lan };
        let mut samples = Samples::default();
        (1..=200).for_each(|count| samples.add(Series::Gone, Duration::from_millis(10 * count)));
        Outcome {
            options,
            trace: "00ff".to_owned(),
            members: 48,
            events: 400,
            virtual_time: Duration::from_secs(1000),
            load_time: Duration::from_secs(900),
            leader_sent: Some(900_000),
            samples,
            traffic: Traffic::default(),
            made: Vec::new(),
            sources: Default::default(),
            steps: 5,
            incidents: [Incident::Crash; 200].into_iter().collect(),
            junk: 0,
            violation: None,
        }
    }

    const COST: Cost = Cost { real: Duration::from_secs(10), peak_kib: 50 << 10 };

    #[test]
    fn the_summary_says_how_fast_what_converged() {
        let text = text(&outcome(), COST);
        assert!(text.contains("seed 7: 48 nodes, scenario crash, faults lan"), "{text}");
        assert!(text.contains("1000.0 s virtual in 10.0 s real: 100 times real time, 10.0 ms a second; peak memory 50 MiB"), "{text}");
        assert!(text.contains("  happened  200 crashes\n"), "{text}");
        assert!(text.contains("crash to gone from answers       200  1000.0 ms  1900.0 ms  1980.0 ms  2000.0 ms"), "{text}");
    }

    #[test]
    fn the_json_of_a_failed_run_has_its_violation_and_its_replay() {
        let node = hivemind_core::ids::NodeName::new("dns1").expect("a valid name");
        let violation = Violation { invariant: Invariant::S4, node, with: None, time: Default::default(), what: "it went back".to_owned() };
        let failed = Outcome { violation: Some((violation, Vec::new())), ..outcome() };
        let object: Value = serde_json::from_str(&json(&failed, COST)).expect("an object");
        assert_eq!(object["violation"], "S4 violated at 0.000000s by dns1: it went back");
        assert_eq!(object["replay"], "hivemind-lite sim --nodes 48 --seed 7 --scenario crash --faults lan");
        assert_eq!(object["incidents"]["crashes"], 200);
        assert_eq!(object["convergence"]["gone"]["count"], 200);
    }
}
