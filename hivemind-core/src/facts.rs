//! Facts: the fold of the event log. The control plane's applied state and every node's view are this
//! one fold, so that they can not disagree about what an event means.
//!
//! Voters and consumers hold everything ([`Scope::All`]). Every other node holds a [slice](Scope::Slice): its own
//! neighborhood, the voters, the listed consumers, and of everybody else nothing but that it lives. A slice depends on the position
//! and the neighborhood alone, so that any neighbor has exactly what a joiner needs.

mod encode;
mod fold;
mod live;
#[cfg(feature = "planted")]
mod planted;
mod record;
mod slice;
#[cfg(test)]
mod tests;
mod trust;

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

pub(crate) use self::encode::{FactsCursor, put_entries};
pub use self::fold::FoldError;
pub use self::live::LiveSet;
pub use self::trust::Trust;
use crate::ids::{ClusterId, Digest256, Epoch, Index, NeighborhoodId, NodeId, NodeName, Position, PublicKey, SectionKind};
use crate::time::Timestamp;
use crate::wire::access::{Credential, CredentialId};
use crate::wire::event::{VoterPart, chain_genesis};
use crate::wire::feature::FeatureName;
use crate::wire::member::MemberRecord;
use crate::wire::persistent;

/// So many consumers of each kind are listed: known to every node, whatever its slice.
pub const LISTED: usize = 8;
/// The most kinds that have a list.
pub const LISTED_KINDS: usize = 64;

/// A neighborhood: who probes each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighborhood {
    /// The event that made it (index 0: at birth).
    pub created: Index,
    /// Its members.
    #[serde(with = "persistent::set")]
    pub members: OrdSet<NodeId>,
}

/// How large neighborhoods get. Fixed at the birth of a cluster, since every voter must split alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighborhoodLimits {
    /// No neighborhood has more members. At most [`NeighborhoodLimits::MOST`].
    pub most: u16,
    /// One that has fewer is merged with another, where both together stay well below `most`.
    pub least: u16,
}

impl NeighborhoodLimits {
    /// The most that `most` may be: what a SWIM list was made and measured for.
    pub const MOST: u16 = 48;

    /// Two neighborhoods may become one of at most so many members: a few joins later it must not split again.
    pub fn merged(self) -> usize {
        usize::from(self.most) * 5 / 6
    }

    fn is_sound(self) -> bool {
        (4..=Self::MOST).contains(&self.most) && self.least >= 1 && self.least <= self.most / 4
    }
}

impl Default for NeighborhoodLimits {
    fn default() -> Self {
        NeighborhoodLimits { most: Self::MOST, least: 12 }
    }
}

/// Whose records facts hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// Everybody's.
    All,
    /// Those of the neighborhood that this member is in, of the voters, and of the listed consumers.
    Slice(NodeId),
}

impl Scope {
    /// Whether `node` can hold facts of this scope: all, or its own slice.
    pub fn is_of(self, node: NodeId) -> bool {
        match self {
            Scope::All => true,
            Scope::Slice(of) => of == node,
        }
    }
}

/// What the event log says, up to a position. Clones share structure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "record::FactsRecord", into = "record::FactsRecord")]
pub struct Facts {
    cluster: ClusterId,
    limits: NeighborhoodLimits,
    scope: Scope,
    position: Position,
    floor: Index,
    live: LiveSet,
    /// Of those in scope.
    members: OrdMap<NodeId, Arc<MemberRecord>>,
    names: OrdMap<NodeName, NodeId>,
    keys: OrdMap<PublicKey, NodeId>,
    /// All, or only the own one.
    neighborhoods: OrdMap<NeighborhoodId, Neighborhood>,
    neighborhood_count: u32,
    voters: OrdMap<NodeId, VoterPart>,
    listed: OrdMap<SectionKind, OrdSet<NodeId>>,
    restarting: OrdMap<NodeId, Timestamp>,
    /// In every scope: each node checks those that ask it.
    credentials: OrdMap<CredentialId, Credential>,
    /// Those that are switched on, in every scope.
    features: OrdSet<FeatureName>,
    trust: Trust,
}

impl Facts {
    /// The facts at birth: one member, which votes.
    pub fn birth(cluster: ClusterId, epoch: Epoch, limits: NeighborhoodLimits, first: MemberRecord) -> Self {
        let node = first.node;
        let limits = if limits.is_sound() { limits } else { NeighborhoodLimits::default() };
        let mut facts = Facts {
            cluster,
            limits,
            scope: Scope::All,
            position: Position { epoch, index: Index(0), chain: chain_genesis(cluster, epoch.generation, epoch.tag) },
            floor: Index(1),
            live: [node].into_iter().collect(),
            names: OrdMap::new(),
            keys: OrdMap::new(),
            members: OrdMap::new(),
            neighborhoods: OrdMap::unit(NeighborhoodId(0), Neighborhood { created: Index(0), members: OrdSet::unit(node) }),
            neighborhood_count: 1,
            voters: OrdMap::unit(node, VoterPart::Voter),
            listed: OrdMap::new(),
            restarting: OrdMap::new(),
            credentials: OrdMap::new(),
            features: OrdSet::new(),
            trust: Trust::default(),
        };
        facts.list(&first);
        facts.record(first).expect("nobody else has a name or key yet");
        facts
    }

