//! Snapshots on their way between voters, in parts. The sender answers what the receiver asks for, so
//! that one part is on its way at a time, a lost one is asked for again, and a transfer that broke off
//! goes on where it was, as long as the sender has the same snapshot still. What is whole and has the
//! digest that was promised is a message of Raft's like any other.

use std::time::Duration;

use bytes::Bytes;

use crate::ids::{Digest256, NodeId};
use crate::keys::Hasher;
use crate::time::Time;
use crate::wire::message::{SnapshotPart, SnapshotWant};

/// The most bytes of a snapshot in one frame.
pub(super) const PART: usize = 256 << 10;
/// A part that does not come is asked for again after this.
const PATIENCE: Duration = Duration::from_millis(500);
/// Where the last one took longer, after twice its time; and each further time after twice as long, up to this: over a slow line the same
/// part must not be on its way many times.
const MOST_PATIENCE: Duration = Duration::from_secs(4);
/// What has come is dropped when so often in a row nothing more did.
const ATTEMPTS: u32 = 8;

/// A snapshot that is being sent.
pub(super) struct Sending {
    /// Raft's message without the snapshot's data.
    pub(super) head: Bytes,
    pub(super) data: Bytes,
    pub(super) digest: Digest256,
    /// Its Raft index.
    pub(super) index: u64,
    /// When the receiver last asked.
    pub(super) asked: Time,
}

impl Sending {
    /// The part from an offset on, if there is one.
    pub(super) fn part(&self, offset: usize) -> Option<SnapshotPart> {
        let end = offset.saturating_add(PART).min(self.data.len());
        let bytes = (offset < end).then(|| self.data.slice(offset..end))?;
        let head = if offset == 0 { self.head.clone() } else { Bytes::new() };
        Some(SnapshotPart { head, digest: self.digest, total: self.data.len() as u64, offset: offset as u64, bytes })
    }
}

/// A snapshot that is being received.
pub(super) struct Receiving {
    from: NodeId,
    head: Bytes,
    digest: Digest256,
    total: usize,
    bytes: Vec<u8>,
    hasher: Hasher,
    /// When something last came, or was asked for.
    moved: Time,
    /// When what comes next was asked for first.
    asked: Time,
    /// How long the last part took to come.
    took: Duration,
    attempts: u32,
}

/// What a part led to.
pub(super) enum Taken {
    /// Nothing: it came twice.
    Nothing,
    /// More must be asked for.
    More(SnapshotWant),
    /// All is there: the head and the data.
    Whole(Bytes, Vec<u8>),
}

impl Receiving {
    /// Begins with the first part of a snapshot, whose head and size were found possible.
    pub(super) fn begin(from: NodeId, part: &SnapshotPart, total: usize, now: Time) -> Receiving {
        let (head, digest) = (part.head.clone(), part.digest);
        let (bytes, hasher) = (Vec::new(), Hasher::default());
        Receiving { from, head, digest, total, bytes, hasher, moved: now, asked: now, took: Duration::ZERO, attempts: 0 }
    }

    /// Whether a part is of this snapshot.
    pub(super) fn is_of(&self, part: &SnapshotPart) -> bool {
        self.digest == part.digest && self.total as u64 == part.total
    }

    /// The same snapshot is offered anew, maybe by another leader: what has come of it stays.
    pub(super) fn resume(&mut self, from: NodeId, head: Bytes) {
        self.from = from;
        self.head = head;
    }

    /// Takes a part of it.
    ///
    /// # Errors
    /// It can not be of this snapshot, or all together is not what was promised; the sender is at fault,
    /// and what has come is of no use.
    pub(super) fn take(&mut self, part: &SnapshotPart, now: Time) -> Result<Taken, &'static str> {
        if part.offset < self.bytes.len() as u64 {
            // An offer of what is here already must be answered, so that the sender goes on.
            return Ok(if part.offset == 0 { Taken::More(self.want(now)) } else { Taken::Nothing });
        }
        if part.offset > self.bytes.len() as u64 {
            return Ok(Taken::Nothing);
        }
        if part.bytes.is_empty() || part.bytes.len() > self.total - self.bytes.len() {
            return Err("a part of a snapshot that is empty, or longer than the whole");
        }
        self.hasher.update(&part.bytes);
        self.bytes.extend_from_slice(&part.bytes);
        (self.attempts, self.took, self.asked) = (0, now.since(self.asked), now);
        if self.bytes.len() < self.total {
            return Ok(Taken::More(self.want(now)));
        }
        if std::mem::take(&mut self.hasher).digest() != self.digest {
            return Err("a snapshot that is not what was promised");
        }
        Ok(Taken::Whole(std::mem::take(&mut self.head), std::mem::take(&mut self.bytes)))
    }

    fn want(&mut self, now: Time) -> SnapshotWant {
        self.moved = now;
        SnapshotWant { digest: self.digest, offset: self.bytes.len() as u64 }
    }

    /// What must be asked for again, and of whom. `Err`: it was asked for often enough.
    pub(super) fn retry(&mut self, now: Time) -> Result<Option<(NodeId, SnapshotWant)>, ()> {
        let patience = PATIENCE.max(self.took * 2) * (1 << self.attempts.min(ATTEMPTS));
        if now.since(self.moved) < patience.min(MOST_PATIENCE) {
            return Ok(None);
        }
        self.attempts += 1;
        if self.attempts > ATTEMPTS {
            return Err(());
        }
        Ok(Some((self.from, self.want(now))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::id;

    #[test]
    fn over_a_slow_line_a_part_is_asked_for_less_and_less_often() {
        let part =
            |offset| SnapshotPart { head: Bytes::new(), digest: Digest256([1; 32]), total: 1_000, offset, bytes: vec![0; 10].into() };
        let mut receiving = Receiving::begin(id(1), &part(0), 1_000, Time::default());
        let asked_within = |receiving: &mut Receiving, from: Time, time: Duration| {
            let ticks = (1..=time.as_millis() as u64 / 10).map(|tick| from + Duration::from_millis(tick * 10));
            ticks.filter(|now| matches!(receiving.retry(*now), Ok(Some(_)))).count()
        };
        assert_eq!(asked_within(&mut receiving, Time::default(), Duration::from_secs(8)), 4, "after 0.5, 1, 2 and 4 s");
        let came = Time::default() + Duration::from_secs(8);
        assert!(matches!(receiving.take(&part(0), came), Ok(Taken::More(_))));
        assert_eq!(asked_within(&mut receiving, came, Duration::from_secs(3)), 0, "the one before took longer than that");
        let again = came + Duration::from_secs(3);
        assert!(matches!(receiving.take(&part(10), again), Ok(Taken::More(_))));
        let given_up = (0..10_000).any(|tick| receiving.retry(again + Duration::from_millis(tick * 10)).is_err());
        assert!(given_up, "what brings nothing is dropped");
    }
}
