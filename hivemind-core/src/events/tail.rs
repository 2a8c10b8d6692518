//! The last events that a node holds, and the voters' words for them.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::ids::{Digest256, Epoch, Index, Position};
use crate::wire::event::{Checkpoint, LogEvent};
use crate::wire::message::EventBatch;

/// An event with what is needed to serve it. Its index is its place.
#[derive(Clone, Debug)]
struct Held {
    payload: Bytes,
    /// After it.
    chain: Digest256,
    /// The epoch's, after it.
    number: u32,
    /// Whether it changed who may sign checkpoints: a range across it needs one from there.
    changes_signers: bool,
}

/// Contiguous events up to the node's position, bounded in bytes.
#[derive(Debug)]
pub(super) struct Tail {
    before: Position,
    held: VecDeque<Held>,
    checkpoints: BTreeMap<Index, Checkpoint>,
    bytes: usize,
    limit: usize,
}

/// What a tail answers to "what comes after …?".
#[derive(Debug, PartialEq, Eq)]
pub(super) enum After {
    /// These, up to the position given; nothing vouches for them yet where the asker's voters changed.
    Batch { batch: EventBatch, end: Position },
    /// The asker is below the first event held.
    Collected { floor: Index },
    /// The asker's chain at its index is another one.
    Fork,
    /// There is more, and no voter's word for it here (yet).
    Unproven,
    /// Nothing: the asker knows as much, or more.
    Nothing,
}

/// What an event takes beside its payload: its place, the allocation, its part of the checkpoints.
const OVERHEAD: usize = 128;

/// Of the checkpoints within so many events one is kept, besides those that a reader needs: a range may end there.
const SPACING: u64 = 16;

impl Tail {
    pub(super) fn new(before: Position, limit: usize) -> Self {
        Tail { before, held: VecDeque::new(), checkpoints: BTreeMap::new(), bytes: 0, limit }
    }

