//! Equal node ids after a recovery. hashicorp/serf and consul (nodes that are cloned from one image, or reinstalled, share a
//! node id: consul's "Node ID ... conflicts", consul issue 4415 and others), etcd (a member whose disk was lost and that starts
//! again as itself forgets what it promised: "data corruption", etcd's disaster recovery guide).
//!
//! Here, the control plane gives ids from a counter that is part of the replicated state and of every snapshot; an id belongs
//! to one join for ever. A voter that finds its Raft data missing never acts under its id again. Two live starts of one id are
//! told apart by their boot nonces, and refused and named. The net of these tests checks at every event that no id was given
//! twice.

use hivemind_core::machine::{HaltReason, Phase};
use hivemind_core::wire::command::Command;
use hivemind_core::wire::event::LeaveReason;

use super::super::net::{Net, Part};
use super::{VOTERS, cluster, seconds};

#[test]
fn a_quorum_that_lost_its_disks_gives_nobody_an_id_again() {
    let mut net = cluster();
    let before = net.memberships.clone();
    for name in ["v2", "v3"] {
        net.kill(name);
        net.lose_disk(name);
    }
    net.run(seconds(2));
    for name in ["v2", "v3"] {
        net.restart(name);
    }
    net.start("h3", Part::Host, &["v1", "c1"]);
    net.publish("h1", 20, "published without a quorum");
    net.run(seconds(60));
    assert_eq!(net.memberships, before, "nobody decides, so nobody joins");
    for name in ["v2", "v3", "h3"] {
        assert_eq!(net.phase(name), Some(Phase::Joining), "{name} waits for an operator");
    }
    assert!(net.machine("v1").status().condition.degraded && net.machine("c1").status().condition.degraded);
    assert_eq!(net.text("c2", "h1").as_deref(), Some("published without a quorum"), "everything else goes on");
}

#[test]
fn voters_that_lost_their_raft_data_one_after_another_all_come_back_under_new_ids() {
    let mut net = cluster();
    for name in VOTERS {
        let former = net.node(name);
        net.kill(name);
        net.lose_log(name);
        net.restart(name);
        net.run(seconds(30));
        assert_eq!(net.phase(name), Some(Phase::Member), "{name}");
        assert!(net.node(name) > former, "{name}: {} after {former}", net.node(name));
    }
    net.start("h3", Part::Host, &["v1"]);
    net.run(seconds(3));
    let newest = net.node("h3");
    assert!(net.memberships.keys().all(|node| *node <= newest), "the counter survived the loss of every voter's data");
}

#[test]
fn the_counter_survives_snapshots_new_voters_and_restarts_of_all() {
    let mut net = Net::new();
    net.settings.control.snapshot_entries = 4;
    net.birth("v1", Part::Voter);
    for name in ["v2", "v3"] {
        net.start(name, Part::Voter, &["v1"]);
        net.run(seconds(3));
    }
    let mut last = net.node("v3");
    for round in 0..12 {
        let name = format!("h{round}");
        net.start(&name, Part::Host, &["v1", "v2", "v3"]);
        net.run(seconds(3));
        let node = net.node(&name);
        assert!(node > last, "{node} after {last}");
        last = node;
        net.propose("v1", 100 + round, Command::Leave { node, reason: LeaveReason::Asked });
        net.run(seconds(1));
        match round {
            // One voter falls behind the log and gets a snapshot.
            2 => net.cut("v3", true),
            4 => net.cut("v3", false),
            // A voter's place is taken by one that was given everything by snapshot.
            6 => {
                net.start("v4", Part::Voter, &["v1"]);
                net.run(seconds(3));
                last = net.node("v4");
                net.kill("v2");
                net.run(seconds(20));
            }
            // All start again at once.
            8 => {
                for name in ["v1", "v3", "v4"] {
                    net.kill(name);
                }
                net.run(seconds(1));
                for name in ["v1", "v3", "v4"] {
                    net.restart(name);
                }
                net.run(seconds(10));
            }
            _ => {}
        }
    }
    let newest = net.memberships.keys().max().copied().expect("there were joins");
    assert!(newest >= last, "{newest}");
}

#[test]
fn of_two_that_live_on_copies_of_one_disk_one_stops_and_is_named() {
    let mut net = cluster();
    let node = net.node("h1");
    net.publish("h1", 10, "of the original");
    net.run(seconds(2));
    let copy = net.disk("h1");
    net.start_on("h1-copy", Part::Host, "h1", copy);
    net.run(seconds(20));
    let stopped: Vec<&str> = ["h1", "h1-copy"].into_iter().filter(|name| net.phase(name).is_none()).collect();
    assert_eq!(stopped.len(), 1, "{stopped:?}");
    assert_eq!(net.places[stopped[0]].halted, Some(HaltReason::Duplicate { node }));
    let survivor = if stopped[0] == "h1" { "h1-copy" } else { "h1" };
    net.publish(survivor, 20, "of the one that goes on");
    net.run(seconds(5));
    assert_eq!(net.text("c1", "h1").as_deref(), Some("of the one that goes on"));
    let view = net.machine("v1").view().expect("a voter has a view");
    assert_eq!(view.facts.members().values().filter(|member| member.name.as_str() == "h1").count(), 1);
}

#[test]
fn a_copy_that_knows_nobody_and_is_older_than_the_original_stops() {
    let mut net = cluster();
    let node = net.node("h1");
    let mut copy = net.disk("h1");
    copy.lose_cache();
    // The start of the copy counts lower than this one.
    net.kill("h1");
    net.restart("h1");
    net.run(seconds(1));
    net.kill("h1");
    net.restart("h1");
    net.run(seconds(10));
    net.start_on("h1-copy", Part::Host, "h1", copy);
    net.run(seconds(20));
    assert_eq!(net.places["h1-copy"].halted, Some(HaltReason::Duplicate { node }));
    assert_eq!(net.phase("h1"), Some(Phase::Member), "the original was never spoken to as if it were the copy");
}
