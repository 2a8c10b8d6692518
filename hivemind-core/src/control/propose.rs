//! Proposals on their way: to the leader, into the log, and their outcomes back to who waits.

use std::collections::BTreeSet;

use super::Control;
use super::output::Output;
use super::pending::{Flight, Parked, Pending, Stage};
use super::{apply_access, apply_feature, apply_join, apply_leave};
use crate::context::Context;
use crate::ids::{NodeId, ProposalId};
use crate::time::Time;
use crate::timers::Timer;
use crate::wire::codec;
use crate::wire::command::{Command, Outcome, Proposal, Proposers, Refusal};
use crate::wire::event::VoterPart;
use crate::wire::frame::Channel;
use crate::wire::message::{self, Message};

/// The largest proposal, encoded: 64 KiB.
pub(super) const MAX_PROPOSAL_BYTES: usize = 64 << 10;
/// Of the proposals in flight, a member that does not vote has at most one in so many.
const SHARE: usize = 4;

impl Control {
    /// Proposes a command of this node's. The outcome comes as [`Output::Outcome`], once. Proposing the
    /// same id again is harmless: it is applied once, and has one outcome.
    pub fn propose(&mut self, proposal: Proposal, ctx: &mut Context<'_>) {
        let id = proposal.id;
        if self.pending.knows(id) {
            return;
        }
        if let Some(known) = self.known_outcome(id) {
            self.reply(id, known, ctx);
        } else if self.pending.len() >= ctx.settings.control.max_proposals {
            self.reply(id, Outcome::Refused(Refusal::Busy), ctx);
        } else if self.raw.is_leader() {
            let deadline = ctx.now.time + ctx.settings.control.proposal_timeout;
            self.lead(proposal, deadline, ctx);
        } else if let Some(leader) = self.raw.leader() {
            self.forward(leader, proposal, ctx);
        } else {
            self.reply(id, Outcome::Refused(Refusal::Degraded), ctx);
        }
        self.advance(ctx);
    }

    fn known_outcome(&self, id: ProposalId) -> Option<Outcome> {
        self.applied.as_ref().and_then(|applied| applied.registry.outcomes.get(&id).cloned())
    }

    fn forward(&mut self, leader: NodeId, proposal: Proposal, ctx: &mut Context<'_>) {
        if proposal.id.node == self.node {
            let deadline = ctx.now.time + ctx.settings.control.proposal_timeout;
            self.pending.flights.insert(proposal.id, Flight { stage: Stage::Forwarded, deadline, ends: None });
        }
        ctx.send(leader, Channel::Ordered, Message::Control(message::Control::Forward(proposal)));
    }

    /// A proposal of another node. It makes at most one step from voter to voter, so that two that take
    /// each other for the leader do not play ball.
    pub(super) fn handle_forward(&mut self, from: NodeId, proposal: Proposal, ctx: &mut Context<'_>) {
        let is_passed_on = proposal.id.node != from;
        if (is_passed_on && !self.is_part(from)) || proposal.id.node == self.node || Pending::is_own(proposal.id) {
            return self.junk(from, "a proposal in the name of another", ctx);
        }
        let id = proposal.id;
        if self.pending.knows(id) {
            return;
        }
        if let Some(known) = self.known_outcome(id) {
            return self.reply(id, known, ctx);
        }
        if self.raw.is_leader() {
            let most = ctx.settings.control.max_proposals;
            let has_its_share = !self.is_part(id.node) && self.pending.of(id.node) >= most / SHARE;
            if self.pending.len() >= most || has_its_share {
                return self.reply(id, Outcome::Refused(Refusal::Busy), ctx);
            }
            let deadline = ctx.now.time + ctx.settings.control.proposal_timeout;
            return self.lead(proposal, deadline, ctx);
        }
        match self.raw.leader().filter(|leader| !is_passed_on && *leader != from) {
            Some(leader) => self.forward(leader, proposal, ctx),
            None => self.reply(id, Outcome::Refused(Refusal::Degraded), ctx),
        }
    }

