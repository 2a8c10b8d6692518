//! Dead data that comes back. quickwit-oss/chitchat and hashicorp/memberlist: there, the word that somebody is gone is itself
//! gossip, a tombstone that is kept for some hours; a node that was cut off for longer, or an old packet, brings the dead back,
//! and the cluster believes it (among others quickwit-oss/chitchat issues 63 and 110 and hashicorp/serf's advice to use
//! `force-leave -prune`; "ghost" members that nobody can remove).
//!
//! Here, membership is the committed log alone: gossip spreads it and can not add to it. Ids are never used again, so nothing
//! that is said of a former member can be taken for a word about a present one; there are no tombstones that could expire.

use hivemind_core::machine::Phase;
use hivemind_core::wire::command::Command;
use hivemind_core::wire::event::LeaveReason;

use super::super::net::{Kept, Net};
use super::{cluster, seconds};

/// What everybody knows: position, members by id, and texts in force.
fn known(net: &Net) -> Vec<(String, String, Vec<String>)> {
    let row = |name: &String| {
        let view = net.machine(name).view().expect("a member has a view");
        let members = view.facts.members().values().map(|member| format!("{}={}", member.node, member.name)).collect();
        let texts = ["h1", "h2"].map(|host| net.text(name, host).unwrap_or_default()).join(", ");
        (format!("{name}: {} {texts} {:?}", view.facts.position(), view.unreachable), texts.clone(), members)
    };
    net.places.iter().filter(|(_, place)| place.machine.is_some()).map(|(name, _)| row(name)).collect()
}

/// Frames of a time in which two hosts published, one was put out and one came back under a new id.
fn with_a_past() -> (Net, Vec<Kept>) {
    let mut net = cluster();
    net.kept = Some(Vec::new());
    net.publish("h1", 10, "of the past");
    net.publish("h2", 11, "of one that is put out");
    net.run(seconds(5));
    let node = net.node("h2");
    net.propose("v1", 12, Command::Leave { node, reason: LeaveReason::Evicted });
    net.run(seconds(3));
    net.cut("h1", true);
    net.run(seconds(15));
    net.cut("h1", false);
    net.run(seconds(10));
    let past = net.kept.take().expect("it was wanted");
    net.publish("h1", 13, "of the present");
    net.run(seconds(5));
    assert_eq!(net.text("c1", "h1").as_deref(), Some("of the present"));
    assert_eq!(net.text("c1", "h2"), None, "it was put out");
    (net, past)
}

#[test]
fn not_one_frame_of_the_past_brings_anything_back() {
    let (mut net, past) = with_a_past();
    let now = known(&net);
    assert!(past.len() > 1_000, "{} frames of the past", past.len());
    for (round, late) in past.iter().enumerate() {
        net.replay(late);
        if round % 64 == 0 {
            net.run(std::time::Duration::from_millis(1));
        }
        for consumer in ["c1", "c2"] {
            assert_eq!(net.text(consumer, "h2"), None, "{consumer} after frame {round} of the past");
            assert_eq!(net.text(consumer, "h1").as_deref(), Some("of the present"), "{consumer} after frame {round} of the past");
        }
    }
    net.run(seconds(20));
    assert_eq!(known(&net), now, "nobody knows anything else than before");
    assert!(net.places.iter().filter(|(name, _)| *name != "h2").all(|(name, _)| net.phase(name) == Some(Phase::Member)));
}

#[test]
fn frames_of_the_past_at_nodes_that_they_were_not_for_bring_nothing_back_either() {
    let (mut net, past) = with_a_past();
    let now = known(&net);
    for late in past.iter().step_by(7) {
        for to in ["v1", "v2", "c1", "c2", "h1"] {
            if late.from != to {
                net.replay(&Kept { to: to.into(), ..late.clone() });
            }
        }
    }
    net.run(seconds(20));
    let shown = |known: &[(String, String, Vec<String>)]| known.iter().map(|row| row.2.clone()).collect::<Vec<_>>();
    assert_eq!(shown(&known(&net)), shown(&now));
    assert_eq!(net.text("c2", "h1").as_deref(), Some("of the present"));
}

#[test]
fn one_that_was_away_for_long_brings_nothing_back() {
    let mut net = cluster();
    net.cut("c2", true);
    let node = net.node("h2");
    net.propose("v1", 10, Command::Leave { node, reason: LeaveReason::Evicted });
    net.publish("h1", 11, "of the present");
    net.run(seconds(30));
    // Collected: nobody can tell it any more event by event.
    let floor = net.machine("v1").status().position.expect("a member").index;
    net.propose("v1", 12, Command::AdvanceEpoch { floor });
    net.run(seconds(600));
    assert_eq!(net.text("c2", "h2").as_deref(), Some("one of h2"), "it holds what is dead");
    net.cut("c2", false);
    net.watch(seconds(60), |net| {
        for node in ["v1", "v2", "v3", "c1", "h1"] {
            assert_eq!(net.text(node, "h2"), None, "{node}");
            assert!(net.machine(node).view().is_some_and(|view| !view.facts.is_member(node_of_h2(net))), "{node}");
        }
        assert_eq!(net.text("c1", "h1").as_deref(), Some("of the present"));
    });
    assert_eq!((net.text("c2", "h2"), net.text("c2", "h1").as_deref()), (None, Some("of the present")), "it has learnt");
}

/// The seventh join: `h2` is the last node of the cluster.
fn node_of_h2(net: &Net) -> hivemind_core::ids::NodeId {
    let own = |(node, (key, _)): (&hivemind_core::ids::NodeId, &(hivemind_core::ids::PublicKey, hivemind_core::ids::Index))| {
        (*key == net.places["h2"].keys.0).then_some(*node)
    };
    net.memberships.iter().find_map(own).expect("it joined once")
}
