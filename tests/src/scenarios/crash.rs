//! Crashing.

use hivemind_lite::sim::roles;

use super::{all_know, consumer, formed, has_version, holds_every_host, host, version};
use crate::{Stage, bounds};

/// Its leave is committed, its names go, and a restart brings it back by itself, as another member.
pub fn a_killed_host_leaves_and_comes_back_under_a_new_id<S: Stage>(options: S::Options) -> S {
    let mut stage: S = formed(options, vec![consumer("dns1"), host("web1", 1), host("web2", 2)]);
    let before = stage.id("web1");
    let (leave, join) = (bounds::leave(stage.settings(), 6), bounds::join(stage.settings()));
    stage.kill("web1");
    stage.wait_until("its leave is known, and its config is gone", leave, |views| {
        all_know(views, 5, 5) && version(&views["dns1"], "web1").is_none()
    });
    assert!(version(&stage.view("dns1"), "web2").is_some(), "nobody else's config goes");

    stage.restart("web1");
    stage.wait_until("it is back", join, |views| all_know(views, 6, 6) && holds_every_host(&views["dns1"]));
    assert!(stage.id("web1") > before, "an id is never used again");
    stage
}

/// Who was faster than the evidence has lost nothing, and nobody saw it leave.
pub fn a_host_that_is_back_before_its_leave_keeps_its_id<S: Stage>(options: S::Options) -> S {
    let mut stage: S = formed(options, vec![consumer("dns1"), host("web1", 1)]);
    let bound = bounds::join(stage.settings());
    let before = stage.view("web1");
    stage.kill("web1");
    stage.restart("web1");
    stage.wait_until("it goes on", bound, |views| all_know(views, 5, 5));
    assert_eq!(stage.id("web1"), before.node);
    assert_eq!(stage.view("web1").facts.position(), before.facts.position(), "nothing was committed");
    let seq = stage.publish("web1", roles::sections(1, 1));
    stage.wait_until("it publishes", bound, |views| has_version(views, "dns1", "web1", seq));
    stage
}
