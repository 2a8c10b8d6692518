//! The world: nodes, their network and disks, one queue of what happens, and the checkers over it all.
//!
//! A world is a function of its options: it reads no clock, and all chance is drawn from its seed.
//! [`World::step`] lets the next thing happen. What a driver of a real node does is in `driving`, what
//! the world sees of it in `observing`, what it does to its nodes in `faults`.

mod driving;
mod faults;
mod observing;
mod registers;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hivemind_core::ids::{ClusterId, Index, NodeId, NodeName, PublicKey, RequestId, Ticket};
use hivemind_core::machine::{Birth, Effect, Input, Reply};
use hivemind_core::rng::Rng;
use hivemind_core::settings::Settings;
use hivemind_core::time::Time;
use hivemind_core::wire::codec;
use hivemind_core::wire::command::Command;
use hivemind_core::wire::config::Section;
use hivemind_core::wire::frame::Channel;

pub use self::faults::Parting;
use super::checkers::{At, Checkers, Invariant, Violation};
use super::formed;
use super::incidents::{Incident, Incidents};
use super::network::{Network, Slot};
use super::node::{Common, Part, Process, SimNode, address};
use super::profile::Profile;
use super::queue::Queue;
use super::roles::is_answered;
use super::samples::{Samples, Series};
use super::trace::{Did, TraceHash};
use super::traffic::Traffic;
use super::watch::{Goal, Watches};

/// What a world is made from.
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// Where all chance comes from.
    pub seed: u64,
    /// How links and disks behave.
    pub profile: Profile,
    /// How nodes are tuned.
    pub settings: Settings,
}

/// Something that will happen.
#[derive(Debug)]
enum Happening {
    /// A machine's timeout is due.
    Wake { slot: Slot, life: u32, due: Time },
    /// A message arrives at a process.
    Arrive { slot: Slot, life: u32, from: Slot, channel: Channel, bytes: Bytes },
    /// A process learns that a connection broke.
    Break { slot: Slot, life: u32, peer: Slot },
    /// The oldest writes of a process are durable.
    Stored { slot: Slot, life: u32, ticket: Ticket },
    /// Writes of a process failed.
    StoreFails { slot: Slot, life: u32, ticket: Ticket },
    /// A process sends one of many frames that nobody asked for.
    Flood { slot: Slot, life: u32, to: Slot, left: u32 },
}

/// Something in the queue.
#[derive(Debug)]
struct Due {
    what: Happening,
    /// It came before, and the process could not handle it yet.
    again: bool,
}

/// A request that waits for its reply.
#[derive(Debug)]
struct Asked {
    slot: Slot,
    since: Time,
    publishes: bool,
}

/// From whom newcomers had the events of their first seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// From one that votes.
    pub voters: u64,
    /// From any other.
    pub others: u64,
}

/// A world.
pub struct World {
    now: Time,
    common: Common,
    profile: Profile,
    queue: Queue<Due>,
    network: Network,
    nodes: Vec<SimNode>,
    keys: BTreeMap<PublicKey, Slot>,
    addresses: BTreeMap<SocketAddr, Slot>,
    names: BTreeMap<NodeName, Slot>,
    disks_rng: Rng,
    crash_rng: Rng,
    fault_rng: Rng,
    incidents: Incidents,
    /// The latest term in which a leader had a quorum.
    term: u64,
    /// There were as many voters as are wanted.
    complete_group: bool,
    checkers: Checkers,
    watches: Watches,
    sources: Sources,
    /// Whose frame is being handled.
    speaker: Option<Slot>,
    traffic: Traffic,
    trace: TraceHash,
    steps: u64,
    asked: BTreeMap<RequestId, Asked>,
    replies: BTreeMap<RequestId, Reply>,
    next_request: u64,
    /// Reused for the effects of each step.
    effects: Vec<Effect>,
    /// Whether what happens is measured.
    measuring: bool,
    junk: u64,
    /// Whose machine was called last: who it was, should it panic.
    acting: Slot,
}

