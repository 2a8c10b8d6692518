//! The role: from a node's view to the zone.

use std::net::IpAddr;

use hivemind_core::ids::{NodeId, SectionKind};
use hivemind_core::role::{Role, RoleSpec};
use hivemind_core::view::{Changed, View};
use hivemind_sections::{DnsSection, HostSection, Section, ServiceSection};

use crate::zone::{HostFacts, LastGood, NameServer, Zone, ZoneEdit, ZoneSettings};

/// The role's name.
pub const NAME: &str = "dns_processor";
/// The role whose sections it reads.
const HOST_ROLE: &str = "host";

/// Answers DNS from what hosts publish: this half says what the answers are.
#[derive(Clone, Debug)]
pub struct DnsProcessor {
    /// The zone before anything is known.
    first: Zone,
}

impl DnsProcessor {
    /// The role for these zones. All dns_processors of a cluster should serve the same.
    pub fn new(settings: ZoneSettings) -> Self {
        DnsProcessor { first: Zone::new(settings) }
    }

    /// The same, with what was in force of hosts when the program ended, and could not be found out any more.
    #[must_use]
    pub fn remembering(self, last_good: &[LastGood]) -> Self {
        DnsProcessor { first: self.first.remembering(last_good) }
    }

    /// The zone before anything is known: it answers SERVFAIL within the zones.
    pub fn empty_zone(&self) -> Zone {
        self.first.clone()
    }
}

impl Role for DnsProcessor {
    type Desired = Zone;

    fn spec(&self) -> RoleSpec {
        let kind = |name: &str| SectionKind::new(name).expect("the names in this crate are valid");
        RoleSpec {
            name: kind(NAME),
            requires: vec![],
            bootstraps_from: vec![kind(NAME), kind(HOST_ROLE)],
            publishes: vec![],
            consumes: consumed().to_vec(),
        }
    }

    fn desired(&self, view: &View, changed: &Changed, last: Option<&Zone>) -> Zone {
        let empty = last.is_none().then(|| self.empty_zone());
        let last = last.or(empty.as_ref()).expect("one of the two is there");
        let mut edit = last.edit();
        if changed.everything || empty.is_some() {
            // Sections that were good stay in force where the new ones are not: so the last zone is brought up
            // to date, whatever it knew, and not thrown away.
            let known: Vec<_> = last.members().filter(|node| view.facts.member(*node).is_none()).collect();
            let mut nodes: Vec<_> = view.facts.members().keys().copied().collect();
            nodes.extend(known);
            set_members(&mut edit, view, nodes.into_iter());
        } else {
            let configs = changed.configs.iter().chain(changed.reachability.iter());
            set_members(&mut edit, view, changed.members.iter().chain(configs).copied());
        }
        edit.set_index(view.facts.position().index.0);
        edit.set_complete(!view.condition.incomplete);
        edit.finish()
    }
}

fn consumed() -> [SectionKind; 3] {
    [HostSection::kind(), ServiceSection::kind(), DnsSection::kind()]
}

/// Members that are there come first: one that took over the name of another takes over its last good sections too.
fn set_members(edit: &mut ZoneEdit, view: &View, nodes: impl Iterator<Item = NodeId>) {
    let (present, gone): (Vec<_>, Vec<_>) = nodes.partition(|node| view.facts.member(*node).is_some());
    for node in present.into_iter().chain(gone) {
        edit.set_host(node, host_of(view, node));
        edit.set_server(node, server_of(view, node));
    }
}

/// What is known of a member that publishes something this role reads.
fn host_of(view: &View, node: NodeId) -> Option<HostFacts> {
    let member = view.facts.member(node)?;
    let config = &view.configs.get(&node)?.config;
    let consumed = consumed();
    let sections = config.sections.iter().filter(|section| consumed.contains(&section.kind));
    Some(HostFacts {
        name: member.name.clone(),
        joined: member.joined.0,
        seq: config.seq,
        sections: sections.map(|section| (section.kind.clone(), section.body.clone())).collect(),
        reachable: view.is_served(node),
    })
}

/// A member that performs this role: it can be asked where it listens for peers.
fn server_of(view: &View, node: NodeId) -> Option<NameServer> {
    let member = view.facts.member(node).filter(|member| member.performs(NAME))?;
    let mut addresses: Vec<IpAddr> = member.addresses.iter().map(|address| address.ip()).filter(|ip| !ip.is_unspecified()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    Some(NameServer { name: member.name.clone(), joined: member.joined.0, addresses })
}
