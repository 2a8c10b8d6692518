//! The role `host`: what a machine says about itself.

use hivemind_core::ids::SectionKind;
use hivemind_core::role::{Role, RoleSpec};
use hivemind_core::view::{Changed, View};
use hivemind_sections::{DnsSection, HostSection, Section, ServiceSection};

/// The role `host`. It wants nothing of the outside world, and needs no other role: it publishes.
///
/// What it publishes comes from outside: whoever runs the node hands [`HostFile::sections`] to the node's
/// `publish`, at the start and whenever [`FolderChange::changed`] names the host. Nothing is lost by doing
/// so before the node is a member.
///
/// [`HostFile::sections`]: crate::file::HostFile::sections
/// [`FolderChange::changed`]: crate::folder::FolderChange::changed
#[derive(Clone, Copy, Debug, Default)]
pub struct HostRole;

impl Role for HostRole {
    type Desired = ();

    fn spec(&self) -> RoleSpec {
        RoleSpec {
            name: SectionKind::new("host").expect("`host` is a valid kind"),
            requires: Vec::new(),
            bootstraps_from: Vec::new(),
            publishes: vec![DnsSection::kind(), HostSection::kind(), ServiceSection::kind()],
            consumes: Vec::new(),
        }
    }

    fn desired(&self, _view: &View, _changed: &Changed, _last: Option<&()>) {}
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::file::{Rules, parse};

    #[test]
    fn every_section_of_a_host_file_is_of_a_kind_that_the_role_declares() {
        let rules = Rules::new("hive.").expect("a zone");
        let host = parse(Path::new("web1.toml"), b"addresses = []", &rules).expect("a host file");
        let published: Vec<SectionKind> = host.sections().into_iter().map(|section| section.kind).collect();
        assert_eq!(published, HostRole.spec().publishes);
    }
}
