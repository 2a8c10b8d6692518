//! The pure roles of simulated nodes: hosts that publish; consumers that answer DNS, with the product's own role
//! for that, and beside it keep a directory of what is in force, to compare.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use hivemind_core::ids::{Digest256, NodeId, NodeName, SectionKind, Seq};
use hivemind_core::role::{AnyDesired, InstalledRole, Requests, Role, RoleEvent, RoleSpec};
use hivemind_core::view::{Changed, View};
use hivemind_core::wire::config::Section;
use hivemind_dns_processor::answer::{self, Code, Outcome, Transport};
use hivemind_dns_processor::role::DnsProcessor;
use hivemind_dns_processor::zone::{Zone, ZoneSettings};
use hivemind_sections::{DnsRecord, DnsSection, HostSection, RecordData, Section as Content, Service, ServiceSection};
use imbl::OrdMap;

/// The kinds of section that a simulated host may publish and a simulated consumer reads.
pub const KINDS: [&str; 3] = ["host", "service", "dns"];

/// What is in force for one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The membership that owns the name.
    pub node: NodeId,
    /// The version in force.
    pub seq: Seq,
    /// Of its content.
    pub hash: Digest256,
}

/// What is in force on a consumer: which version of which host. Clones share structure.
pub type Names = OrdMap<NodeName, Answer>;

/// A kind of section by its name.
pub fn kind(name: &str) -> SectionKind {
    SectionKind::new(name).expect("the kinds named in this program are valid")
}

fn kinds() -> Vec<SectionKind> {
    KINDS.iter().map(|name| kind(name)).collect()
}

/// The first role of a consumer: the directory of the hosts with a config in force, kept incrementally.
#[derive(Debug)]
pub struct Directory;

impl Role for Directory {
    type Desired = Names;

    fn spec(&self) -> RoleSpec {
        RoleSpec {
            name: kind("directory"),
            requires: vec![kind("host")],
            bootstraps_from: vec![kind("directory")],
            publishes: Vec::new(),
            consumes: kinds(),
        }
    }

    fn desired(&self, view: &View, changed: &Changed, last: Option<&Names>) -> Names {
        let entry = |member: &NodeName, node: NodeId| {
            let config = view.configs.get(&node)?;
            Some((member.clone(), Answer { node, seq: config.config.seq, hash: config.config.content_hash() }))
        };
        let Some(last) = last.filter(|_| !changed.everything) else {
            return view.facts.members().iter().filter_map(|(&node, member)| entry(&member.name, node)).collect();
        };
        let mut names = last.clone();
        // A membership that ended takes its name along, unless another one owns it now.
        if changed.members.iter().any(|node| view.facts.member(*node).is_none()) {
            let gone: Vec<NodeName> = names.keys().filter(|name| view.facts.named(name).is_none()).cloned().collect();
            for name in &gone {
                names.remove(name);
            }
        }
        for &node in changed.members.iter().chain(&changed.configs) {
            let Some(member) = view.facts.member(node) else { continue };
            match entry(&member.name, node) {
                Some((name, answer)) => names.insert(name, answer),
                None => names.remove(&member.name),
            };
        }
        names
    }
}

/// The role of a host: publishes what it was made with, whenever the node becomes a member.
#[derive(Debug)]
pub struct Publisher {
    sections: Arc<Vec<Section>>,
}

impl Publisher {
    /// A host that has this to say.
    pub fn new(sections: Arc<Vec<Section>>) -> Self {
        Publisher { sections }
    }
}

impl Role for Publisher {
    type Desired = ();

    fn spec(&self) -> RoleSpec {
        RoleSpec { name: kind("host"), requires: Vec::new(), bootstraps_from: Vec::new(), publishes: kinds(), consumes: Vec::new() }
    }

    fn desired(&self, _view: &View, _changed: &Changed, _last: Option<&()>) {}

    fn on_event(&mut self, event: RoleEvent<'_>, _view: &View, requests: &mut Requests) {
        match event {
            RoleEvent::Member => requests.publish(self.sections.iter().cloned()),
            RoleEvent::Event(_) | RoleEvent::Outcome { .. } => {}
        }
    }
}

/// What the simulated host number `number` publishes in its version `version`: an address, a service, a record.
pub fn sections(number: u32, version: u32) -> Vec<Section> {
    let [_, high, mid, low] = number.to_be_bytes();
    let address = HostSection { addresses: vec![IpAddr::V4(Ipv4Addr::new(10, high, mid, low))] };
    let port = 1024 + (version % 60_000) as u16;
    let service = Service { name: format!("service{}", number % 8), port, tags: vec![format!("v{version}")] };
    let text = RecordData::Txt(vec![format!("version {version}").into_bytes()]);
    let record = DnsRecord { name: format!("host{number}.txt.hive."), ttl: 60, data: text };
    vec![encoded(&DnsSection { records: vec![record] }), encoded(&address), encoded(&ServiceSection { services: vec![service] })]
}

fn encoded<S: Content>(content: &S) -> Section {
    Section { kind: S::kind(), body: content.encode().into() }
}

/// The roles of a consumer, in the order of [`Wish`].
pub fn consumer() -> Vec<InstalledRole> {
    let settings = ZoneSettings::new(&["hive."]).expect("the cluster's zone of this program is valid");
    vec![InstalledRole::new(Directory), InstalledRole::new(DnsProcessor::new(settings))]
}

/// What one of a consumer's roles wants.
#[derive(Clone, Copy, Debug)]
pub enum Wish<'a> {
    /// The directory.
    Names(&'a Names),
    /// What DNS answers.
    Zone(&'a Zone),
}

impl<'a> Wish<'a> {
    /// Of an effect of a consumer.
    pub fn read(desired: &'a AnyDesired) -> Option<Self> {
        desired.downcast_ref().map(Wish::Names).or_else(|| desired.downcast_ref().map(Wish::Zone))
    }
}

/// Whether DNS answers with an address for a host: the bytes of a query go in, as they would from a resolver.
pub fn is_answered(zone: &Zone, host: &NodeName) -> bool {
    // RFC 1035 section 4.1: a header with one question; the question; type A, class IN.
    let mut query = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in [host.as_str(), "node", "hive"] {
        query.push(u8::try_from(label.len()).expect("a label has at most 63 octets"));
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    let outcome = answer::answer(zone, &query, Transport::Udp, &mut Vec::new());
    matches!(outcome, Outcome::Responded { code: Code::Answer, .. })
}

/// The roles of a host.
pub fn host(sections: Arc<Vec<Section>>) -> Vec<InstalledRole> {
    vec![InstalledRole::new(Publisher::new(sections))]
}
