//! What the driver of a real node does, for all nodes of a world: inputs in, effects out, in order.

use bytes::Bytes;
use hivemind_core::ids::Ticket;
use hivemind_core::machine::{Destination, Effect, HaltReason, Input, Reply};
use hivemind_core::storage::Write;
use hivemind_core::time::Time;
use hivemind_core::wire::frame::{Channel, DATAGRAM_LIMIT, Header};

use super::super::checkers::{At, Consequence, Invariant, Violation};
use super::super::incidents::Incident;
use super::super::network::{Passage, Slot};
use super::super::node::Part;
use super::super::samples::Series;
use super::super::trace::Did;
use super::super::traffic::{Kind, on_wire, peek};
use super::super::watch::Goal;
use super::{Due, Happening, World};

/// A frame that S6 forbids its receiver to accept.
pub(super) struct Forbidden {
    header: Header,
    kind: Kind,
}

impl World {
    /// Lets the next thing happen. False where nothing is left.
    ///
    /// # Errors
    /// The first violation that a checker sees.
    pub fn step(&mut self) -> Result<bool, Violation> {
        let Some((at, Due { what, again })) = self.queue.pop() else { return Ok(false) };
        debug_assert!(at >= self.now, "time goes forward");
        self.now = at;
        self.steps += 1;
        let (slot, life) = what.whose();
        if !self.network.is_up(slot, life) {
            // The process that it was for is dead.
            return Ok(true);
        }
        if let Some(until) = self.nodes[slot.at()].pace.hold(at, again) {
            self.queue.push(until, Due { what, again: true });
            return Ok(true);
        }
        self.happen(slot, what)?;
        Ok(true)
    }

    fn happen(&mut self, slot: Slot, happening: Happening) -> Result<(), Violation> {
        match happening {
            Happening::Wake { due, .. } => self.wake(slot, due),
            Happening::Arrive { from, channel, bytes, .. } => self.arrive(slot, from, channel, bytes),
            Happening::Break { peer, .. } if !self.network.has_ended(self.now, slot, peer) => Ok(()),
            Happening::Break { peer, .. } => {
                self.network.forget(slot, peer);
                self.note(slot, Did::Disconnected(peer));
                self.trace_input(slot, 2, u64::from(peer.0));
                let peer = self.nodes[peer.at()].key();
                self.feed(slot, Input::Disconnected { peer }, None)
            }
            Happening::Stored { ticket, .. } => {
                let stored = self.nodes[slot.at()].disk.complete();
                debug_assert_eq!(stored, Some(ticket), "a disk answers in the order of submission");
                self.note(slot, Did::Stored(ticket));
                self.trace_input(slot, 3, ticket.0);
                self.feed(slot, Input::Stored { ticket }, None)
            }
            Happening::StoreFails { ticket, .. } => {
                self.note(slot, Did::StoreFailed(ticket));
                self.trace_input(slot, 4, ticket.0);
                self.feed(slot, Input::StoreFailed { ticket, error: "no space left on device".to_owned() }, None)
            }
            Happening::Flood { to, left, .. } => self.flood_on(slot, to, left),
        }
    }

    fn wake(&mut self, slot: Slot, due: Time) -> Result<(), Violation> {
        match &mut self.nodes[slot.at()].process {
            Some(process) if process.wake == Some(due) => process.wake = None,
            // Another timeout came to stand before it.
            Some(_) | None => return Ok(()),
        }
        self.note(slot, Did::Timeout);
        self.trace_input(slot, 0, 0);
        self.feed(slot, Input::Timeout, None)
    }

    fn arrive(&mut self, slot: Slot, from: Slot, channel: Channel, bytes: Bytes) -> Result<(), Violation> {
        let sender = &self.nodes[from.at()];
        let (peer, source) = (sender.key(), sender.address);
        let mut forbidden = None;
        if let Some((header, kind)) = peek(&bytes) {
            self.note(slot, Did::Received(kind, from));
            let process = self.nodes[slot.at()].process.as_ref().expect("it is up");
            // Timers that are due may run with the frame and change things on their own account.
            let alone = process.wake.is_none_or(|wake| wake > self.now);
            if let Some(view) = process.view.as_ref().filter(|_| alone)
                && self.checkers.fence.forbids(&view.facts, &header, kind)
            {
                forbidden = Some(Forbidden { header, kind });
            }
        }
        self.trace_input(slot, 1, u64::from(from.0));
        self.trace.bytes(&bytes);
        self.speaker = Some(from);
        let fed = self.feed(slot, Input::Received { peer, source, channel, bytes }, forbidden);
        self.speaker = None;
        fed
    }

