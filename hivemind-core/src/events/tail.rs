//! The last events that a node holds, and the voters' words for them.

use std::collections::{BTreeMap, VecDeque};

use crate::ids::{Digest256, Index, Position};
use crate::wire::event::{Checkpoint, Event, LogEvent};
use crate::wire::message::EventBatch;

/// An event with the position after it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) logged: LogEvent,
    pub(super) after: Position,
    /// Whether it changed who may sign checkpoints: a range across it needs one from before.
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
    /// Nothing: the asker knows as much, or more.
    Nothing,
}

const OVERHEAD: usize = 160;

impl Tail {
    pub(super) fn new(before: Position, limit: usize) -> Self {
        Tail { before, held: VecDeque::new(), checkpoints: BTreeMap::new(), bytes: 0, limit }
    }

    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        self.shrink();
    }

    pub(super) fn push(&mut self, logged: LogEvent, event: &Event, after: Position) {
        let changes_signers = match event {
            Event::Voter { .. } | Event::Left { .. } => true,
            Event::Joined { supersedes, .. } => supersedes.is_some(),
            Event::Split { .. }
            | Event::Merged { .. }
            | Event::Restarting { .. }
            | Event::Restarted { .. }
            | Event::Addresses { .. }
            | Event::EpochAdvanced { .. } => false,
        };
        self.bytes += logged.payload.len() + OVERHEAD;
        self.held.push_back(Held { logged, after, changes_signers });
        self.shrink();
    }

    pub(super) fn vouch(&mut self, checkpoint: Checkpoint) {
        self.checkpoints.insert(checkpoint.index, checkpoint);
        while self.checkpoints.len() > self.held.len() + 1 {
            self.checkpoints.pop_first();
        }
    }

    fn shrink(&mut self) {
        while self.bytes > self.limit {
            let Some(oldest) = self.held.pop_front() else { break };
            self.bytes -= oldest.logged.payload.len() + OVERHEAD;
            self.before = oldest.after;
        }
        let first = self.before.index;
        self.checkpoints = self.checkpoints.split_off(&first);
    }

    /// Drops what lies below a floor.
    pub(super) fn collect(&mut self, floor: Index) {
        while let Some(oldest) = self.held.front() {
            if oldest.logged.index >= floor {
                break;
            }
            self.bytes -= oldest.logged.payload.len() + OVERHEAD;
            self.before = oldest.after;
            self.held.pop_front();
        }
        self.checkpoints = self.checkpoints.split_off(&self.before.index);
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
        self.held.get(at).map(|held| held.after.chain)
    }

    /// What comes after `asked`, at most `bytes` of it. Ends where a checkpoint is held, unless
    /// `may_sign`: then the caller vouches for the end itself.
    pub(super) fn after(&self, asked: &Position, bytes: usize, may_sign: bool) -> After {
        let end = self.held.back().map_or(self.before.index, |held| held.logged.index);
        if asked.index > end {
            return After::Nothing;
        }
        match self.chain_at(asked.index) {
            None => return After::Collected { floor: self.floor() },
            Some(chain) if chain != asked.chain => return After::Fork,
            Some(_) => {}
        }
        let from = (asked.index.0 + 1 - self.floor().0) as usize;
        let mut size = 0;
        let fitting = self.held.range(from..).take_while(|held| {
            size += held.logged.payload.len() + OVERHEAD;
            size <= bytes.max(OVERHEAD + held.logged.payload.len())
        });
        let mut taken: Vec<&Held> = fitting.collect();
        if !may_sign {
            let covered = taken.iter().rposition(|held| self.checkpoints.contains_key(&held.logged.index));
            taken.truncate(covered.map_or(0, |at| at + 1));
        }
        let Some(last) = taken.last() else { return After::Nothing };
        After::Batch { end: last.after, batch: self.batch(&taken) }
    }

    /// The events with the checkpoints that a reader needs: wherever the signers changed since the one
    /// before, and the last.
    fn batch(&self, taken: &[&Held]) -> EventBatch {
        let mut checkpoints = Vec::new();
        let mut signers_changed = false;
        for (at, held) in taken.iter().enumerate() {
            signers_changed |= held.changes_signers;
            let is_last = at + 1 == taken.len();
            if let Some(checkpoint) = self.checkpoints.get(&held.logged.index)
                && (signers_changed || is_last)
            {
                checkpoints.push(checkpoint.clone());
                signers_changed = false;
            }
        }
        EventBatch { events: taken.iter().map(|held| held.logged.clone()).collect(), checkpoints }
    }
}
