//! What a machine wants kept, and what it finds again. Core touches no disk: these are the words in
//! which it speaks with the driver about it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ids::{BootNonce, ClusterId, Epoch, NodeId, NodeName, Seq};
use crate::wire::config::SignedConfig;

/// Who a node is: one small file, written as a whole, durable before the write is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The epoch when it was written; its generation and tag are what matters.
    pub epoch: Epoch,
    /// The membership; [`NodeId::NONE`] before the first join is granted.
    pub node: NodeId,
    /// The member's name.
    pub name: NodeName,
    /// Whether it ever had a part in the Raft group under this id: then its Raft data must be there.
    pub was_voter: bool,
    /// The last start.
    pub boot: BootNonce,
    /// Versions up to here may have been used for configs: the next start goes above.
    pub reserved_seq: Seq,
}

/// One Raft entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its index in the Raft log (not an event index).
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// The whole `eraftpb::Entry`, as protobuf.
    pub bytes: Bytes,
}

/// A snapshot of the control plane's applied state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSnapshot {
    /// The last Raft entry in it.
    pub index: u64,
    /// The term of that entry.
    pub term: u64,
    /// The whole `eraftpb::Snapshot`, as protobuf.
    pub bytes: Bytes,
}

/// One thing to be kept. All writes of one ticket are durable, in their order, before it is answered,
/// except those of the cache, which may be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Replaces the identity.
    Identity(Identity),
    /// Appends to the Raft log. Entries at or above the first one's index are replaced.
    Log {
        /// The new `eraftpb::HardState` as protobuf, where it changed.
        hard_state: Option<Bytes>,
        /// Consecutive.
        entries: Vec<LogEntry>,
    },
    /// Replaces the snapshot. Durable before any log that it covers is cut.
    Snapshot(LogSnapshot),
    /// Removes Raft entries below this index; a snapshot covers them.
    Compact {
        /// The first index kept.
        below: u64,
    },
    /// Drops the whole Raft log, hard state and snapshot: this node has no part in the group any more.
    DropLog,
    /// Replaces the host's own config.
    Own(Option<SignedConfig>),
    /// Sets (or removes, where the value is absent) rebuildable records. Best effort.
    Cache(Vec<(Bytes, Option<Bytes>)>),
    /// Removes all rebuildable records. Best effort.
    ClearCache,
}

/// The Raft log as it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveredLog {
    /// The snapshot, if any.
    pub snapshot: Option<LogSnapshot>,
    /// The hard state, as protobuf.
    pub hard_state: Option<Bytes>,
    /// The entries, consecutive.
    pub entries: Vec<LogEntry>,
}

/// What a node finds at its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Who it was.
    pub identity: Option<Identity>,
    /// Its part of the Raft log, where it had one.
    pub log: Option<RecoveredLog>,
    /// Its own last config.
    pub own: Option<SignedConfig>,
    /// The rebuildable records, in order of their keys.
    pub cache: Vec<(Bytes, Bytes)>,
}

/// The cache's key of a config.
pub(crate) fn config_key(member: NodeId) -> Bytes {
    key(b'c', member.as_u64())
}

/// The cache's key of an event.
pub(crate) fn event_key(index: u64) -> Bytes {
    key(b'e', index)
}

/// The cache's key of the facts; events above them stand beside.
pub(crate) const FACTS_KEY: Bytes = Bytes::from_static(b"f");
/// The cache's key of the last checkpoint.
pub(crate) const CHECKPOINT_KEY: Bytes = Bytes::from_static(b"k");

/// Big-endian, so that the order of keys is that of numbers.
fn key(kind: u8, number: u64) -> Bytes {
    let mut bytes = [kind; 9];
    bytes[1..].copy_from_slice(&number.to_be_bytes());
    Bytes::copy_from_slice(&bytes)
}
