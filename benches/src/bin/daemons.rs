//! Real daemons on this machine: how long an operator waits, and what an idle host costs.
//!
//! `cargo build --profile dist -p hivemind-node -p hivemind-benches && target/dist/daemons [ROW…] [--samples N]`
//!
//! Rows: `join` (bare host to member), `cold` (three voters that were killed, to the first commit), `leader` (the leader killed,
//! until a command commits again), `idle` (50 daemons). Without rows: all. The bytes of `idle` are counted by `nft`, so
//! run it as root in a network namespace of its own: `unshare --net sh -c 'ip link set lo up; exec …/daemons idle'`.
//! Every process is ended by its id. One line for people, one JSON line per row.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use hivemind_benches::hosts::{Host, Programs, commits};
use hivemind_benches::report::{print_readings, print_times};
use hivemind_benches::sent::Sent;

const USAGE: &str = "usage: daemons [join|cold|leader|idle]… [--samples N]";
/// The voters of every row.
const VOTERS: usize = 3;
/// The daemons of the idle row, voters included.
const DAEMONS: usize = 50;
/// So long they settle, and so long they are measured.
const SETTLES: Duration = Duration::from_secs(60);
const MEASURED: Duration = Duration::from_secs(60);
/// While nobody commits, somebody is asked this often.
const ASKED_EVERY: Duration = Duration::from_millis(25);
/// So often at most.
const ASKED: usize = 1_000;

fn main() -> Result<()> {
    let (mut rows, mut samples) = (Vec::new(), 50);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--samples" => samples = arguments.next().context(USAGE)?.parse().context(USAGE)?,
            row @ ("join" | "cold" | "leader" | "idle") => rows.push(row.to_owned()),
            other => bail!("unknown argument {other}\n{USAGE}"),
        }
    }
    ensure!(samples > 0, "--samples must be at least 1");
    let wants = |row: &str| rows.is_empty() || rows.iter().any(|wanted| wanted == row);
    let programs = Programs::find()?;
    if wants("join") {
        join(&programs, samples)?;
    }
    if wants("cold") {
        cold(&programs, samples)?;
    }
    if wants("leader") {
        leader(&programs, samples)?;
    }
    if wants("idle") {
        idle(&programs)?;
    }
    Ok(())
}

fn first(programs: &Programs) -> Result<Host> {
    let mut host = Host::first(programs, "v1")?;
    host.start()?;
    host.ready()?;
    Ok(host)
}

/// Three voters that run and vote.
fn voters(programs: &Programs) -> Result<Vec<Host>> {
    let mut hosts = vec![first(programs)?];
    let token = hosts[0].ask(&["token", "create", "--voter", "--uses", "2"])?;
    for name in (2..=VOTERS).map(|number| format!("v{number}")) {
        let mut host = Host::join(programs, &name, &token, true)?;
        host.start()?;
        host.ready()?;
        hosts.push(host);
    }
    until("three vote", || Ok(leader_and_voters(&hosts[0])?.1 == VOTERS))?;
    Ok(hosts)
}

/// The leader's name, and how many vote.
fn leader_and_voters(host: &Host) -> Result<(Option<String>, usize)> {
    let said: serde_json::Value = serde_json::from_str(&host.ask(&["voters", "--json"])?)?;
    let voters = said["voters"].as_array().context("no voters in the answer")?;
    let leads = said["leader"]["name"].as_str().map(str::to_owned);
    Ok((leads, voters.iter().filter(|voter| voter["part"] == "voter").count()))
}

fn until(what: &str, mut reached: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        if reached()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("a minute went by, and still not: {what}")
}

fn join(programs: &Programs, samples: usize) -> Result<()> {
    let founder = first(programs)?;
    let token = founder.ask(&["token", "create", "--uses", &samples.to_string()])?;
    let mut times = Vec::new();
    for sample in 0..samples {
        let begun = Instant::now();
        let mut host = Host::join(programs, &format!("h{sample}"), &token, false)?;
        host.start()?;
        host.ready()?;
        times.push(begun.elapsed());
        host.ask(&["leave"])?;
    }
    print_times("bare host to member", &mut times);
    Ok(())
}