impl World {
    /// A world without nodes, at the origin of time. `voters` names the nodes that joiners ask.
    pub fn new(options: WorldOptions, voters: u32) -> Self {
        let mut rng = Rng::new(options.seed);
        let birth = Birth { cluster: ClusterId(rng.next()), tag: rng.next() };
        let seeds = (0..voters).map(|slot| address(Slot(slot))).collect();
        World {
            now: Time::ZERO,
            common: Common { seed: options.seed, settings: options.settings, birth, seeds },
            network: Network::new(options.profile.clone(), rng.fork()),
            profile: options.profile,
            queue: Queue::default(),
            nodes: Vec::new(),
            keys: BTreeMap::new(),
            addresses: BTreeMap::new(),
            names: BTreeMap::new(),
            disks_rng: rng.fork(),
            crash_rng: rng.fork(),
            fault_rng: rng.fork(),
            incidents: Incidents::default(),
            term: 0,
            complete_group: false,
            checkers: Checkers::default(),
            watches: Watches::default(),
            sources: Sources::default(),
            speaker: None,
            traffic: Traffic::default(),
            trace: TraceHash::default(),
            steps: 0,
            asked: BTreeMap::new(),
            replies: BTreeMap::new(),
            next_request: 1,
            effects: Vec::new(),
            measuring: false,
            junk: 0,
            acting: Slot(0),
        }
    }

    /// Adds a place for a node; [`World::start`] starts a process there.
    pub fn add(&mut self, name: NodeName, part: Part, sections: Vec<Section>) -> Slot {
        let slot = Slot(u32::try_from(self.nodes.len()).expect("fewer nodes than 2^32"));
        let mut node = SimNode::new(slot, name.clone(), part, self.common.seed);
        node.sections = Arc::new(sections);
        node.clock = self.some_clock();
        self.keys.insert(node.key(), slot);
        self.addresses.insert(node.address, slot);
        self.names.insert(name, slot);
        self.nodes.push(node);
        self.network.add();
        slot
    }

    /// Gives every place the disk that it would have, had they all joined a cluster and then lost power at once. The first
    /// `voters` vote. [`World::start`] resumes them.
    pub fn form(&mut self, voters: u32) {
        let facts = formed::lay_down(&self.common, &mut self.nodes, u64::from(voters));
        let at = At { slot: Slot(0), name: &self.nodes[0].name, time: self.now };
        self.checkers.history.begin(facts, at);
    }

    /// Lets `slot` ask to join at these places instead of at every voter.
    pub fn join_through(&mut self, slot: Slot, through: &[Slot]) {
        self.nodes[slot.at()].seeds = Some(through.iter().map(|&member| address(member)).collect());
    }

    /// Starts a process on what the disk of `slot` holds. Does nothing where one runs.
    ///
    /// # Errors
    /// [`Invariant::Sound`] where the machine can not be made from what it kept itself.
    pub fn start(&mut self, slot: Slot) -> Result<(), Violation> {
        if self.nodes[slot.at()].process.is_some() {
            return Ok(());
        }
        let node = &mut self.nodes[slot.at()];
        node.crashed = None;
        let started = node.start(&self.common, self.checkers.history.has_begun(), self.now);
        if let Err(error) = started {
            return Err(self.at(slot).violates(Invariant::Sound, format!("the node does not start: {error}")));
        }
        let life = self.nodes[slot.at()].life;
        self.network.up(slot, life);
        self.checkers.started(slot);
        self.note(slot, Did::Started);
        self.trace.word(u64::from(slot.0) << 8 | 1);
        self.finish(slot, None)
    }

    /// Kills the process of `slot`, as `kill -9` does: what is not durable yet is lost.
    pub fn kill(&mut self, slot: Slot) {
        let node = &mut self.nodes[slot.at()];
        if node.process.take().is_none() {
            return;
        }
        node.crashed = Some(self.now);
        self.incidents.count(Incident::Crash);
        self.crash_disk(slot);
        self.gone(slot);
        self.note(slot, Did::Killed);
    }