    fn trace_input(&mut self, slot: Slot, kind: u64, detail: u64) {
        self.trace.word(self.now.since_origin().as_nanos() as u64);
        self.trace.word(u64::from(slot.0) << 8 | 16 | kind);
        self.trace.word(detail);
    }

    /// Gives a node an input, and does what it wants done.
    pub(super) fn feed(&mut self, slot: Slot, input: Input, forbidden: Option<Forbidden>) -> Result<(), Violation> {
        let now = self.nodes[slot.at()].clock.at(self.now);
        self.acting = slot;
        let process = self.nodes[slot.at()].process.as_mut().expect("inputs are for running processes");
        process.machine.handle(input, now);
        self.finish(slot, forbidden)
    }

    /// Drains the effects of a node, lets the checkers judge them, and carries them out in their order.
    pub(super) fn finish(&mut self, slot: Slot, forbidden: Option<Forbidden>) -> Result<(), Violation> {
        let mut effects = std::mem::take(&mut self.effects);
        let process = self.nodes[slot.at()].process.as_mut().expect("only running processes have effects");
        while let Some(effect) = process.machine.poll_effect() {
            effects.push(effect);
        }
        self.commit(slot, &effects)?;
        if let Some(forbidden) = forbidden {
            let node = &self.nodes[slot.at()];
            let view = node.view().expect("forbidden by its view");
            let at = At { slot, name: &node.name, time: self.now };
            let consequence = Consequence::of(&effects);
            self.checkers.fence.received(at, &view.facts, &forbidden.header, forbidden.kind, consequence)?;
        }
        for effect in effects.drain(..) {
            self.carry_out(slot, effect)?;
        }
        self.effects = effects;
        self.reschedule(slot);
        Ok(())
    }

    fn reschedule(&mut self, slot: Slot) {
        let node = &mut self.nodes[slot.at()];
        let Some(process) = &mut node.process else { return };
        let wanted = process.machine.poll_timeout().map(|at| node.clock.world(at).max(self.now));
        if wanted != process.wake {
            process.wake = wanted;
            if let Some(at) = wanted {
                let life = node.life;
                self.plan(at, Happening::Wake { slot, life, due: at });
            }
        }
    }

    fn carry_out(&mut self, slot: Slot, effect: Effect) -> Result<(), Violation> {
        match effect {
            Effect::Send { to, channel, bytes } => self.send(slot, &to, channel, bytes),
            Effect::Store { ticket, writes } => {
                self.store(slot, ticket, writes);
                Ok(())
            }
            Effect::Reply { request, reply } => {
                self.answered(slot, request, &reply)?;
                self.replied(slot, request, reply);
                Ok(())
            }
            Effect::View { view, changed } => self.viewed(slot, view, &changed),
            Effect::Applied { position, logged, event } => self.applied(slot, position, (&event, &logged)),
            Effect::Desired { role: _, desired } => self.desired(slot, &desired),
            Effect::Report(report) => self.reported(slot, report),
            Effect::Halt(reason) => self.halt(slot, reason),
        }
    }

    fn send(&mut self, slot: Slot, to: &Destination, channel: Channel, bytes: Bytes) -> Result<(), Violation> {
        let kind = match peek(&bytes) {
            Some((header, kind)) => {
                self.led(&header);
                self.nodes[slot.at()].header = Some(header);
                kind
            }
            None => return Err(self.at(slot).violates(Invariant::Sound, "it sent a frame that is none")),
        };
        if channel == Channel::Datagram && bytes.len() > DATAGRAM_LIMIT {
            let what = format!("a datagram of {} bytes ({kind}); {DATAGRAM_LIMIT} is the most", bytes.len());
            return Err(self.at(slot).violates(Invariant::Sound, what));
        }
        self.traffic.count(kind, channel, bytes.len());
        self.nodes[slot.at()].sent += on_wire(channel, bytes.len());
        self.trace.word(u64::from(slot.0) << 8 | 32 | channel as u64);
        self.trace.bytes(&bytes);
        let Some(target) = self.target(slot, to) else { return Ok(()) };
        self.note(slot, Did::Sent(kind, target));
        if self.nodes[slot.at()].liar.is_none() {
            self.transmit(slot, target, to.key.is_some(), channel, bytes);
            return Ok(());
        }
        for bytes in self.told(slot, channel, bytes) {
            self.transmit(slot, target, to.key.is_some(), channel, bytes);
        }
        Ok(())
    }

