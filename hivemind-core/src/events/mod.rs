//! The event log as every node holds it: receive, verify, pass on, catch up. It keeps the facts.
//!
//! Chain and signed checkpoints make every relay harmless: it can neither alter, invent nor reorder
//! (compare Haber and Stornetta's linked time-stamps, 1991). Spreading is push with pull as its safety
//! net (Demers et al., "Epidemic algorithms for replicated database maintenance", 1987): a lone event is
//! pushed on ([`push`]), a stream is announced and pulled ([`rate`], [`pull`]), and whoever claims what is not so
//! is not listened to for a while ([`trust`]).

mod pull;
mod push;
mod rate;
mod serve;
mod tail;
#[cfg(test)]
mod tests;
mod trust;
mod verify;

use std::collections::VecDeque;

use self::pull::Pull;
pub use self::push::Peers;
use self::push::Spread;
use self::serve::Serving;
use self::tail::Tail;
use self::trust::Fault;
use self::verify::Disbelief;
use crate::context::{Context, Recipient, Report};
use crate::facts::{Facts, FoldError};
use crate::ids::{Index, NodeId, Position};
use crate::timers::Timer;
use crate::wire::event::{Checkpoint, Event, LeaveReason, LogEvent};
use crate::wire::frame::{Channel, Header};
use crate::wire::member::MemberRecord;
use crate::wire::message::{Digest, EventBatch, Events, Message};

/// The largest batch that is pushed, in bytes of events; a larger one is announced, and pulled.
const PUSH_LIMIT: usize = 8 << 10;

/// What the event log wants the machine to do.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are of the large kind, and none waits for long")]
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
    /// History below what this node needs was collected: it must resync from that node.
    Fenced {
        /// Who said so: a voter.
        by: NodeId,
    },
    /// The voters vouch for an event that does not fold here: what this node knows is damaged, and it must resync.
    Damaged,
}

/// One node's event log.
#[derive(Debug)]
pub struct EventLog {
    facts: Facts,
    tail: Tail,
    /// What a former start knew, up to where this one began. It is told, and not served: nobody's word for it is at hand.
    past: Vec<LogEvent>,
    pull: Pull,
    spread: Spread,
    serving: Serving,
    outputs: VecDeque<Output>,
}

