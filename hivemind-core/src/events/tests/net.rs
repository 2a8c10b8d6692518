//! Many event logs in neighborhoods with far links, on one virtual clock: frames take time and get lost, every node speaks with a
//! neighbor now and then, as its failure detection makes it, and whatever travels is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use imbl::OrdSet;

use crate::context::Recipient;
use crate::events::{EventLog, Output, Peers};
use crate::facts::Facts;
use crate::fixture::{Surround, birth, id, joined};
use crate::ids::{Index, NeighborhoodId, NodeId, Position};
use crate::rng::Rng;
use crate::time::{Time, Timestamp};
use crate::wire::codec;
use crate::wire::event::{Event, LogEvent};
use crate::wire::frame::Header;
use crate::wire::message::{EventBatch, Events, Message};

/// A frame takes so long at least, and at most five times that, within one building.
const LATENCY: Duration = Duration::from_micros(300);
/// Every node speaks with one neighbor so often.
const CHATTER: Duration = Duration::from_millis(500);
/// Header, IP, UDP and QUIC around a message, in bytes.
const AROUND: usize = 45 + 70;
/// Far links of each node.
const FAR: usize = 3;

/// What a node that does not keep to the rules does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    /// It says that it is ahead, and answers pulls with the same old events.
    Ahead,
    /// It changes the events that it passes on.
    Alters,
    /// It passes nothing on and answers nothing.
    Silent,
}

/// What a node sent and got.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    pub(super) sent: usize,
    pub(super) copies: usize,
    pub(super) pulls: usize,
}

pub(super) struct Node {
    pub(super) log: EventLog,
    pub(super) around: Surround,
    neighbors: Vec<NodeId>,
    far: Vec<NodeId>,
    pub(super) alive: bool,
    pub(super) lie: Option<Lie>,
    pub(super) traffic: Traffic,
    learned: BTreeMap<Index, Time>,
    /// When it is woken next.
    due: Option<Time>,
}

enum Step {
    Arrives { to: NodeId, from: NodeId, position: Position, message: Option<Events> },
    Due(NodeId),
    Chatter(NodeId),
}

pub(super) struct Net {
    pub(super) nodes: BTreeMap<NodeId, Node>,
    pub(super) now: Time,
    queue: BTreeMap<(Time, u64), Step>,
    steps: u64,
    rng: Rng,
    pub(super) loss_ppm: u32,
    pub(super) latency: Duration,
    born: BTreeMap<Index, Time>,
}

impl Net {
    /// `count` members in neighborhoods of at most 48; the first one leads.
    pub(super) fn new(count: u64, seed: u64) -> Self {
        let facts = grown(count);
        let mut rng = Rng::new(seed);
        let all: Vec<NodeId> = facts.live().iter().collect();
        let mut nodes = BTreeMap::new();
        for &node in &all {
            let (own, hood) = facts.neighborhood_of(node).expect("every member has one");
            let others = rng.sample(&all, FAR + 48);
            let far = others.into_iter().filter(|other| facts.neighborhood_of(*other).is_some_and(|(number, _)| number != own));
            let known = if facts.is_voter(node) { facts.clone() } else { facts.slice_for(node).expect("a member has a slice") };
            let one = Node {
                log: EventLog::new(known, 64 << 10),
                around: Surround::new(node.counter()),
                neighbors: hood.members.iter().copied().filter(|&other| other != node).collect(),
                far: far.take(FAR).collect(),
                alive: true,
                lie: None,
                traffic: Traffic::default(),
                learned: BTreeMap::new(),
                due: None,
            };
            nodes.insert(node, one);
        }
        let now = Time::from_origin(Duration::from_secs(1));
        let mut net = Net { nodes, now, queue: BTreeMap::new(), steps: 0, rng, loss_ppm: 0, latency: LATENCY, born: BTreeMap::new() };
        for node in all {
            let first = net.rng.duration_below(CHATTER);
            net.later(first, Step::Chatter(node));
        }
        net
    }

