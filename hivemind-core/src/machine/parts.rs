//! Large digests travel in parts: everything about 10,000 members is more than one frame should hold. The parts are of the
//! encoded digest at one stated position; whoever asks goes on where it was, until it has all.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{Machine, Phase};
use crate::context::{Junk, Recipient};
use crate::ids::{Position, PublicKey};
use crate::wire::codec;
use crate::wire::frame::Channel;
use crate::wire::message::{Admission, Digest, Message};

/// A digest of more members is handed over in parts.
const WHOLE: usize = 1_000;
/// Bytes of one part.
const PART: usize = 256 << 10;
/// The largest digest that is taken, in bytes: some 200,000 members.
const LIMIT: usize = 32 << 20;
/// One that begins anew so often, since its position moves on, is not waited for any longer.
const BEGINNINGS: u32 = 8;
/// So many positions are kept encoded, for those who are still collecting.
const KEPT: usize = 4;

/// Digests that are being handed over, and the one that is being collected.
#[derive(Debug, Default)]
pub(super) struct Parts {
    handed: VecDeque<(Position, Bytes)>,
    collected: Option<Collected>,
    /// Whose digest came to nothing since this node last asked, and the time before.
    spent: Option<PublicKey>,
    passed_over: Option<PublicKey>,
}

/// What has come of a digest.
#[derive(Debug)]
struct Collected {
    from: PublicKey,
    position: Position,
    total: usize,
    bytes: Vec<u8>,
    /// How often it began, at a later position each time.
    begun: u32,
}

impl Parts {
    /// Nothing is collected any more: this node asks anew. Whose digest came to nothing is passed over for once, so that it can
    /// not be the first to answer each time.
    pub(super) fn abandon(&mut self) {
        self.collected = None;
        self.passed_over = self.spent.take();
    }

    /// A part came: what is being collected of `from`, where it is that one's turn.
    fn collected_of(&mut self, from: PublicKey, position: Position, total: usize, begins: bool) -> Option<&mut Collected> {
        let had_its_turn = [self.spent, self.passed_over].contains(&Some(from));
        if begins && !had_its_turn && self.collected.as_ref().is_none_or(|collected| collected.from == from) {
            let begun = self.collected.as_ref().map_or(0, |collected| collected.begun) + 1;
            self.collected = Some(Collected { from, position, total, bytes: Vec::new(), begun });
            if begun > BEGINNINGS {
                self.finish();
            }
        }
        self.collected.as_mut().filter(|collected| collected.from == from)
    }

    /// This node has what it looked for.
    pub(super) fn settled(&mut self) {
        (self.collected, self.spent, self.passed_over) = (None, None, None);
    }

    /// Nothing more is taken from the one that this node collected from.
    fn finish(&mut self) -> Vec<u8> {
        let collected = self.collected.take();
        self.spent = collected.as_ref().map(|collected| collected.from);
        collected.map(|collected| collected.bytes).unwrap_or_default()
    }

    fn keep(&mut self, position: Position, bytes: Bytes) {
        self.handed.push_back((position, bytes));
        if self.handed.len() > KEPT {
            self.handed.pop_front();
        }
    }

    fn part(&self, position: Position, offset: usize) -> Option<Admission> {
        let (_, bytes) = self.handed.iter().find(|(kept, _)| *kept == position)?;
        let end = offset.saturating_add(PART).min(bytes.len());
        let part = (offset < end).then(|| bytes.slice(offset..end))?;
        Some(Admission::Part { position, total: bytes.len() as u32, offset: offset as u32, bytes: part })
    }
}

impl Collected {
    /// Takes a part that goes on where the last one ended. False where it is none: no part but the last is small, so that
    /// nobody makes collecting last for ever.
    fn take(&mut self, position: Position, total: usize, offset: usize, bytes: &[u8]) -> bool {
        let is_next = self.position == position && self.total == total && self.bytes.len() == offset;
        let fits = is_next && !bytes.is_empty() && bytes.len() == PART.min(total.saturating_sub(offset));
        if fits {
            self.bytes.extend_from_slice(bytes);
        }
        fits
    }
}

impl Machine {
    /// Hands a digest over: whole in `message` where it is small, else in parts.
    pub(super) fn hand_over(&mut self, peer: PublicKey, channel: Channel, digest: Digest, whole: impl FnOnce(Box<Digest>) -> Message) {
        let message = if digest.facts.members().len() <= WHOLE { whole(Box::new(digest)) } else { self.first_part(digest) };
        context!(self).send_to(Recipient::Key(peer), channel, message);
    }

    fn first_part(&mut self, digest: Digest) -> Message {
        let position = digest.facts.position();
        let known = self.parts.part(position, 0);
        Message::Admission(known.unwrap_or_else(|| {
            self.parts.keep(position, codec::encode(&digest).into());
            self.parts.part(position, 0).expect("a digest has a first part")
        }))
    }

