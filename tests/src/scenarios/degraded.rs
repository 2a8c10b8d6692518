//! Without a quorum.

use hivemind_core::machine::Phase;
use hivemind_core::wire::command::{Command, Outcome, Refusal};
use hivemind_core::wire::event::LeaveReason;
use hivemind_lite::sim::roles;

use super::{all_know, consumer, formed, has_version, host, version};
use crate::{Stage, bounds};

/// All notice in time; configs flow, views stay, joins and leaves wait. When the quorum is back all of it
/// ends by itself.
pub fn without_a_quorum_all_say_so_and_everything_but_membership_goes_on<S: Stage>(options: S::Options) -> S {
    let mut stage: S = formed(options, vec![consumer("dns1"), host("web1", 1), host("web2", 2)]);
    let (degraded, join) = (bounds::degraded(stage.settings()), bounds::join(stage.settings()));
    let before = stage.view("dns1");
    stage.isolate(&["voter2", "voter3"]);
    stage.wait_until("all say so", degraded, |views| views.len() == 6 && views.values().all(|view| view.condition.degraded));

    stage.start(host("web3", 3));
    let seq = stage.publish("web1", roles::sections(1, 1));
    stage.wait_until("configs flow", join, |views| has_version(views, "dns1", "web1", seq));
    let leave = Command::Leave { node: before.node, reason: LeaveReason::Asked };
    let outcome = stage.propose("dns1", leave);
    assert!(matches!(outcome, Outcome::Refused(Refusal::Degraded) | Outcome::OutcomeUnknown), "{outcome:?}");
    let during = stage.view("dns1");
    assert_eq!(during.facts.position(), before.facts.position(), "no membership changed");
    assert_eq!(version(&during, "web2"), version(&before, "web2"));
    assert_eq!(stage.status("web3").map(|status| status.phase), Some(Phase::Joining), "its join is put off");

    stage.heal();
    let healed = join + bounds::election(stage.settings()) * 2;
    stage.wait_until("it ends, and the join is granted", healed, |views| {
        all_know(views, 7, 7) && views.values().all(|view| !view.condition.degraded)
    });
    for (name, view) in &during.facts.members().iter().map(|(_, member)| (member.name.clone(), member.node)).collect::<Vec<_>>() {
        assert_eq!(stage.id(name.as_str()), *view, "{name} is who it was");
    }
    stage
}
