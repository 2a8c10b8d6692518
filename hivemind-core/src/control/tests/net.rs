//! A net of control planes on a virtual clock: seeded delays, loss, duplication, slow disks, crashes.
//! Only what was answered as stored survives a crash.

mod disk;
mod drive;
mod wishes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use disk::Disk;
pub(super) use disk::Faults;
pub(super) use drive::raft;
pub(super) use wishes::{TestKeys, first_member, key_of, request, signed};

use crate::context::{Context, Outbox, Recipient, Report};
use crate::control::{Control, Output};
use crate::facts::Facts;
use crate::ids::{BootNonce, ClusterId, Digest256, Index, NodeId, ProposalId, PublicKey};
use crate::keys::hash;
use crate::rng::Rng;
use crate::settings::Settings;
use crate::storage::Write;
use crate::time::{Now, Time, Timestamp};
use crate::timers::{Timer, Timers};
use crate::wire::command::Outcome;
use crate::wire::event::LogEvent;
use crate::wire::message::{self, Message};

/// One node: its control plane, if it has one, and what came out of it.
pub(super) struct Host {
    pub(super) control: Option<Control>,
    timers: Timers,
    rng: Rng,
    boots: u32,
    counter: u64,
    pub(super) disk: Disk,
    /// Writes on their way: when they are done.
    writing: VecDeque<(Time, u64, Vec<Write>)>,
    pub(super) events: Vec<LogEvent>,
    pub(super) outcomes: BTreeMap<ProposalId, Outcome>,
    pub(super) reads: BTreeMap<ProposalId, Option<Index>>,
    pub(super) beats: u64,
    pub(super) junk: u64,
    /// What it knew by other ways when it began.
    view: Option<Facts>,
    /// Whom it was asked to probe.
    pub(super) probes: Vec<NodeId>,
    pub(super) removed: bool,
    pub(super) is_up: bool,
}

enum Due {
    Message { from: NodeId, to: NodeId, message: Box<message::Control> },
    Stored { node: NodeId, boots: u32 },
}

pub(super) struct Net {
    pub(super) now: Time,
    /// How far all wall clocks are ahead, in milliseconds.
    pub(super) ahead: u64,
    pub(super) settings: Settings,
    pub(super) faults: Faults,
    pub(super) hosts: BTreeMap<NodeId, Host>,
    cut: BTreeSet<(NodeId, NodeId)>,
    queue: BTreeMap<(Time, u64), Due>,
    sequence: u64,
    rng: Rng,
    seed: u64,
    /// Everything that was sent or came out, in words.
    pub(super) trace: Vec<String>,
    pub(super) trace_hash: Digest256,
    nonces: u64,
    /// Whether messages are kept in [`Net::sent`].
    pub(super) keep_sent: bool,
    pub(super) sent: Vec<(NodeId, NodeId, message::Control)>,
    /// Whether what must hold is checked: not where a voter lies.
    checks: bool,
}

pub(super) const V1: NodeId = NodeId::new(1, 1);
pub(super) const V2: NodeId = NodeId::new(1, 2);
pub(super) const V3: NodeId = NodeId::new(1, 3);
pub(super) const V4: NodeId = NodeId::new(1, 4);

impl Net {
    /// A cluster of one voter, named v1.
    pub(super) fn new(seed: u64) -> Net {
        Net::with(seed, Settings::default())
    }

    pub(super) fn with(seed: u64, settings: Settings) -> Net {
        let mut net = Net {
            now: Time::ZERO,
            ahead: 0,
            settings,
            faults: Faults::NONE,
            hosts: BTreeMap::new(),
            cut: BTreeSet::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            rng: Rng::new(seed),
            seed,
            trace: Vec::new(),
            trace_hash: Digest256::default(),
            nonces: 100,
            keep_sent: false,
            sent: Vec::new(),
            checks: true,
        };
        net.add_host(V1);
        net.with_host(V1, |host, ctx| host.control = Some(Control::birth(ClusterId(7), 9, first_member(), seed, ctx)));
        net
    }

    /// A cluster of `count` voters, v1 and on; v1 leads.
    pub(super) fn of_voters(seed: u64, count: u64) -> Net {
        let mut settings = Settings::default();
        settings.control.voters = usize::try_from(count).unwrap();
        Net::of(seed, count, settings)
    }

    /// A cluster of `count` members, v1 and on, with as many voters as the settings want.
    pub(super) fn of(seed: u64, count: u64, settings: Settings) -> Net {
        let voters = settings.control.voters.min(usize::try_from(count).unwrap());
        let mut net = Net::with(seed, settings);
        for number in 2..=count {
            net.join(&format!("v{number}"));
        }
        net.until(Duration::from_secs(10), "all voters vote", |net| net.voters(V1).len() == voters);
        net.run(Duration::from_millis(300));
        net
    }

