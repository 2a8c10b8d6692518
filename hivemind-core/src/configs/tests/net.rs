//! Some hundred nodes' configs in one process and in virtual time, on a net that counts what travels.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use imbl::OrdSet;

use super::super::*;
use crate::context::Recipient;
use crate::fixture::{Surround, birth, id, kind, member};
use crate::ids::NeighborhoodId;
use crate::rng::Rng;
use crate::time::Time;
use crate::timers::Timer;
use crate::wire::codec;
use crate::wire::config::Section;
use crate::wire::event::{LeaveReason, LogEvent};
use crate::wire::message::{Configs as ConfigsMessage, Message};

/// What a frame takes besides its message: header, QUIC, UDP, IP.
const OVERHEAD: usize = 100;
/// One way.
const DELAY: Duration = Duration::from_millis(2);

pub(super) struct Peer {
    pub(super) configs: Configs,
    pub(super) surround: Surround,
    pub(super) facts: Facts,
    pub(super) unreachable: OrdSet<NodeId>,
    pub(super) complete: bool,
    /// What it kept, for the next start.
    own: Option<SignedConfig>,
    reserved: Seq,
}

enum Due {
    Message { from: NodeId, to: NodeId, message: ConfigsMessage },
    Stored { node: NodeId, version: Seq },
}

pub(super) struct Net {
    pub(super) facts: Facts,
    pub(super) peers: BTreeMap<NodeId, Peer>,
    pub(super) now: Time,
    /// Nothing passes between a node in here and one that is not.
    pub(super) cut_off: BTreeSet<NodeId>,
    /// By kind of message: how many, and how many bytes.
    pub(super) counts: BTreeMap<&'static str, (usize, usize)>,
    /// Whole configs that came in, by node.
    pub(super) copies: BTreeMap<NodeId, usize>,
    due: BTreeMap<(Time, u64), Due>,
    number: u64,
    rng: Rng,
}

pub(super) fn section(body: &[u8]) -> Section {
    Section { kind: kind("host"), body: bytes::Bytes::copy_from_slice(body) }
}

/// Everybody's facts: members 1 to `hosts`, then consumers up to `all`, in neighborhoods that split when they are full.
pub(super) fn full_facts(hosts: u64, all: u64) -> Facts {
    let mut facts = birth();
    for counter in 2..=all {
        join(&mut facts, counter, counter > hosts);
    }
    facts
}

fn next(facts: &mut Facts, event: &Event) {
    facts.apply(&LogEvent::new(facts.position().index.next(), event)).expect("the events of a test fold");
}

fn split_when_full(facts: &Facts) -> Option<Event> {
    let from = facts.assignment();
    let hood = &facts.neighborhoods()[&from].members;
    let moved = hood.iter().copied().enumerate().filter(|(at, _)| at % 2 == 1).map(|(_, node)| node).collect();
    let into = NeighborhoodId(facts.neighborhoods().keys().map(|hood| hood.0).max().unwrap_or(0) + 1);
    (hood.len() >= 40).then_some(Event::Split { from, into, moved })
}

fn join_event(facts: &Facts, counter: u64, consumer: bool) -> Event {
    let member = member(counter, consumer, facts.position().index.next().0);
    Event::Joined { member, neighborhood: facts.assignment(), supersedes: None, listed: vec![] }
}

fn join(facts: &mut Facts, counter: u64, consumer: bool) {
    if let Some(split) = split_when_full(facts) {
        next(facts, &split);
    }
    let joined = join_event(facts, counter, consumer);
    next(facts, &joined);
}

impl Net {
    /// Hosts 1 to `hosts` and consumers up to `all`; none of them started.
    pub(super) fn new(hosts: u64, all: u64) -> Self {
        Net {
            facts: full_facts(hosts, all),
            peers: BTreeMap::new(),
            now: Time::from_origin(Duration::from_secs(1)),
            cut_off: BTreeSet::new(),
            counts: BTreeMap::new(),
            copies: BTreeMap::new(),
            due: BTreeMap::new(),
            number: 0,
            rng: Rng::new(7),
        }
    }

    /// All of them, each host with its first config, and everybody at rest.
    pub(super) fn settled(hosts: u64, all: u64) -> Self {
        let mut net = Net::new(hosts, all);
        (1..=all).for_each(|counter| net.start(counter));
        for counter in 1..=hosts {
            net.publish(counter, b"the first");
        }
        net.run(Duration::from_secs(8));
        net.counts.clear();
        net.copies.clear();
        net
    }

