//! How a node fares.

use serde::{Deserialize, Serialize};

use super::members::{MemberRef, Part};

/// A node's account of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Status {
    /// The version of the program.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Its membership, once it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The cluster, in hexadecimal digits, once it knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Where it stands in its life.
    pub phase: Phase,
    /// Its part in the Raft group.
    pub part: Part,
    /// The leader, where it knows of one: voters alone do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<MemberRef>,
    /// The Raft term that it knows of.
    pub term: u64,
    /// The position of its view, once it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// Milliseconds since it heard a new sign of life of the leader.
    pub leader_heard_ms: u64,
    /// How far its view can be trusted.
    pub condition: Condition,
    /// The members that there are.
    pub members: u64,
    /// The neighborhoods that there are.
    pub neighborhoods: u32,
    /// The hosts whose config it holds.
    pub configs: u64,
    /// The version of its own config; 0 where it has none.
    pub own_seq: u64,
    /// Frames from the network that it dropped since its start.
    pub junk: u64,
    /// The certificate that it shows to other nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// Its roles, in order of installation.
    pub roles: Vec<Role>,
}

/// When a node's certificate is valid. It is renewed at half of its life, without a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Certificate {
    /// The moment that it ends, in milliseconds since 1970. Other nodes accept it for 90 days longer.
    pub until_ms: u64,
    /// The same, for people.
    pub until: String,
    /// It should have been renewed by now, by this node's clock.
    pub late: bool,
}

/// How far a view can be trusted. All false is the ordinary day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Condition {
    /// The control plane has no quorum: no joins and no leaves, everything else goes on.
    pub degraded: bool,
    /// The view is of an earlier time: the node resyncs, or has no contact.
    pub stale: bool,
    /// A consumer that has not yet got what there is.
    pub incomplete: bool,
}

/// Where a node stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It writes down its new start before it speaks.
    Starting,
    /// It asks to become a member.
    Joining,
    /// It was a member, and asks whether it still is.
    Resuming,
    /// It is one.
    Member,
    /// It is one, and builds its view anew.
    Resyncing,
    /// It stopped.
    Stopped,
}

/// How a role fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Role {
    /// Which.
    pub name: String,
    /// The kinds of section that it publishes.
    pub publishes: Vec<String>,
    /// The kinds of section that it consumes.
    pub consumes: Vec<String>,
    /// How often the outside world was changed as it wants; 0 where it changes nothing.
    pub applied: u64,
    /// How often that failed.
    pub failures: u64,
    /// What is wrong now, if anything is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<String>,
}

/// Whether a node can be sent work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Readiness {
    /// Where it stands. It is ready as a [`Phase::Member`].
    pub phase: Phase,
}
