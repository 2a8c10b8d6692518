//! Facts as they are sent and stored: the members once, what follows from them worked out by the reader,
//! so that no sender can make the two disagree.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Facts, Neighborhood};
use crate::ids::{ClusterId, Index, NeighborhoodId, NodeId, Position};
use crate::time::Timestamp;
use crate::wire::event::VoterPart;
use crate::wire::member::MemberRecord;
use crate::wire::persistent;

/// What [`Facts`] are made from.
#[derive(Serialize, Deserialize)]
pub(super) struct FactsRecord {
    cluster: ClusterId,
    position: Position,
    floor: Index,
    members: Vec<Arc<MemberRecord>>,
    #[serde(with = "persistent::map")]
    neighborhoods: OrdMap<NeighborhoodId, Neighborhood>,
    #[serde(with = "persistent::map")]
    voters: OrdMap<NodeId, VoterPart>,
    #[serde(with = "persistent::map")]
    restarting: OrdMap<NodeId, Timestamp>,
    #[serde(with = "persistent::map")]
    address_seqs: OrdMap<NodeId, u64>,
}

/// Why a record does not make facts. Its sender, or the disk, is at fault.
#[derive(Debug, Error)]
pub(super) enum RecordError {
    #[error("two members share an id, a name or a key")]
    Twice,
    #[error("a member without a neighborhood, a neighborhood or a part without its member")]
    Homeless,
    #[error("a position or floor that no log reaches")]
    Place,
}

/// Positions stay below this, so that what is reckoned from them does not overflow.
const MAX_INDEX: Index = Index(1 << 60);

impl From<Facts> for FactsRecord {
    fn from(facts: Facts) -> Self {
        FactsRecord {
            cluster: facts.cluster,
            position: facts.position,
            floor: facts.floor,
            members: facts.members.values().cloned().collect(),
            neighborhoods: facts.neighborhoods,
            voters: facts.voters,
            restarting: facts.restarting,
            address_seqs: facts.address_seqs,
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
        let places: usize = record.neighborhoods.values().map(|hood| hood.members.len()).sum();
        let housed: OrdSet<NodeId> = record.neighborhoods.values().flat_map(|hood| hood.members.iter().copied()).collect();
        let known = |node: &NodeId| members.contains_key(node);
        let all_known = record.neighborhoods.values().flat_map(|hood| hood.members.iter()).all(known)
            && record.voters.keys().all(known)
            && record.restarting.keys().all(known)
            && record.address_seqs.keys().all(known);
        if places != count || housed.len() != count || count == 0 || !all_known {
            return Err(RecordError::Homeless);
        }
        Ok(Facts {
            cluster: record.cluster,
            position: record.position,
            floor: record.floor,
            members,
            names,
            keys,
            neighborhoods: record.neighborhoods,
            voters: record.voters,
            restarting: record.restarting,
            address_seqs: record.address_seqs,
        })
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
