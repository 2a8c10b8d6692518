//! What the control plane records of a member.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::feature::FeatureName;
use crate::ids::{Index, NeighborhoodId, NodeId, NodeName, PublicKey, SectionKind};
use crate::keys::Signature;

/// The most addresses that a member may have.
pub const MAX_ADDRESSES: usize = 16;
/// The most roles of one node, and the most kinds in each list of a role.
pub const MAX_ROLES: usize = 16;

/// What a role is, as far as the cluster knows: the three lists of the user's document, and the kinds
/// of section that it publishes and consumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleSpec {
    /// The role that the node performs: `host`, `dns_processor`, … Same alphabet as a section kind.
    pub name: SectionKind,
    /// Roles that must exist in the cluster for this one to operate.
    pub requires: Vec<SectionKind>,
    /// Roles whose nodes this one is brought up from.
    pub bootstraps_from: Vec<SectionKind>,
    /// Kinds of section that it publishes.
    pub publishes: Vec<SectionKind>,
    /// Kinds of section that it consumes.
    pub consumes: Vec<SectionKind>,
}

/// A member, as its join was committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// Given at this join.
    pub node: NodeId,
    /// Unique among members. Belongs to `key`.
    pub name: NodeName,
    /// The node's lasting identity.
    pub key: PublicKey,
    /// Where it listens for peers, best first. At most [`MAX_ADDRESSES`].
    pub addresses: Vec<SocketAddr>,
    /// The version of `addresses`, raised by the member; 0 for those of its join.
    pub address_seq: u64,
    /// What it performs. At most [`MAX_ROLES`].
    pub roles: Vec<RoleSpec>,
    /// Whether it may become a voter.
    pub voter_eligible: bool,
    /// The optional features that it supports. At most [`MAX_FEATURES`](super::feature::MAX_FEATURES).
    pub features: BTreeSet<FeatureName>,
    /// The index of its join event.
    pub joined: Index,
}

impl MemberRecord {
    /// Whether one of its roles consumes a kind that `publisher` publishes.
    pub fn consumes_from(&self, publisher: &MemberRecord) -> bool {
        self.roles.iter().flat_map(|role| &role.consumes).any(|kind| publisher.publishes(kind))
    }

    /// Whether one of its roles publishes `kind`.
    pub fn publishes(&self, kind: &SectionKind) -> bool {
        self.roles.iter().any(|role| role.publishes.contains(kind))
    }

    /// Whether one of its roles publishes anything: then it has a host, named as the member.
    pub fn is_host(&self) -> bool {
        self.roles.iter().any(|role| !role.publishes.is_empty())
    }

    /// Whether one of its roles consumes anything.
    pub fn is_consumer(&self) -> bool {
        self.roles.iter().any(|role| !role.consumes.is_empty())
    }

    /// Whether it performs the role `name`.
    pub fn performs(&self, name: &str) -> bool {
        self.roles.iter().any(|role| role.name.as_str() == name)
    }
}

/// A member of another neighborhood, as members tell each other of it: a hint, which nobody signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acquaintance {
    /// Who. Whether it lives, the set of live ids says.
    pub node: NodeId,
    /// Its key. A false one finds nobody.
    pub key: PublicKey,
    /// Where it listens for peers, best first. At most [`MAX_ADDRESSES`].
    pub addresses: Vec<SocketAddr>,
    /// Where it was when it was last known. Only used to spread links over neighborhoods.
    pub neighborhood: NeighborhoodId,
}

/// What a node asks for when it wants to become a member. Signed by its key, so that the member that
/// passes it on can not change it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Random, one per wish to join: the same nonce gets the same grant.
    pub nonce: u64,
    /// The wanted name.
    pub name: NodeName,
    /// The node's key.
    pub key: PublicKey,
    /// Where it listens for peers.
    pub addresses: Vec<SocketAddr>,
    /// What it performs.
    pub roles: Vec<RoleSpec>,
    /// Whether it may become a voter.
    pub voter_eligible: bool,
    /// The optional features that it supports.
    pub features: BTreeSet<FeatureName>,
    /// The id that it had before, where it was a member.
    pub previous: Option<NodeId>,
}

/// A join request and its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedJoin {
    /// What is asked.
    pub request: JoinRequest,
    /// By `request.key`, over the encoded request.
    pub signature: Signature,
}
