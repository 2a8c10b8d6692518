//! Frames come in: what is not of this cluster, not of its sender, or from below the floor reaches no
//! subsystem. Bytes from the network never make a machine fail.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::{Machine, Phase};
use crate::context::{Junk, Recipient, Report};
use crate::ids::{BootNonce, NodeId, PublicKey};
use crate::planted::{self, Planted};
use crate::time::Time;
use crate::wire::command::{Outcome, Refusal};
use crate::wire::frame::{Channel, Frame, Header};
use crate::wire::message::{Admission, Control, Events, Membership, Message};

/// What is known of the senders of frames.
#[derive(Debug, Default)]
pub(super) struct Senders {
    starts: BTreeMap<NodeId, Start>,
    /// Where members were heard from, other than the log says.
    sources: BTreeMap<NodeId, SocketAddr>,
}

#[derive(Clone, Copy, Debug)]
struct Start {
    boot: BootNonce,
    since: Time,
}

impl Senders {
    /// Where a member was heard from last, where that is not what the log says.
    pub(super) fn source(&self, node: NodeId) -> Option<SocketAddr> {
        self.sources.get(&node).copied()
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        self.starts.remove(&node);
        self.sources.remove(&node);
    }
}

impl Machine {
    pub(super) fn receive(&mut self, peer: PublicKey, source: SocketAddr, channel: Channel, bytes: &[u8]) {
        if self.phase == Phase::Starting {
            return;
        }
        match Frame::decode(bytes, channel) {
            Ok(frame) => {
                if let Err(why) = self.admit(peer, source, frame) {
                    self.drop_junk(peer, why);
                }
            }
            Err(error) => self.drop_junk(peer, Junk::Wire(error)),
        }
    }

    pub(super) fn drop_junk(&mut self, peer: PublicKey, why: Junk) {
        self.out.reports.push_back(Report::Dropped { peer, why });
    }

    /// Lets a frame through to its subsystem, or says why not.
    pub(super) fn admit(&mut self, peer: PublicKey, source: SocketAddr, frame: Frame) -> Result<(), Junk> {
        let Frame { header, message } = frame;
        if let Message::Admission(Admission::Join(join)) = message {
            self.check_cluster(&header, true)?;
            self.join_asked(peer, *join);
            return Ok(());
        }
        if let Message::Admission(Admission::PartAsk { position, offset }) = message {
            self.check_cluster(&header, true)?;
            return self.part_asked(peer, position, offset);
        }
        self.check_cluster(&header, matches!(message, Message::Membership(Membership::Pong { .. })))?;
        if let Message::Admission(Admission::Part { position, total, offset, bytes }) = message {
            return self.part_came(peer, position, total, offset, &bytes);
        }
        if let Message::Admission(
            answer @ (Admission::Granted { .. }
            | Admission::Refused { .. }
            | Admission::Later { .. }
            | Admission::Lapsed { .. }
            | Admission::Elsewhere { .. }),
        ) = message
        {
            self.admitted(peer, &header, answer);
            return Ok(());
        }
        let Some(facts) = self.log.as_ref().map(|log| log.facts()) else {
            return self.admit_without_facts(peer, &header, message);
        };
        if header.from.is_none() {
            return self.hear_newcomer(peer, &message);
        }
        match facts.member(header.from) {
            Some(member) if member.key != peer => return Err(Junk::NotItsKey),
            Some(member) => {
                let known = member.addresses.contains(&source);
                self.hear_source(header.from, source, known);
            }
            None if facts.is_member(header.from) && !facts.is_full() => return self.admit_visitor(peer, header, message),
            None => return self.admit_stranger(peer, source, Frame { header, message }),
        }
        if header.from == self.node() {
            return self.admit_double(peer, &header);
        }
        self.check_boot(peer, &header)?;
        if self.log.as_ref().is_some_and(|log| log.facts().is_voter(header.from)) {
            self.credence.voter_spoke();
        }
        self.admit_member(peer, header, message)
    }

    /// Somebody without an id answers whether it lives: its join was committed, and the grant has not reached it yet. It is the
    /// member whose key it has proven.
    fn hear_newcomer(&mut self, peer: PublicKey, message: &Message) -> Result<(), Junk> {
        let known = self.log.as_ref().and_then(|log| log.facts().with_key(&peer)).map(|member| member.node);
        match (message, known) {
            (Message::Membership(Membership::Pong { .. }), Some(node)) => {
                self.membership.heard_from(node, &mut context!(self));
                Ok(())
            }
            (_, Some(_) | None) => Err(Junk::NotAMember),
        }
    }

    fn check_cluster(&self, header: &Header, joins: bool) -> Result<(), Junk> {
        let Some(own) = &self.identity else { return Ok(()) };
        match header.cluster {
            None if joins => Ok(()),
            Some(cluster)
                if cluster == own.cluster && (header.epoch.generation, header.epoch.tag) == (own.epoch.generation, own.epoch.tag) =>
            {
                Ok(())
            }
            None | Some(_) => Err(Junk::Foreign),
        }
    }