    fn later(&mut self, wait: Duration, step: Step) {
        self.queue.insert((self.now + wait, self.steps), step);
        self.steps += 1;
    }

    pub(super) fn node(&mut self, counter: u64) -> &mut Node {
        self.nodes.get_mut(&id(counter)).expect("it was made")
    }

    /// The leader's control plane applied an event.
    pub(super) fn commit(&mut self) {
        let number = self.born.len() as u64;
        let event = Event::Restarting { node: id(1 + number % 7), until: Timestamp(number) };
        let now = self.now;
        let leader = self.node(1);
        let logged = LogEvent::new(leader.log.position().index.next(), &event);
        let index = logged.index;
        self.with(id(1), |log, peers, around| log.commit(vec![logged], true, peers, &mut around.ctx()));
        self.born.insert(index, now);
    }

    /// Lets a node do something, and takes what it wants sent.
    fn with(&mut self, at: NodeId, act: impl FnOnce(&mut EventLog, &Peers<'_>, &mut Surround)) {
        let node = self.nodes.get_mut(&at).expect("it was made");
        node.around.now.time = self.now;
        let unreachable = OrdSet::new();
        let peers = Peers { neighbors: &node.neighbors, far: &node.far, unreachable: &unreachable };
        act(&mut node.log, &peers, &mut node.around);
        while let Some(timer) = node.around.timers.take_due(self.now) {
            node.log.handle_timer(timer, &peers, &mut node.around.ctx());
        }
        while let Some(output) = node.log.poll_output() {
            match output {
                Output::Applied { position, .. } => drop(node.learned.insert(position.index, self.now)),
                Output::Fenced { .. } | Output::Damaged => panic!("{at} was to resync"),
            }
        }
        let position = node.log.position();
        let due = node.around.timers.next_due().filter(|due| node.due.is_none_or(|known| *due < known || known <= self.now));
        if let Some(due) = due {
            node.due = Some(due);
            self.later(due.since(self.now), Step::Due(at));
        }
        let sends = self.nodes.get_mut(&at).expect("it was made").around.sent();
        for outgoing in sends {
            let (Recipient::Node(to), Message::Events(message)) = (outgoing.to, outgoing.message) else { panic!("of events, to members") };
            self.send(at, to, position, Some(message));
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, position: Position, message: Option<Events>) {
        let node = self.nodes.get_mut(&from).expect("it was made");
        let (position, message) = match (node.lie, message) {
            (None, message) => (position, message),
            (Some(Lie::Silent), _) => return,
            (Some(Lie::Ahead), message) => (Position { index: Index(u64::MAX), ..position }, message.map(old)),
            (Some(Lie::Alters), message) => (position, message.map(altered)),
        };
        node.traffic.sent += AROUND + message.as_ref().map_or(0, |message| codec::encode(message).len());
        node.traffic.pulls += usize::from(matches!(message, Some(Events::Pull { .. })));
        if !self.rng.chance_ppm(self.loss_ppm) {
            let latency = self.latency + self.rng.duration_below(self.latency * 4);
            self.later(latency, Step::Arrives { to, from, position, message });
        }
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end) {
            self.now = entry.key().0;
            let step = entry.remove();
            self.step(step);
        }
        self.now = end;
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Due(node) if self.nodes[&node].alive => self.with(node, |_, _, _| {}),
            Step::Chatter(node) if self.nodes[&node].alive => {
                self.later(CHATTER, Step::Chatter(node));
                let one = &self.nodes[&node];
                let position = one.log.position();
                if let Some(to) = self.rng.sample(&one.neighbors, 1).pop() {
                    self.send(node, to, position, None);
                    // Its answer.
                    let position = self.nodes[&to].log.position();
                    if self.nodes[&to].alive {
                        self.send(to, node, position, None);
                    }
                }
            }
            Step::Arrives { to, from, position, message } if self.nodes[&to].alive => {
                if let (Some(Events::Push(batch) | Events::Range(batch)), Some(node)) = (&message, self.nodes.get_mut(&to)) {
                    node.traffic.copies += batch.events.len();
                }
                self.with(to, |log, peers, around| {
                    log.observe(from, position.index, Header::chain_prefix(&position), &mut around.ctx());
                    if let Some(message) = message {
                        log.handle_message(from, message, peers, &mut around.ctx());
                    }
                });
            }
            Step::Due(_) | Step::Chatter(_) | Step::Arrives { .. } => {}
        }
    }

