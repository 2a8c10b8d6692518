//! The Raft log as raft-rs reads it: in memory, with the last snapshot. What must reach the disk is
//! told beside it, as [`Write`]s.

use std::cell::Cell;

use bytes::Bytes;
use raft::eraftpb::{Entry, HardState, Snapshot};
use raft::{GetEntriesContext, RaftState, Storage, StorageError, util};

use super::making::Made;
use crate::ids::Digest256;
use crate::keys;
use crate::storage::{LogEntry, LogSnapshot, Write};

/// The log. Index 0 with term 0 is before everything.
pub(super) struct Log {
    hard_state: HardState,
    snapshot: Snapshot,
    /// Index and term of the entry before the first one.
    before: (u64, u64),
    entries: Vec<Entry>,
    /// Of the snapshot's data, once it is known.
    digest: Cell<Option<Digest256>>,
    /// A follower needs a snapshot that names it, and the one here is older than its part.
    outdated: Cell<bool>,
}

impl Log {
    /// Without anything but, where the node had a part before, the vote that it must not forget.
    pub(super) fn empty(hard_state: HardState) -> Log {
        Log::new(hard_state, Snapshot::default(), (0, 0), Vec::new())
    }

    /// `entries` are consecutive from `before`.
    pub(super) fn new(hard_state: HardState, snapshot: Snapshot, before: (u64, u64), entries: Vec<Entry>) -> Log {
        Log { hard_state, snapshot, before, entries, digest: Cell::new(None), outdated: Cell::new(false) }
    }

    pub(super) fn snapshot_index(&self) -> u64 {
        self.snapshot.get_metadata().index
    }

    pub(super) fn last(&self) -> u64 {
        self.before.0 + self.entries.len() as u64
    }

    /// Whether a snapshot was asked for that must first be made. Asked once.
    pub(super) fn take_outdated(&self) -> bool {
        self.outdated.take()
    }

    /// Takes new entries, and those from the first one's index on out.
    pub(super) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        let keep = usize::try_from(first.index - self.before.0 - 1).expect("a log in memory has fewer entries than addresses");
        self.entries.truncate(keep);
        self.entries.extend_from_slice(entries);
    }

    /// Replaces everything by a snapshot from the leader.
    pub(super) fn install(&mut self, snapshot: Snapshot) {
        self.before = (snapshot.get_metadata().index, snapshot.get_metadata().term);
        self.entries.clear();
        self.snapshot = snapshot;
        self.digest.set(None);
    }

    /// The digest of a snapshot's data: of this log's, it is worked out once.
    pub(super) fn digest_of(&self, snapshot: &Snapshot) -> Digest256 {
        if snapshot.get_metadata().index != self.snapshot_index() {
            return keys::hash(&[&snapshot.data]);
        }
        let digest = self.digest.get().unwrap_or_else(|| keys::hash(&[&snapshot.data]));
        self.digest.set(Some(digest));
        digest
    }

    /// Takes this node's own snapshot, and cuts the log behind it. So many entries as `kept` stay, for
    /// followers that are a little behind.
    pub(super) fn compact(&mut self, made: Made, kept: u64) -> Vec<Write> {
        let digest = made.digest;
        let term = self.term_of(made.index).expect("applied entries are durable, and in the log until a snapshot covers them");
        let snapshot = snapshot_of(made, term);
        let below = (snapshot.get_metadata().index + 1).saturating_sub(kept);
        let mut writes = vec![snapshot_write(&snapshot)];
        self.snapshot = snapshot;
        self.digest.set(Some(digest));
        if below > self.before.0 + 1 {
            let term = self.term_of(below - 1).expect("between the first entry and the applied one");
            self.entries.drain(..usize::try_from(below - 1 - self.before.0).expect("as many as there are entries"));
            self.before = (below - 1, term);
            writes.push(Write::Compact { below });
        }
        writes
    }

    pub(super) fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    pub(super) fn hard_state(&self) -> &HardState {
        &self.hard_state
    }

    /// The entries behind an index.
    pub(super) fn entries_above(&self, index: u64) -> &[Entry] {
        let place = usize::try_from(index.saturating_sub(self.before.0)).expect("as many as there are entries");
        self.entries.get(place..).unwrap_or_default()
    }

    pub(super) fn term_of(&self, index: u64) -> Option<u64> {
        if index == self.before.0 {
            return Some(self.before.1);
        }
        let place = index.checked_sub(self.before.0 + 1)?;
        self.entries.get(usize::try_from(place).ok()?).map(|entry| entry.term)
    }
}

/// A snapshot at a place in the Raft log, with the configuration there.
pub(super) fn snapshot_of(made: Made, term: u64) -> Snapshot {
    let mut snapshot = Snapshot { data: made.data.into(), ..Snapshot::default() };
    let metadata = snapshot.mut_metadata();
    metadata.index = made.index;
    metadata.term = term;
    metadata.set_conf_state(made.configuration.conf_state());
    snapshot
}

pub(super) fn protobuf_bytes(message: &impl protobuf::Message) -> Bytes {
    message.write_to_bytes().expect("messages of raft have no required fields, and memory takes what is written").into()
}

pub(super) fn snapshot_write(snapshot: &Snapshot) -> Write {
    let metadata = snapshot.get_metadata();
    Write::Snapshot(LogSnapshot { index: metadata.index, term: metadata.term, bytes: protobuf_bytes(snapshot) })
}

pub(super) fn log_write(hard_state: Option<&HardState>, entries: &[Entry]) -> Write {
    let entries = entries.iter().map(|entry| LogEntry { index: entry.index, term: entry.term, bytes: protobuf_bytes(entry) }).collect();
    Write::Log { hard_state: hard_state.map(protobuf_bytes), entries }
}

impl Storage for Log {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState::new(self.hard_state.clone(), self.snapshot.get_metadata().get_conf_state().clone()))
    }

    fn entries(&self, low: u64, high: u64, max_size: impl Into<Option<u64>>, _: GetEntriesContext) -> raft::Result<Vec<Entry>> {
        if low <= self.before.0 {
            return Err(StorageError::Compacted.into());
        }
        if high > self.last() + 1 {
            return Err(StorageError::Unavailable.into());
        }
        let place = |index: u64| usize::try_from(index - self.before.0 - 1).expect("within the entries");
        let mut found = self.entries[place(low)..place(high)].to_vec();
        util::limit_size(&mut found, max_size.into());
        Ok(found)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        match self.term_of(index) {
            Some(term) => Ok(term),
            None if index < self.before.0 => Err(StorageError::Compacted.into()),
            None => Err(StorageError::Unavailable.into()),
        }
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.before.0 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    /// A follower refuses a snapshot that does not name it: then a newer one must be made first.
    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<Snapshot> {
        let state = self.snapshot.get_metadata().get_conf_state();
        let names_it = [&state.voters, &state.voters_outgoing, &state.learners].iter().any(|part| part.contains(&to));
        if names_it && self.snapshot_index() >= request_index.max(1) {
            return Ok(self.snapshot.clone());
        }
        self.outdated.set(true);
        Err(StorageError::SnapshotTemporarilyUnavailable.into())
    }
}
