//! The event log as every node holds it: receive, verify, pass on, catch up. It keeps the facts.
//!
//! Chain and signed checkpoints make every relay harmless: it can neither alter, invent nor reorder
//! (compare Haber and Stornetta's linked time-stamps, 1991). Spreading is push with pull as its safety
//! net (Demers et al., "Epidemic algorithms for replicated database maintenance", 1987).

mod pull;
mod tail;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::VecDeque;

use bytes::Bytes;

use self::pull::Pull;
use self::tail::{After, Tail};
use self::verify::{Believed, Disbelief};
use crate::context::{Context, Recipient, Report};
use crate::facts::Facts;
use crate::ids::{Index, NodeId, Position};
use crate::wire::codec;
use crate::wire::event::{Checkpoint, Event, LeaveReason, LogEvent};
use crate::wire::frame::Channel;
use crate::wire::message::{Digest, EventBatch, Events, Message};

/// The largest batch that rides on SWIM; a larger one is announced, and pulled.
const BROADCAST_LIMIT: usize = 720;

/// The most bytes of events for one that is no member any more: it asked for none.
const FAREWELL_LIMIT: usize = 16 << 10;

/// What the event log wants the machine to do.
#[derive(Clone, Debug)]
pub enum Output {
    /// An event was applied.
    Applied {
        /// The position after it.
        position: Position,
        /// As logged.
        logged: LogEvent,
        /// What it says.
        event: Event,
    },
    /// A batch that was news here, for the neighborhood.
    Broadcast {
        /// The last event in it.
        index: Index,
        /// Encoded [`EventBatch`].
        batch: Bytes,
    },
    /// History below what this node needs was collected: it must resync from that node.
    Fenced {
        /// Who said so: a voter.
        by: NodeId,
    },
}

/// One node's event log.
#[derive(Debug)]
pub struct EventLog {
    facts: Facts,
    tail: Tail,
    pull: Pull,
    outputs: VecDeque<Output>,
}

impl EventLog {
    /// A log that goes on from `facts`.
    pub fn new(facts: Facts, tail_limit: usize) -> Self {
        EventLog { tail: Tail::new(facts.position(), tail_limit), facts, pull: Pull::default(), outputs: VecDeque::new() }
    }

    /// What is known.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Up to where.
    pub fn position(&self) -> Position {
        self.facts.position()
    }

    /// How many bytes of events are kept.
    pub fn set_tail_limit(&mut self, bytes: usize) {
        self.tail.set_limit(bytes);
    }

