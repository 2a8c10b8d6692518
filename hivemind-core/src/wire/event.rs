//! Events: facts about the cluster that applying a command produced, and the proof of their order.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::access::AccessChange;
use super::codec;
use super::feature::FeatureName;
use super::member::MemberRecord;
use super::trust::AuthorityChange;
use crate::ids::{ClusterId, Digest256, Epoch, Index, NeighborhoodId, NodeId};
use crate::keys::{self, Purpose, Signature};
use crate::time::Timestamp;

/// A fact about the cluster. Members, neighborhoods, voters, epoch, access, features: nothing else is an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A node became a member. Where its name and key had a membership before, that one ended here.
    Joined {
        /// The new member.
        member: MemberRecord,
        /// Where it was put.
        neighborhood: NeighborhoodId,
        /// The membership that this one replaces.
        supersedes: Option<NodeId>,
        /// Consumers that take the places of the replaced one in the lists.
        listed: Vec<MemberRecord>,
    },
    /// A member is none any more.
    Left {
        /// Who.
        node: NodeId,
        /// Why.
        reason: LeaveReason,
        /// Consumers that take its places in the lists.
        listed: Vec<MemberRecord>,
    },
    /// A neighborhood that was full became two; both count as made here.
    Split {
        /// Which one.
        from: NeighborhoodId,
        /// The new one.
        into: NeighborhoodId,
        /// Who is in the new one from here on.
        moved: Vec<NodeId>,
    },
    /// Two small neighborhoods became one, which counts as made here.
    Merged {
        /// The one that there is no more.
        from: NeighborhoodId,
        /// The one that took its members in.
        into: NeighborhoodId,
        /// All that are in it from here on: each half does not know the other.
        members: Vec<MemberRecord>,
    },
    /// A member's part in the Raft group changed.
    Voter {
        /// Who: its key is what its checkpoints are believed by.
        member: MemberRecord,
        /// Its part from now on.
        part: VoterPart,
    },
    /// A member said that it restarts: silence is no failure until then.
    Restarting {
        /// Who.
        node: NodeId,
        /// By the clock of the log.
        until: Timestamp,
    },
    /// A member that said so is back.
    Restarted {
        /// Who.
        node: NodeId,
    },
    /// The log's copy of a member's addresses.
    Addresses {
        /// Who.
        node: NodeId,
        /// The version, raised by the member itself.
        seq: u64,
        /// Where it listens.
        addresses: Vec<SocketAddr>,
    },
    /// History below `floor` was collected; the epoch's number is `number` from here on.
    EpochAdvanced {
        /// The new number.
        number: u32,
        /// The first index that the tail still holds.
        floor: Index,
    },
    /// Who may use the API changed.
    Access(AccessChange),
    /// A feature was switched on: every member supports it, and whoever joins must.
    FeatureOn {
        /// Which.
        feature: FeatureName,
    },
    /// What a member supports changed: it runs another version.
    Features {
        /// Who.
        node: NodeId,
        /// What it supports from here on.
        features: BTreeSet<FeatureName>,
    },
    /// Which authorities are trusted changed, or who can issue by them.
    Authority(AuthorityChange),
}

impl Event {
    /// The member whose membership ends with this event, by a leave or because it joined again.
    pub fn ended(&self) -> Option<NodeId> {
        match self {
            Event::Left { node, .. } => Some(*node),
            Event::Joined { supersedes, .. } => *supersedes,
            Event::Split { .. }
            | Event::Merged { .. }
            | Event::Voter { .. }
            | Event::Restarting { .. }
            | Event::Restarted { .. }
            | Event::Addresses { .. }
            | Event::EpochAdvanced { .. }
            | Event::Access(_)
            | Event::FeatureOn { .. }
            | Event::Features { .. }
            | Event::Authority(_) => None,
        }
    }
}

/// Why a membership ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeaveReason {
    /// It failed: these members probed it themselves, in vain.
    Failed {
        /// Whose probes failed.
        observers: Vec<NodeId>,
    },
    /// It asked to leave.
    Asked,
    /// An operator put it out; its key is revoked.
    Evicted,
}

/// A member's part in the Raft group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VoterPart {
    /// None.
    None,
    /// It follows the log and does not vote.
    Learner,
    /// It votes.
    Voter,
}

/// An event in its place, as it is stored and sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEvent {
    /// Its place.
    pub index: Index,
    /// The [`Event`], encoded: what the chain is computed over.
    pub payload: Bytes,
}

impl LogEvent {
    /// Encodes `event` for its place.
    pub fn new(index: Index, event: &Event) -> Self {
        LogEvent { index, payload: codec::encode(event).into() }
    }

    /// The event.
    ///
    /// # Errors
    /// The payload is not an event: the sender is at fault, or speaks a later version.
    pub fn event(&self) -> Result<Event, crate::error::WireError> {
        codec::decode::<Event, { super::frame::STREAM_LIMIT }>(&self.payload)
    }

    /// The chain hash after this event, where `before` is the one before it.
    pub fn chain_after(&self, before: &Digest256) -> Digest256 {
        keys::hash(&[b"hivemind event 1\0", &before.0, &self.index.0.to_be_bytes(), &self.payload])
    }
}

/// The chain hash at index 0.
pub fn chain_genesis(cluster: ClusterId, generation: u16, tag: u64) -> Digest256 {
    keys::hash(&[b"hivemind chain 1\0", &cluster.0.to_be_bytes(), &generation.to_be_bytes(), &tag.to_be_bytes()])
}

/// What a voter states about the log: at `index`, in `epoch`, the chain is `chain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The cluster.
    pub cluster: ClusterId,
    /// The epoch at `index`.
    pub epoch: Epoch,
    /// The last event covered.
    pub index: Index,
    /// The chain hash there.
    pub chain: Digest256,
    /// The voter that says so: a voter in the state just before or at `index`.
    pub voter: NodeId,
    /// By that voter's key.
    pub signature: Signature,
}

impl Checkpoint {
    /// What is signed.
    pub fn digest(cluster: ClusterId, epoch: Epoch, index: Index, chain: &Digest256, voter: NodeId) -> Digest256 {
        Purpose::Checkpoint.digest(&codec::encode(&(cluster, epoch, index, chain, voter)))
    }

    /// What this one's signature is over.
    pub fn signed_digest(&self) -> Digest256 {
        Checkpoint::digest(self.cluster, self.epoch, self.index, &self.chain, self.voter)
    }
}