impl EventLog {
    /// A log that goes on from `facts`, and keeps so many bytes of events.
    pub fn new(facts: Facts, tail_limit: usize) -> Self {
        let tail = Tail::new(facts.position(), tail_limit);
        EventLog {
            tail,
            facts,
            past: Vec::new(),
            pull: Pull::default(),
            spread: Spread::default(),
            serving: Serving::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes up what a former start kept of the events that led here, in their order: as many as the tail may hold, and none that others
    /// do not follow.
    pub fn recall(&mut self, events: Vec<LogEvent>) {
        let (mut next, mut bytes) = (self.position().index, 0);
        let fits = |logged: &LogEvent| {
            bytes += logged.payload.len();
            let follows = logged.index == next && next >= self.facts.floor() && bytes <= self.tail.limit();
            next = Index(next.0.saturating_sub(1));
            follows
        };
        let last = self.position().index;
        self.past = events.into_iter().rev().skip_while(|logged| logged.index > last).take_while(fits).collect();
        self.past.reverse();
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

    /// The last events, oldest first: those that this node can still serve, and those before that it recalls.
    pub fn kept(&self) -> impl Iterator<Item = LogEvent> {
        let floor = self.floor();
        let leads_up = self.past.last().is_some_and(|last| last.index.next() == floor);
        self.past.iter().filter(move |_| leads_up).cloned().chain(self.tail.events())
    }

    /// The first event that this node can still serve.
    pub fn floor(&self) -> Index {
        self.tail.floor()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Takes events that this node's own part of the control plane applied, and passes on what is news here. `leads`: this
    /// node brings them into the world, to a few neighborhoods besides its own.
    pub fn commit(&mut self, events: Vec<LogEvent>, leads: bool, peers: &Peers<'_>, ctx: &mut Context<'_>) {
        let before = self.position();
        // What is agreed on here differs from what voters have signed before: one of them has forgotten what it promised.
        if events.iter().any(|logged| self.tail.contradicts(logged)) {
            ctx.report(Report::Fork { with: ctx.node });
        }
        let mut former = Vec::new();
        for logged in events.iter().filter(|logged| logged.index > before.index) {
            let facts = leads.then(|| self.facts.clone());
            match self.fold(logged) {
                Ok(left) => former.extend(facts.zip(left).and_then(|(facts, node)| facts.member(node).cloned())),
                Err(error) => {
                    debug_assert!(false, "the control plane's own events fold: {error}");
                    return self.outputs.push_back(Output::Damaged);
                }
            }
        }
        if self.position().index == before.index {
            return;
        }
        self.pull.caught_up(self.position().index);
        if !former.is_empty()
            && let Some(batch) = self.news_after(&before, ctx)
        {
            former.iter().for_each(|member| farewell_to(member, &batch, ctx));
        }
        self.pass_on(ctx.node, &before, leads, peers, ctx);
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
    pub fn replace(&mut self, facts: Facts, ctx: &Context<'_>) {
        let limit = if facts.is_voter(ctx.node) { ctx.settings.events.voter_tail_bytes } else { ctx.settings.events.tail_bytes };
        self.tail = Tail::new(facts.position(), limit);
        self.past = Vec::new();
        self.facts = facts;
        self.pull.begin_anew();
        self.spread.begin_anew();
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

    /// Hears from a frame's header how far its sender says that it is. Only a hint where that is further than this node.
    pub fn observe(&mut self, from: NodeId, index: Index, chain: u32, ctx: &mut Context<'_>) {
        let own = self.position().index;
        if index > own {
            self.pull.ahead(from, index, &self.facts, ctx);
        } else if self.tail.chain_at(index).is_some_and(|known| Header::prefix_of(&known) != chain) {
            return self.report_fork(from, ctx);
        }
        if index >= own {
            self.spread.hear_abreast(from);
        }
    }

    /// Takes a message about events.
    pub fn handle_message(&mut self, from: NodeId, message: Events, peers: &Peers<'_>, ctx: &mut Context<'_>) {
        match message {
            Events::Push(_) if self.pull.is_liar(from, ctx.now.time) => {}
            Events::Push(batch) => self.receive(from, batch, peers, ctx),
            // Its header said it all.
            Events::Announce => {}
            Events::Range(batch) => {
                let last = batch.events.last().map(|logged| logged.index);
                self.receive(from, batch, peers, ctx);
                self.pull.answered(from, last, &self.facts, ctx);
                self.pull.go_on(self.position().index, ctx);
            }
            Events::Pull { after } => self.answer(from, &after, ctx),
            Events::AskAnother => {
                self.pull.doubted(from, Fault::Useless, ctx);
                self.pull.go_on(self.position().index, ctx);
            }
            Events::Collected { floor } => self.collected(from, floor, ctx),
            // Both belong to the machine: they carry more than events.
            Events::Resync | Events::Snapshot(_) => debug_assert!(false, "the machine answers these"),
        }
    }

    fn collected(&mut self, from: NodeId, floor: Index, ctx: &mut Context<'_>) {
        if floor <= self.position().index.next() {
            self.pull.overtaken(from, floor, ctx);
            return self.pull.go_on(self.position().index, ctx);
        }
        self.pull.collected(from);
        if self.facts.is_voter(from) {
            // A voter's tail is the longest: nobody else can help either.
            self.outputs.push_back(Output::Fenced { by: from });
        } else {
            self.pull.go_on(self.position().index, ctx);
        }
    }

    /// A timer of this subsystem is due; others do nothing.
    pub fn handle_timer(&mut self, timer: Timer, peers: &Peers<'_>, ctx: &mut Context<'_>) {
        match timer {
            Timer::Pull { attempt } => {
                if let Some(target) = self.pull.fire(attempt, &self.facts, peers, ctx) {
                    ctx.send(target, Channel::Ordered, Message::Events(Events::Pull { after: self.position() }));
                }
            }
            Timer::Announce { round } => {
                for target in self.spread.fire(round, &self.facts, peers, ctx) {
                    ctx.send(target, Channel::Datagram, Message::Events(Events::Announce));
                }
            }
            Timer::RaftTick
            | Timer::Beat
            | Timer::Judge { .. }
            | Timer::Pending
            | Timer::Housekeeping
            | Timer::Swim { .. }
            | Timer::Confirm { .. }
            | Timer::Overlap { .. }
            | Timer::Sample { .. }
            | Timer::Keepalive { .. }
            | Timer::Admission { .. }
            | Timer::Offer { .. }
            | Timer::Compare { .. }
            | Timer::Roles => {}
        }
    }

    fn receive(&mut self, from: NodeId, batch: EventBatch, peers: &Peers<'_>, ctx: &mut Context<'_>) {
        let before = self.position();
        let known = batch.events.partition_point(|logged| logged.index <= before.index);
        let fresh = &batch.events[known..];
        let Some(last) = fresh.last().map(|logged| logged.index) else { return };
        let disbelief = self.believe(fresh, &batch.checkpoints, ctx).err();
        if self.position().index > before.index {
            self.pull.helped(from, self.position().index);
            self.pass_on(from, &before, false, peers, ctx);
        }
        match disbelief {
            None => {}
            Some(Disbelief::Gap { .. }) => self.pull.ahead(from, last, &self.facts, ctx),
            // It may speak of voters that are not known yet.
            Some(Disbelief::Signer) => self.pull.doubted(from, Fault::Useless, ctx),
            Some(Disbelief::Forged | Disbelief::Uncovered) => self.pull.doubted(from, Fault::Lie, ctx),
            Some(Disbelief::Chain) => {
                self.report_fork(from, ctx);
                self.pull.doubted(from, Fault::Lie, ctx);
            }
        }
    }

    /// Applies of `events`, which are all new, what voters vouch for, one voter's word after the other.
    fn believe(&mut self, events: &[LogEvent], checkpoints: &[Checkpoint], ctx: &Context<'_>) -> Result<(), Disbelief> {
        let chains = verify::chains(&self.position(), events)?;
        let mut rest = events;
        while let Some(ends) = rest.last().map(|logged| logged.index) {
            let proof = verify::prove(&self.facts, ends, &chains, checkpoints, ctx.keys)?;
            let (proven, later) = rest.split_at((proof.index.0 - self.position().index.0) as usize);
            for logged in proven {
                if self.fold(logged).is_err() {
                    self.outputs.push_back(Output::Damaged);
                    return Ok(());
                }
            }
            self.vouch(proof.clone());
            rest = later;
        }
        Ok(())
    }

    /// Takes the next event. Whose membership it ends at an operator's or the member's own wish.
    fn fold(&mut self, logged: &LogEvent) -> Result<Option<NodeId>, FoldError> {
        let voters = self.facts.voters().clone();
        let event = self.facts.apply(logged)?;
        let position = self.position();
        self.tail.push(logged.payload.clone(), &position, *self.facts.voters() != voters);
        if let Event::EpochAdvanced { floor, .. } = event {
            self.tail.collect(floor);
            self.past.retain(|past| past.index >= floor);
        }
        let left = leaver(&event);
        self.outputs.push_back(Output::Applied { position, logged: logged.clone(), event });
        Ok(left)
    }

    /// Tells others of what came after `before`: a lone event is pushed on as it is, and announced over far links; a stream
    /// of them is announced.
    fn pass_on(&mut self, from: NodeId, before: &Position, leads: bool, peers: &Peers<'_>, ctx: &mut Context<'_>) {
        let events = (self.position().index.0 - before.index.0) as usize;
        self.spread.news(events, leads, ctx);
        if !self.spread.is_stream(ctx) {
            let news = self.news_after(before, ctx).filter(|batch| size_of(batch) <= PUSH_LIMIT);
            let push = news.map_or(Events::Announce, Events::Push);
            for target in self.spread.pushed_to(from, &self.facts, peers, ctx) {
                ctx.send(target, Channel::Datagram, Message::Events(push.clone()));
            }
            for target in self.spread.announced_to(from, peers, ctx) {
                ctx.send(target, Channel::Datagram, Message::Events(Events::Announce));
            }
        }
        self.spread.announce_later(ctx);
    }

    /// All that came after `before`, if anyone vouches for its end here: a voter does so itself, a learner has no word of its own.
    fn news_after(&mut self, before: &Position, ctx: &Context<'_>) -> Option<EventBatch> {
        self.checkpoint(ctx)?;
        self.tail.batch_after(before)
    }

    fn report_fork(&mut self, with: NodeId, ctx: &mut Context<'_>) {
        if !self.pull.is_liar(with, ctx.now.time) {
            ctx.report(Report::Fork { with });
            self.pull.doubted(with, Fault::Lie, ctx);
        }
    }
}

fn size_of(batch: &EventBatch) -> usize {
    batch.events.iter().map(|logged| logged.payload.len()).sum()
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
        | Event::EpochAdvanced { .. }
        | Event::Access(_)
        | Event::FeatureOn { .. }
        | Event::Features { .. }
        | Event::Authority(_) => None,
    }
}

/// Nobody speaks with one that is no member: this is how it hears that it has left, and why.
fn farewell_to(member: &MemberRecord, batch: &EventBatch, ctx: &mut Context<'_>) {
    if let Some(&address) = member.addresses.first() {
        let farewell = Message::Events(Events::Push(batch.clone()));
        ctx.send_to(Recipient::Former { key: member.key, address }, Channel::Ordered, farewell);
    }
}

fn sign(facts: &Facts, position: &Position, ctx: &Context<'_>) -> Checkpoint {
    let Position { epoch, index, chain } = *position;
    let digest = Checkpoint::digest(facts.cluster(), epoch, index, &chain, ctx.node);
    Checkpoint { cluster: facts.cluster(), epoch, index, chain, voter: ctx.node, signature: ctx.keys.sign(&digest) }
}