    /// The first event that this node can still serve.
    pub fn floor(&self) -> Index {
        self.tail.floor()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Takes events that this node's own part of the control plane applied. `push`: this node leads, and
    /// sends them on their way.
    pub fn commit(&mut self, events: Vec<LogEvent>, push: bool, ctx: &mut Context<'_>) {
        let known = self.position().index;
        let (mut fresh, mut former) = (Vec::new(), Vec::new());
        for logged in events.into_iter().filter(|logged| logged.index > known) {
            let before = self.facts.clone();
            match self.facts.apply(&logged) {
                Ok(event) => {
                    fresh.push(logged.clone());
                    former.extend(leaver(&event).and_then(|node| before.member(node).cloned()));
                    self.applied(Believed { logged, event, after: self.facts.position() });
                }
                Err(error) => {
                    debug_assert!(false, "the control plane's own events fold: {error}");
                    ctx.report(Report::Limit("an event of the own control plane did not fold; waiting for a resync"));
                    return;
                }
            }
        }
        if fresh.is_empty() {
            return;
        }
        if push {
            let Some(checkpoint) = self.checkpoint(ctx) else { return };
            let batch = EventBatch { events: fresh, checkpoints: vec![checkpoint] };
            // Nobody speaks with one that is no member: this is how it hears that it has left, and why.
            for member in former {
                if let Some(&address) = member.addresses.first() {
                    let farewell = Message::Events(Events::Push(batch.clone()));
                    ctx.send_to(Recipient::Former { key: member.key, address }, Channel::Ordered, farewell);
                }
            }
            self.spread(batch, ctx);
        }
    }

    /// Puts the records of all members beside what is known: `facts` are full, and of the same position. False where they are not.
    pub fn widen(&mut self, facts: &Facts) -> bool {
        let widens = facts.is_full() && facts.position() == self.position();
        if widens {
            self.facts = facts.clone();
        }
        widens
    }

    /// Puts `facts` in place of all that was known: after a resync, or a snapshot of the control plane.
    pub fn replace(&mut self, facts: Facts, tail: Vec<LogEvent>, ctx: &mut Context<'_>) {
        let limit = if facts.is_voter(ctx.node) { ctx.settings.events.voter_tail_bytes } else { ctx.settings.events.tail_bytes };
        self.tail = Tail::new(facts.position(), limit);
        self.facts = facts;
        self.pull = Pull::default();
        self.commit(tail, false, ctx);
    }

    /// A voter's word for this node's position: one that is held, or an own one where it votes.
    pub fn checkpoint(&mut self, ctx: &Context<'_>) -> Option<Checkpoint> {
        let position = self.position();
        if let Some(held) = self.tail.checkpoint_at(position.index) {
            return Some(held.clone());
        }
        if !self.facts.is_voter(ctx.node) {
            return None;
        }
        let checkpoint = sign(&self.facts, &position, ctx);
        self.tail.vouch(checkpoint.clone());
        Some(checkpoint)
    }

    /// Keeps a voter's word that was checked elsewhere: that of a digest, or of the own cache.
    pub fn vouch(&mut self, checkpoint: Checkpoint) {
        if checkpoint.index == self.position().index && checkpoint.chain == self.position().chain {
            self.tail.vouch(checkpoint);
        }
    }

    /// Whether a digest is what a voter vouches for. A joiner takes the voters from the digest itself:
    /// it trusts the member that sent it, whose certificate is of the cluster.
    pub fn is_vouched(digest: &Digest, ctx: &Context<'_>) -> bool {
        verify::vouches(&digest.checkpoint, &digest.facts.position(), &digest.facts, ctx.keys).is_ok()
    }

    /// Hears from a frame's header how far its sender is.
    pub fn observe(&mut self, from: NodeId, index: Index, chain: u32, ctx: &mut Context<'_>) {
        let position = self.position();
        if index > position.index {
            self.pull.ahead(from, index, ctx);
        } else if index == position.index && chain != crate::wire::frame::Header::chain_prefix(&position) {
            ctx.report(Report::Fork { with: from });
        }
    }

    /// Takes a message about events.
    pub fn handle_message(&mut self, from: NodeId, message: Events, ctx: &mut Context<'_>) {
        match message {
            Events::Push(batch) => self.receive(from, batch, ctx),
            Events::Range(batch) => {
                self.pull.answered(from, batch.events.is_empty());
                self.receive(from, batch, ctx);
                self.pull.go_on(self.position().index, ctx);
            }
            Events::Pull { after } => self.answer(from, &after, ctx),
            Events::Collected { floor } => {
                if floor <= self.position().index.next() {
                    return;
                }
                self.pull.collected(from);
                if self.facts.is_voter(from) {
                    // A voter's tail is the longest: nobody else can help either.
                    self.outputs.push_back(Output::Fenced { by: from });
                } else {
                    self.pull.go_on(self.position().index, ctx);
                }
            }
            // Both belong to the machine: they carry more than events.
            Events::Resync | Events::Snapshot(_) => debug_assert!(false, "the machine answers these"),
        }
    }

    /// Takes a batch that came on SWIM's broadcasts.
    pub fn handle_broadcast(&mut self, from: NodeId, batch: &[u8], ctx: &mut Context<'_>) {
        match codec::decode::<EventBatch, { crate::wire::frame::DATAGRAM_LIMIT }>(batch) {
            Ok(batch) => self.receive(from, batch, ctx),
            Err(_) => ctx.report(Report::Limit("a broadcast did not decode")),
        }
    }

    /// A timer of the pull fired.
    pub fn handle_pull(&mut self, attempt: u64, ctx: &mut Context<'_>) {
        let position = self.position();
        if let Some(target) = self.pull.fire(attempt, &self.facts, ctx) {
            ctx.send(target, Channel::Ordered, Message::Events(Events::Pull { after: position }));
        }
    }

    fn receive(&mut self, from: NodeId, batch: EventBatch, ctx: &mut Context<'_>) {
        let Some(last) = batch.events.last().map(|logged| logged.index) else { return };
        if last <= self.position().index {
            return;
        }
        match verify::believe(&self.facts, &batch, ctx.keys) {
            Ok((facts, believed)) => {
                let fresh = EventBatch { events: believed.iter().map(|one| one.logged.clone()).collect(), checkpoints: batch.checkpoints };
                self.facts = facts;
                believed.into_iter().for_each(|one| self.applied(one));
                fresh.checkpoints.iter().for_each(|checkpoint| self.tail.vouch(checkpoint.clone()));
                self.pull.caught_up(self.position().index);
                self.pass_on(fresh, ctx);
            }
            Err(Disbelief::Gap { .. }) => self.pull.ahead(from, last, ctx),
            Err(Disbelief::Signer | Disbelief::Uncovered) => {
                self.pull.doubted(from);
                self.pull.ahead(from, last, ctx);
            }
            Err(Disbelief::Fold(_) | Disbelief::Chain) => {
                self.pull.doubted(from);
                ctx.report(Report::Fork { with: from });
            }
        }
    }

    fn applied(&mut self, one: Believed) {
        self.tail.push(one.logged.clone(), &one.event, one.after);
        if let Event::EpochAdvanced { floor, .. } = one.event {
            self.tail.collect(floor);
        }
        self.outputs.push_back(Output::Applied { position: one.after, logged: one.logged, event: one.event });
    }

    /// The leader's part: to a few nodes at once, and on SWIM.
    fn spread(&mut self, batch: EventBatch, ctx: &mut Context<'_>) {
        for target in self.others(ctx, ctx.settings.events.push_fanout) {
            ctx.send(target, Channel::Ordered, Message::Events(Events::Push(batch.clone())));
        }
        self.pass_on(batch, ctx);
    }

    /// Everyone's part: on SWIM where it fits; else an announcement, since every header says how far
    /// its sender is.
    fn pass_on(&mut self, batch: EventBatch, ctx: &mut Context<'_>) {
        let Some(index) = batch.events.last().map(|logged| logged.index) else { return };
        let encoded = codec::encode(&batch);
        if encoded.len() <= BROADCAST_LIMIT {
            self.outputs.push_back(Output::Broadcast { index, batch: encoded.into() });
            return;
        }
        for target in self.others(ctx, ctx.settings.events.push_fanout) {
            ctx.send(target, Channel::Datagram, Message::Events(Events::Push(EventBatch::default())));
        }
    }

    fn others(&self, ctx: &mut Context<'_>, count: usize) -> Vec<NodeId> {
        let Some((_, hood)) = self.facts.neighborhood_of(ctx.node) else { return Vec::new() };
        let others: Vec<NodeId> = hood.members.iter().copied().filter(|&node| node != ctx.node).collect();
        ctx.rng.sample(&others, count)
    }

    fn answer(&mut self, to: NodeId, after: &Position, ctx: &mut Context<'_>) {
        let answer = match self.range(after, ctx.settings.events.range_bytes, ctx) {
            After::Batch { batch, end: _ } => Events::Range(batch),
            After::Collected { floor } => Events::Collected { floor },
            After::Fork => {
                ctx.report(Report::Fork { with: to });
                return;
            }
            After::Nothing => Events::Range(EventBatch::default()),
        };
        ctx.send(to, Channel::Ordered, Message::Events(answer));
    }

    /// What comes after a position, with a voter's word for its end.
    fn range(&mut self, after: &Position, bytes: usize, ctx: &Context<'_>) -> After {
        let may_sign = self.facts.is_voter(ctx.node);
        let mut range = self.tail.after(after, bytes, may_sign);
        if let After::Batch { batch, end } = &mut range
            && may_sign
            && batch.checkpoints.last().is_none_or(|last| last.index != end.index)
        {
            let checkpoint = sign(&self.facts, end, ctx);
            self.tail.vouch(checkpoint.clone());
            batch.checkpoints.push(checkpoint);
        }
        range
    }

    /// For one that was a member until now: the events after those that it knows, its leave among them.
    /// `None` where they are not held any more, or nobody vouches for them here.
    pub fn farewell(&mut self, knows: Index, ctx: &Context<'_>) -> Option<EventBatch> {
        let chain = self.tail.chain_at(knows)?;
        let after = Position { index: knows, chain, ..self.position() };
        match self.range(&after, FAREWELL_LIMIT, ctx) {
            After::Batch { batch, end: _ } => Some(batch),
            After::Collected { .. } | After::Fork | After::Nothing => None,
        }
    }
}

/// Whose membership an event ends at an operator's or its own wish.
fn leaver(event: &Event) -> Option<NodeId> {
    match event {
        Event::Left { node, reason: LeaveReason::Asked | LeaveReason::Evicted, .. } => Some(*node),
        Event::Left { .. }
        | Event::Joined { .. }
        | Event::Split { .. }
        | Event::Merged { .. }
        | Event::Voter { .. }
        | Event::Restarting { .. }
        | Event::Restarted { .. }
        | Event::Addresses { .. }
        | Event::EpochAdvanced { .. } => None,
    }
}

fn sign(facts: &Facts, position: &Position, ctx: &Context<'_>) -> Checkpoint {
    let Position { epoch, index, chain } = *position;
    let digest = Checkpoint::digest(facts.cluster(), epoch, index, &chain, ctx.node);
    Checkpoint { cluster: facts.cluster(), epoch, index, chain, voter: ctx.node, signature: ctx.keys.sign(&digest) }
}
