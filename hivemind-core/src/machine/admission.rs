//! Becoming a member: asking to join, to resume, to resync, until there is an answer.

use std::collections::BTreeSet;

use super::credence::Claim;
use super::persist::Then;
use super::{HaltReason, Machine, Phase};
use crate::context::{Junk, Recipient};
use crate::control::Control;
use crate::events::EventLog;
use crate::ids::{BootNonce, Epoch, NodeId, Position, PublicKey, Seq};
use crate::keys::Purpose;
use crate::storage::Identity;
use crate::timers::Timer;
use crate::wire::codec;
use crate::wire::command::{Command, Refusal};
use crate::wire::frame::{Channel, Header};
use crate::wire::member::{JoinRequest, MemberRecord, SignedJoin};
use crate::wire::message::{Admission, Digest, Events, Message, ResumeAnswer};

/// How many are asked at once.
const ASKED: usize = 3;

/// What this node is asking for.
#[derive(Debug, Default)]
pub(super) struct Seeking {
    attempt: u64,
    /// One per wish to join, kept over retries.
    nonce: Option<u64>,
    /// The membership that the wanted one replaces.
    pub(super) previous: Option<NodeId>,
    /// A grant was accepted and is on its way to the disk.
    accepted: bool,
    /// A voter, which goes on voting, asked for a new view.
    view_wanted: bool,
    /// It was told whom to ask, and did, since it last asked by itself.
    sent_elsewhere: bool,
    /// A part of a digest came since it last asked.
    pub(super) collects: bool,
    /// Somebody said that the wish was granted and has ended since: the next try is a new one.
    lapsed: bool,
    /// Who said that the wish is refused, and how often that was said.
    refused_by: BTreeSet<PublicKey>,
    refusals: usize,
}

/// A refusal ends the process, so two must say it that were asked, where two can be asked; or it must be all that is heard.
const REFUSERS: usize = 2;
/// So often it must be said by a single one, while nobody says anything else.
const REFUSALS: usize = 4;

impl Seeking {
    /// There is an answer.
    pub(super) fn stop(&mut self) {
        self.attempt += 1;
        self.nonce = None;
        self.previous = None;
        self.accepted = false;
        self.view_wanted = false;
        self.sent_elsewhere = false;
        self.lapsed = false;
        self.forget_refusals();
    }

    fn forget_refusals(&mut self) {
        self.refused_by.clear();
        self.refusals = 0;
    }
}

impl Machine {
    /// Asks now, and again until there is an answer.
    pub(super) fn seek_now(&mut self) {
        self.seeking.attempt += 1;
        let attempt = self.seeking.attempt;
        self.seek_again(attempt);
    }

    pub(super) fn seek_again(&mut self, attempt: u64) {
        if attempt != self.seeking.attempt || self.seeking.accepted {
            return;
        }
        self.seeking.sent_elsewhere = false;
        // What is being collected goes on; if it does not, the next try asks anew.
        let goes_on = std::mem::take(&mut self.seeking.collects) && self.ask_for_part();
        if !goes_on {
            self.parts.abandon();
        }
        match self.phase {
            _ if goes_on => {}
            Phase::Joining => self.ask_to_join(),
            Phase::Resuming => self.ask_to_resume(),
            Phase::Resyncing => self.ask_to_resync(),
            Phase::Starting | Phase::Member | Phase::Stopped => return,
        }
        let pause = self.settings.admission_retry;
        let jitter = self.rng.duration_below(pause / 2);
        self.timers.set(self.now.time + pause + jitter, Timer::Admission { attempt });
    }

    fn ask_to_join(&mut self) {
        // Only now: until this try a grant of the old wish would have been heard, had it been a lie.
        if std::mem::take(&mut self.seeking.lapsed) {
            self.seeking.nonce = None;
        }
        let wish = self.wish();
        self.ask(wish);
    }

    fn wish(&mut self) -> Message {
        let nonce = *self.seeking.nonce.get_or_insert_with(|| self.rng.next());
        let request = JoinRequest {
            nonce,
            name: self.name.clone(),
            key: self.keys.public(),
            addresses: self.addresses.clone(),
            roles: self.roles.specs(),
            voter_eligible: self.voter_eligible,
            features: self.settings.features.clone(),
            previous: self.seeking.previous,
        };
        let signature = self.keys.sign(&Purpose::Join.digest(&codec::encode(&request)));
        Message::Admission(Admission::Join(Box::new(SignedJoin { request, signature })))
    }

    /// Asks whom it was told to ask, once for each question.
    fn ask_elsewhere(&mut self, voters: &[MemberRecord]) {
        let waits = matches!(self.phase, Phase::Joining | Phase::Resyncing) && !self.seeking.accepted;
        if !waits || std::mem::replace(&mut self.seeking.sent_elsewhere, true) {
            return;
        }
        let question = if self.phase == Phase::Joining { self.wish() } else { Message::Events(Events::Resync) };
        let chosen = self.rng.sample(voters, ASKED);
        for (key, address) in chosen.iter().filter_map(|voter| Some((voter.key, *voter.addresses.first()?))) {
            context!(self).send_to(Recipient::Former { key, address }, Channel::Ordered, question.clone());
        }
    }

