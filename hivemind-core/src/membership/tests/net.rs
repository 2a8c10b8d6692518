//! A neighborhood in virtual time: many [`Membership`]s, a network with latency and loss, crashes,
//! restarts, cut links and nodes that process nothing for a while.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::context::{Context, Junk, Outbox, Recipient};
use crate::facts::Facts;
use crate::fixture::birth;
use crate::ids::{BootNonce, ClusterId, Digest256, Epoch, Index, NeighborhoodId, NodeId, PublicKey};
use crate::keys::{Keys, Signature};
use crate::membership::{Membership, Output};
use crate::rng::{Rng, split_mix};
use crate::settings::Settings;
use crate::time::{Now, Time, Timestamp};
use crate::timers::Timers;
use crate::wire::frame::{Beat, Channel, DATAGRAM_LIMIT, Frame, Header};
use crate::wire::message::{self, Message};

pub(super) const HOOD: NeighborhoodId = NeighborhoodId(0);
pub(super) const CREATED: Index = Index(0);
/// The observers that a leave needs, and how long a word of theirs counts: the control plane's defaults.
pub(super) const OBSERVERS: usize = 3;

/// This subsystem signs nothing.
struct NoKeys;

impl Keys for NoKeys {
    fn public(&self) -> PublicKey {
        PublicKey([0; 32])
    }

    fn sign(&self, _: &Digest256) -> Signature {
        Signature([0; 64])
    }

    fn verify(&self, _: &PublicKey, _: &Digest256, _: &Signature) -> bool {
        false
    }
}

pub(super) fn id(number: u64) -> NodeId {
    NodeId::new(1, number)
}

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) struct Node {
    pub(super) membership: Membership,
    pub(super) timers: Timers,
    pub(super) rng: Rng,
    starts: u32,
    boot: BootNonce,
    running: bool,
    asleep_until: Time,
    inbox: VecDeque<(NodeId, BootNonce, Message)>,
    boots: BTreeMap<NodeId, BootNonce>,
}

pub(super) struct Net {
    pub(super) now: Time,
    pub(super) settings: Settings,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    pub(super) members: BTreeSet<NodeId>,
    pub(super) voters: Vec<NodeId>,
    /// What the event log says to each node; where a test has nothing to do with it, of nobody.
    pub(super) facts: BTreeMap<NodeId, Facts>,
    no_facts: Facts,
    pub(super) chance: Rng,
    pub(super) latency: (Duration, Duration),
    pub(super) loss_ppm: u32,
    /// Nothing gets from the first to the second.
    pub(super) cut: BTreeSet<(NodeId, NodeId)>,
    in_flight: BTreeMap<(Time, u64), (NodeId, NodeId, BootNonce, Message)>,
    sent: u64,
    /// What a voter was told: (voter, suspect) -> observer -> when last.
    told: BTreeMap<(NodeId, NodeId), BTreeMap<NodeId, Time>>,
    /// When a voter first had enough observers of a suspect.
    pub(super) convicted: BTreeMap<NodeId, Time>,
    pub(super) suspicions: u64,
    pub(super) frames: u64,
    pub(super) bytes: u64,
    pub(super) trace: u64,
    /// What happened, where a test asks for it.
    pub(super) log: Option<Vec<String>>,
    pub(super) mutate: Option<fn(&mut Rng, &mut Message)>,
    pub(super) junk: u64,
}

impl Net {
    /// `count` nodes, of which the first three vote, on a LAN without loss.
    pub(super) fn new(count: u64, seed: u64) -> Self {
        let mut net = Net {
            now: Time::from_origin(Duration::from_secs(1)),
            settings: Settings::default(),
            nodes: BTreeMap::new(),
            members: (1..=count).map(id).collect(),
            voters: (1..=count.min(3)).map(id).collect(),
            facts: BTreeMap::new(),
            no_facts: birth(),
            chance: Rng::new(seed),
            latency: (Duration::from_micros(200), Duration::from_micros(2_000)),
            loss_ppm: 0,
            cut: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            sent: 0,
            told: BTreeMap::new(),
            convicted: BTreeMap::new(),
            suspicions: 0,
            frames: 0,
            bytes: 0,
            trace: seed,
            log: None,
            mutate: None,
            junk: 0,
        };
        for node in net.members.clone() {
            net.start(node);
        }
        net
    }

