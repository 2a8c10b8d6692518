//! The applied state as bytes: a version octet, then the state through the codec, with a limit.

use thiserror::Error;

use super::applied::Applied;
use super::making::{Made, Making};
use super::wishes::MAX_WISHES;
use crate::error::WireError;
use crate::wire::access::{MAX_ENROLLED, MAX_TOKENS};
use crate::wire::codec;

/// The version of the layout that this build writes and reads.
pub(super) const VERSION: u8 = 5;
/// The largest snapshot that is read.
pub(super) const LIMIT: usize = 64 << 20;

/// Why bytes are not a snapshot. Who wrote them is at fault; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// Of a version that this build does not read.
    #[error("a snapshot of version {found:?}; this build reads {VERSION}")]
    Version {
        /// Its version, if it has any byte at all.
        found: Option<u8>,
    },
    /// Not the applied state.
    #[error("the applied state does not decode: {0}")]
    Malformed(WireError),
    /// It decodes, and contradicts itself.
    #[error("the applied state contradicts itself: {0}")]
    Contradiction(&'static str),
}

/// The state at a Raft index, encoded in one go.
pub(super) fn encode(applied: &Applied, index: u64) -> Made {
    let mut making = Making::begin(applied.clone(), index);
    let _whole = making.go_on(usize::MAX);
    making.made()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Applied, SnapshotError> {
    let (&version, body) = bytes.split_first().ok_or(SnapshotError::Version { found: None })?;
    if version != VERSION {
        return Err(SnapshotError::Version { found: Some(version) });
    }
    let applied = codec::decode::<Applied, LIMIT>(body).map_err(SnapshotError::Malformed)?;
    if applied.facts.neighborhoods().is_empty() {
        return Err(SnapshotError::Contradiction("it has no neighborhood"));
    }
    if !applied.facts.is_full() {
        return Err(SnapshotError::Contradiction("it holds a part of the facts"));
    }
    if applied.facts.voters().keys().any(|node| applied.facts.member(*node).is_none()) {
        return Err(SnapshotError::Contradiction("a voter is not a member"));
    }
    let generation = applied.facts.epoch().generation;
    if applied.facts.members().keys().any(|node| node.generation() == generation && node.counter() > applied.registry.counter) {
        return Err(SnapshotError::Contradiction("an id is above the counter of ids"));
    }
    if applied.registry.gate.tokens.len() > MAX_TOKENS || applied.registry.gate.roll.len() > MAX_ENROLLED {
        return Err(SnapshotError::Contradiction("more tokens or enrolled keys than there may be"));
    }
    if applied.registry.wishes.len() > MAX_WISHES {
        return Err(SnapshotError::Contradiction("more wishes of operators than there may be"));
    }
    if !applied.is_joint_sound() {
        return Err(SnapshotError::Contradiction("a joint change that is none of its voters'"));
    }
    if !applied.tail.is_sound(applied.facts.position().index) {
        return Err(SnapshotError::Contradiction("its events are not consecutive"));
    }
    Ok(applied)
}
