//! What a world does to its nodes and links. Whoever calls these decides when; only chance in detail is drawn here.

use std::time::Duration;

use bytes::Bytes;
use hivemind_core::ids::{NodeId, Position};
use hivemind_core::time::Time;
use hivemind_core::wire::frame::{Channel, Frame, Header};
use hivemind_core::wire::message::{Configs, Events, Membership, Message};

use super::super::checkers::{Invariant, Liveness, Violation};
use super::super::clock::Clock;
use super::super::cut::Group;
use super::super::incidents::Incident;
use super::super::lies::Liar;
use super::super::network::Slot;
use super::super::traffic::peek;
use super::{Happening, World};

/// How much longer a silence may seem to others, whose questions and whose answers are late.
const ON_THE_WAY: Duration = Duration::from_millis(500);
/// A flood sends one frame in so much time.
const FLOOD_PACE: Duration = Duration::from_micros(500);

/// How a group of nodes is parted from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// Neither hears the other.
    TwoWay,
    /// The first is not heard by the second.
    OneWay,
}

impl World {
    /// Cuts a node off from every other node.
    pub fn isolate(&mut self, slot: Slot) {
        self.network.isolate(slot);
        self.trace.word(u64::from(slot.0) << 8 | 3);
    }

    /// Parts two groups of nodes; a link within a group is not touched.
    pub fn part(&mut self, one: &[Slot], other: &[Slot], how: Parting) {
        self.network.cut(Group::of(one), Group::of(other));
        match how {
            Parting::TwoWay => self.network.cut(Group::of(other), Group::of(one)),
            Parting::OneWay => {}
        }
        self.trace.word((one.len() as u64) << 32 | (other.len() as u64) << 8 | 6);
    }

    /// Of what these nodes send to anyone, so many millionths are lost on the way, beside what is lost everywhere.
    pub fn lossy(&mut self, from: &[Slot], loss_ppm: u32) {
        self.network.lossy(Group::of(from), Group::All, loss_ppm);
        self.trace.word((from.len() as u64) << 8 | 7);
    }

    /// Counts a partition, made of one or more cuts.
    pub fn count_partition(&mut self) {
        self.incidents.count(Incident::Partition);
    }

    /// Ends every cut and loss of single links.
    pub fn heal(&mut self) {
        self.network.heal(self.now);
        self.trace.word(4);
    }

    /// From now on links lose, double and delay nothing beyond their latency; clocks, disks and paces stay as they are.
    pub fn calm_links(&mut self) {
        self.profile = self.profile.calmed();
        self.network.behave(self.profile.clone());
    }

    /// Lets a node handle each input `by` later, for as long as `length`.
    pub fn slow(&mut self, slot: Slot, by: Duration, length: Duration) {
        let until = self.now + length;
        self.nodes[slot.at()].pace.slow(by, until);
        self.slowed(slot, by, until);
    }

    /// Lets a node run for `run` and stand still for `gap`, again and again, for as long as `length`.
    pub fn starve(&mut self, slot: Slot, run: Duration, gap: Duration, length: Duration) {
        let until = self.now + length;
        self.nodes[slot.at()].pace.starve(self.now, until, run, gap);
        self.slowed(slot, gap, until);
    }

    /// Lets a node stand still.
    pub fn pause(&mut self, slot: Slot, length: Duration) {
        let until = self.now + length;
        self.nodes[slot.at()].pace.pause(until);
        self.slowed(slot, length, until);
    }

    /// A node is prompt again; what is held up is handled when it was to be.
    pub fn recover(&mut self, slot: Slot) {
        self.nodes[slot.at()].pace.recover();
    }

    fn slowed(&mut self, slot: Slot, gap: Duration, until: Time) {
        self.incidents.count(Incident::Slowness);
        self.trace.word(u64::from(slot.0) << 8 | 8);
        // Who is silent for longer than others ask it looks to everybody as if it had crashed.
        let membership = &self.common.settings.membership;
        if gap + ON_THE_WAY >= membership.confirm_interval * membership.confirm_pings {
            let node = &mut self.nodes[slot.at()];
            node.undisturbed = node.undisturbed.max(until);
        }
    }

    /// Lets the wall clock of a node jump.
    pub fn jump_clock(&mut self, slot: Slot, by_ms: i64) {
        self.incidents.count(Incident::ClockJump);
        self.nodes[slot.at()].clock.jump(by_ms);
        self.trace.word(u64::from(slot.0) << 8 | 9);
    }

    /// The clock of the next node: fast or slow by what the profile allows.
    pub(super) fn some_clock(&mut self) -> Clock {
        let most = u64::from(self.profile.drift_ppm);
        if most == 0 {
            return Clock::default();
        }
        let drift = self.fault_rng.below(2 * most + 1) as i64 - most as i64;
        Clock::drifting(i32::try_from(drift).expect("millionths"))
    }

    pub(super) fn crash_disk(&mut self, slot: Slot) {
        let damage = self.nodes[slot.at()].disk.crash(&mut self.crash_rng);
        self.incidents.add(Incident::TornWrite, u64::from(damage.torn));
        self.incidents.add(Incident::UnsyncedLoss, u64::from(damage.unsynced > 0));
    }

    /// The whole disk of a dead node is lost. Does nothing where a process runs.
    pub fn lose_disk(&mut self, slot: Slot) {
        if self.nodes[slot.at()].process.is_none() {
            self.nodes[slot.at()].disk.lose();
            self.lost(slot);
        }
    }

    /// The Raft data of a dead node is lost; its identity is not. Does nothing where a process runs, or there is none.
    pub fn lose_log(&mut self, slot: Slot) {
        if self.nodes[slot.at()].process.is_none() && self.nodes[slot.at()].disk.lose_log() {
            self.lost(slot);
        }
    }

