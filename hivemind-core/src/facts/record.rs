//! Facts as they are sent and stored: the members once, what follows from them worked out by the reader,
//! so that no sender can make the two disagree.

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Facts, LISTED, LISTED_KINDS, LiveSet, Neighborhood, NeighborhoodLimits, Scope, Trust};
use crate::ids::{ClusterId, Index, NeighborhoodId, NodeId, Position, SectionKind};
use crate::time::Timestamp;
use crate::wire::access::{Credential, CredentialId, MAX_CREDENTIALS};
use crate::wire::event::VoterPart;
use crate::wire::feature::{FeatureName, MAX_FEATURES};
use crate::wire::member::MemberRecord;
use crate::wire::persistent;

/// What [`Facts`] are made from.
#[derive(Serialize, Deserialize)]
pub(super) struct FactsRecord {
    cluster: ClusterId,
    limits: NeighborhoodLimits,
    scope: Scope,
    position: Position,
    floor: Index,
    live: LiveSet,
    members: Vec<Arc<MemberRecord>>,
    neighborhood_count: u32,
    #[serde(with = "persistent::map")]
    neighborhoods: OrdMap<NeighborhoodId, Neighborhood>,
    #[serde(with = "persistent::map")]
    voters: OrdMap<NodeId, VoterPart>,
    #[serde(with = "persistent::map")]
    restarting: OrdMap<NodeId, Timestamp>,
    listed: Vec<(SectionKind, Vec<NodeId>)>,
    features: BTreeSet<FeatureName>,
    trust: Trust,
    credentials: Vec<(CredentialId, Credential)>,
}

/// Why a record does not make facts. Its sender, or the disk, is at fault.
#[derive(Debug, Error)]
pub(super) enum RecordError {
    #[error("two members share an id, a name or a key")]
    Twice,
    #[error("a member without a neighborhood, a neighborhood or a part without its member")]
    Homeless,
    #[error("limits that no cluster is born with, or a list longer than any")]
    Limits,
    #[error("two credentials of one name or secret, or more than there may be")]
    Credentials,
    #[error("more features than there may be, or a member that lacks one")]
    Features,
    #[error("authorities of which one is another, or a holder of a key that is no voter")]
    Authorities,
    #[error("a position or floor that no log reaches")]
    Place,
}

/// Positions stay below this, so that what is reckoned from them does not overflow.
const MAX_INDEX: Index = Index(1 << 60);

impl From<Facts> for FactsRecord {
    fn from(facts: Facts) -> Self {
        FactsRecord {
            cluster: facts.cluster,
            limits: facts.limits,
            scope: facts.scope,
            position: facts.position,
            floor: facts.floor,
            live: facts.live,
            members: facts.members.values().cloned().collect(),
            neighborhood_count: facts.neighborhood_count,
            neighborhoods: facts.neighborhoods,
            voters: facts.voters,
            restarting: facts.restarting,
            listed: facts.listed.into_iter().map(|(kind, listed)| (kind, listed.into_iter().collect())).collect(),
            features: facts.features.into_iter().collect(),
            trust: facts.trust,
            credentials: facts.credentials.into_iter().collect(),
        }
    }
}

impl TryFrom<FactsRecord> for Facts {
    type Error = RecordError;

    fn try_from(record: FactsRecord) -> Result<Self, RecordError> {
        let (last, floor) = (record.position.index, record.floor);
        if last > MAX_INDEX || floor == Index(0) || floor > last.next() {
            return Err(RecordError::Place);
        }
        let count = record.members.len();
        let members: OrdMap<NodeId, Arc<MemberRecord>> = record.members.iter().map(|member| (member.node, Arc::clone(member))).collect();
        let names: OrdMap<_, _> = members.values().map(|member| (member.name.clone(), member.node)).collect();
        let keys: OrdMap<_, _> = members.values().map(|member| (member.key, member.node)).collect();
        if [members.len(), names.len(), keys.len()] != [count; 3] {
            return Err(RecordError::Twice);
        }
        let lists_fit = record.listed.len() <= LISTED_KINDS && record.listed.iter().all(|(_, listed)| listed.len() <= LISTED);
        if !record.limits.is_sound() || !lists_fit {
            return Err(RecordError::Limits);
        }
        let count = record.credentials.len();
        let hashes: BTreeSet<_> = record.credentials.iter().map(|(_, credential)| credential.hash).collect();
        let credentials: OrdMap<_, _> = record.credentials.into_iter().collect();
        if count > MAX_CREDENTIALS || [credentials.len(), hashes.len()] != [count; 2] {
            return Err(RecordError::Credentials);
        }
        let lacks = |member: &Arc<MemberRecord>| !record.features.is_subset(&member.features);
        if record.features.len() > MAX_FEATURES || members.values().any(lacks) {
            return Err(RecordError::Features);
        }
        if !record.trust.is_sound(&record.voters) {
            return Err(RecordError::Authorities);
        }
        let facts = Facts {
            cluster: record.cluster,
            limits: record.limits,
            scope: record.scope,
            position: record.position,
            floor: record.floor,
            live: record.live,
            members,
            names,
            keys,
            neighborhoods: record.neighborhoods,
            neighborhood_count: record.neighborhood_count,
            voters: record.voters,
            listed: record.listed.into_iter().map(|(kind, listed)| (kind, OrdSet::from_iter(listed))).collect(),
            restarting: record.restarting,
            credentials,
            features: record.features.into_iter().collect(),
            trust: record.trust,
        };
        if facts.is_whole() { Ok(facts) } else { Err(RecordError::Homeless) }
    }
}

impl Facts {
    /// Whether everybody who is spoken of is a member, has its record here, and is in one neighborhood; and nobody else has a record.
    fn is_whole(&self) -> bool {
        let housed = || self.neighborhoods.values().flat_map(|hood| hood.members.iter().copied());
        let places = housed().count();
        let all: OrdSet<NodeId> = housed().collect();
        let mut spoken_of = housed().chain(self.voters.keys().copied()).chain(self.listed.values().flatten().copied());
        let known = spoken_of.all(|node| self.members.contains_key(&node)) && self.restarting.keys().all(|&node| self.is_member(node));
        let nobody_else = self.members.keys().all(|&node| self.is_member(node) && self.is_in_scope(node));
        let complete = match self.scope {
            Scope::All => {
                let count = self.live.len();
                [places, self.members.len()] == [count; 2] && self.neighborhoods.len() == self.neighborhood_count as usize
            }
            Scope::Slice(of) => self.neighborhoods.len() == 1 && all.contains(&of) && self.neighborhood_count > 0,
        };
        places == all.len() && places > 0 && known && nobody_else && complete
    }
}

#[cfg(test)]
mod tests {
    use super::{Facts, FactsRecord};
    use crate::fixture::birth;
    use crate::ids::Index;

    #[test]
    fn facts_at_a_place_that_no_log_reaches_are_refused() {
        let at = |index: u64, floor: u64| {
            let mut record = FactsRecord::from(birth());
            record.position.index = Index(index);
            record.floor = Index(floor);
            Facts::try_from(record).is_ok()
        };
        assert!(at(0, 1) && at(7, 8));
        assert!(!at(u64::MAX, 1), "the next index would overflow");
        assert!(!at(7, 9), "a floor above all that there is");
        assert!(!at(7, 0), "indices begin with 1");
    }
}
