//! Crashing.

use hivemind_lite::sim::roles;

use super::{all_know, consumer, formed, has_version, holds_every_host, host, kill_with_grace, version, votes};
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

/// The other voters go on without it: a node joins. When it is back it is the voter that it was, and knows
/// what it missed.
pub fn a_killed_leader_is_replaced_and_votes_again_when_it_is_back<S: Stage>(options: S::Options) -> S {
    let mut stage: S = formed(options, vec![consumer("dns1"), host("web1", 1)]);
    let bound = bounds::election(stage.settings()) * 2 + bounds::join(stage.settings());
    let led = stage.status("voter1").and_then(|status| status.leader).expect("a voter of a formed cluster knows its leader");
    let leader = stage.view("dns1").facts.member(led).expect("a leader is a member").name.to_string();
    kill_with_grace(&mut stage, &[&leader]);
    stage.start(host("web2", 2));
    stage.wait_until("a join is granted without it", bound, |views| all_know(views, 5, 6));

    stage.restart(&leader);
    stage.wait_until("it knows what it missed", bound, |views| all_know(views, 6, 6) && views.values().all(|view| votes(view) == 3));
    assert_eq!(stage.id(&leader), led);
    let position = stage.read(&leader);
    assert!(position.index >= stage.view("dns1").facts.member(stage.id("web2")).expect("it joined").joined);
    stage
}