    /// A member whose cache was lost knows nobody: it takes what it asked for from whoever proved a
    /// certificate of the cluster, and nothing else. Whoever asks whether it lives is answered.
    fn admit_without_facts(&mut self, peer: PublicKey, header: &Header, message: Message) -> Result<(), Junk> {
        match message {
            Message::Admission(answer @ Admission::Resumed { .. }) => {
                self.admitted(peer, header, answer);
                Ok(())
            }
            Message::Events(Events::Snapshot(digest)) => {
                self.resynced(peer, *digest);
                Ok(())
            }
            Message::Membership(Membership::Ping { token }) => {
                self.answer_stranger(peer, token);
                Ok(())
            }
            Message::Admission(_) | Message::Membership(_) | Message::Control(_) | Message::Events(_) | Message::Configs(_) => {
                Err(Junk::NotAMember)
            }
        }
    }

    /// Someone who is no member by what this node knows: new, and this node is behind; or put out, and it
    /// is told. While this node itself resyncs, a later member may be the one that helps; so it may be where this node was
    /// away for so long that all whom it knew have other memberships by now.
    fn admit_stranger(&mut self, peer: PublicKey, source: SocketAddr, frame: Frame) -> Result<(), Junk> {
        let Frame { header, message } = frame;
        match message {
            Message::Events(Events::Snapshot(digest)) if matches!(self.phase, Phase::Resyncing | Phase::Member) => {
                self.resynced(peer, *digest);
                return Ok(());
            }
            Message::Admission(answer @ Admission::Resumed { .. }) if self.phase == Phase::Resuming || self.is_lost() => {
                self.admitted(peer, &header, answer);
                return Ok(());
            }
            _ => {}
        }
        let behind = self.log.as_ref().is_some_and(|log| header.index > log.position().index);
        if behind {
            // The answer to a pull, which this node can not believe.
            if matches!(message, Message::Events(Events::Range(_) | Events::Collected { .. })) && self.is_lost() {
                self.resync();
                return Ok(());
            }
            self.observe(&header);
            if let Message::Membership(Membership::Ping { token }) = message {
                self.answer_stranger(peer, token);
                return Ok(());
            }
            return self.admit_early(peer, source, Frame { header, message });
        }
        self.tell_gone(header.from, peer, header.index);
        Err(Junk::NotAMember)
    }

    /// Somebody asks whether this node lives, and is answered under the key that its connection was proven with: a member that joined
    /// while this node was cut off, or any, while it is not up to date itself. Without an answer they would bear witness against
    /// a live node that they reach well.
    fn answer_stranger(&mut self, peer: PublicKey, token: u64) {
        context!(self).send_to(Recipient::Key(peer), Channel::Datagram, Message::Membership(Membership::Pong { token }));
    }

    /// Nobody whom this member knows has told it of a leader for long.
    pub(super) fn is_lost(&self) -> bool {
        self.phase == Phase::Member && self.condition.degraded
    }

    /// A frame from this node's own id: a copy of its disk lives elsewhere.
    fn admit_double(&mut self, peer: PublicKey, header: &Header) -> Result<(), Junk> {
        if header.boot != self.boot && peer == self.keys.public() {
            let node = self.node();
            self.out.reports.push_back(Report::DuplicateNode { node });
            self.halt(super::HaltReason::Duplicate { node });
        }
        Ok(())
    }

    fn check_boot(&mut self, peer: PublicKey, header: &Header) -> Result<(), Junk> {
        let fresh = Start { boot: header.boot, since: self.now.time };
        let start = self.senders.starts.entry(header.from).or_insert(fresh);
        if header.boot > start.boot {
            *start = fresh;
        } else if header.boot < start.boot {
            let lives = self.now.time.since(start.since) > self.settings.duplicate_after;
            if lives {
                self.out.reports.push_back(Report::DuplicateNode { node: header.from });
                self.tell_duplicate(header.from, peer);
            }
            return Err(Junk::OldBoot);
        }
        Ok(())
    }

    fn hear_source(&mut self, node: NodeId, source: SocketAddr, known: bool) {
        if known {
            self.senders.sources.remove(&node);
        } else {
            self.senders.sources.insert(node, source);
        }
    }

    fn observe(&mut self, header: &Header) {
        if self.phase != Phase::Member {
            return;
        }
        if let Some(log) = &mut self.log {
            log.observe(header.from, header.index, header.chain, &mut context!(self));
        }
    }