fn cold(programs: &Programs, samples: usize) -> Result<()> {
    let mut hosts = voters(programs)?;
    let mut times = Vec::new();
    for _ in 0..samples {
        hosts.iter_mut().try_for_each(Host::kill)?;
        let begun = Instant::now();
        hosts.iter_mut().try_for_each(Host::start)?;
        times.push(first_commit(&hosts, begun)?);
    }
    print_times("cold start of three voters", &mut times);
    Ok(())
}

fn leader(programs: &Programs, samples: usize) -> Result<()> {
    let mut hosts = voters(programs)?;
    let mut times = Vec::new();
    for _ in 0..samples {
        let mut leads = None;
        until("somebody leads", || {
            leads = leader_and_voters(&hosts[0])?.0;
            Ok(leads.is_some())
        })?;
        let at = ["v1", "v2", "v3"].iter().position(|name| Some(*name) == leads.as_deref()).context("one of the three leads")?;
        let mut killed = hosts.remove(at);
        killed.kill()?;
        times.push(first_commit(&hosts, Instant::now())?);
        killed.start()?;
        killed.ready()?;
        hosts.insert(at, killed);
        until("all vote again", || Ok(leader_and_voters(&hosts[at])?.0.is_some()))?;
    }
    print_times("leader killed to commit", &mut times);
    Ok(())
}

/// When a command was committed, counted from `begun`: somebody is asked every few milliseconds, whoever of them answers.
fn first_commit(hosts: &[Host], begun: Instant) -> Result<Duration> {
    let (done, results) = mpsc::sync_channel(ASKED);
    let over = Arc::new(AtomicBool::new(false));
    let mut last = None;
    for attempt in 0..ASKED {
        let (done, ended, socket) = (done.clone(), over.clone(), hosts[attempt % hosts.len()].socket());
        std::thread::spawn(move || {
            if ended.load(Ordering::Relaxed) {
                return;
            }
            // Nobody may want to know any more.
            let _ = match commits(&socket) {
                Ok(true) => done.send(Ok(begun.elapsed())),
                Ok(false) => Ok(()),
                Err(error) => done.send(Err(error)),
            };
        });
        match results.recv_timeout(ASKED_EVERY) {
            Ok(Ok(took)) => {
                over.store(true, Ordering::Relaxed);
                return Ok(took);
            }
            // Nobody listens yet, or it was in vain: another attempt is under way.
            Ok(Err(error)) => last = Some(error),
            Err(_) => {}
        }
    }
    Err(last.unwrap_or_else(|| anyhow!("nobody answers"))).with_context(|| format!("nothing was committed in {:?}", begun.elapsed()))
}

fn idle(programs: &Programs) -> Result<()> {
    let mut hosts = voters(programs)?;
    let token = hosts[0].ask(&["token", "create", "--uses", "100"])?;
    for number in hosts.len()..DAEMONS {
        let mut host = Host::join(programs, &format!("h{number}"), &token, false)?;
        host.start()?;
        host.ready()?;
        hosts.push(host);
    }
    std::thread::sleep(SETTLES);
    let counters = Sent::by(hosts.iter().map(|host| host.listen().port()).collect())?;
    let used = |hosts: &[Host]| hosts.iter().map(Host::processor_seconds).collect::<Result<Vec<_>>>();
    let (before, sent) = (used(&hosts)?, counters.bytes()?);
    std::thread::sleep(MEASURED);
    let (after, sent_after) = (used(&hosts)?, counters.bytes()?);
    let rates = |after: &[f64], before: &[f64], unit: f64| -> Vec<f64> {
        after.iter().zip(before).map(|(after, before)| (after - before) / MEASURED.as_secs_f64() * unit).collect()
    };
    let resident = hosts.iter().map(Host::resident_mb).collect::<Result<Vec<_>>>()?;
    print_apart("resident", "MB", resident);
    print_apart("processor", "%", rates(&after, &before, 100.0));
    print_apart("sent over IP", "bytes/s", rates(&sent_after, &sent, 1.0));
    Ok(())
}

/// The readings of the voters, which are the first ones, and of the others.
fn print_apart(what: &str, unit: &str, mut readings: Vec<f64>) {
    let mut hosts = readings.split_off(VOTERS);
    print_readings(&format!("idle voters, {what}"), unit, &mut readings);
    print_readings(&format!("idle hosts, {what}"), unit, &mut hosts);
}
