//! The zone: every name that is answered, as a pure function of what the members are and publish.
//!
//! A [`Zone`] is a value. An [edit](Zone::edit) makes the next one and shares with it what did not change, so that its
//! cost follows the change and not the size. In which order changes arrive leaves no trace: among claims that
//! contradict each other, [`entry`] decides by who claims, never by who came first.

mod claims;
mod entry;
mod facts;
mod holders;
mod host;
mod last_good;
mod reverse;
mod rrset;
mod settings;

use std::collections::BTreeSet;
use std::sync::Arc;

use hivemind_core::ids::{NodeId, NodeName, SectionKind};
use hivemind_sections::{DnsSection, HostSection, Section, ServiceSection};
use imbl::OrdMap;

use claims::{Claim, Source};
use holders::Claimant;
use host::Host;

use crate::name::{DnsName, NameKey};

pub(crate) use entry::NameEntry;
pub use facts::{HostFacts, NameServer, Reason, Rejected};
pub use last_good::LastGood;
pub(crate) use rrset::{FIXED, RrSet};
pub use settings::{DEFAULT_ZONE, SettingsError, ZoneSettings};

/// All that is answered, at one moment. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    settings: Arc<ZoneSettings>,
    complete: bool,
    index: u64,
    /// The sum of the hosts' seqs.
    seqs: u64,
    /// The first name server: the primary of the SOA records.
    primary: DnsName,
    hosts: OrdMap<NodeId, Arc<Host>>,
    /// Which host has a name: one that re-joins under a new id takes over its last good sections.
    owners: OrdMap<NodeName, NodeId>,
    /// What was in force before the program was started, of hosts that it has not heard of since.
    remembered: OrdMap<NodeName, Arc<Host>>,
    servers: OrdMap<NodeId, Arc<NameServer>>,
    names: OrdMap<NameKey, Arc<NameEntry>>,
    /// Sections that are wrong by themselves.
    faults: OrdMap<(NodeId, SectionKind), Rejected>,
    /// Per loser and name, the member that stands in its way.
    conflicts: OrdMap<(NodeId, NameKey), NodeId>,
    overfull: OrdMap<NameKey, ()>,
}

impl Zone {
    /// The zone of a cluster without members. It is not [complete](Self::is_complete).
    pub fn new(settings: ZoneSettings) -> Self {
        let primary = primary_of(&settings, &OrdMap::new());
        Zone {
            settings: Arc::new(settings),
            complete: false,
            index: 0,
            seqs: 0,
            primary,
            hosts: OrdMap::new(),
            owners: OrdMap::new(),
            remembered: OrdMap::new(),
            servers: OrdMap::new(),
            names: OrdMap::new(),
            faults: OrdMap::new(),
            conflicts: OrdMap::new(),
            overfull: OrdMap::new(),
        }
    }

    /// The same, with what was in force of hosts when the program ended: it is in force again for a host whose sections are found wrong.
    #[must_use]
    pub fn remembering(mut self, last_good: &[LastGood]) -> Self {
        for host in last_good {
            self.remembered.insert(host.name.clone(), Arc::new(host.to_host(&self.settings)));
        }
        self
    }

    /// What is in force of hosts that have published something else since: what an other program could not find out any more. Few, or none.
    pub fn last_good(&self) -> Vec<LastGood> {
        let wrong: BTreeSet<NodeId> = self.faults.keys().map(|(node, _)| *node).collect();
        let hosts = wrong.into_iter().filter_map(|node| {
            let kinds = self.faults_of(node).map(|(_, kind)| kind);
            self.hosts.get(&node)?.last_good(kinds)
        });
        // A host whose config is not here yet may still need it.
        let awaited = self.remembered.values().filter(|_| !self.complete);
        let kinds = [HostSection::kind(), ServiceSection::kind(), DnsSection::kind()];
        hosts.chain(awaited.filter_map(|host| host.last_good(kinds.iter()))).collect()
    }

    fn faults_of(&self, node: NodeId) -> impl Iterator<Item = &(NodeId, SectionKind)> {
        self.faults.range((node, first_kind())..).map(|(key, _)| key).take_while(move |key| key.0 == node)
    }