    /// What a process that is not there any more leaves behind.
    fn gone(&mut self, slot: Slot) {
        self.nodes[slot.at()].disk_free = self.now;
        self.network.down(slot);
        self.checkers.gone(slot);
        self.watches.left(slot, self.now);
        self.asked.retain(|_, asked| asked.slot != slot);
        self.checkers.registers.gone(slot);
        self.trace.word(u64::from(slot.0) << 8 | 2);
    }

    /// Asks a node to publish, and measures until all consumers answer with it. `None` where no process runs, or it stands still.
    ///
    /// # Errors
    /// What the checkers see.
    pub fn publish(&mut self, slot: Slot, sections: Vec<Section>) -> Result<Option<RequestId>, Violation> {
        let node = &mut self.nodes[slot.at()];
        let mut whole: BTreeMap<_, _> = node.sections.iter().map(|section| (section.kind.clone(), section.clone())).collect();
        whole.extend(sections.iter().map(|section| (section.kind.clone(), section.clone())));
        whole.retain(|_, section| !section.body.is_empty());
        node.sections = Arc::new(whole.into_values().collect());
        self.ask(slot, true, |request| Input::Publish { request, sections })
    }

    /// Asks a node to propose a command. `None` where no process runs, or it stands still.
    ///
    /// # Errors
    /// What the checkers see.
    pub fn propose(&mut self, slot: Slot, command: Command) -> Result<Option<RequestId>, Violation> {
        self.ask(slot, false, |request| Input::Propose { request, command })
    }

    /// Asks a node for a linearizable read. `None` where no process runs, or it stands still.
    ///
    /// # Errors
    /// What the checkers see.
    pub fn read(&mut self, slot: Slot) -> Result<Option<RequestId>, Violation> {
        self.ask(slot, false, |request| Input::Read { request })
    }

    fn ask(&mut self, slot: Slot, publishes: bool, input: impl FnOnce(RequestId) -> Input) -> Result<Option<RequestId>, Violation> {
        let node = &self.nodes[slot.at()];
        if node.process.is_none() || node.pace.standing(self.now).is_some() {
            return Ok(None);
        }
        let request = RequestId(self.next_request);
        self.next_request += 1;
        self.asked.insert(request, Asked { slot, since: self.now, publishes });
        self.trace.word(u64::from(slot.0) << 8 | 5);
        self.note(slot, Did::Asked(if publishes { "publish" } else { "propose or read" }));
        self.feed(slot, input(request), None)?;
        Ok(Some(request))
    }

    /// The reply to a request, once it came. It is told once.
    pub fn take_reply(&mut self, request: RequestId) -> Option<Reply> {
        self.replies.remove(&request)
    }

    /// Lets the world go on for `duration`.
    ///
    /// # Errors
    /// The first violation.
    pub fn run_for(&mut self, duration: Duration) -> Result<(), Violation> {
        let end = self.now + duration;
        while self.queue.next_at().is_some_and(|at| at <= end) {
            self.step()?;
        }
        self.now = end;
        Ok(())
    }

    /// Measures until no consumer's DNS answers for `name` any more.
    pub fn watch_gone(&mut self, name: &NodeName, since: Time) {
        let remaining = self.consumers_where(|process| process.zone.as_ref().is_some_and(|zone| is_answered(zone, name)));
        self.watches.start(Goal::Gone(name.clone()), Series::Gone, since, self.now, remaining);
    }

    fn consumers_where(&self, wanted: impl Fn(&Process) -> bool) -> BTreeSet<Slot> {
        let live = self.nodes.iter().filter(|node| node.part == Part::Consumer && !self.network.is_isolated(node.slot));
        live.filter_map(|node| Some((node.slot, node.process.as_ref()?)))
            .filter(|(_, process)| wanted(process))
            .map(|(slot, _)| slot)
            .collect()
    }

