//! Answering those who want to join, resume or resync.

use std::collections::BTreeMap;

use super::pending::{Grant, Waiter};
use super::{Machine, Phase};
use crate::context::{Junk, Recipient};
use crate::ids::{NodeId, Position, PublicKey};
use crate::keys::Purpose;
use crate::time::Time;
use crate::wire::codec;
use crate::wire::command::{Command, Refusal};
use crate::wire::frame::Channel;
use crate::wire::member::SignedJoin;
use crate::wire::message::{Admission, Digest, Events, Message, ResumeAnswer};

/// How many that were told where they stand are remembered, so that each is told once a second.
const TOLD: usize = 256;

/// What this node keeps in mind while it answers others.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// The voter whose outcome came last: most likely the leader.
    pub(super) leader_hint: Option<NodeId>,
    told: BTreeMap<NodeId, Time>,
}

/// About what a member's record takes in a digest, in bytes.
const RECORD_SIZE: usize = 200;

impl Answers {
    /// `voter` could not bring about what it was asked for.
    pub(super) fn disappointed(&mut self, voter: NodeId) {
        if self.leader_hint == Some(voter) {
            self.leader_hint = None;
        }
    }
}

impl Machine {
    /// A node wants to join: its request goes to the leader, which decides.
    pub(super) fn join_asked(&mut self, peer: PublicKey, join: SignedJoin) {
        let request = &join.request;
        let digest = Purpose::Join.digest(&codec::encode(request));
        if request.key != peer || !self.keys.verify(&peer, &digest, &join.signature) {
            context!(self).junk(peer, Junk::Invalid("a join that its key did not sign"));
            return;
        }
        let nonce = request.nonce;
        if self.phase != Phase::Member || self.condition.degraded {
            self.put_off_joiner(peer, nonce);
            return;
        }
        let earlier = self.control.as_ref().and_then(|control| control.granted(peer, nonce));
        match self.pending.join_of(&peer) {
            // It was granted, and another member could not give it what it starts from.
            None if earlier.is_some() => {
                let deadline = self.now.time + self.settings.control.proposal_timeout;
                self.pending.grant(peer, nonce, Default::default(), deadline);
                self.serve_grants();
            }
            None => self.propose(Command::Join(join), Waiter::Joiner { peer, nonce }),
            Some(known) if known == nonce => {}
            // One wish of a key at a time, or it could fill the table and the log alone.
            Some(_) => self.put_off_joiner(peer, nonce),
        }
    }

    /// Sends their digests to joiners whose join event this node has applied.
    pub(super) fn serve_grants(&mut self) {
        let Some(log) = &self.log else { return };
        let index = log.position().index;
        if self.pending.grants.iter().all(|grant| grant.index > index) {
            return;
        }
        let (ready, waiting) = std::mem::take(&mut self.pending.grants).into_iter().partition(|grant| grant.index <= index);
        self.pending.grants = waiting;
        for grant in ready {
            self.serve_grant(&grant);
        }
    }

    fn serve_grant(&mut self, grant: &Grant) {
        let Some(facts) = self.log.as_ref().map(|log| log.facts()) else { return };
        let known = facts.with_key(&grant.peer).map(|member| member.node);
        match known.or(grant.node) {
            // It left for failure, since its grant never reached it.
            None if facts.is_full() => self.answer_key(grant.peer, Admission::Lapsed { nonce: grant.nonce }),
            Some(node) if !facts.is_member(node) => self.answer_key(grant.peer, Admission::Lapsed { nonce: grant.nonce }),
            None => self.send_elsewhere(grant.peer),
            Some(node) => match self.digest_for(node) {
                Some(digest) => {
                    let nonce = grant.nonce;
                    let granted = |digest| Message::Admission(Admission::Granted { nonce, node, digest });
                    self.hand_over(grant.peer, Channel::Ordered, digest, granted);
                }
                None => self.send_elsewhere(grant.peer),
            },
        }
    }

    /// What `node` starts from, where this node's scope covers it.
    pub(super) fn digest_for(&mut self, node: NodeId) -> Option<Digest> {
        let log = self.log.as_mut()?;
        let facts = log.facts().digest_for(node)?;
        let checkpoint = log.checkpoint(&context!(self))?;
        Some(Digest { facts, checkpoint })
    }

    /// Names the voters: they hold everything.
    fn send_elsewhere(&mut self, peer: PublicKey) {
        let Some(facts) = self.log.as_ref().map(|log| log.facts()) else { return };
        let voters =
            super::life::voting(facts).into_iter().filter_map(|node| facts.member(node)).map(|member| member.as_ref().clone()).collect();
        self.answer_key(peer, Admission::Elsewhere { voters });
    }