    /// The cluster.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// How large neighborhoods get.
    pub fn limits(&self) -> NeighborhoodLimits {
        self.limits
    }

    /// Whose records are here.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Whether every member's record is here.
    pub fn is_full(&self) -> bool {
        self.scope == Scope::All
    }

    /// Up to where.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The epoch at that position.
    pub fn epoch(&self) -> Epoch {
        self.position.epoch
    }

    /// The first index that has not been collected.
    pub fn floor(&self) -> Index {
        self.floor
    }

    /// The ids of all members, in scope or not.
    pub fn live(&self) -> &LiveSet {
        &self.live
    }

    /// Whether `node` is a member, in scope or not.
    pub fn is_member(&self, node: NodeId) -> bool {
        self.live.contains(node)
    }

    /// The members in scope, by id.
    pub fn members(&self) -> &OrdMap<NodeId, Arc<MemberRecord>> {
        &self.members
    }

    /// One member, if it is in scope.
    pub fn member(&self, node: NodeId) -> Option<&Arc<MemberRecord>> {
        self.members.get(&node)
    }

    /// Who owns a name, if it is in scope.
    pub fn named(&self, name: &NodeName) -> Option<&Arc<MemberRecord>> {
        self.names.get(name).and_then(|node| self.members.get(node))
    }

    /// Who has a key, if it is in scope.
    pub fn with_key(&self, key: &PublicKey) -> Option<&Arc<MemberRecord>> {
        self.keys.get(key).and_then(|node| self.members.get(node))
    }

    /// The neighborhoods, by number: all, or in a slice only the own one.
    pub fn neighborhoods(&self) -> &OrdMap<NeighborhoodId, Neighborhood> {
        &self.neighborhoods
    }

    /// How many neighborhoods there are, in scope or not.
    pub fn neighborhood_count(&self) -> u32 {
        self.neighborhood_count
    }

    /// Where a member is. In a slice, known of the neighbors alone.
    pub fn neighborhood_of(&self, node: NodeId) -> Option<(NeighborhoodId, &Neighborhood)> {
        self.neighborhoods.iter().find(|(_, hood)| hood.members.contains(&node)).map(|(&id, hood)| (id, hood))
    }

    /// The neighborhood that the next member is put into: the least full, the lowest number of these.
    pub fn assignment(&self) -> NeighborhoodId {
        let least = self.neighborhoods.iter().min_by_key(|(id, hood)| (hood.members.len(), **id));
        *least.expect("there is always a neighborhood: birth makes one, and a merge leaves one of two").0
    }

    /// Who has a part in the Raft group. Their records are in every scope.
    pub fn voters(&self) -> &OrdMap<NodeId, VoterPart> {
        &self.voters
    }

    /// Whether `node` votes.
    pub fn is_voter(&self, node: NodeId) -> bool {
        self.voters.get(&node) == Some(&VoterPart::Voter)
    }

    /// Up to [`LISTED`] consumers of a kind. Their records are in every scope.
    pub fn listed(&self, kind: &SectionKind) -> impl Iterator<Item = NodeId> + '_ {
        self.listed.get(kind).into_iter().flatten().copied()
    }

    /// The listed consumers of every kind.
    pub fn lists(&self) -> &OrdMap<SectionKind, OrdSet<NodeId>> {
        &self.listed
    }

    /// The members that said that they restart, in scope or not, and until when they are not missed.
    pub fn restarting(&self) -> &OrdMap<NodeId, Timestamp> {
        &self.restarting
    }

    /// The credentials of the API, by name. At most [`crate::wire::access::MAX_CREDENTIALS`], in every scope.
    pub fn credentials(&self) -> &OrdMap<CredentialId, Credential> {
        &self.credentials
    }

    /// The credential whose secret has this SHA-256.
    pub fn credential_of(&self, hash: &Digest256) -> Option<(CredentialId, &Credential)> {
        self.credentials.iter().find(|(_, credential)| credential.hash == *hash).map(|(&id, credential)| (id, credential))
    }

    /// The optional features that are switched on. At most [`MAX_FEATURES`](crate::wire::feature::MAX_FEATURES), in every scope.
    pub fn features(&self) -> &OrdSet<FeatureName> {
        &self.features
    }

    /// What is switched on and not among `supported`.
    pub fn lacking<'a>(&'a self, supported: &'a BTreeSet<FeatureName>) -> impl Iterator<Item = FeatureName> + 'a {
        self.features.iter().filter(|feature| !supported.contains(*feature)).cloned()
    }

    /// Until when a member said that it restarts, in scope or not.
    pub fn restarting_until(&self, node: NodeId) -> Option<Timestamp> {
        self.restarting.get(&node).copied()
    }
}
