//! One name: who claims it, and the record sets that follow from the claims.

use std::sync::Arc;

use domain::base::iana::Rtype;
use hivemind_core::ids::NodeId;

use super::holders::{Claimant, Held, Holders, Types};
use super::rrset::{Gathered, Record, RrSet};

/// A name's claims, in order, and what is answered for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NameEntry {
    claims: Holders,
    /// By type.
    sets: Box<[RrSet]>,
    /// Members whose claim contradicts an earlier one, each with the member that it contradicts.
    losers: Box<[(NodeId, NodeId)]>,
    overfull: bool,
}

impl NameEntry {
    /// Adds or replaces a claim. [`settle`](Self::settle) makes it count.
    pub(crate) fn put(&mut self, by: Claimant, reachable: bool, records: Arc<[Record]>) {
        self.claims.put(Held::new(by, reachable, records));
    }

    /// Takes a claim away. [`settle`](Self::settle) makes it count.
    pub(crate) fn remove(&mut self, by: Claimant) {
        self.claims.remove(by);
    }

    /// Whether nobody claims the name any more.
    pub(crate) fn is_free(&self) -> bool {
        self.claims.first().is_none()
    }

    /// Works out the record sets from the claims.
    pub(crate) fn settle(&mut self) {
        let Some(first) = self.claims.first() else {
            *self = NameEntry::default();
            return;
        };
        let (alias, winner) = (first.alias(), first.by.node);
        let losers = match self.claims.has_alias() {
            true => self.claims.iter().filter(|held| held.alias() != alias).map(|held| (held.by.node, winner)).collect(),
            false => Box::default(),
        };
        // An unreachable instance is left out while a reachable one stands under the name, never the last.
        let choosy = self.claims.has_reachable_instance();
        let is_served = |held: &&Held| held.alias() == alias && (held.reachable || !choosy || !held.is_instance());
        let gathered = gather(self.claims.iter().filter(is_served), self.claims.types());
        self.overfull = gathered.iter().any(Gathered::is_full);
        self.sets = gathered.into_iter().map(Gathered::finish).collect();
        self.losers = losers;
    }

    /// The set of one type.
    pub(crate) fn set(&self, rtype: Rtype) -> Option<&RrSet> {
        self.sets.iter().find(|set| set.rtype() == rtype)
    }

    /// All sets, by type.
    pub(crate) fn sets(&self) -> &[RrSet] {
        &self.sets
    }

    /// Members whose claim is not in force, each with the member that stands in its way.
    pub(crate) fn losers(&self) -> &[(NodeId, NodeId)] {
        &self.losers
    }

    /// Whether records were left out because their set would not fit into a message.
    pub(crate) fn is_overfull(&self) -> bool {
        self.overfull
    }
}

/// Sorts the records of the claims by type. `types` are all that there are: when each of them is full, the rest need not be seen.
fn gather<'c>(claims: impl Iterator<Item = &'c Held>, types: Types) -> Vec<Gathered<'c>> {
    let mut sets: Vec<Gathered<'c>> = Vec::new();
    let mut full = Types::default();
    for held in claims {
        if types.within(full) {
            break;
        }
        if held.types.within(full) {
            continue;
        }
        for record in held.records.iter() {
            let at = sets.iter().position(|set| set.rtype() == record.rtype).unwrap_or_else(|| {
                sets.push(Gathered::new(record.rtype));
                sets.len() - 1
            });
            sets[at].add(record);
            let bit = Types::of(record.rtype);
            if sets[at].is_full() && bit.is_exact() {
                full = full.with(bit);
            }
        }
    }
    sets.sort_unstable_by_key(|set| set.rtype().to_int());
    sets
}