    /// The rebuildable records of a dead node are lost. Does nothing where a process runs.
    pub fn lose_cache(&mut self, slot: Slot) {
        if self.nodes[slot.at()].process.is_none() {
            self.nodes[slot.at()].disk.lose_cache();
            self.lost(slot);
        }
    }

    fn lost(&mut self, slot: Slot) {
        self.incidents.count(Incident::LostDisk);
        self.trace.word(u64::from(slot.0) << 8 | 10);
    }

    /// Remembers what is durable on a node's disk now.
    pub fn copy_disk(&mut self, slot: Slot) {
        let node = &mut self.nodes[slot.at()];
        node.old_disk = Some(node.disk.copy());
    }

    /// Puts back what [`World::copy_disk`] remembered. False where a process runs, or nothing is remembered.
    pub fn bring_back_disk(&mut self, slot: Slot) -> bool {
        let node = &mut self.nodes[slot.at()];
        if node.process.is_some() {
            return false;
        }
        let Some(old) = node.old_disk.take() else { return false };
        node.disk = old;
        node.rolled_back = true;
        self.incidents.count(Incident::OldDisk);
        self.trace.word(u64::from(slot.0) << 8 | 11);
        true
    }

    /// Fills the disk of a node: its next write fails; or makes room there.
    pub fn fill_disk(&mut self, slot: Slot, full: bool) {
        self.nodes[slot.at()].disk.fill(full);
        self.trace.word(u64::from(slot.0) << 8 | 12);
    }

    /// Lets a member lie, or speak the truth again.
    pub fn lie(&mut self, slot: Slot, lies: bool) {
        let rng = self.fault_rng.fork();
        self.nodes[slot.at()].liar = lies.then(|| Liar::new(rng));
        self.trace.word(u64::from(slot.0) << 8 | 13);
    }

    /// What a node sends in place of a frame: that frame, where it does not lie.
    pub(super) fn told(&mut self, slot: Slot, channel: Channel, bytes: Bytes) -> Vec<Bytes> {
        let node = &mut self.nodes[slot.at()];
        let Some(liar) = &mut node.liar else { return vec![bytes] };
        let told = liar.tell(&node.keys, channel, bytes);
        self.incidents.add(Incident::LieTold, told.lies);
        told.frames
    }

    /// Lets a member send `count` frames to another that nobody asked for.
    pub fn flood(&mut self, slot: Slot, to: Slot, count: u32) {
        if slot != to && self.nodes[slot.at()].process.is_some() {
            self.incidents.count(Incident::Flood);
            let life = self.nodes[slot.at()].life;
            self.plan(self.now, Happening::Flood { slot, life, to, left: count });
        }
    }

    pub(super) fn flood_on(&mut self, slot: Slot, to: Slot, left: u32) -> Result<(), Violation> {
        let node = &self.nodes[slot.at()];
        let (Some(header), Some(position)) = (node.header, node.view().map(|view| view.facts.position())) else { return Ok(()) };
        let (channel, message) = unasked(header, position, left);
        let bytes = Frame { header, message }.encode();
        let Some((_, kind)) = peek(&bytes) else { return Err(self.at(slot).violates(Invariant::Sound, "a flood of what are no frames")) };
        self.traffic.count(kind, channel, bytes.len());
        self.trace.word(u64::from(slot.0) << 8 | 14);
        self.transmit(slot, to, true, channel, bytes);
        if left > 1 {
            let life = self.nodes[slot.at()].life;
            self.plan(self.now + FLOOD_PACE, Happening::Flood { slot, life, to, left: left - 1 });
        }
        Ok(())
    }

    /// A frame says which leader its sender knows of.
    pub(super) fn led(&mut self, header: &Header) {
        if header.beat.term > self.term {
            self.incidents.add(Incident::LeaderChange, u64::from(self.term > 0));
            self.term = header.beat.term;
        }
    }

    /// What the world knows of a member that was given up, by the voter in `slot`, on the word of `observers`.
    pub(super) fn liveness(&self, slot: Slot, node: NodeId, observers: &[NodeId]) -> Liveness {
        let Some(place) = self.nodes.iter().find(|place| place.id() == Some(node)) else { return Liveness::Not };
        // The word of fewer than the rule asks for is none, whatever they could reach.
        let needed = self.observers_of(slot, place.slot).max(1);
        if observers.len() < needed {
            return Liveness::Since(place.undisturbed);
        }
        // An observer may have left itself since it spoke: many leaves follow the end of a partition.
        let slot_of = |observer: &NodeId| self.keys.get(&self.checkers.history.key_of(*observer)?).copied();
        // As many of them as the rule asks for must have been parted from it, lately: of those that were so last, the one for
        // which that is longest ago decides.
        let mut apart: Vec<Time> =
            observers.iter().filter_map(|observer| self.network.last_apart(place.slot, slot_of(observer)?, self.now)).collect();
        apart.sort_unstable_by(|one, other| other.cmp(one));
        let parted = apart.get(needed - 1).copied().unwrap_or(Time::ZERO);
        Liveness::Since(place.undisturbed.max(parted))
    }
}

/// A frame that costs its receiver an answer or a look.
fn unasked(header: Header, position: Position, number: u32) -> (Channel, Message) {
    match number % 16 {
        0 => (Channel::Bulk, Message::Events(Events::Resync)),
        1..=3 => (Channel::Ordered, Message::Events(Events::Pull { after: position })),
        4..=6 => (Channel::Ordered, Message::Configs(Configs::SeqAsk)),
        7..=9 => (Channel::Ordered, Message::Configs(Configs::Want { nodes: vec![header.from] })),
        _ => (Channel::Datagram, Message::Membership(Membership::Ping { token: u64::from(number) })),
    }
}
