//! History is collected while somebody is away.

use hivemind_core::wire::command::Command;
use hivemind_lite::sim::roles;

use super::{all_know, announce_restarts, commit, consumer, formed, has_version, holds_every_host, host, kill_with_grace, version};
use crate::{Stage, bounds};

/// Who is away while history is collected.
const AWAY: [&str; 2] = ["web1", "dns2"];

/// A host and a consumer that start again and find their place in history collected get everything anew, and
/// are the members that they were.
pub fn who_is_below_the_floor_resyncs_and_keeps_its_id<S: Stage>(options: S::Options) -> S {
    let mut snapshots = None;
    let away = |stage: &mut S| kill_with_grace(stage, &AWAY);
    let come_back = |stage: &mut S| {
        snapshots = stage.sent("events/snapshot");
        AWAY.into_iter().for_each(|name| stage.restart(name));
    };
    let stage = collected_while_away(options, away, come_back);
    if let (Some(before), Some(after)) = (snapshots, stage.sent("events/snapshot")) {
        assert!(after >= before + 2, "both were handed everything anew");
    }
    stage
}

/// The same for those that were running all the time, and cut off. What they missed may still reach
/// them; then they cross into the new epoch like the others.
pub fn who_was_cut_off_below_the_floor_resyncs_and_keeps_its_id<S: Stage>(options: S::Options) -> S {
    let away = |stage: &mut S| {
        announce_restarts(stage, &AWAY);
        stage.isolate(&AWAY);
    };
    collected_while_away(options, away, S::heal)
}

fn collected_while_away<S: Stage>(options: S::Options, go: impl FnOnce(&mut S), come_back: impl FnOnce(&mut S)) -> S {
    let mut stage: S = formed(options, vec![consumer("dns1"), consumer("dns2"), host("web1", 1)]);
    let bound = bounds::join(stage.settings());
    let before = AWAY.map(|name| (name, stage.id(name)));
    let published = version(&stage.view("dns1"), "web1").expect("it is complete");
    go(&mut stage);

    stage.start(host("web2", 2));
    stage.wait_until("history goes on", bound, |views| {
        let others = views.iter().filter(|(name, _)| !AWAY.contains(&name.as_str()));
        others.filter(|(_, view)| view.facts.members().len() == 7).count() == 5
    });
    let floor = stage.read("voter1").index.next();
    commit(&mut stage, "voter1", Command::AdvanceEpoch { floor });

    come_back(&mut stage);
    stage.wait_until("they are back, in the new epoch", bound, |views| {
        all_know(views, 7, 7) && views.values().all(|view| view.facts.epoch().number == 2 && holds_every_host(view))
    });
    for (name, id) in before {
        assert_eq!(stage.id(name), id, "{name} is the member that it was");
    }
    let next = stage.publish("web1", roles::sections(1, 1));
    assert!(next > published, "{next} after {published}");
    stage.wait_until("it publishes on", bound, |views| ["dns1", "dns2"].iter().all(|node| has_version(views, node, "web1", next)));
    stage
}