    /// Asks whether this node is still a member, and tells its new address by the way.
    pub(super) fn ask_to_resume(&mut self) {
        if let Some(question) = self.resume_question() {
            self.ask(question);
        }
    }

    pub(super) fn resume_question(&self) -> Option<Message> {
        let position = self.log.as_ref().map(EventLog::position).or_else(|| {
            let identity = self.identity.as_ref()?;
            Some(Position { epoch: identity.epoch, index: Default::default(), chain: Default::default() })
        });
        position.map(|position| Message::Admission(Admission::Resume { position }))
    }

    fn ask_to_resync(&mut self) {
        self.ask(Message::Events(Events::Resync));
    }

    /// To a few: seeds in turn, and members that are known.
    fn ask(&mut self, message: Message) {
        let seeds: Vec<_> = self.seeds.iter().copied().filter(|seed| !self.addresses.contains(seed)).collect();
        let seeds = self.rng.sample(&seeds, ASKED);
        let own = self.keys.public();
        let known: Vec<NodeId> = self
            .log
            .iter()
            .flat_map(|log| log.facts().members().values())
            .filter(|member| member.key != own)
            .map(|member| member.node)
            .collect();
        let known = self.rng.sample(&known, ASKED);
        let mut ctx = context!(self);
        for seed in seeds {
            ctx.send_to(Recipient::Address(seed), Channel::Ordered, message.clone());
        }
        for node in known {
            ctx.send(node, Channel::Ordered, message.clone());
        }
    }

    /// An answer of a member to what this node asked for.
    pub(super) fn admitted(&mut self, peer: PublicKey, header: &Header, answer: Admission) {
        match answer {
            Admission::Granted { nonce, node, digest } if self.wishes(nonce) => self.granted(peer, node, *digest),
            Admission::Refused { nonce, refusal } if self.wishes(nonce) => self.refused(peer, refusal),
            Admission::Lapsed { nonce } if self.wishes(nonce) => self.seeking.lapsed = true,
            Admission::Later { nonce } if self.wishes(nonce) && !self.seeking.refused_by.contains(&peer) => self.seeking.forget_refusals(),
            Admission::Elsewhere { voters } => self.ask_elsewhere(&voters),
            Admission::Resumed { node, answer } if node == self.node() => self.resumed(peer, header, answer),
            // It speaks of an earlier membership of this node.
            Admission::Resumed { .. } => {}
            // A later try answers these: an old wish, or not now.
            Admission::Granted { .. } | Admission::Refused { .. } | Admission::Later { .. } | Admission::Lapsed { .. } => {}
            Admission::Join(_) | Admission::Resume { .. } | Admission::PartAsk { .. } | Admission::Part { .. } => {
                debug_assert!(false, "these are questions, or were taken before");
            }
        }
    }

    /// Whether a digest is what this node waits for.
    pub(super) fn wants_digest(&self) -> bool {
        match self.phase {
            Phase::Joining => !self.seeking.accepted,
            Phase::Resyncing => true,
            Phase::Member => self.seeking.view_wanted,
            Phase::Starting | Phase::Resuming | Phase::Stopped => false,
        }
    }

    fn wishes(&self, nonce: u64) -> bool {
        self.phase == Phase::Joining && self.seeking.nonce == Some(nonce) && !self.seeking.accepted
    }

    pub(super) fn granted(&mut self, peer: PublicKey, node: NodeId, digest: Digest) {
        let own = self.keys.public();
        let names_this = digest.facts.member(node).is_some_and(|member| member.key == own && member.name == self.name);
        if !names_this || !digest.facts.suits(node) || !EventLog::is_vouched(&digest, &context!(self)) {
            context!(self).junk(peer, Junk::Invalid("a grant that no voter vouches for"));
            return;
        }
        if !self.believes_world(peer, &digest) {
            return;
        }
        let (cluster, epoch) = (digest.facts.cluster(), digest.facts.epoch());
        self.seeking.accepted = true;
        let reserved_seq = self.identity.as_ref().map_or(self.own_seq(), |identity| identity.reserved_seq);
        let (name, boot) = (self.name.clone(), self.boot);
        self.identity.get_or_insert(Identity { cluster, epoch, node, name, was_voter: false, boot, reserved_seq: Seq(0) });
        let change = |identity: &mut Identity| {
            identity.node = node;
            identity.epoch = epoch;
            identity.was_voter = false;
            identity.boot = boot;
            identity.reserved_seq = reserved_seq;
        };
        self.write_identity(change, Vec::new(), Then::Granted(Box::new(digest)));
    }

    /// Anyone who was asked can say so, and it stops this node.
    fn refused(&mut self, peer: PublicKey, refusal: Refusal) {
        self.seeking.refused_by.insert(peer);
        self.seeking.refusals += 1;
        let seeds = self.seeds.iter().filter(|seed| !self.addresses.contains(seed)).count();
        let known = self.log.as_ref().map_or(0, |log| log.facts().members().len().saturating_sub(1));
        let enough = REFUSERS.min(seeds.max(known)).max(1);
        if self.is_voters_key(&peer) || self.seeking.refused_by.len() >= enough || self.seeking.refusals >= REFUSALS {
            self.halt(HaltReason::Refused(refusal));
        }
    }