    /// Puts a frame on its way. `told`: whether the sender is told when its connection breaks.
    pub(super) fn transmit(&mut self, slot: Slot, target: Slot, told: bool, channel: Channel, bytes: Bytes) {
        let life = self.nodes[target.at()].life;
        match self.network.send(self.now, slot, target, channel, bytes.len()) {
            Passage::Arrives { first, again } => {
                if let Some(again) = again {
                    self.plan(again, Happening::Arrive { slot: target, life, from: slot, channel, bytes: bytes.clone() });
                }
                self.plan(first, Happening::Arrive { slot: target, life, from: slot, channel, bytes });
            }
            Passage::Lost => {}
            Passage::Breaks(at) => {
                // Who did not know whom it was calling is not told who did not answer.
                if told {
                    let life = self.nodes[slot.at()].life;
                    self.plan(at, Happening::Break { slot, life, peer: target });
                }
            }
        }
    }

    /// The node that a destination leads to: the one with its key where a connection exists, else the first address that
    /// has it; any node where no key is asked for.
    fn target(&self, from: Slot, to: &Destination) -> Option<Slot> {
        let at = |address| self.addresses.get(address).copied().filter(|target| *target != from);
        match &to.key {
            None => to.addresses.iter().find_map(at),
            Some(key) => {
                let target = self.keys.get(key).copied().filter(|target| *target != from)?;
                let known = self.network.is_connected(from, target) || to.addresses.iter().any(|address| at(address) == Some(target));
                known.then_some(target)
            }
        }
    }

    fn store(&mut self, slot: Slot, ticket: Ticket, writes: Vec<Write>) {
        self.trace.word(u64::from(slot.0) << 8 | 40);
        self.trace.word(ticket.0 << 16 | writes.len() as u64);
        self.note(slot, Did::Store(ticket));
        let delay = self.profile.disk_delay(&mut self.disks_rng);
        let node = &mut self.nodes[slot.at()];
        node.disk_free = node.disk_free.max(self.now + delay);
        let (done, life) = (node.disk_free, node.life);
        let happening = match node.disk.submit(ticket, writes) {
            true => Happening::Stored { slot, life, ticket },
            false => Happening::StoreFails { slot, life, ticket },
        };
        self.plan(done, happening);
    }

    fn replied(&mut self, slot: Slot, request: hivemind_core::ids::RequestId, reply: Reply) {
        self.trace.word(u64::from(slot.0) << 8 | 41);
        self.note(slot, Did::Replied(reply_name(&reply)));
        let Some(asked) = self.asked.remove(&request) else { return };
        if let (Reply::Published { seq }, true, true) = (&reply, asked.publishes, self.measuring)
            && let Some(node) = self.nodes[slot.at()].id()
        {
            let goal = Goal::Answer { name: self.nodes[slot.at()].name.clone(), node, seq: *seq };
            let remaining = self.consumers_where(|process| !process.names.as_ref().is_some_and(|names| goal.is_reached_by_answers(names)));
            self.watches.start(goal, Series::Everywhere, asked.since, self.now, remaining);
        }
        self.replies.insert(request, reply);
    }

    fn halt(&mut self, slot: Slot, reason: HaltReason) -> Result<(), Violation> {
        self.note(slot, Did::Halted(reason.to_string()));
        let node = &mut self.nodes[slot.at()];
        let expected = match &reason {
            HaltReason::Left | HaltReason::Refused(_) => true,
            HaltReason::Storage(_) => node.disk.has_failed(),
            // Others have seen later starts than its disk speaks of.
            HaltReason::Duplicate { .. } => node.rolled_back,
            HaltReason::Log(_) | HaltReason::OtherCluster { .. } => false,
        };
        if !expected {
            return Err(self.at(slot).violates(Invariant::Sound, format!("the node stopped: {reason}")));
        }
        node.process = None;
        if node.disk.has_failed() {
            self.incidents.count(Incident::FullDisk);
            self.crash_disk(slot);
        } else {
            // It stopped by itself: what it had asked to be kept is kept.
            while node.disk.complete().is_some() {}
        }
        self.nodes[slot.at()].halted = Some(reason);
        self.gone(slot);
        Ok(())
    }

    /// Whether a place's process consumes configs.
    pub(super) fn is_consumer(&self, slot: Slot) -> bool {
        self.nodes[slot.at()].part == Part::Consumer
    }
}

fn reply_name(reply: &Reply) -> &'static str {
    match reply {
        Reply::Published { .. } => "published",
        Reply::NotPublished(_) => "not published",
        Reply::Proposed(_) => "proposed",
        Reply::Readable { .. } => "readable",
        Reply::NotReadable => "not readable",
    }
}

impl Happening {
    /// For which start of whose process it is.
    fn whose(&self) -> (Slot, u32) {
        match self {
            Happening::Wake { slot, life, .. }
            | Happening::Arrive { slot, life, .. }
            | Happening::Break { slot, life, .. }
            | Happening::Stored { slot, life, .. }
            | Happening::StoreFails { slot, life, .. }
            | Happening::Flood { slot, life, .. } => (*slot, *life),
        }
    }
}