    /// Begins to measure, or stops; watches that run go on.
    pub fn measure(&mut self, measuring: bool) {
        self.measuring = measuring;
    }

    /// How its nodes are tuned.
    pub fn settings(&self) -> &Settings {
        &self.common.settings
    }

    /// How its links, disks and clocks behave.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The virtual time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// All places, in the order of their numbers.
    pub fn nodes(&self) -> &[SimNode] {
        &self.nodes
    }

    /// One place.
    pub fn node(&self, slot: Slot) -> &SimNode {
        &self.nodes[slot.at()]
    }

    /// The place of a name.
    pub fn named(&self, name: &NodeName) -> Option<Slot> {
        self.names.get(name).copied()
    }

    /// The last committed event.
    pub fn committed(&self) -> Index {
        self.checkers.committed()
    }

    /// The members as they are committed.
    pub fn members(&self) -> usize {
        self.facts().map_or(0, |facts| facts.live().len())
    }

    /// Whether the last membership of a place is committed and has not ended.
    pub fn is_member(&self, slot: Slot) -> bool {
        let key = self.nodes[slot.at()].key();
        self.facts().is_some_and(|facts| facts.with_key(&key).is_some())
    }

    /// The place of a member, whatever process runs there now.
    pub fn place_of(&self, node: NodeId) -> Option<Slot> {
        self.keys.get(&self.facts()?.member(node)?.key).copied()
    }

    /// What was measured.
    pub fn samples(&self) -> &Samples {
        &self.watches.samples
    }

    /// What is being measured.
    pub fn watches(&self) -> &Watches {
        &self.watches
    }

    /// Where the leader runs, where one leads.
    pub fn leader(&self) -> Option<Slot> {
        let leads = |node: &&SimNode| {
            let status = node.process.as_ref().map(|process| process.machine.status());
            status.is_some_and(|status| status.leader == Some(status.node))
        };
        self.nodes.iter().filter(|node| node.part == Part::Voter).find(leads).map(|node| node.slot)
    }

    /// What was sent.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// The hash over everything so far.
    pub fn trace(&self) -> TraceHash {
        self.trace
    }

    /// How many things have happened.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// What happened so far.
    pub fn incidents(&self) -> &Incidents {
        &self.incidents
    }

    /// From whom newcomers had their events.
    pub fn sources(&self) -> Sources {
        self.sources
    }

    /// Adds to what is measured.
    pub fn sample(&mut self, series: Series, took: Duration) {
        self.watches.samples.add(series, took);
    }

    /// How large the config of a host is, encoded, as its own disk has it.
    pub fn config_size(&self, slot: Slot) -> u64 {
        let own = self.nodes[slot.at()].disk.recover().own;
        own.map_or(0, |config| codec::encode(&config).len() as u64)
    }

    /// How many frames were dropped as junk.
    pub fn junk(&self) -> u64 {
        self.junk
    }

    /// Whose machine was called last.
    pub fn acting(&self) -> Slot {
        self.acting
    }

    /// Here and now at a node.
    pub fn at(&self, slot: Slot) -> At<'_> {
        At { slot, name: &self.nodes[slot.at()].name, time: self.now }
    }

    /// Where each voter stands, for people.
    pub fn voters(&self) -> Vec<String> {
        let may_vote = self.nodes.iter().filter(|node| node.part == Part::Voter);
        may_vote.map(|node| node.state()).collect()
    }

    /// The last lines of a node, the oldest first.
    pub fn last_lines(&self, name: &NodeName) -> Vec<String> {
        self.named(name).map_or_else(Vec::new, |slot| self.nodes[slot.at()].lines.text(name, |slot| &self.nodes[slot.at()].name))
    }

    fn plan(&mut self, at: Time, what: Happening) {
        self.queue.push(at, Due { what, again: false });
    }

    fn note(&mut self, slot: Slot, did: Did) {
        self.nodes[slot.at()].lines.push(self.now, did);
    }
}
