//! What the driver and the roles ask for: publish, propose, read.

use super::pending::{Proposed, Reading, Waiter};
use super::persist::Then;
use super::{Effect, HaltReason, Machine, Phase, PublishError, Reply};
use crate::configs::Published;
use crate::context::Report;
use crate::ids::{Index, NodeId, ProposalId, RequestId, Seq};
use crate::role::RoleEvent;
use crate::timers::Timer;
use crate::wire::command::{Command, Outcome, Proposal, Refusal};
use crate::wire::config::Section;
use crate::wire::event::LeaveReason;
use crate::wire::frame::Channel;
use crate::wire::message::{Control as ControlMessage, Message};

impl Machine {
    pub(super) fn publish(&mut self, request: RequestId, sections: Vec<Section>) {
        match self.check_sections(&sections).map(|()| self.configs.publish(&sections, &mut context!(self))) {
            Ok(Published::Storing(version)) => self.publishing.push((version, request)),
            Ok(Published::Unchanged(seq)) => self.reply(request, Reply::Published { seq }),
            Ok(Published::TooLarge { size, limit }) => self.reply(request, Reply::NotPublished(PublishError::TooLarge { size, limit })),
            Err(error) => self.reply(request, Reply::NotPublished(error)),
        }
    }

    fn check_sections(&self, sections: &[Section]) -> Result<(), PublishError> {
        let specs = self.roles.specs();
        for (at, section) in sections.iter().enumerate() {
            if !specs.iter().any(|spec| spec.publishes.contains(&section.kind)) {
                return Err(PublishError::NotDeclared { kind: section.kind.clone() });
            }
            if sections[..at].iter().any(|other| other.kind == section.kind) {
                return Err(PublishError::Twice { kind: section.kind.clone() });
            }
        }
        Ok(())
    }

    pub(super) fn publish_for_role(&mut self, sections: Vec<Section>) {
        let accepted = self.check_sections(&sections).map(|()| self.configs.publish(&sections, &mut context!(self)));
        if !matches!(accepted, Ok(Published::Storing(_) | Published::Unchanged(_))) {
            self.out.reports.push_back(Report::Limit("a role published what it may not: an undeclared kind, or too much"));
        }
    }

    /// The own config of `version` is durable.
    pub(super) fn own_stored(&mut self, version: Seq) {
        let is_last = self.configs.handle_stored(version);
        // One that is no member now is in force, and offered, when the node is one again.
        if let Some(log) = self.log.as_ref().filter(|_| is_last && self.phase == Phase::Member) {
            let around = crate::configs::Surroundings { facts: log.facts(), unreachable: self.membership.unreachable() };
            self.configs.enforce_own(&around, &mut context!(self));
        }
        let answered: Vec<(Seq, RequestId)> = self.publishing.iter().copied().filter(|(seq, _)| *seq <= version).collect();
        self.publishing.retain(|(seq, _)| *seq > version);
        for (_, request) in answered {
            self.reply(request, Reply::Published { seq: version });
        }
    }

    /// Makes a version of the own config durable.
    pub(super) fn store_own(&mut self, version: Seq, reserve: Option<Seq>, write: crate::storage::Write) {
        match reserve.filter(|_| self.identity.is_some()) {
            Some(bound) => self.write_identity(|identity| identity.reserved_seq = bound, vec![write], Then::Own(version)),
            None => self.store(vec![write], Then::Own(version)),
        }
    }

    pub(super) fn reply(&mut self, request: RequestId, reply: Reply) {
        self.effects.push_back(Effect::Reply { request, reply });
    }

    pub(super) fn propose_for_driver(&mut self, request: RequestId, command: Command) {
        self.propose(command, Waiter::Driver(request));
    }

    pub(super) fn propose_for_role(&mut self, role: usize, request: RequestId, command: Command) {
        self.propose(command, Waiter::Role { role, request });
    }

    /// Puts a command on its way to the leader.
    pub(super) fn propose(&mut self, command: Command, waiter: Waiter) {
        if self.phase != Phase::Member {
            self.conclude(waiter, Outcome::Refused(Refusal::Degraded));
            return;
        }
        if self.pending.proposals.len() >= self.settings.control.max_proposals {
            self.conclude(waiter, Outcome::Refused(Refusal::Busy));
            return;
        }
        let id = self.proposal_id();
        let deadline = self.now.time + self.settings.control.proposal_timeout;
        let leaves = matches!(&command, Command::Leave { node, reason: LeaveReason::Asked } if *node == self.node());
        self.leaving |= leaves;
        self.pulse.announced |= matches!(&command, Command::Restarting { node, .. } if *node == self.node());
        self.pending.proposals.insert(id.counter, Proposed { waiter, deadline, leaves });
        self.timers.set(deadline, Timer::Pending);
        let proposal = Proposal { id, time: self.now.wall, command };
        match self.control.as_mut().filter(|control| control.has_part()) {
            Some(control) => control.propose(proposal, &mut context!(self)),
            None => self.send_to_voter(ControlMessage::Forward(proposal)),
        }
    }

    fn proposal_id(&mut self) -> ProposalId {
        ProposalId { node: self.node(), boot: self.boot, counter: self.pending.number() }
    }