    /// A member, or one that is about to learn that it is, goes on collecting. Where its position is not kept any more, it begins
    /// with the present one.
    pub(super) fn part_asked(&mut self, peer: PublicKey, position: Position, offset: u32) -> Result<(), Junk> {
        let Some(facts) = self.log.as_ref().filter(|_| self.phase == Phase::Member).map(|log| log.facts()) else { return Ok(()) };
        let Some(node) = facts.with_key(&peer).map(|member| member.node) else { return Err(Junk::NotAMember) };
        let part = match self.parts.part(position, offset as usize) {
            Some(part) => Some(Message::Admission(part)),
            None => self.digest_for(node).map(|digest| self.first_part(digest)),
        };
        if let Some(part) = part {
            context!(self).send_to(Recipient::Key(peer), Channel::Bulk, part);
        }
        Ok(())
    }

    /// A part came. With the last one there is a digest, which is what was asked for.
    pub(super) fn part_came(&mut self, peer: PublicKey, position: Position, total: u32, offset: u32, bytes: &[u8]) -> Result<(), Junk> {
        let total = total as usize;
        let waits = self.wants_digest();
        if !waits {
            return Ok(());
        }
        if total > LIMIT {
            return Err(Junk::Invalid("a digest larger than any"));
        }
        let Some(collected) = self.parts.collected_of(peer, position, total, offset == 0) else { return Ok(()) };
        if !collected.take(position, total, offset as usize, bytes) {
            return Ok(());
        }
        if collected.bytes.len() < total {
            self.seeking.collects = true;
            self.ask_for_part();
            return Ok(());
        }
        let whole = self.parts.finish();
        let digest = codec::decode::<Digest, LIMIT>(&whole).map_err(Junk::Wire)?;
        self.collected(peer, digest);
        Ok(())
    }

    fn collected(&mut self, peer: PublicKey, digest: Digest) {
        let own = self.keys.public();
        match digest.facts.with_key(&own).map(|member| member.node) {
            Some(node) if self.phase == Phase::Joining => self.granted(peer, node, digest),
            Some(_) | None => self.resynced(peer, digest),
        }
    }

    /// Asks for what comes next of the digest that is being collected. False where there is none.
    pub(super) fn ask_for_part(&mut self) -> bool {
        let Some(collected) = &self.parts.collected else { return false };
        let (from, position, offset) = (collected.from, collected.position, collected.bytes.len() as u32);
        context!(self).send_to(Recipient::Key(from), Channel::Ordered, Message::Admission(Admission::PartAsk { position, offset }));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{Collected, PART, Parts};
    use crate::ids::PublicKey;
    use crate::wire::message::Admission;

    #[test]
    fn parts_put_together_are_the_digest_and_a_part_out_of_place_is_not_taken() {
        let position = crate::fixture::birth().position();
        let whole: Vec<u8> = (0..3 * PART + 5).map(|at| at as u8).collect();
        let mut parts = Parts::default();
        parts.keep(position, whole.clone().into());
        let mut collected = Collected { from: PublicKey([1; 32]), position, total: whole.len(), bytes: Vec::new(), begun: 1 };
        assert!(!collected.take(position, whole.len(), 7, &[1]), "it begins at the beginning");
        while let Some(Admission::Part { position, total, offset, bytes }) = parts.part(position, collected.bytes.len()) {
            assert!(!collected.take(position, total as usize + 1, offset as usize, &bytes), "of another digest");
            assert!(!collected.take(position, total as usize, offset as usize, &bytes[..1]), "a part of a part");
            assert!(collected.take(position, total as usize, offset as usize, &bytes));
            assert!(!collected.take(position, total as usize, offset as usize, &bytes), "a second time");
        }
        assert_eq!(collected.bytes, whole);
    }

    #[test]
    fn one_whose_digest_came_to_nothing_lets_another_go_first() {
        let position = crate::fixture::birth().position();
        let (liar, other) = (PublicKey([1; 32]), PublicKey([2; 32]));
        let mut parts = Parts::default();
        assert!(parts.collected_of(liar, position, 1, true).expect("the first to answer").take(position, 1, 0, &[7]));
        assert!(parts.collected_of(other, position, 1, true).is_none(), "one at a time");
        assert_eq!(parts.finish(), [7]);
        assert!(parts.collected_of(liar, position, 1, true).is_none());
        parts.abandon();
        assert!(parts.collected_of(liar, position, 1, true).is_none(), "it had its turn");
        assert!(parts.collected_of(other, position, 1, true).is_some());
        parts.abandon();
        assert!(parts.collected_of(liar, position, 1, true).is_some(), "there may be nobody else");
    }

    #[test]
    fn one_that_begins_again_and_again_is_not_waited_for() {
        let position = crate::fixture::birth().position();
        let mut parts = Parts::default();
        let begun = (0..100).take_while(|_| parts.collected_of(PublicKey([1; 32]), position, 1, true).is_some());
        assert_eq!(begun.count() as u32, super::BEGINNINGS);
        assert!(parts.collected_of(PublicKey([2; 32]), position, 1, true).is_some());
    }

    #[test]
    fn digests_of_old_positions_are_forgotten() {
        let mut parts = Parts::default();
        for index in 0..6 {
            let position = crate::ids::Position { index: crate::ids::Index(index), ..crate::fixture::birth().position() };
            parts.keep(position, vec![1].into());
        }
        assert_eq!(parts.handed.len(), super::KEPT);
    }
}