    /// Starts a change; [`ZoneEdit::finish`] gives the next zone, this one stays as it is.
    pub fn edit(&self) -> ZoneEdit {
        ZoneEdit { zone: self.clone(), touched: BTreeSet::new() }
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &ZoneSettings {
        &self.settings
    }

    /// Whether every host is known. Until then a name that is not found may yet come: it is answered with SERVFAIL.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The number of hosts.
    pub fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// The number of names with records.
    pub fn names(&self) -> usize {
        self.names.len()
    }

    /// The serial of the SOA records: a function of the last event and of the seqs in force, so that two servers with
    /// the same knowledge agree. It grows with each event and, between events, with each config (20 bits are
    /// counted for these; serials wrap as RFC 1982 says). What SWIM calls reachable does not move it.
    pub fn serial(&self) -> u32 {
        const SEQ_BITS: u32 = 20;
        ((self.index << SEQ_BITS) | (self.seqs & ((1 << SEQ_BITS) - 1))) as u32
    }

    /// What hosts published and what is not in force, by host.
    pub fn rejected(&self) -> Vec<Rejected> {
        let conflicts = self.conflicts.iter().filter_map(|((loser, key), winner)| {
            let host = self.hosts.get(loser)?;
            let reason = Reason::Conflict { name: key.name(), winner: *winner };
            Some(Rejected { host: *loser, name: host.name.clone(), seq: host.seq, kind: DnsSection::kind(), reason })
        });
        let mut all: Vec<_> = self.faults.values().cloned().chain(conflicts).collect();
        all.sort_by_key(|rejected| rejected.host);
        all
    }

    /// Names with more records of a type than a DNS message can hold; the records of the earliest joined members are answered.
    pub fn overfull(&self) -> impl Iterator<Item = DnsName> {
        self.overfull.keys().map(NameKey::name)
    }

    /// The hosts and name servers that the zone knows.
    pub(crate) fn members(&self) -> impl Iterator<Item = NodeId> {
        self.hosts.keys().chain(self.servers.keys()).copied()
    }

    fn host_named(&self, name: &NodeName) -> Option<&Host> {
        self.owners.get(name).and_then(|node| self.hosts.get(node)).map(|host| &**host)
    }

    pub(crate) fn primary(&self) -> &DnsName {
        &self.primary
    }

    pub(crate) fn lookup(&self, key: &[u8]) -> Option<&NameEntry> {
        self.names.get(key).map(|entry| &**entry)
    }

    /// Whether a name without records of its own has names below it: such a name exists (RFC 8020).
    pub(crate) fn has_below(&self, key: &[u8]) -> bool {
        self.names.get_next(key).is_some_and(|(next, _)| next.as_slice().starts_with(key))
    }
}

fn primary_of(settings: &ZoneSettings, servers: &OrdMap<NodeId, Arc<NameServer>>) -> DnsName {
    match servers.iter().min_by_key(|(node, server)| (server.joined, **node)) {
        Some((_, server)) => claims::server_name(settings, &server.name),
        None => settings.cluster().child("ns").expect("the cluster's zone leaves room for a short label"),
    }
}

/// A change of a [`Zone`], of any number of members at once: each name that is touched is worked out once, at the end.
pub struct ZoneEdit {
    zone: Zone,
    touched: BTreeSet<NameKey>,
}

impl ZoneEdit {
    /// What a host is and publishes now; `None` where it is no member any more, or publishes nothing.
    pub fn set_host(&mut self, node: NodeId, facts: Option<HostFacts>) {
        let old = self.zone.hosts.get(&node).cloned();
        let (new, rejected) = match facts {
            Some(facts) => {
                let remembered = self.zone.remembered.remove(&facts.name);
                let last = old.as_deref().or_else(|| self.zone.host_named(&facts.name)).or(remembered.as_deref());
                let (host, rejected) = Host::new(&self.zone.settings, node, facts, last);
                (Some(Arc::new(host)), rejected)
            }
            None => (None, Vec::new()),
        };
        let stale: Vec<_> = self.zone.faults_of(node).cloned().collect();
        for key in stale {
            self.zone.faults.remove(&key);
        }
        for rejected in rejected {
            self.zone.faults.insert((node, rejected.kind.clone()), rejected);
        }
        self.zone.seqs = self.zone.seqs.wrapping_sub(old.as_ref().map_or(0, |host| host.seq.0));
        self.zone.seqs = self.zone.seqs.wrapping_add(new.as_ref().map_or(0, |host| host.seq.0));
        let before = old.as_ref().map(|host| Side { joined: host.joined, reachable: host.reachable, claims: &host.claims });
        let after = new.as_ref().map(|host| Side { joined: host.joined, reachable: host.reachable, claims: &host.claims });
        self.replace(node, before, after);
        if let Some(old) = old.filter(|old| self.zone.owners.get(&old.name) == Some(&node)) {
            self.zone.owners.remove(&old.name);
        }
        match new {
            Some(host) => {
                self.zone.owners.insert(host.name.clone(), node);
                self.zone.hosts.insert(node, host)
            }
            None => self.zone.hosts.remove(&node),
        };
    }

