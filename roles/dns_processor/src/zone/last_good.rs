//! Last good sections that are to outlive the program: whoever starts anew finds only what was published last.

use bytes::Bytes;
use hivemind_core::ids::{NodeId, NodeName, SectionKind, Seq};
use hivemind_core::wire::config;
use hivemind_sections::Section;

use super::facts::HostFacts;
use super::host::Host;
use super::settings::ZoneSettings;

/// What is in force of a host though it has published other sections of these kinds since, which are wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastGood {
    /// The host.
    pub name: NodeName,
    /// Its sections.
    pub sections: Vec<config::Section>,
}

impl LastGood {
    /// A host of which nothing but this is known. What is not good by these settings is left out.
    pub(super) fn to_host(&self, settings: &ZoneSettings) -> Host {
        let sections = self.sections.iter().map(|section| (section.kind.clone(), section.body.clone())).collect();
        let facts = HostFacts { name: self.name.clone(), joined: 0, seq: Seq(0), sections, reachable: false };
        Host::new(settings, NodeId::NONE, facts, None).0
    }
}

impl Host {
    /// The sections that are in force, of these kinds.
    pub(super) fn last_good<'a>(&self, kinds: impl Iterator<Item = &'a SectionKind>) -> Option<LastGood> {
        let sections: Vec<_> = kinds.filter_map(|kind| Some(config::Section { kind: kind.clone(), body: self.in_force(kind)? })).collect();
        (!sections.is_empty()).then(|| LastGood { name: self.name.clone(), sections })
    }

    fn in_force(&self, kind: &SectionKind) -> Option<Bytes> {
        fn body<S: Section>(kind: &SectionKind, section: Option<&S>) -> Option<Bytes> {
            (*kind == S::kind()).then(|| section.map(|section| section.encode().into())).flatten()
        }
        body(kind, self.host.as_deref()).or_else(|| body(kind, self.service.as_deref())).or_else(|| body(kind, self.dns.as_deref()))
    }
}