    /// Appends a proposal as the leader, or parks it, or says why not.
    pub(super) fn lead(&mut self, mut proposal: Proposal, deadline: Time, ctx: &mut Context<'_>) {
        let id = proposal.id;
        // The proposer's clock may be of 1970, or lie.
        proposal.time = self.command_time(ctx);
        let encoded = codec::encode(&proposal);
        if let Err(refusal) = admissible(&proposal, encoded.len(), ctx) {
            return self.reply(id, Outcome::Refused(refusal), ctx);
        }
        if let Some(refusal) = self.refusal_of(&proposal.command) {
            return self.reply(id, Outcome::Refused(refusal), ctx);
        }
        let may = match proposal.command.proposers() {
            Proposers::Members => true,
            Proposers::VotersAnd(node) => id.node == node || self.is_part(id.node),
            Proposers::Voters => self.is_part(id.node),
            Proposers::Voter(node) => id.node == node && self.is_part(node),
        };
        if !may {
            return self.reply(id, Outcome::Refused(Refusal::NotAVoter), ctx);
        }
        if let Command::Lead { heir } = proposal.command {
            return self.hand_leadership(id, heir, deadline, ctx);
        }
        let ends = self.ends(&proposal.command);
        if let Some(blocker) = ends.filter(|node| self.is_or_becomes_part(*node)) {
            if self.is_irreplaceable(blocker, ctx) {
                return self.reply(id, Outcome::Refused(Refusal::StillVoter { node: blocker }), ctx);
            }
            self.pending.parked.push(Parked { proposal, blocker, deadline });
            self.look = true;
            return;
        }
        if self.raw.propose(id, encoded) {
            self.pending.flights.insert(id, Flight { stage: Stage::Appended, deadline, ends });
        } else {
            self.reply(id, Outcome::Refused(Refusal::Busy), ctx);
        }
    }

    /// What applying would refuse of one that is let in by a token, or was put out: whoever reaches a member may ask for it, and the log is
    /// not for everybody to fill. A leader that has not applied all that was committed can not say.
    fn refusal_of(&self, command: &Command) -> Option<Refusal> {
        let applied = self.applied.as_ref().filter(|_| self.raw.is_established() && self.raw.has_applied_all())?;
        if let Command::Join(join) = command {
            applied.lets_join(&join.request).err()
        } else if let Command::Enroll(signed) = command {
            applied.lets_enroll(&signed.enrollment).err()
        } else {
            None
        }
    }

    /// Whose membership a command would end.
    fn ends(&self, command: &Command) -> Option<NodeId> {
        match command {
            Command::Join(join) => {
                let applied = self.applied.as_ref().filter(|applied| !applied.is_granted(&join.request));
                applied.and_then(|applied| applied.superseded_by(&join.request))
            }
            Command::Leave { node, reason: _ } => Some(*node),
            Command::Restarting { .. }
            | Command::Restarted { .. }
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
            | Command::VoterAdd { .. }
            | Command::VoterRemove { .. }
            | Command::Lead { .. }
            | Command::AuthorityNext { .. }
            | Command::AuthorityHeld { .. }
            | Command::AuthorityRetire { .. } => None,
        }
    }

    /// Whether a node has a part in the group, as far as it was applied.
    pub(super) fn is_part(&self, node: NodeId) -> bool {
        self.applied.as_ref().is_some_and(|applied| applied.facts.voters().contains_key(&node))
    }

    /// Whether a node has a part in the group, or is about to get one.
    pub(super) fn is_or_becomes_part(&self, node: NodeId) -> bool {
        self.is_part(node) || self.changing.contains(&node)
    }

    /// Whether `node` is the only voter and there is nobody to take its place.
    fn is_irreplaceable(&self, node: NodeId, ctx: &Context<'_>) -> bool {
        let Some(applied) = self.applied.as_ref() else { return true };
        let is_voter = applied.facts.voters().get(&node) == Some(&VoterPart::Voter);
        is_voter && applied.voters().count() == 1 && !self.has_candidate(applied, ctx)
    }

    /// Whose part shall be taken because something waits for it.
    pub(super) fn blockers(&self) -> impl Iterator<Item = NodeId> {
        self.pending.parked.iter().map(|parked| parked.blocker)
    }

    /// Whose demotion waits for a replacement no longer: half of the time of what waits for it is over.
    pub(super) fn urgent_blockers(&self, ctx: &Context<'_>) -> BTreeSet<NodeId> {
        let left = ctx.settings.control.proposal_timeout / 2;
        self.pending.parked.iter().filter(|parked| parked.deadline.since(ctx.now.time) <= left).map(|parked| parked.blocker).collect()
    }

    /// Takes up the parked proposals that nothing stands against any more. Says whether there were any.
    pub(super) fn unpark(&mut self, ctx: &mut Context<'_>) -> bool {
        if !self.raw.is_leader() || self.pending.parked.is_empty() {
            return false;
        }
        let free: Vec<NodeId> = self.blockers().filter(|node| !self.is_or_becomes_part(*node)).collect();
        let ready = self.pending.unpark(|parked| free.contains(&parked.blocker));
        let any = !ready.is_empty();
        for parked in ready {
            self.lead(parked.proposal, parked.deadline, ctx);
        }
        any
    }