    /// The most bytes that it takes.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        self.shrink();
    }

    /// Takes the next event: `after` is the position after it.
    pub(super) fn push(&mut self, payload: Bytes, after: &Position, changes_signers: bool) {
        debug_assert_eq!(after.index, self.end().next(), "a tail has no gaps");
        self.bytes += payload.len() + OVERHEAD;
        self.held.push_back(Held { payload, chain: after.chain, number: after.epoch.number, changes_signers });
        self.shrink();
    }

    /// Keeps a voter's word for a position that is held.
    pub(super) fn vouch(&mut self, checkpoint: Checkpoint) {
        let last = checkpoint.index;
        self.checkpoints.insert(last, checkpoint);
        let mut latest = self.checkpoints.range(..last).rev().map(|(&index, _)| index);
        let (middle, first) = (latest.next(), latest.next());
        if let (Some(middle), Some(first)) = (middle, first)
            && last.0 - first.0 <= SPACING
            && !self.signers_change(first, middle)
        {
            self.checkpoints.remove(&middle);
        }
    }

    /// Whether one of the events after `first`, up to `last`, changed who may sign.
    fn signers_change(&self, first: Index, last: Index) -> bool {
        let floor = self.floor().0;
        let (from, to) = (first.next().0.saturating_sub(floor), last.next().0.saturating_sub(floor));
        let count = self.held.len();
        self.held.range((from as usize).min(count)..(to as usize).min(count)).any(|held| held.changes_signers)
    }

    fn shrink(&mut self) {
        while self.bytes > self.limit && self.drop_oldest() {}
        self.forget_checkpoints();
    }

    /// Drops what lies below a floor.
    pub(super) fn collect(&mut self, floor: Index) {
        while self.floor() < floor && self.drop_oldest() {}
        self.forget_checkpoints();
    }

    fn forget_checkpoints(&mut self) {
        while self.checkpoints.first_key_value().is_some_and(|(&index, _)| index < self.before.index) {
            self.checkpoints.pop_first();
        }
    }

    fn drop_oldest(&mut self) -> bool {
        let Some(oldest) = self.held.pop_front() else { return false };
        self.bytes -= oldest.payload.len() + OVERHEAD;
        self.before = self.position_of(self.floor(), &oldest);
        true
    }

    fn position_of(&self, index: Index, held: &Held) -> Position {
        Position { epoch: Epoch { number: held.number, ..self.before.epoch }, index, chain: held.chain }
    }

    /// The last event held, or the one before the first.
    fn end(&self) -> Index {
        Index(self.before.index.0 + self.held.len() as u64)
    }

    /// The first event held, or the next one to come.
    pub(super) fn floor(&self) -> Index {
        self.before.index.next()
    }

    pub(super) fn checkpoint_at(&self, index: Index) -> Option<&Checkpoint> {
        self.checkpoints.get(&index)
    }

    pub(super) fn chain_at(&self, index: Index) -> Option<Digest256> {
        if index == self.before.index {
            return Some(self.before.chain);
        }
        let at = index.0.checked_sub(self.floor().0)? as usize;
        self.held.get(at).map(|held| held.chain)
    }

    /// What comes after `asked`, at most `bytes` of it. Ends where a checkpoint is held, unless
    /// `may_sign`: then the caller vouches for the end itself.
    pub(super) fn after(&self, asked: &Position, bytes: usize, may_sign: bool) -> After {
        if asked.index > self.end() {
            return After::Nothing;
        }
        match self.chain_at(asked.index) {
            None => return After::Collected { floor: self.floor() },
            Some(chain) if chain != asked.chain => return After::Fork,
            Some(_) if asked.index == self.end() => return After::Nothing,
            Some(_) => {}
        }
        let mut size = 0;
        let skipped = (asked.index.0 - self.before.index.0) as usize;
        let fitting = self.held.range(skipped..).take_while(|held| {
            let first = size == 0;
            size += held.payload.len() + OVERHEAD;
            first || size <= bytes
        });
        let first = asked.index.next();
        let mut last = Index(asked.index.0 + fitting.count() as u64);
        if !may_sign {
            let covered = self.checkpoints.range(first..=last).next_back();
            let Some((&covered, _)) = covered else { return After::Unproven };
            last = covered;
        }
        let taken: Vec<&Held> = self.held.range(skipped..skipped + (last.0 - asked.index.0) as usize).collect();
        let Some(&end) = taken.last() else { return After::Nothing };
        After::Batch { end: self.position_of(last, end), batch: self.batch(first, &taken) }
    }

    /// All that comes after `before`, where it is held and proven to its end.
    pub(super) fn batch_after(&self, before: &Position) -> Option<EventBatch> {
        match self.after(before, usize::MAX, false) {
            After::Batch { batch, end } if end.index == self.end() => Some(batch),
            After::Batch { .. } | After::Collected { .. } | After::Fork | After::Unproven | After::Nothing => None,
        }
    }

    /// Whether another event is held in the place of this one.
    pub(super) fn contradicts(&self, logged: &LogEvent) -> bool {
        let at = logged.index.0.checked_sub(self.floor().0).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.held.get(at)).is_some_and(|held| held.payload != logged.payload)
    }

    /// All that are held, oldest first.
    pub(super) fn events(&self) -> impl Iterator<Item = LogEvent> {
        (self.floor().0..).zip(&self.held).map(|(index, held)| LogEvent { index: Index(index), payload: held.payload.clone() })
    }

    /// The events from `first` on with the checkpoints that a reader needs: wherever the signers changed since
    /// the one before, and the last.
    fn batch(&self, first: Index, taken: &[&Held]) -> EventBatch {
        let mut batch = EventBatch::default();
        let mut signers_changed = false;
        for (at, held) in taken.iter().enumerate() {
            let index = Index(first.0 + at as u64);
            batch.events.push(LogEvent { index, payload: held.payload.clone() });
            signers_changed |= held.changes_signers;
            let is_last = at + 1 == taken.len();
            if let Some(checkpoint) = self.checkpoints.get(&index)
                && (signers_changed || is_last)
            {
                batch.checkpoints.push(checkpoint.clone());
                signers_changed = false;
            }
        }
        batch
    }
}