    pub(super) fn add_host(&mut self, node: NodeId) {
        let rng = Rng::new(self.seed ^ node.as_u64());
        let host = Host {
            control: None,
            timers: Timers::default(),
            rng,
            boots: 1,
            counter: 0,
            disk: Disk::default(),
            writing: VecDeque::new(),
            events: Vec::new(),
            outcomes: BTreeMap::new(),
            reads: BTreeMap::new(),
            beats: 0,
            junk: 0,
            view: None,
            probes: Vec::new(),
            removed: false,
            is_up: true,
        };
        self.hosts.insert(node, host);
    }

    /// Calls into a node, and takes what comes out.
    pub(super) fn with_host<T>(&mut self, node: NodeId, act: impl FnOnce(&mut Host, &mut Context<'_>) -> T) -> T {
        let mut host = self.hosts.remove(&node).expect("a host");
        let mut out = Outbox::default();
        let mut timers = std::mem::take(&mut host.timers);
        let mut rng = host.rng.clone();
        let keys = TestKeys(PublicKey([1; 32]));
        let wall = Timestamp(1_000_000 + self.ahead + u64::try_from(self.now.since_origin().as_millis()).unwrap());
        let mut ctx = Context {
            now: Now { time: self.now, wall },
            node,
            boot: BootNonce::new(host.boots, 0),
            settings: &self.settings,
            keys: &keys,
            rng: &mut rng,
            out: &mut out,
            timers: &mut timers,
        };
        let result = act(&mut host, &mut ctx);
        host.timers = timers;
        host.rng = rng;
        while let Some(output) = host.control.as_mut().and_then(Control::poll_output) {
            self.note(format!("{node} {}", super::scripts::describe_output(&output)));
            self.take(node, &mut host, output);
        }
        self.hosts.insert(node, host);
        for outgoing in out.sends {
            let Recipient::Node(to) = outgoing.to else { panic!("the control plane speaks to members") };
            let Message::Control(message) = outgoing.message else { panic!("the control plane speaks its own language") };
            self.note(format!("{node} -> {to} {}", super::scripts::describe_message(&message)));
            self.send(node, to, message);
        }
        for report in out.reports {
            if let Report::Dropped { why, .. } = report {
                self.note(format!("{node} drops: {why:?}"));
                self.hosts.get_mut(&node).unwrap().junk += 1;
            }
        }
        result
    }

    fn take(&mut self, node: NodeId, host: &mut Host, output: Output) {
        match output {
            Output::Persist { number, writes } => {
                let (least, most) = self.faults.disk;
                let at =
                    (self.now + least + self.rng.duration_below(most - least)).max(host.writing.back().map_or(Time::ZERO, |last| last.0));
                host.writing.push_back((at, number, writes));
                self.sequence += 1;
                self.queue.insert((at, self.sequence), Due::Stored { node, boots: host.boots });
            }
            Output::Committed { events } => {
                for event in events {
                    assert_eq!(
                        event.index,
                        host.events.last().map_or(event.index, |last| last.index.next()),
                        "{node}: events without a gap"
                    );
                    host.events.push(event);
                }
            }
            Output::Installed { facts, tail } => {
                assert!(host.events.last().is_none_or(|last| last.index <= facts.position().index), "{node}: never back");
                host.events = tail;
            }
            Output::Outcome { id, outcome } => {
                let earlier = host.outcomes.insert(id, outcome.clone());
                assert!(earlier.is_none(), "{node}: one outcome for {id:?}, not {earlier:?} and {outcome:?}");
            }
            Output::Readable { id, index } => {
                let earlier = host.reads.insert(id, index);
                assert_eq!(earlier, None, "{node}: one answer for a read");
            }
            Output::Beat(_) => host.beats += 1,
            Output::Leader { .. } => {}
            Output::Probe { suspect } => host.probes.push(suspect),
            Output::Removed => host.removed = true,
        }
    }

    fn note(&mut self, line: String) {
        let line = format!("{:>7.1}ms {line}", f64::from(u32::try_from(self.now.since_origin().as_micros()).unwrap()) / 1000.0);
        self.trace_hash = hash(&[&self.trace_hash.0, line.as_bytes()]);
        self.trace.push(line);
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: message::Control) {
        if self.keep_sent {
            self.sent.push((from, to, message.clone()));
        }
        if self.cut.contains(&(from, to)) || self.rng.chance_ppm(self.faults.loss_ppm) {
            return;
        }
        let copies = 1 + u32::from(self.rng.chance_ppm(self.faults.duplicate_ppm));
        for _ in 0..copies {
            let (least, most) = self.faults.delay;
            let at = self.now + least + self.rng.duration_below(most - least);
            self.sequence += 1;
            self.queue.insert((at, self.sequence), Due::Message { from, to, message: Box::new(message.clone()) });
        }
    }

    /// Runs to the next thing that is due, if that is before `end`.
    fn step(&mut self, end: Time) -> bool {
        let timer =
            self.hosts.iter().filter(|(_, host)| host.is_up).filter_map(|(&node, host)| Some((host.timers.next_due()?, node))).min();
        let due = self.queue.keys().next().copied();
        let at = match (timer, due) {
            (None, None) => return false,
            (Some((at, _)), None) => at,
            (None, Some((at, _))) => at,
            (Some((timer_at, _)), Some((due_at, _))) => timer_at.min(due_at),
        };
        if at > end {
            return false;
        }
        self.now = self.now.max(at);
        match due.filter(|(due_at, _)| *due_at == at) {
            Some(key) => {
                let due = self.queue.remove(&key).unwrap();
                self.happen(due);
            }
            None => {
                let (_, node) = timer.unwrap();
                let timer = self.hosts.get_mut(&node).unwrap().timers.take_due(self.now).unwrap();
                self.fire(node, timer);
            }
        }
        if self.checks {
            self.check();
        }
        true
    }

    pub(super) fn fire(&mut self, node: NodeId, timer: Timer) {
        self.with_host(node, |host, ctx| {
            if let Some(control) = &mut host.control {
                control.handle_timer(timer, ctx);
            }
        });
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Message { from, to, message } => self.deliver(from, to, *message),
            Due::Stored { node, boots } => {
                if self.hosts.get(&node).is_some_and(|host| host.is_up && host.boots == boots) {
                    self.with_host(node, |host, ctx| {
                        let (_, number, writes) = host.writing.pop_front().unwrap();
                        for write in &writes {
                            host.disk.write(write);
                        }
                        host.control.as_mut().unwrap().handle_stored(number, ctx);
                    });
                }
            }
        }
    }