    /// A start with an empty cache, and what the own disk keeps.
    pub(super) fn start(&mut self, counter: u64) {
        let (own, reserved) = self.peers.remove(&id(counter)).map_or((None, Seq(0)), |peer| (peer.own, peer.reserved));
        self.start_with(counter, own, reserved);
    }

    pub(super) fn start_with(&mut self, counter: u64, own: Option<SignedConfig>, reserved: Seq) {
        let mut surround = Surround::new(counter);
        surround.now.time = self.now;
        let facts = self.facts.digest_for(id(counter)).expect("full facts give everyone its own");
        let configs = Configs::new(own.clone(), reserved, 64);
        let peer = Peer { configs, surround, facts, unreachable: OrdSet::new(), complete: false, own, reserved };
        self.peers.insert(id(counter), peer);
        self.with(id(counter), |configs, around, ctx| configs.member(around, ctx));
    }

    /// It is gone, and comes back, if it does, by [`Net::start`].
    pub(super) fn kill(&mut self, counter: u64) {
        self.peers.remove(&id(counter));
    }

    /// What it has kept so far.
    pub(super) fn disk(&self, counter: u64) -> (Option<SignedConfig>, Seq) {
        let peer = &self.peers[&id(counter)];
        (peer.own.clone(), peer.reserved)
    }

    pub(super) fn publish(&mut self, counter: u64, body: &[u8]) {
        let body = [body, b" of ", &[b'a' + (counter % 26) as u8; 90]].concat();
        let peer = self.peers.get_mut(&id(counter)).expect("it runs");
        peer.surround.now.time = self.now;
        peer.configs.publish(&[section(&body)], &mut peer.surround.ctx());
        self.collect(id(counter));
    }

