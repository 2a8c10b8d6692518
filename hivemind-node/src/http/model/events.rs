//! The event log, as far as a node keeps it.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::members::{MemberRef, Part};

/// Some events in a row, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct EventPage {
    /// These.
    pub events: Vec<LoggedEvent>,
    /// What is missing before the first of them and after `after`: this node does not keep it (any more).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
    /// The `after` of the next page: the last position that this page covers. There is none yet where nothing happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Whether the next page has events already.
    pub more: bool,
}

/// Events that a node can not show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Gap {
    /// The position that was asked from; none: from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The last position that is missing. What follows it is whole.
    pub until: String,
    /// Why, for people.
    pub why: String,
}

/// An event in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct LoggedEvent {
    /// The position after it: its id in the stream.
    pub position: String,
    /// What it says.
    #[serde(flatten)]
    pub event: Event,
}

/// A fact about the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A node became a member.
    Joined {
        /// The new member.
        member: MemberRef,
        /// What it performs.
        roles: Vec<String>,
        /// Where it was put.
        neighborhood: u32,
        /// The membership that this one replaces.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        supersedes: Option<MemberRef>,
    },
    /// A member is none any more.
    Left {
        /// Who.
        member: MemberRef,
        /// Why.
        reason: LeaveReason,
        /// Whose probes failed, where it failed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        observers: Vec<MemberRef>,
    },
    /// A neighborhood that was full became two.
    Split {
        /// Which one.
        from: u32,
        /// The new one.
        into: u32,
        /// Who is in the new one from here on.
        moved: Vec<MemberRef>,
    },
    /// Two small neighborhoods became one.
    Merged {
        /// The one that there is no more.
        from: u32,
        /// The one that took its members in.
        into: u32,
        /// All that are in it from here on.
        members: Vec<MemberRef>,
    },
    /// A member's part in the Raft group changed.
    Voter {
        /// Whose.
        member: MemberRef,
        /// Its part from now on.
        part: Part,
    },
    /// A member said that it restarts: silence is no failure until then.
    Restarting {
        /// Who.
        member: MemberRef,
        /// Milliseconds since 1970, by the proposer's clock.
        until_ms: u64,
    },
    /// A member that said so is back.
    Restarted {
        /// Who.
        member: MemberRef,
    },
    /// The log's copy of a member's addresses.
    Addresses {
        /// Whose.
        member: MemberRef,
        /// Where it listens.
        #[cfg_attr(feature = "http", schemars(with = "Vec<String>"))]
        addresses: Vec<SocketAddr>,
    },
    /// History below `floor` was collected.
    EpochAdvanced {
        /// The epoch's number from here on.
        number: u32,
        /// The first index that is kept.
        floor: u64,
    },
    /// There is a new credential.
    CredentialCreated {
        /// Its name.
        credential: String,
        /// What people call it.
        label: String,
        /// `read`, `write` or `admin`.
        right: String,
    },
    /// A credential is worth nothing any more.
    CredentialRevoked {
        /// Its name.
        credential: String,
    },
    /// Another authority is trusted beside the present one, and is to follow it.
    AuthorityAnnounced {
        /// SHA-256 of its public key, in hexadecimal digits.
        fingerprint: String,
    },
    /// A voter can issue certificates by an authority. When a majority can by one that was announced, that one takes over.
    AuthorityHeld {
        /// Who.
        member: MemberRef,
    },
    /// The former authority is trusted no more.
    AuthorityRetired {},
    /// A feature was switched on: whoever joins must support it.
    FeatureOn {
        /// Which.
        feature: String,
    },
    /// A member runs another version.
    Features {
        /// Who.
        member: MemberRef,
        /// The optional features that it supports.
        features: Vec<String>,
    },
}

/// Why a membership ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LeaveReason {
    /// It failed.
    Failed,
    /// It asked to leave, or was asked to.
    Asked,
    /// An operator put it out; its key is revoked.
    Evicted,
}