    /// A genuine frame of a member.
    pub(super) fn admit_member(&mut self, peer: PublicKey, header: Header, message: Message) -> Result<(), Junk> {
        self.hear_beat(header.beat, Some(header.from));
        // It lives, even where nothing else that it says is taken: because it is below the floor, or this node is.
        self.membership.heard_from(header.from, &mut context!(self));
        let fenced = !planted::has(&self.settings, Planted::FenceOpen)
            && self.log.as_ref().is_some_and(|log| {
                let facts = log.facts();
                header.epoch.number < facts.epoch().number && header.index.next() < facts.floor()
            });
        match message {
            Message::Admission(Admission::Resume { position }) => self.resume_asked(header.from, peer, position),
            Message::Admission(answer) => self.admitted(peer, &header, answer),
            Message::Events(Events::Resync) => self.resync_asked(header.from, peer),
            Message::Events(Events::Snapshot(digest)) => self.resynced(peer, *digest),
            // Who pulls from below the floor is told where that lies, and resyncs.
            Message::Events(Events::Pull { after }) if fenced && self.phase == Phase::Member => {
                self.dispatch(header.from, Message::Events(Events::Pull { after }))?;
            }
            // Below the floor nothing else is taken: an old plan must not be applied over a newer one.
            message @ (Message::Membership(_) | Message::Control(_) | Message::Events(_) | Message::Configs(_)) if fenced => {
                if let Message::Membership(Membership::Ping { token }) = message {
                    self.answer_stranger(peer, token);
                }
                self.tell_fenced(header.from, peer);
            }
            // It lives, whatever it has still to catch up on.
            Message::Membership(Membership::Ping { token }) if self.phase != Phase::Member => self.answer_stranger(peer, token),
            Message::Membership(_) | Message::Control(_) | Message::Events(_) | Message::Configs(_) if self.phase != Phase::Member => {}
            message @ (Message::Membership(_) | Message::Control(_) | Message::Events(_) | Message::Configs(_)) => {
                self.observe(&header);
                self.dispatch(header.from, message)?;
            }
        }
        Ok(())
    }

    /// Hands a message to its subsystem.
    ///
    /// # Errors
    /// What the message is, where it is not possible in a run of this protocol.
    pub(super) fn dispatch(&mut self, from: NodeId, message: Message) -> Result<(), Junk> {
        match message {
            Message::Membership(message) => {
                if let (Some(control), Membership::Evidence { suspect }) = (&mut self.control, &message) {
                    control.handle_evidence(from, *suspect, &mut context!(self));
                }
                // A voter that hears of evidence probes for itself, and tops it up.
                let Some(log) = &self.log else { return Ok(()) };
                return self.membership.handle_message(from, message, log.facts(), &mut context!(self));
            }
            Message::Control(message) => return self.dispatch_control(from, message),
            Message::Events(message) => {
                let circle = self.circle();
                if let Some(log) = &mut self.log {
                    let peers = circle.peers(&self.membership);
                    log.handle_message(from, message, &peers, &mut context!(self));
                }
            }
            Message::Configs(message) => {
                let Some(log) = &self.log else { return Ok(()) };
                let around = crate::configs::Surroundings { facts: log.facts(), unreachable: self.membership.unreachable() };
                self.configs.handle_message(from, message, &around, &mut context!(self));
            }
            Message::Admission(_) => debug_assert!(false, "admission is answered before it comes here"),
        }
        Ok(())
    }

    fn dispatch_control(&mut self, from: NodeId, message: Control) -> Result<(), Junk> {
        let by_voter = self.log.as_ref().is_some_and(|log| log.facts().voters().contains_key(&from));
        if by_voter {
            self.follow_hint(from, &message);
        }
        let is_answer = matches!(message, Control::Outcome { .. } | Control::ReadIndexed { .. });
        // One with a part knows the voters of its group. One that has none, or none any more, knows those of the log.
        if is_answer && !by_voter && !self.control.as_ref().is_some_and(crate::control::Control::has_part) {
            return Err(Junk::Invalid("an answer of the control plane by one that has no part in it"));
        }
        match (&mut self.control, message) {
            (Some(control), message) => control.handle_message(from, message, &mut context!(self)),
            (None, Control::Outcome { id, outcome }) => self.outcome(id, outcome),
            (None, Control::ReadIndexed { id, index, applied: _ }) => self.readable(id, index),
            // For a voter, and this node is none (yet, or any more).
            (
                None,
                Control::Raft(_)
                | Control::Forward(_)
                | Control::ReadIndex { .. }
                | Control::Evidence { .. }
                | Control::SnapshotPart(_)
                | Control::SnapshotWant(_)
                | Control::Probe { .. },
            ) => {}
        }
        Ok(())
    }

    /// Who brought a decision is asked first the next time, and who could not is not.
    fn follow_hint(&mut self, from: NodeId, message: &Control) {
        match message {
            Control::Outcome { outcome: Outcome::Refused(Refusal::Degraded | Refusal::Busy) | Outcome::OutcomeUnknown, .. }
            | Control::ReadIndexed { index: None, .. } => self.answers.disappointed(from),
            Control::Outcome { outcome: Outcome::Committed { .. } | Outcome::Refused(_), .. } => self.answers.leader_hint = Some(from),
            Control::ReadIndexed { index: Some(_), .. }
            | Control::Raft(_)
            | Control::Forward(_)
            | Control::ReadIndex { .. }
            | Control::Evidence { .. }
            | Control::SnapshotPart(_)
            | Control::SnapshotWant(_)
            | Control::Probe { .. } => {}
        }
    }

    pub(super) fn disconnected(&mut self, peer: &PublicKey) {
        let node = self.log.as_ref().and_then(|log| log.facts().with_key(peer)).map(|member| member.node);
        if let Some((control, node)) = self.control.as_mut().zip(node) {
            control.handle_unreachable(node);
        }
    }
}