    /// What a member that answers DNS is now; `None` where it does not any more.
    pub fn set_server(&mut self, node: NodeId, server: Option<NameServer>) {
        let old = self.zone.servers.get(&node).cloned();
        if old.as_deref() == server.as_ref() {
            return;
        }
        let before = old.as_ref().map(|old| (old.joined, claims::of_server(&self.zone.settings, old)));
        let after = server.as_ref().map(|new| (new.joined, claims::of_server(&self.zone.settings, new)));
        self.replace(
            node,
            before.as_ref().map(|(joined, claims)| Side { joined: *joined, reachable: true, claims }),
            after.as_ref().map(|(joined, claims)| Side { joined: *joined, reachable: true, claims }),
        );
        match server {
            Some(server) => self.zone.servers.insert(node, Arc::new(server)),
            None => self.zone.servers.remove(&node),
        };
        self.zone.primary = primary_of(&self.zone.settings, &self.zone.servers);
    }

    /// The index of the last event in the view.
    pub fn set_index(&mut self, index: u64) {
        self.zone.index = index;
    }

    /// Whether every host is known now.
    pub fn set_complete(&mut self, complete: bool) {
        self.zone.complete = complete;
    }

    /// The zone after the change.
    pub fn finish(self) -> Zone {
        let ZoneEdit { mut zone, touched } = self;
        for key in touched {
            let Some(entry) = zone.names.get_mut(&key) else { continue };
            let entry = Arc::make_mut(entry);
            for (loser, _) in entry.losers() {
                zone.conflicts.remove(&(*loser, key.clone()));
            }
            entry.settle();
            for (loser, winner) in entry.losers() {
                zone.conflicts.insert((*loser, key.clone()), *winner);
            }
            match entry.is_overfull() {
                true => zone.overfull.insert(key.clone(), ()),
                false => zone.overfull.remove(&key),
            };
            if entry.is_free() {
                zone.names.remove(&key);
            }
        }
        zone
    }

    /// Replaces a member's claims, and touches the names where that makes a difference.
    fn replace(&mut self, node: NodeId, before: Option<Side<'_>>, after: Option<Side<'_>>) {
        for claim in before.iter().flat_map(|side| side.claims) {
            let side = before.as_ref().expect("its claims are iterated");
            if after.as_ref().is_some_and(|after| after.holds(side, claim)) {
                continue;
            }
            if let Some(entry) = self.zone.names.get_mut(&claim.key) {
                Arc::make_mut(entry).remove(side.claimant(node, claim.source));
            }
            self.touched.insert(claim.key.clone());
        }
        for claim in after.iter().flat_map(|side| side.claims) {
            let side = after.as_ref().expect("its claims are iterated");
            if before.as_ref().is_some_and(|before| before.holds(side, claim)) {
                continue;
            }
            let entry = self.zone.names.entry(claim.key.clone()).or_default();
            Arc::make_mut(entry).put(side.claimant(node, claim.source), side.reachable(claim.source), claim.records.clone());
            self.touched.insert(claim.key.clone());
        }
    }
}

/// The least section kind: where the faults of a host begin.
fn first_kind() -> SectionKind {
    SectionKind::new("-").expect("'-' is the least character of a kind")
}

/// What a member claims, before or after a change.
#[derive(Clone, Copy)]
struct Side<'a> {
    joined: u64,
    reachable: bool,
    claims: &'a [Claim],
}

impl Side<'_> {
    fn claimant(&self, node: NodeId, source: Source) -> Claimant {
        Claimant { source, joined: self.joined, node }
    }

    /// Only instances of services are left out when they are unreachable.
    fn reachable(&self, source: Source) -> bool {
        self.reachable || source != Source::Service
    }

    /// Whether this side makes `claim` of the other side in just the same way.
    fn holds(&self, other: &Side<'_>, claim: &Claim) -> bool {
        let same_standing = self.joined == other.joined && self.reachable(claim.source) == other.reachable(claim.source);
        let at = self.claims.binary_search_by(|mine| (&mine.key, mine.source).cmp(&(&claim.key, claim.source)));
        same_standing && at.is_ok_and(|at| self.claims[at].records == claim.records)
    }
}
