//! History is collected while somebody is away.

use hivemind_core::wire::command::Command;
use hivemind_lite::sim::roles;

use super::{all_know, commit, consumer, formed, has_version, holds_every_host, host, kill_with_grace, version};
use crate::{Stage, bounds};

/// A host and a consumer that come back to find their place in history collected get everything anew, and
/// are the members that they were.
pub fn who_is_below_the_floor_resyncs_and_keeps_its_id<S: Stage>(options: S::Options) -> S {
    let mut stage: S = formed(options, vec![consumer("dns1"), consumer("dns2"), host("web1", 1)]);
    let bound = bounds::join(stage.settings());
    let before = ["web1", "dns2"].map(|name| (name, stage.id(name)));
    let published = version(&stage.view("dns1"), "web1").expect("it is complete");
    kill_with_grace(&mut stage, &["web1", "dns2"]);

    stage.start(host("web2", 2));
    stage.wait_until("history goes on", bound, |views| all_know(views, 5, 7));
    let floor = stage.read("voter1").index.next();
    let resyncs = stage.sent("events/snapshot");
    commit(&mut stage, "voter1", Command::AdvanceEpoch { floor });

    for (name, _) in before {
        stage.restart(name);
    }
    stage.wait_until("they are back, in the new epoch", bound, |views| {
        all_know(views, 7, 7) && views.values().all(|view| view.facts.epoch().number == 2 && holds_every_host(view))
    });
    for (name, id) in before {
        assert_eq!(stage.id(name), id, "{name} is the member that it was");
    }
    if let (Some(before), Some(after)) = (resyncs, stage.sent("events/snapshot")) {
        assert!(after >= before + 2, "both were handed everything anew");
    }
    let next = stage.publish("web1", roles::sections(1, 1));
    assert!(next > published, "{next} after {published}");
    stage.wait_until("it publishes on", bound, |views| ["dns1", "dns2"].iter().all(|node| has_version(views, node, "web1", next)));
    stage
}