    /// Runs something on a node, and sends what comes of it.
    pub(super) fn with(&mut self, node: NodeId, run: impl FnOnce(&mut Configs, &Surroundings<'_>, &mut Context<'_>)) {
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.surround.now.time = self.now;
            let around = Surroundings { facts: &peer.facts, unreachable: &peer.unreachable };
            run(&mut peer.configs, &around, &mut peer.surround.ctx());
            self.collect(node);
        }
    }

    fn collect(&mut self, node: NodeId) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        while let Some(output) = peer.configs.poll_output() {
            match output {
                Output::Persist { version, reserve, write } => {
                    let Write::Own(own) = write else { panic!("a host keeps its own config") };
                    peer.own = own;
                    peer.reserved = reserve.unwrap_or(peer.reserved);
                    self.number += 1;
                    self.due.insert((self.now + Duration::from_millis(1), self.number), Due::Stored { node, version });
                }
                Output::Completeness { complete } => peer.complete = complete,
                Output::Changed { .. } => {}
            }
        }
        for outgoing in peer.surround.sent() {
            let Recipient::Node(to) = outgoing.to else { panic!("configs speak with members") };
            // As the machine does: who is not in scope is not spoken to.
            if to != node && peer.facts.member(to).is_none() {
                continue;
            }
            let bytes = codec::encode(&outgoing.message).len() + OVERHEAD;
            let Message::Configs(message) = outgoing.message else { panic!("configs speak of configs") };
            let count = self.counts.entry(name(&message)).or_default();
            *count = (count.0 + 1, count.1 + bytes);
            self.number += 1;
            let at = self.now + DELAY + self.rng.duration_below(DELAY);
            self.due.insert((at, self.number), Due::Message { from: node, to, message });
        }
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let timer = self.peers.iter().filter_map(|(node, peer)| Some((peer.surround.timers.next_due()?, *node))).min();
            let due = self.due.first_key_value().map(|(key, _)| key.0);
            let at = match (timer, due) {
                (None, None) => break,
                (Some((at, _)), None) | (None, Some(at)) => at,
                (Some((timed, _)), Some(at)) => timed.min(at),
            };
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            match timer.filter(|(timed, _)| *timed == at) {
                Some((_, node)) => self.fire(node),
                None => self.deliver(),
            }
        }
        self.now = end;
    }

    fn fire(&mut self, node: NodeId) {
        let now = self.now;
        let timer = self.peers.get_mut(&node).and_then(|peer| peer.surround.timers.take_due(now)).expect("it is due");
        self.with(node, |configs, around, ctx| match timer {
            Timer::Offer { round } => configs.handle_offer_timer(round, around, ctx),
            Timer::Compare { round } => configs.handle_compare_timer(round, around, ctx),
            other => panic!("no timer of the configs: {other:?}"),
        });
    }

    fn deliver(&mut self) {
        let Some((_, due)) = self.due.pop_first() else { return };
        match due {
            Due::Stored { node, version } => self.with(node, |configs, around, ctx| {
                if configs.handle_stored(version) {
                    configs.enforce_own(around, ctx);
                }
            }),
            Due::Message { from, to, message } => {
                let passes = self.cut_off.contains(&from) == self.cut_off.contains(&to);
                let known = self.peers.get(&to).is_some_and(|peer| peer.facts.member(from).is_some());
                if !passes || !known {
                    return;
                }
                let copies = match &message {
                    ConfigsMessage::Offer { .. } => 1,
                    ConfigsMessage::Batch { configs, .. } => configs.len(),
                    _ => 0,
                };
                *self.copies.entry(to).or_default() += copies;
                self.with(to, |configs, around, ctx| configs.handle_message(from, message, around, ctx));
            }
        }
    }

    /// An event, that everybody hears of at once.
    pub(super) fn event(&mut self, event: &Event) {
        let logged = LogEvent::new(self.facts.position().index.next(), event);
        self.facts.apply(&logged).expect("the events of a test fold");
        let nodes: Vec<NodeId> = self.peers.keys().copied().collect();
        for node in nodes {
            let peer = self.peers.get_mut(&node).expect("it runs");
            peer.facts.apply(&logged).expect("slices fold as well");
            self.with(node, |configs, around, ctx| configs.handle_event(event, around, ctx));
        }
    }

    pub(super) fn leave(&mut self, counter: u64) {
        self.kill(counter);
        let listed = self.facts.successors_in_lists(id(counter));
        self.event(&Event::Left { node: id(counter), reason: LeaveReason::Asked, listed });
    }

    /// A new member joins, and starts.
    pub(super) fn join(&mut self, counter: u64, consumer: bool) {
        if let Some(split) = split_when_full(&self.facts) {
            self.event(&split);
        }
        self.event(&join_event(&self.facts, counter, consumer));
        self.start(counter);
    }

    /// SWIM of all that run finds these.
    pub(super) fn call_down(&mut self, down: &[u64]) {
        let nodes: Vec<NodeId> = self.peers.keys().copied().collect();
        for node in nodes {
            for &counter in down {
                let peer = self.peers.get_mut(&node).expect("it runs");
                let near = peer.facts.neighborhood_of(node).is_some_and(|(_, hood)| hood.members.contains(&id(counter)));
                if near && node != id(counter) {
                    peer.unreachable.insert(id(counter));
                    self.with(node, |configs, around, ctx| configs.handle_reachability(id(counter), false, around, ctx));
                }
            }
        }
    }

    pub(super) fn seqs(&self, counter: u64) -> BTreeMap<NodeId, Seq> {
        self.peers[&id(counter)].configs.held().iter().map(|(member, held)| (*member, held.config.seq)).collect()
    }

    pub(super) fn held_seq(&self, at: u64, host: u64) -> Option<Seq> {
        self.peers[&id(at)].configs.held().get(&id(host)).map(|held| held.config.seq)
    }

    pub(super) fn bytes(&self) -> usize {
        self.counts.values().map(|(_, bytes)| bytes).sum()
    }

    /// What the config of a host takes on the wire.
    pub(super) fn weight(&self, host: u64) -> usize {
        let held = self.peers[&id(host)].configs.held().get(&id(host)).expect("a host has its own config");
        codec::encode(&HeldConfig { member: id(host), config: SignedConfig::clone(held) }).len()
    }
}

fn name(message: &ConfigsMessage) -> &'static str {
    match message {
        ConfigsMessage::Offer { .. } => "offer",
        ConfigsMessage::Advert { .. } => "advert",
        ConfigsMessage::Stored { .. } => "stored",
        ConfigsMessage::Compare { .. } => "compare",
        ConfigsMessage::Alike { .. } => "alike",
        ConfigsMessage::Busy => "busy",
        ConfigsMessage::Differ { .. } => "differ",
        ConfigsMessage::Versions { .. } => "versions",
        ConfigsMessage::Want { .. } => "want",
        ConfigsMessage::Batch { .. } => "batch",
        ConfigsMessage::SeqAsk => "seq-ask",
    }
}