    /// Those that live and keep to the rules.
    pub(super) fn honest(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(|node| node.alive && node.lie.is_none())
    }

    /// Copies of an event per honest node, in hundredths.
    pub(super) fn copies(&self) -> usize {
        let copies: usize = self.honest().map(|node| node.traffic.copies).sum();
        100 * copies / (self.honest().count() * self.born.len())
    }

    /// After what time so many of a million pairs of an honest node and an event knew each other. `None`: later than now.
    pub(super) fn known_after(&self, ppm: usize) -> Option<Duration> {
        let mut delays: Vec<Option<Duration>> = Vec::new();
        for (index, born) in &self.born {
            delays.extend(self.honest().map(|node| node.learned.get(index).map(|learned| learned.since(*born))));
        }
        delays.sort_by_key(|delay| delay.unwrap_or(Duration::MAX));
        delays[(delays.len() * ppm / 1_000_000).saturating_sub(1)]
    }
}

/// One that lies about being ahead has nothing new to give.
fn old(message: Events) -> Events {
    let old = |batch: &mut EventBatch| {
        batch.events.truncate(1);
        batch.events.iter_mut().for_each(|logged| logged.index = Index(1));
    };
    match with_batch(message, old) {
        Events::Push(batch) => Events::Range(batch),
        other => other,
    }
}

fn altered(message: Events) -> Events {
    with_batch(message, |batch| {
        for logged in &mut batch.events {
            *logged = LogEvent::new(logged.index, &Event::Restarted { node: id(1) });
        }
    })
}

/// A message with its events, where it has any, changed.
fn with_batch(message: Events, change: impl FnOnce(&mut EventBatch)) -> Events {
    match message {
        Events::Range(mut batch) => {
            change(&mut batch);
            Events::Range(batch)
        }
        Events::Push(mut batch) => {
            change(&mut batch);
            Events::Push(batch)
        }
        other @ (Events::Announce
        | Events::Pull { .. }
        | Events::Collected { .. }
        | Events::AskAnother
        | Events::Resync
        | Events::Snapshot(_)) => other,
    }
}

/// Everybody's facts after `count` members have joined: a full neighborhood splits in half.
pub(super) fn grown(count: u64) -> Facts {
    let mut facts = birth();
    let apply = |facts: &mut Facts, event: &Event| {
        let logged = LogEvent::new(facts.position().index.next(), event);
        facts.apply(&logged).expect("it folds");
    };
    for counter in 2..=count {
        let home = facts.assignment();
        let members = &facts.neighborhoods()[&home].members;
        if members.len() >= usize::from(facts.limits().most) {
            let into = NeighborhoodId(facts.neighborhood_count());
            let moved = members.iter().copied().skip(members.len() / 2).collect();
            apply(&mut facts, &Event::Split { from: home, into, moved });
        }
        let Event::Joined { member, supersedes, listed, .. } = joined(counter, false, 0) else { unreachable!("a join") };
        let neighborhood = facts.assignment();
        apply(&mut facts, &Event::Joined { member, neighborhood, supersedes, listed });
    }
    facts
}

/// A set of members by lot, the leader not among them.
pub(super) fn by_lot(net: &mut Net, count: usize) -> BTreeSet<NodeId> {
    let all: Vec<NodeId> = net.nodes.keys().copied().filter(|&node| node != id(1)).collect();
    net.rng.sample(&all, count).into_iter().collect()
}
