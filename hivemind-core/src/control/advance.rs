//! From what raft-rs has ready to what the machine sees: sending, persisting, applying.

use bytes::Bytes;

use super::Control;
use super::applied::{Applied, Done};
use super::apply_voter::Change;
use super::entry::Committed;
use super::output::Output;
use super::pending::{Pending, Stage};
use super::propose::MAX_PROPOSAL_BYTES;
use super::raw::{Content, Packet, Turn};
use crate::context::Context;
use crate::ids::ProposalId;
use crate::planted::{self, Planted};
use crate::timers::Timer;
use crate::wire::codec;
use crate::wire::command::{Command, Outcome, Proposal};
use crate::wire::event::{Event, LogEvent};
use crate::wire::frame::Channel;
use crate::wire::message::{self, Message};

/// What applying some entries yielded.
#[derive(Default)]
struct Yield {
    events: Vec<LogEvent>,
    outcomes: Vec<(ProposalId, Outcome)>,
}

impl Control {
    /// Does all that is ready, and what follows from it. Called at the end of every input.
    pub(super) fn advance(&mut self, ctx: &mut Context<'_>) {
        loop {
            while let Some(turn) = self.raw.poll(ctx.now.time) {
                self.take_turn(turn, ctx);
            }
            self.note_leader(ctx);
            self.snapshot_if_due(ctx);
            self.answer_reads(ctx);
            let unparked = self.unpark(ctx);
            let looked = self.look && self.raw.is_established() && self.look_after(ctx);
            if !unparked && !looked {
                break;
            }
        }
        self.arm_pending(ctx);
    }

    fn take_turn(&mut self, turn: Turn, ctx: &mut Context<'_>) {
        self.send_packets(turn.sends, ctx);
        if let Some((number, writes)) = turn.persist {
            self.outputs.push_back(Output::Persist { number, writes });
        }
        for (id, raft_index) in turn.reads {
            self.pending.confirm(id, raft_index);
        }
        if !turn.committed.is_empty() {
            self.apply(turn.committed, ctx);
        }
    }

    pub(super) fn send_packets(&self, packets: Vec<Packet>, ctx: &mut Context<'_>) {
        for Packet { to, content } in packets {
            match content {
                Content::Raft(bytes) => ctx.send(to, Channel::Ordered, Message::Control(message::Control::Raft(bytes))),
                Content::Part(part) => ctx.send(to, Channel::Bulk, Message::Control(message::Control::SnapshotPart(part))),
            }
        }
    }

    fn apply(&mut self, committed: Vec<(u64, Committed)>, ctx: &mut Context<'_>) {
        let mut yielded = Yield::default();
        for (index, entry) in committed {
            match entry {
                Committed::Nothing => {}
                Committed::Command(bytes) => self.apply_command(&bytes, &mut yielded, ctx),
                Committed::Change(changes) => self.apply_change(&changes, &mut yielded),
                Committed::LeaveJoint => self.leave_joint(&mut yielded),
            }
            self.raw.applied_to(index);
        }
        if !yielded.events.is_empty() {
            self.look = true;
            self.outputs.push_back(Output::Committed { events: yielded.events });
        }
        for (id, outcome) in yielded.outcomes {
            self.settle(id, outcome, ctx);
        }
        self.note_part();
    }

    /// An entry that does not decode was written by no build of ours, and does nothing everywhere.
    fn apply_command(&mut self, bytes: &Bytes, yielded: &mut Yield, ctx: &Context<'_>) {
        let Ok(mut proposal) = codec::decode::<Proposal, MAX_PROPOSAL_BYTES>(bytes) else { return };
        if planted::has(ctx.settings, Planted::ApplyReadsClock) {
            proposal.time = ctx.now.wall;
        }
        let applied = self.applied.as_mut().expect("entries are applied on top of a snapshot");
        let Done { events, outcome } = applied.apply(&proposal, ctx.keys);
        self.clock.follow(applied.registry.time, ctx.now.time);
        match proposal.command {
            Command::Restarted { node } => self.evidence.returned(node, ctx.now.time),
            // No event tells the leader to look.
            Command::VoterAdd { .. } | Command::VoterRemove { .. } => self.look = true,
            Command::Join(_)
            | Command::Leave { .. }
            | Command::Restarting { .. }
            | Command::Addresses { .. }
            | Command::AdvanceEpoch { .. }
            | Command::TokenCreate { .. }
            | Command::TokenRevoke { .. }
            | Command::Enroll(_)
            | Command::EnrollmentRevoke { .. }
            | Command::CredentialCreate { .. }
            | Command::CredentialRevoke { .. }
            | Command::FeatureOn { .. }
            | Command::Features { .. }
            | Command::Lead { .. }
            | Command::AuthorityNext { .. }
            | Command::AuthorityHeld { .. }
            | Command::AuthorityRetire { .. } => {}
        }
        yielded.events.extend(events);
        yielded.outcomes.push((proposal.id, outcome));
    }