    /// Starts or restarts a node: a greater boot nonce, and nothing in memory.
    pub(super) fn start(&mut self, node: NodeId) {
        let starts = self.nodes.get(&node).map_or(0, |old| old.starts) + 1;
        let fresh = Node {
            membership: Membership::new(),
            timers: Timers::default(),
            rng: self.chance.fork(),
            starts,
            boot: BootNonce::new(starts, self.chance.next() as u32),
            running: true,
            asleep_until: Time::ZERO,
            inbox: VecDeque::new(),
            boots: BTreeMap::new(),
        };
        self.nodes.insert(node, fresh);
        let (peers, voters): (Vec<NodeId>, _) = (self.members.iter().copied().collect(), self.voters.clone());
        let (number, created, peers) = self.home_of(node).unwrap_or((HOOD, CREATED, peers));
        self.with(node, |membership, ctx| {
            membership.set_voters(voters);
            membership.enter(number, created, &peers, ctx);
        });
    }

    /// What the event log says to `node`.
    fn facts_of(&self, node: NodeId) -> Facts {
        self.facts.get(&node).unwrap_or(&self.no_facts).clone()
    }

    /// Where the event log puts `node`, and its peers.
    fn home_of(&self, node: NodeId) -> Option<(NeighborhoodId, Index, Vec<NodeId>)> {
        let (number, hood) = self.facts.get(&node)?.neighborhood_of(node)?;
        Some((number, hood.created, hood.members.iter().copied().collect()))
    }

    /// The node learns what the event log says, as its machine tells it.
    pub(super) fn follow(&mut self, node: NodeId, facts: Facts) {
        self.facts.insert(node, facts);
        let (number, created, peers) = self.home_of(node).expect("facts of a test hold their node");
        self.with(node, |membership, ctx| membership.enter(number, created, &peers, ctx));
    }

    pub(super) fn crash(&mut self, node: NodeId) {
        self.nodes.get_mut(&node).expect("a node of the test").running = false;
    }

    /// The node neither reads nor keeps time until `until`.
    pub(super) fn starve(&mut self, node: NodeId, time: Duration) {
        self.nodes.get_mut(&node).expect("a node of the test").asleep_until = self.now + time;
    }

    pub(super) fn node(&self, node: NodeId) -> &Node {
        &self.nodes[&node]
    }

    /// How often nodes found themselves called down, and took a new identity.
    pub(super) fn renewed(&self) -> u32 {
        self.nodes.values().map(|node| node.membership.swim_renewals()).sum()
    }

    pub(super) fn is_unreachable(&self, at: NodeId, node: NodeId) -> bool {
        self.nodes[&at].membership.unreachable().contains(&node)
    }

    /// A node's call, and all that follows from it at once.
    pub(super) fn with<T>(&mut self, node: NodeId, call: impl FnOnce(&mut Membership, &mut Context<'_>) -> T) -> T {
        let mut out = Outbox::default();
        let at = self.nodes.get_mut(&node).expect("a node of the test");
        let mut ctx = Context {
            now: Now { time: self.now, wall: Timestamp(0) },
            node,
            boot: at.boot,
            settings: &self.settings,
            keys: &NoKeys,
            rng: &mut at.rng,
            out: &mut out,
            timers: &mut at.timers,
        };
        let result = call(&mut at.membership, &mut ctx);
        let outputs: Vec<Output> = std::iter::from_fn(|| at.membership.poll_output()).collect();
        for output in outputs {
            self.note(node, || format!("{output:?}"));
            match output {
                Output::Reachability { reachable, .. } => self.suspicions += u64::from(!reachable),
                Output::Evidence { suspect } => self.witness(node, suspect, node),
            }
        }
        for sent in out.sends {
            let Recipient::Node(to) = sent.to else { panic!("this subsystem speaks to members only") };
            assert_eq!(sent.channel, Channel::Datagram);
            self.post(node, to, sent.message);
        }
        result
    }

    fn post(&mut self, from: NodeId, to: NodeId, mut message: Message) {
        assert_ne!(from, to, "a node does not send to itself");
        let boot = self.nodes[&from].boot;
        let bytes = Frame { header: header(from, boot), message: message.clone() }.encode();
        assert!(bytes.len() <= DATAGRAM_LIMIT, "a frame of {} bytes", bytes.len());
        self.frames += 1;
        self.bytes += bytes.len() as u64;
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.trace ^= u64::from_le_bytes(word) ^ self.now.since_origin().as_nanos() as u64;
            self.trace = split_mix(&mut self.trace);
        }
        self.note(from, || format!("-> {} {}", to.counter(), super::script::show(&message)));
        if self.cut.contains(&(from, to)) || self.chance.chance_ppm(self.loss_ppm) {
            return;
        }
        if let Some(mutate) = self.mutate {
            mutate(&mut self.chance, &mut message);
        }
        let delay = self.latency.0 + self.chance.duration_below(self.latency.1 - self.latency.0);
        self.sent += 1;
        self.in_flight.insert((self.now + delay, self.sent), (from, to, boot, message));
    }

