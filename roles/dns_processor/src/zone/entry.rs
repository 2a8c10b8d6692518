//! One name: who claims it, and the record sets that follow from the claims.

use std::sync::Arc;

use domain::base::iana::Rtype;
use hivemind_core::ids::NodeId;

use super::claims::Source;
use super::rrset::{Record, RrSet};

/// Who claims, in the order that decides: what the cluster says before what a host wrote, then the earlier
/// joined, then the smaller id. It says nothing of when a claim arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claimant {
    pub(crate) source: Source,
    pub(crate) joined: u64,
    pub(crate) node: NodeId,
}

/// A claim on a name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    by: Claimant,
    reachable: bool,
    records: Arc<[Record]>,
}

/// A name's claims, in order, and what is answered for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NameEntry {
    claims: Vec<Held>,
    /// By type.
    sets: Box<[RrSet]>,
    /// Members whose claim contradicts an earlier one, each with the member that it contradicts.
    losers: Box<[(NodeId, NodeId)]>,
    overfull: bool,
}

impl NameEntry {
    /// Adds or replaces a claim. [`settle`](Self::settle) makes it count.
    pub(crate) fn put(&mut self, by: Claimant, reachable: bool, records: Arc<[Record]>) {
        let held = Held { by, reachable, records };
        match self.claims.binary_search_by(|other| other.by.cmp(&by)) {
            Ok(at) => self.claims[at] = held,
            Err(at) => self.claims.insert(at, held),
        }
    }

    /// Takes a claim away. [`settle`](Self::settle) makes it count.
    pub(crate) fn remove(&mut self, by: Claimant) {
        if let Ok(at) = self.claims.binary_search_by(|other| other.by.cmp(&by)) {
            self.claims.remove(at);
        }
    }

    /// Whether nobody claims the name any more.
    pub(crate) fn is_free(&self) -> bool {
        self.claims.is_empty()
    }

    /// Works out the record sets from the claims.
    pub(crate) fn settle(&mut self) {
        let alias = self.claims.first().and_then(|first| alias_of(&first.records));
        let fits = |held: &Held| alias_of(&held.records).map(|record| &record.data) == alias.map(|record| &record.data);
        let winner = self.claims.first().map(|first| first.by.node);
        let losers: Vec<_> = self.claims.iter().filter(|held| !fits(held)).filter_map(|held| Some((held.by.node, winner?))).collect();
        // An unreachable instance is left out while a reachable one stands under the name, never the last.
        let instance = |held: &&Held| held.by.source == Source::Service;
        let reachable = self.claims.iter().filter(instance).any(|held| held.reachable);
        let served = |held: &&Held| fits(held) && (held.reachable || !reachable || held.by.source != Source::Service);
        let (sets, overfull) = sets_of(self.claims.iter().filter(served).flat_map(|held| held.records.iter()));
        self.sets = sets;
        self.overfull = overfull;
        self.losers = losers.into();
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

fn alias_of(records: &[Record]) -> Option<&Record> {
    records.iter().find(|record| record.rtype == Rtype::CNAME)
}

fn sets_of<'r>(records: impl Iterator<Item = &'r Record> + Clone) -> (Box<[RrSet]>, bool) {
    let mut types: Vec<(Rtype, u32)> = Vec::new();
    for record in records.clone() {
        // Records of one set have one TTL (RFC 2181 section 5.2): the least that anybody wants.
        match types.iter_mut().find(|(rtype, _)| *rtype == record.rtype) {
            Some((_, ttl)) => *ttl = record.ttl.min(*ttl),
            None => types.push((record.rtype, record.ttl)),
        }
    }
    types.sort_unstable_by_key(|(rtype, _)| rtype.to_int());
    let mut overfull = false;
    let sets = types.into_iter().map(|(rtype, ttl)| {
        let data = records.clone().filter(|record| record.rtype == rtype).map(|record| &record.data);
        let (set, cut) = RrSet::new(rtype, ttl, data);
        overfull |= cut;
        set
    });
    (sets.collect(), overfull)
}