    pub(super) fn refuse_joiner(&mut self, peer: PublicKey, nonce: u64, refusal: Refusal) {
        match refusal {
            Refusal::Degraded | Refusal::Busy | Refusal::StillVoter { .. } => self.put_off_joiner(peer, nonce),
            Refusal::NameInUse { .. }
            | Refusal::Revoked
            | Refusal::NotEnrolled
            | Refusal::EnrolledAs { .. }
            | Refusal::RoleNotAdmitted { .. }
            | Refusal::VoterNotAdmitted
            | Refusal::NoSuchToken
            | Refusal::TokenExpired
            | Refusal::TokenUsedUp
            | Refusal::BadProof
            | Refusal::NoSuchCredential { .. }
            | Refusal::StillMember { .. }
            | Refusal::Invalid { .. }
            | Refusal::NotAMember { .. }
            | Refusal::Restarting { .. }
            | Refusal::NotAVoter
            | Refusal::Unsupported { .. }
            | Refusal::LacksFeatures { .. }
            | Refusal::NotEligible { .. }
            | Refusal::NotVoting { .. }
            | Refusal::LastVoter { .. }
            | Refusal::LeadsAlready { .. }
            | Refusal::Lags { .. }
            | Refusal::NoHeir
            | Refusal::NotTakenOver { .. }
            | Refusal::FormerTrusted
            | Refusal::NoFormer
            | Refusal::Overlap { .. }
            | Refusal::Outdated => self.answer_key(peer, Admission::Refused { nonce, refusal }),
        }
    }

    pub(super) fn put_off_joiner(&mut self, peer: PublicKey, nonce: u64) {
        self.answer_key(peer, Admission::Later { nonce });
    }

    fn answer_key(&mut self, peer: PublicKey, answer: Admission) {
        context!(self).send_to(Recipient::Key(peer), Channel::Ordered, Message::Admission(answer));
    }

    /// A member restarted, and asks whether it may go on.
    pub(super) fn resume_asked(&mut self, from: NodeId, peer: PublicKey, position: Position) {
        let Some(facts) = self.log.as_ref().filter(|_| self.phase == Phase::Member).map(|log| log.facts()) else { return };
        if !facts.is_member(from) {
            self.tell_gone(from, peer, position.index);
            return;
        }
        let answer = if position.index.next() < facts.floor() { ResumeAnswer::Fenced } else { ResumeAnswer::Welcome };
        self.answer_key(peer, Admission::Resumed { node: from, answer });
    }

    /// `from` speaks as a member and is none: it is told, unless it may know more than this node.
    pub(super) fn tell_gone(&mut self, from: NodeId, peer: PublicKey, knows: crate::ids::Index) {
        let Some(log) = self.log.as_ref().filter(|_| self.phase == Phase::Member) else { return };
        if knows <= log.position().index && self.may_tell(from) {
            self.send_farewell(peer, knows);
            self.answer_key(peer, Admission::Resumed { node: from, answer: ResumeAnswer::Gone });
        }
    }

    /// Tells a member that speaks from below the floor.
    pub(super) fn tell_fenced(&mut self, from: NodeId, peer: PublicKey) {
        if self.phase == Phase::Member && self.may_tell(from) {
            self.answer_key(peer, Admission::Resumed { node: from, answer: ResumeAnswer::Fenced });
        }
    }

    /// Whether `from` was not told anything within the last second; from now on it was.
    fn may_tell(&mut self, from: NodeId) -> bool {
        let second_ago = self.now.time - std::time::Duration::from_secs(1);
        self.answers.told.retain(|_, told| *told > second_ago);
        let may = self.answers.told.len() < TOLD && !self.answers.told.contains_key(&from);
        if may {
            self.answers.told.insert(from, self.now.time);
        }
        may
    }

    /// The events that ended a membership say why: one that an operator let leave must not come back by itself.
    fn send_farewell(&mut self, peer: PublicKey, knows: crate::ids::Index) {
        if let Some(batch) = self.log.as_mut().and_then(|log| log.farewell(knows, &context!(self))) {
            context!(self).send_to(Recipient::Key(peer), Channel::Ordered, Message::Events(Events::Push(batch)));
        }
    }

    pub(super) fn tell_duplicate(&mut self, node: NodeId, peer: PublicKey) {
        self.answer_key(peer, Admission::Resumed { node, answer: ResumeAnswer::Duplicate });
    }

    /// A member wants everything.
    pub(super) fn resync_asked(&mut self, from: NodeId, peer: PublicKey) {
        if self.phase != Phase::Member {
            return;
        }
        match self.digest_for(from) {
            Some(digest) if self.may_hand_over(from, &digest) => {
                self.hand_over(peer, Channel::Bulk, digest, |digest| Message::Events(Events::Snapshot(digest)));
            }
            Some(_) | None => self.send_elsewhere(peer),
        }
    }

    /// Whether `from` has not had more than its share of what this node serves.
    fn may_hand_over(&mut self, from: NodeId, digest: &Digest) -> bool {
        let size = digest.facts.members().len() * RECORD_SIZE;
        self.log.as_mut().is_some_and(|log| log.may_serve(from, size, &context!(self)))
    }
}