    fn note(&mut self, node: NodeId, line: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(format!("{:?} {} {}", self.now, node.counter(), line()));
        }
    }

    fn witness(&mut self, voter: NodeId, suspect: NodeId, observer: NodeId) {
        let window = self.settings.control.evidence_window;
        let observers = self.told.entry((voter, suspect)).or_default();
        observers.insert(observer, self.now);
        if observers.values().filter(|&&at| self.now.since(at) < window).count() >= OBSERVERS {
            self.convicted.entry(suspect).or_insert(self.now);
        }
    }

    /// Forgets who told of `suspect` so far.
    pub(super) fn told_again(&mut self, suspect: NodeId) {
        self.told.retain(|(_, of), _| *of != suspect);
    }

    /// Whether a voter was told of `suspect` by `observer`.
    pub(super) fn was_told_by(&self, suspect: NodeId, observer: NodeId) -> bool {
        self.told.iter().any(|((_, of), observers)| *of == suspect && observers.contains_key(&observer))
    }

    /// What the machine does with a frame, as far as this subsystem is concerned.
    fn deliver(&mut self, from: NodeId, to: NodeId, boot: BootNonce, message: Message) {
        let at = self.nodes.get_mut(&to).expect("a node of the test");
        if !at.running || !self.members.contains(&from) {
            return;
        }
        if at.asleep_until > self.now {
            at.inbox.push_back((from, boot, message));
            return;
        }
        let latest = at.boots.entry(from).or_insert(boot);
        if *latest > boot {
            return;
        }
        *latest = boot;
        let Message::Membership(message) = message else { panic!("this subsystem says nothing else") };
        if let message::Membership::Evidence { suspect } = &message {
            self.witness(to, *suspect, from);
        }
        let facts = self.facts_of(to);
        let result: Result<(), Junk> = self.with(to, |membership, ctx| {
            membership.heard_from(from, ctx);
            membership.handle_message(from, message, &facts, ctx)
        });
        self.junk += u64::from(result.is_err());
    }

    /// Lets `time` pass.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// Lets time pass until `done`, at most `most`; says whether it came to that.
    pub(super) fn run_until(&mut self, most: Duration, done: impl Fn(&Net) -> bool) -> bool {
        let end = self.now + most;
        while !done(self) {
            if !self.step(end) {
                self.now = end;
                return done(self);
            }
        }
        true
    }

    fn step(&mut self, end: Time) -> bool {
        let arrival = self.in_flight.first_key_value().map(|((at, _), _)| *at);
        let running = self.nodes.iter().filter(|(_, node)| node.running);
        let wake = running.filter_map(|(id, node)| node.wakes_at().map(|at| (at.max(self.now), *id))).min();
        match (arrival, wake) {
            (Some(at), wake) if at <= end && wake.is_none_or(|(due, _)| at < due) => {
                self.now = at;
                let (_, (from, to, boot, message)) = self.in_flight.pop_first().expect("it was there above");
                self.deliver(from, to, boot, message);
                true
            }
            (_, Some((due, node))) if due <= end => {
                self.now = due;
                self.wake(node);
                true
            }
            _ => false,
        }
    }

    /// Of one who slept, timers are late and come before what waits to be read: the worst order.
    fn wake(&mut self, id: NodeId) {
        let node = self.nodes.get_mut(&id).expect("a node of the test");
        if let Some(timer) = node.timers.take_due(self.now) {
            let facts = self.facts_of(id);
            self.with(id, |membership, ctx| membership.handle_timer(timer, &facts, ctx));
        } else if let Some((from, boot, message)) = node.inbox.pop_front() {
            self.deliver(from, id, boot, message);
        }
    }
}

impl Node {
    fn wakes_at(&self) -> Option<Time> {
        let due = if self.inbox.is_empty() { self.timers.next_due() } else { Some(Time::ZERO) };
        due.map(|due| due.max(self.asleep_until))
    }
}

fn header(from: NodeId, boot: BootNonce) -> Header {
    Header {
        cluster: Some(ClusterId(0x0123_4567_89AB_CDEF)),
        epoch: Epoch { generation: 1, number: 3, tag: 0xFEDC_BA98_7654_3210 },
        from,
        boot,
        index: Index(1_234),
        chain: 0x89AB_CDEF,
        beat: Beat { term: 7, count: 100_000 },
    }
}