    fn apply_change(&mut self, changes: &[Change], yielded: &mut Yield) {
        self.changing.retain(|node| changes.iter().all(|change| change.node != *node));
        let applied = self.applied.as_mut().expect("entries are applied on top of a snapshot");
        if let Some(events) = applied.change(changes) {
            self.reshape(changes, &events, yielded);
        }
    }

    fn leave_joint(&mut self, yielded: &mut Yield) {
        let applied = self.applied.as_mut().expect("entries are applied on top of a snapshot");
        if let Some(events) = applied.leave_joint() {
            self.reshape(&[], &events, yielded);
        }
    }

    /// The group changes in the state and in raft-rs at once.
    fn reshape(&mut self, changes: &[Change], events: &[Event], yielded: &mut Yield) {
        let applied = self.applied.as_mut().expect("entries are applied on top of a snapshot");
        yielded.events.extend(events.iter().map(|event| applied.record(event)));
        self.raw.apply_change(changes, !applied.facts.voters().contains_key(&self.node));
        let facts = &applied.facts;
        self.parted.extend(self.heard.keys().filter(|node| !facts.voters().contains_key(*node)));
        self.parted.retain(|node| facts.member(*node).is_some() && !facts.voters().contains_key(node));
        self.heard.retain(|node, _| facts.voters().contains_key(node));
    }

    /// A snapshot from the leader, which is durable, replaces what was applied.
    pub(super) fn install(&mut self, applied: Applied, index: u64) {
        self.raw.applied_to(index);
        self.making = None;
        let facts = Box::new(applied.facts.clone());
        let tail = applied.tail.to_vec();
        self.outputs.push_back(Output::Installed { facts, tail });
        let decided: Vec<(ProposalId, Outcome)> =
            self.pending.flights.keys().filter_map(|id| applied.registry.outcomes.get(id).map(|outcome| (*id, outcome.clone()))).collect();
        self.applied = Some(applied);
        for (id, outcome) in decided {
            self.pending.flights.remove(&id);
            if id.node == self.node {
                self.outputs.push_back(Output::Outcome { id, outcome });
            }
        }
        self.note_part();
    }

    /// Says so where this node's part is gone. It keeps its log and its vote, so that it can get its part
    /// back without having forgotten what it acknowledged.
    pub(super) fn note_part(&mut self) {
        let has_part = self.applied.as_ref().is_none_or(|applied| applied.facts.voters().contains_key(&self.node));
        if has_part {
            self.is_removed = false;
        } else {
            self.lose_part();
        }
    }

    pub(super) fn lose_part(&mut self) {
        if !self.is_removed {
            self.is_removed = true;
            self.outputs.push_back(Output::Removed);
        }
    }

    /// Tells of a new leader or term, and does what becoming or ceasing to be leader asks for.
    fn note_leader(&mut self, ctx: &mut Context<'_>) {
        let leads = self.raw.is_leader().then(|| self.raw.term());
        if leads != self.leads {
            if self.leads.is_some() {
                self.cease_to_lead(ctx);
            }
            self.leads = leads;
            if leads.is_some() {
                self.begin_to_lead(ctx);
            }
        }
        let now = (self.raw.leader(), self.raw.term());
        if now != self.told {
            self.told = now;
            self.outputs.push_back(Output::Leader { leader: now.0, term: now.1 });
            self.pass_parked_on(ctx);
        }
        self.look_after_handing(ctx);
    }

    fn begin_to_lead(&mut self, ctx: &mut Context<'_>) {
        self.beats = 0;
        self.look = true;
        if self.beat_alarm.arm(ctx.now.time, ctx.settings.control.beat) {
            ctx.after(ctx.settings.control.beat, Timer::Beat);
        }
        self.arm_housekeeping(ctx);
    }

    fn cease_to_lead(&mut self, ctx: &mut Context<'_>) {
        self.contact = ctx.now.time;
        self.changing.clear();
        self.evidence.clear();
        self.pending.forget_served();
        for id in self.pending.land(|flight| flight.stage == Stage::Appended) {
            if !Pending::is_own(id) {
                self.reply(id, Outcome::OutcomeUnknown, ctx);
            }
        }
    }
}