    pub(super) fn deliver(&mut self, from: NodeId, to: NodeId, message: message::Control) {
        let is_up = self.hosts.get(&to).is_some_and(|host| host.is_up);
        if !is_up || self.cut.contains(&(from, to)) {
            return;
        }
        let seed = self.seed;
        let begins = self.hosts[&to].control.is_none() && matches!(message, message::Control::Raft(_));
        let seen = self.hosts.get(&from).filter(|_| begins).and_then(|host| host.control.as_ref()?.facts().cloned());
        self.with_host(to, |host, ctx| {
            if begins {
                let mut control = Control::learner(to, seed, ctx);
                // The machine makes a learner of a node whose view says that it is one.
                seen.iter().for_each(|facts| control.handle_view(facts));
                host.view = seen;
                host.control = Some(control);
            }
            match (&mut host.control, message) {
                (Some(control), message) => control.handle_message(from, message, ctx),
                (None, message::Control::Outcome { id, outcome }) => {
                    host.outcomes.insert(id, outcome);
                }
                (None, message::Control::ReadIndexed { id, index, applied: _ }) => {
                    host.reads.insert(id, index);
                }
                (None, _) => {}
            }
        });
    }

    /// What must hold after every step: no two nodes disagree about an event (S2), one leader a term, and
    /// raft-rs has the configuration that follows from the state.
    fn check(&self) {
        let mut leaders: BTreeMap<u64, NodeId> = BTreeMap::new();
        let mut known: BTreeMap<Index, &LogEvent> = BTreeMap::new();
        for (&node, host) in self.hosts.iter().filter(|(_, host)| host.is_up) {
            let Some(control) = &host.control else { continue };
            if control.is_leader() {
                assert_eq!(*leaders.entry(control.term()).or_insert(node), node, "two leaders in term {}", control.term());
            }
            if let Some(applied) = control.applied.as_ref().filter(|_| control.raw.is_installed()) {
                assert!(applied.configuration().is_of(&control.raw.conf_state()), "{node}: {:?}", control.raw.conf_state());
            }
            for event in host.events.iter().rev().take(8) {
                assert_eq!(*known.entry(event.index).or_insert(event), event, "{node} disagrees about {}", event.index);
            }
        }
    }

    /// Runs so many steps, where there are so many.
    pub(super) fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.step(self.now + Duration::from_secs(1));
        }
    }

    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    pub(super) fn run_unchecked(&mut self, time: Duration) {
        self.checks = false;
        self.run(time);
    }

    /// Runs until something holds; fails where it does not within `limit`. Says how long it took.
    pub(super) fn until(&mut self, limit: Duration, what: &str, holds: impl Fn(&Net) -> bool) -> Duration {
        let begin = self.now;
        while !holds(self) {
            assert!(self.step(begin + limit), "not within {limit:?}: {what}\n{}", self.last_lines());
        }
        self.now.since(begin)
    }

    pub(super) fn last_lines(&self) -> String {
        self.trace[self.trace.len().saturating_sub(40)..].join("\n")
    }
}