    /// Parked proposals were never appended: where another one leads now, they are its to decide.
    pub(super) fn pass_parked_on(&mut self, ctx: &mut Context<'_>) {
        let Some(leader) = self.raw.leader().filter(|leader| *leader != self.node) else { return };
        for parked in self.pending.unpark(|_| true) {
            self.forward(leader, parked.proposal, ctx);
        }
    }

    /// A command was applied.
    pub(super) fn settle(&mut self, id: ProposalId, outcome: Outcome, ctx: &mut Context<'_>) {
        let was_awaited = self.pending.flights.remove(&id).is_some();
        if Pending::is_own(id) {
            self.evidence.settle(id);
        } else if (id.node == self.node && was_awaited) || (id.node != self.node && self.raw.is_leader()) {
            self.reply(id, outcome, ctx);
        }
    }

    /// Tells who waits.
    pub(super) fn reply(&mut self, id: ProposalId, outcome: Outcome, ctx: &mut Context<'_>) {
        if Pending::is_own(id) {
            self.evidence.settle(id);
        } else if id.node == self.node {
            self.outputs.push_back(Output::Outcome { id, outcome });
        } else {
            ctx.send(id.node, Channel::Ordered, Message::Control(message::Control::Outcome { id, outcome }));
        }
    }

    /// The leader's word on a proposal of this node's.
    pub(super) fn handle_outcome(&mut self, from: NodeId, id: ProposalId, outcome: Outcome, ctx: &mut Context<'_>) {
        // One without a part knows no voters, and what it waits for is the machine's.
        let knows_voters = self.has_part();
        if knows_voters && !self.is_part(from) {
            return self.junk(from, "an outcome by one that is no voter", ctx);
        }
        if id.node == self.node && (self.pending.flights.remove(&id).is_some() || !knows_voters) {
            self.outputs.push_back(Output::Outcome { id, outcome });
        }
    }

    pub(super) fn arm_pending(&mut self, ctx: &mut Context<'_>) {
        let round = ctx.settings.control.tick * 2;
        if !self.pending.is_idle() && self.pending.alarm.arm(ctx.now.time, round) {
            ctx.after(round, Timer::Pending);
        }
    }

    /// Gives up what got no answer in time.
    pub(super) fn handle_pending(&mut self, ctx: &mut Context<'_>) {
        let now = ctx.now.time;
        if !self.pending.alarm.ring(now) {
            return;
        }
        for id in self.pending.land(|flight| flight.deadline <= now) {
            // Other nodes keep their own time.
            if id.node == self.node {
                self.reply(id, Outcome::OutcomeUnknown, ctx);
            }
        }
        for parked in self.pending.unpark(|parked| parked.deadline <= now) {
            self.reply(parked.proposal.id, Outcome::Refused(Refusal::StillVoter { node: parked.blocker }), ctx);
        }
        self.look_after_handing(ctx);
        self.retry_reads(ctx);
    }
}

/// What a leader refuses without asking the group: what could never be granted, whatever was applied.
fn admissible(proposal: &Proposal, size: usize, ctx: &Context<'_>) -> Result<(), Refusal> {
    if size > MAX_PROPOSAL_BYTES {
        return Err(Refusal::Invalid { why: format!("a command of {size} bytes; {MAX_PROPOSAL_BYTES} is the most") });
    }
    match &proposal.command {
        Command::Join(join) => apply_join::check(join, ctx.keys),
        Command::Enroll(enrollment) => apply_access::check(enrollment, ctx.keys),
        Command::Leave { node: _, reason } => apply_leave::check(reason),
        Command::Restarting { .. }
        | Command::Restarted { .. }
        | Command::Addresses { .. }
        | Command::AdvanceEpoch { .. }
        | Command::TokenCreate { .. }
        | Command::TokenRevoke { .. }
        | Command::EnrollmentRevoke { .. }
        | Command::CredentialCreate { .. }
        | Command::CredentialRevoke { .. }
        | Command::FeatureOn { .. }
        | Command::VoterAdd { .. }
        | Command::VoterRemove { .. }
        | Command::Lead { .. }
        | Command::AuthorityNext { .. }
        | Command::AuthorityHeld { .. }
        | Command::AuthorityRetire { .. } => Ok(()),
        Command::Features { features, .. } => apply_feature::check(features),
    }
}