    /// To the voter that answered last, or any that can be reached.
    fn send_to_voter(&mut self, message: ControlMessage) {
        let Some(log) = &self.log else { return };
        let voters = super::life::voting(log.facts());
        let reachable: Vec<NodeId> = voters.iter().copied().filter(|voter| !self.membership.unreachable().contains(voter)).collect();
        let among = if reachable.is_empty() { &voters } else { &reachable };
        let hinted = self.answers.leader_hint.filter(|hint| among.contains(hint));
        if let Some(voter) = hinted.or_else(|| self.rng.sample(among, 1).pop()) {
            context!(self).send(voter, Channel::Ordered, Message::Control(message));
        }
    }

    /// What became of a proposal of this node.
    pub(super) fn outcome(&mut self, id: ProposalId, outcome: Outcome) {
        if (id.node, id.boot) != (self.node(), self.boot) {
            return;
        }
        let Some(proposed) = self.pending.proposals.remove(&id.counter) else { return };
        let end = match &outcome {
            Outcome::Committed { .. } => proposed.leaves,
            Outcome::Refused(_) => {
                self.leaving &= !proposed.leaves;
                false
            }
            Outcome::OutcomeUnknown => false,
        };
        self.conclude(proposed.waiter, outcome);
        if end {
            self.halt(HaltReason::Left);
        }
    }

    fn conclude(&mut self, waiter: Waiter, outcome: Outcome) {
        match waiter {
            Waiter::Driver(request) => self.reply(request, Reply::Proposed(outcome)),
            Waiter::Role { role, request } => self.tell_role(role, RoleEvent::Outcome { request, outcome: &outcome }),
            Waiter::Joiner { peer, nonce } => match outcome {
                Outcome::Committed { position } => {
                    let deadline = self.now.time + self.settings.control.proposal_timeout;
                    self.pending.grant(peer, nonce, position.index, deadline);
                    // A joiner whose grant waits is not answered: that must end, or it would never ask for another.
                    self.timers.set(deadline, Timer::Pending);
                    self.serve_grants();
                }
                Outcome::Refused(refusal) => self.refuse_joiner(peer, nonce, refusal),
                Outcome::OutcomeUnknown => self.put_off_joiner(peer, nonce),
            },
            Waiter::Nobody => {}
        }
    }

    pub(super) fn read(&mut self, request: RequestId) {
        if self.phase != Phase::Member {
            self.reply(request, Reply::NotReadable);
            return;
        }
        let id = self.proposal_id();
        let deadline = self.now.time + self.settings.control.proposal_timeout;
        self.pending.reads.insert(id.counter, Reading { request, deadline, index: None });
        self.timers.set(deadline, Timer::Pending);
        match self.control.as_mut().filter(|control| control.has_part()) {
            Some(control) => control.read_index(id, &mut context!(self)),
            None => self.send_to_voter(ControlMessage::ReadIndex { id }),
        }
    }

    /// The control plane says what a read must have reached.
    pub(super) fn readable(&mut self, id: ProposalId, index: Option<Index>) {
        if (id.node, id.boot) != (self.node(), self.boot) {
            return;
        }
        match index {
            Some(index) => {
                if let Some(reading) = self.pending.reads.get_mut(&id.counter) {
                    reading.index = Some(index);
                }
            }
            None => {
                if let Some(reading) = self.pending.reads.remove(&id.counter) {
                    self.reply(reading.request, Reply::NotReadable);
                }
            }
        }
    }

    /// Answers the reads that the view has caught up with. Only when all events that came together are applied: a view between two
    /// of them would hold the facts of the later one and the configs of the earlier.
    pub(super) fn serve_reads(&mut self) {
        if self.pending.reads.is_empty() {
            return;
        }
        let Some(position) = self.log.as_ref().map(|log| log.position()) else { return };
        let ready: Vec<u64> = self
            .pending
            .reads
            .iter()
            .filter(|(_, read)| read.index.is_some_and(|index| index <= position.index))
            .map(|(id, _)| *id)
            .collect();
        for id in ready {
            if let Some(reading) = self.pending.reads.remove(&id) {
                self.reply(reading.request, Reply::Readable { position });
            }
        }
    }

    /// Gives up on what got no answer in time.
    pub(super) fn expire_pending(&mut self) {
        let now = self.now.time;
        let late: Vec<u64> = self.pending.proposals.iter().filter(|(_, one)| one.deadline <= now).map(|(id, _)| *id).collect();
        if !late.is_empty() {
            // Whoever was asked is silent.
            self.answers.leader_hint = None;
        }
        for id in late {
            if let Some(proposed) = self.pending.proposals.remove(&id) {
                self.conclude(proposed.waiter, Outcome::OutcomeUnknown);
            }
        }
        let late: Vec<u64> = self.pending.reads.iter().filter(|(_, one)| one.deadline <= now).map(|(id, _)| *id).collect();
        if !late.is_empty() {
            self.answers.leader_hint = None;
        }
        for id in late {
            if let Some(reading) = self.pending.reads.remove(&id) {
                self.reply(reading.request, Reply::NotReadable);
            }
        }
        self.pending.grants.retain(|grant| grant.deadline > now);
        self.pending.forget_joiners();
    }
}
