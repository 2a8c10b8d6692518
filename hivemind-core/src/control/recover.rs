//! The Raft log as it was found on disk: whether it fits together, before raft-rs sees it. A crash may
//! leave the writes of one batch done in part, in their order; such a log is whole. Anything else is damage.

use protobuf::Message as _;
use raft::eraftpb::{Entry, HardState, Snapshot};
use thiserror::Error;

use super::applied::Applied;
use super::log::Log;
use super::sanity::applied_of;
use super::snapshot::SnapshotError;
use crate::ids::NodeId;
use crate::storage::{LogEntry, RecoveredLog};

/// Why a Raft log can not be used. The disk, or who copied it, is at fault; nothing changed. The node
/// must not act under its id again: it joins anew.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecoverError {
    /// The hard state is not protobuf.
    #[error("the hard state does not decode")]
    HardState,
    /// The snapshot is not protobuf, or not what its record says.
    #[error("the snapshot does not decode, or is not of the place that it is filed under")]
    Snapshot,
    /// The state in the snapshot does not decode.
    #[error("the snapshot at {index} holds no applied state: {error}")]
    Applied {
        /// Its Raft index.
        index: u64,
        /// What is wrong with it.
        error: SnapshotError,
    },
    /// There are entries or commits, and no snapshot below them.
    #[error("there are entries or commits and no snapshot to start from")]
    NoSnapshot,
    /// An entry is not protobuf, or not what its record says.
    #[error("the entry {index} does not decode, or is not of the place that it is filed under")]
    Entry {
        /// Its Raft index.
        index: u64,
    },
    /// Entries are missing.
    #[error("entries are missing: {found} comes after {last}")]
    Gap {
        /// The last index before the gap.
        last: u64,
        /// The one that comes next.
        found: u64,
    },
    /// A term goes back, or an entry is of a later term than the node ever knew.
    #[error("the term {term} of the entry {index} is impossible where it stands")]
    Term {
        /// Its Raft index.
        index: u64,
        /// Its term.
        term: u64,
    },
    /// More is committed than there is.
    #[error("the commit index is {commit}; the last entry is {last}")]
    Commit {
        /// The commit index.
        commit: u64,
        /// The last entry's.
        last: u64,
    },
    /// The node's id was not given when the snapshot was made.
    #[error("{node} was not known yet when the snapshot was made: the log is another node's")]
    Foreign {
        /// The node.
        node: NodeId,
    },
}

/// A log that was found, checked: what raft-rs starts from, and the state at its snapshot.
pub(super) struct Found {
    pub(super) log: Log,
    /// `None`: a learner that never got its first snapshot.
    pub(super) applied: Option<Applied>,
}

pub(super) fn check(node: NodeId, recovered: &RecoveredLog) -> Result<Found, RecoverError> {
    let mut hard_state = match &recovered.hard_state {
        Some(bytes) => HardState::parse_from_bytes(bytes).map_err(|_| RecoverError::HardState)?,
        None => HardState::default(),
    };
    let Some(filed) = &recovered.snapshot else {
        if !recovered.entries.is_empty() || hard_state.commit != 0 {
            return Err(RecoverError::NoSnapshot);
        }
        return Ok(Found { log: Log::empty(hard_state), applied: None });
    };
    let snapshot = Snapshot::parse_from_bytes(&filed.bytes).map_err(|_| RecoverError::Snapshot)?;
    let place = (snapshot.get_metadata().index, snapshot.get_metadata().term);
    if place != (filed.index, filed.term) || place.0 == 0 || place.1 == 0 {
        return Err(RecoverError::Snapshot);
    }
    let applied = applied_of(&snapshot).map_err(|error| RecoverError::Applied { index: place.0, error })?;
    let generation = applied.facts.epoch().generation;
    if node.generation() > generation || (node.generation() == generation && node.counter() > applied.registry.counter) {
        return Err(RecoverError::Foreign { node });
    }
    let (before, entries) = fit(place, &recovered.entries)?;
    // The snapshot is written before the hard state that goes with it. Nobody was given a vote of the
    // term in between, since answers wait for both.
    if hard_state.term < place.1 {
        hard_state.term = place.1;
        hard_state.vote = 0;
    }
    hard_state.commit = hard_state.commit.max(place.0);
    let last = before.0 + entries.len() as u64;
    if hard_state.commit > last {
        return Err(RecoverError::Commit { commit: hard_state.commit, last });
    }
    if let Some(entry) = entries.iter().find(|entry| entry.term > hard_state.term) {
        return Err(RecoverError::Term { index: entry.index, term: entry.term });
    }
    Ok(Found { log: Log::new(hard_state, snapshot, before, entries), applied: Some(applied) })
}

/// The entries that go with a snapshot at `place`, and index and term of the one before them.
type Fitting = ((u64, u64), Vec<Entry>);

fn fit(place: (u64, u64), filed: &[LogEntry]) -> Result<Fitting, RecoverError> {
    let mut entries: Vec<Entry> = Vec::with_capacity(filed.len());
    for record in filed {
        let entry = Entry::parse_from_bytes(&record.bytes).map_err(|_| RecoverError::Entry { index: record.index })?;
        if (entry.index, entry.term) != (record.index, record.term) || entry.index == 0 || entry.term == 0 {
            return Err(RecoverError::Entry { index: record.index });
        }
        if let Some(last) = entries.last() {
            if entry.index != last.index + 1 {
                return Err(RecoverError::Gap { last: last.index, found: entry.index });
            }
            if entry.term < last.term {
                return Err(RecoverError::Term { index: entry.index, term: entry.term });
            }
        }
        entries.push(entry);
    }
    let Some(first) = entries.first().map(|entry| entry.index) else { return Ok((place, entries)) };
    if first > place.0 + 1 {
        return Err(RecoverError::Gap { last: place.0, found: first });
    }
    // A snapshot from the leader replaces a log that it contradicts; a crash may come before the old
    // entries are gone. Those of the old log have other terms at its index, or lower ones behind it.
    let at_place = entries.iter().find(|entry| entry.index == place.0).map(|entry| entry.term);
    let behind = entries.iter().find(|entry| entry.index == place.0 + 1).map(|entry| entry.term);
    let replaced = at_place.is_some_and(|term| term != place.1) || behind.is_some_and(|term| term < place.1);
    if replaced || (at_place.is_none() && behind.is_none()) {
        return Ok((place, Vec::new()));
    }
    if first == place.0 + 1 {
        return Ok((place, entries));
    }
    // The first one serves as the place before the others.
    let before = entries.remove(0);
    Ok(((before.index, before.term), entries))
}
