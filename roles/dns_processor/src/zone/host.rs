//! One host as the zone keeps it: which of its sections are in force, and what they claim.

use std::sync::Arc;

use hivemind_core::ids::{NodeId, NodeName, SectionKind, Seq};
use hivemind_sections::{DnsSection, HostSection, Section, ServiceSection};

use super::claims::{self, Claim, Claims};
use super::facts::{HostFacts, Reason, Rejected};
use super::settings::ZoneSettings;

/// A host: its last good sections and the claims made of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: NodeName,
    pub(crate) joined: u64,
    pub(crate) seq: Seq,
    pub(crate) reachable: bool,
    pub(super) host: Option<Arc<HostSection>>,
    pub(super) service: Option<Arc<ServiceSection>>,
    pub(super) dns: Option<Arc<DnsSection>>,
    /// Ordered by name and source.
    pub(crate) claims: Vec<Claim>,
}

impl Host {
    /// Takes what a host published: sections that are wrong are rejected, and those of `last` stay in force for them.
    pub(crate) fn new(settings: &ZoneSettings, node: NodeId, facts: HostFacts, last: Option<&Host>) -> (Self, Vec<Rejected>) {
        let mut rejected = Vec::new();
        let mut reject = |kind: SectionKind, reason| {
            rejected.push(Rejected { host: node, name: facts.name.clone(), seq: facts.seq, kind, reason });
        };
        let host = in_force(&facts, last.and_then(|last| last.host.clone()), &mut reject, |_| Ok(()));
        let nowhere = HostSection::default();
        let addresses = host.as_deref().unwrap_or(&nowhere);
        let mut all = Claims::new();
        claims::of_host(settings, &facts.name, addresses, &mut all);
        let service = in_force(&facts, last.and_then(|last| last.service.clone()), &mut reject, |section| {
            claims::of_services(settings, &facts.name, addresses, section, &mut Claims::new())
        });
        let dns = in_force(&facts, last.and_then(|last| last.dns.clone()), &mut reject, |section| {
            claims::of_dns(settings, section, &mut Claims::new())
        });
        if let Some(section) = &service {
            claims::of_services(settings, &facts.name, addresses, section, &mut all).expect("only a section that was tried is in force");
        }
        if let Some(section) = &dns {
            claims::of_dns(settings, section, &mut all).expect("only a section that was tried is in force");
        }
        let HostFacts { name, joined, seq, reachable, sections: _ } = facts;
        (Host { name, joined, seq, reachable, host, service, dns, claims: claims::finish(all) }, rejected)
    }
}

/// The section of one kind that is in force: the published one if it is good, else the last good one. A kind that is
/// no longer published is gone.
fn in_force<S: Section>(
    facts: &HostFacts,
    last: Option<Arc<S>>,
    reject: &mut impl FnMut(SectionKind, Reason),
    check: impl Fn(&S) -> Result<(), Reason>,
) -> Option<Arc<S>> {
    let kind = S::kind();
    let bytes = facts.sections.get(&kind)?;
    let section = S::decode(bytes).map_err(Reason::Undecodable).and_then(|section| check(&section).map(|()| section));
    match section {
        Ok(section) => Some(Arc::new(section)),
        Err(reason) => {
            reject(kind, reason);
            last
        }
    }
}
