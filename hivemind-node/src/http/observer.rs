//! The role of a node that answers for what others publish.

use hivemind_core::ids::SectionKind;
use hivemind_core::role::{Role, RoleSpec};
use hivemind_core::view::{Changed, View};
use hivemind_sections::{DnsSection, HostSection, Section as _, ServiceSection};

/// Consumes all kinds of section that [`hivemind_sections`] knows, and changes nothing: a node that performs it holds every member's
/// record and every config, so that its HTTP interface can show them. Installed without an io half.
#[derive(Clone, Copy, Debug, Default)]
pub struct Observer;

impl Role for Observer {
    type Desired = ();

    fn spec(&self) -> RoleSpec {
        RoleSpec {
            name: SectionKind::new("observer").expect("a valid name"),
            requires: Vec::new(),
            bootstraps_from: Vec::new(),
            publishes: Vec::new(),
            consumes: vec![DnsSection::kind(), HostSection::kind(), ServiceSection::kind()],
        }
    }

    fn desired(&self, _view: &View, _changed: &Changed, _last: Option<&()>) {}
}