    fn resumed(&mut self, peer: PublicKey, header: &Header, answer: ResumeAnswer) {
        // One that knows less can not know whether a membership ended.
        let knows_enough = self.log.as_ref().is_none_or(|log| header.index >= log.position().index);
        self.confirmed |= answer == ResumeAnswer::Welcome;
        match answer {
            ResumeAnswer::Duplicate => {
                if self.believes(peer, Claim::Duplicate) {
                    let node = self.node();
                    self.halt(HaltReason::Duplicate { node });
                }
            }
            ResumeAnswer::Gone if knows_enough && matches!(self.phase, Phase::Resuming | Phase::Member | Phase::Resyncing) => {
                if self.believes(peer, Claim::Gone) {
                    self.told_gone();
                }
            }
            ResumeAnswer::Welcome if self.phase == Phase::Resuming && self.log.is_some() => self.become_member(),
            ResumeAnswer::Welcome | ResumeAnswer::Fenced if self.phase == Phase::Resuming => self.resync(),
            // It was told earlier, and has caught up since, where the epochs are the same.
            ResumeAnswer::Fenced if self.phase == Phase::Member && self.is_before(header.epoch) => match self.is_voters_key(&peer) {
                true => self.resync(),
                false => self.ask_voters(),
            },
            ResumeAnswer::Gone | ResumeAnswer::Welcome | ResumeAnswer::Fenced => {}
        }
    }

    /// The membership has ended, and nobody said why. Events do not reach one who is no member, so this is how a
    /// node that asked to leave learns that it has left.
    fn told_gone(&mut self) {
        match self.leaving {
            true => self.halt(HaltReason::Left),
            false => self.join_anew(),
        }
    }

    fn is_before(&self, epoch: Epoch) -> bool {
        self.log.as_ref().is_some_and(|log| log.position().epoch.number < epoch.number)
    }

    /// What this node knows is below the floor: it builds its view anew, beside the old one. So does a voter, since nobody
    /// takes its Raft messages while its view is below the floor; but it votes on meanwhile, since those who could help it
    /// may need its vote.
    pub(super) fn resync(&mut self) {
        if self.control.as_ref().is_some_and(Control::has_part) {
            self.seeking.view_wanted = true;
            self.ask_to_resync();
            return;
        }
        self.set_phase(Phase::Resyncing);
        self.seek_now();
    }

    /// Everything, from a member.
    pub(super) fn resynced(&mut self, peer: PublicKey, digest: Digest) {
        if self.phase == Phase::Joining || !self.wants_digest() {
            return;
        }
        let node = self.node();
        let own = self.keys.public();
        if !EventLog::is_vouched(&digest, &context!(self)) {
            context!(self).junk(peer, Junk::Invalid("a snapshot that no voter vouches for"));
            return;
        }
        if !digest.facts.suits(node) {
            context!(self).junk(peer, Junk::Invalid("a snapshot that was made for another node"));
            return;
        }
        if !self.believes_world(peer, &digest) {
            return;
        }
        let older = self.log.as_ref().is_some_and(|log| digest.facts.position().index < log.position().index);
        if older {
            return;
        }
        if digest.facts.member(node).is_none_or(|member| member.key != own) {
            self.join_anew();
            return;
        }
        self.membership.leave_all();
        self.begin_with(digest.facts);
        if let Some(log) = &mut self.log {
            log.vouch(digest.checkpoint);
            if let Some(control) = &mut self.control {
                control.handle_view(log.facts());
            }
        }
        self.become_member();
    }

    /// What of this node's return is not committed: that its grace is over, unless it has announced another restart since, where it listens
    /// now, what it supports now.
    pub(super) fn unsaid(&self) -> (bool, bool, bool) {
        let node = self.node();
        let Some(facts) = self.log.as_ref().map(|log| log.facts()) else { return (false, false, false) };
        let record = facts.member(node);
        let has_moved = record.is_some_and(|record| record.addresses != self.addresses);
        let is_another = record.is_some_and(|record| record.features != self.settings.features);
        (facts.restarting_until(node).is_some() && !self.pulse.announced, has_moved, is_another)
    }

    /// A member again after a restart: ends the grace that it asked for, and says where it listens and what it supports now.
    pub(super) fn announce_return(&mut self) {
        let node = self.node();
        let (is_restarting, has_moved, is_another) = self.unsaid();
        if is_restarting {
            self.propose(Command::Restarted { node }, super::pending::Waiter::Nobody);
        }
        if has_moved {
            let seq = u64::from(BootNonce::count(self.boot));
            self.propose(Command::Addresses { node, seq, addresses: self.addresses.clone() }, super::pending::Waiter::Nobody);
        }
        if is_another {
            let features = self.settings.features.clone();
            self.propose(Command::Features { node, features }, super::pending::Waiter::Nobody);
        }
    }
}
