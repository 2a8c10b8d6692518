//! A node that is back before what it said as it went is committed.

use std::time::Duration;

use hivemind_core::wire::command::Command;

use super::net::{Net, Part};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn a_restart_that_is_committed_only_after_the_return_is_over_too() {
    let mut net = Net::new();
    net.birth("v1", Part::Voter);
    net.start("v2", Part::Voter, &["v1"]);
    net.run(seconds(5));
    net.kill("v2");
    // It stands in the log of the leader, and nobody can commit it: then all of the cluster is off.
    let node = net.node("v1");
    net.propose("v1", 1, Command::Restarting { node, grace: seconds(60) });
    net.run(Duration::from_millis(100));
    assert_eq!(net.outcome("v1", 1), None, "it waits");
    net.kill("v1");
    net.run(seconds(1));
    net.restart("v1");
    // Longer than any proposal waits.
    net.run(seconds(30));
    let is_restarting = |net: &Net| net.machine("v1").view().is_some_and(|view| view.facts.restarting_until(node).is_some());
    assert!(!is_restarting(&net), "nobody led");
    net.restart("v2");
    let mut was_committed = false;
    net.watch(seconds(30), |net| was_committed |= is_restarting(net));
    assert!(was_committed, "it was in the log");
    assert!(!is_restarting(&net), "it is back, and says so");
    // What it announces from now on is meant.
    net.propose("v1", 2, Command::Restarting { node, grace: seconds(60) });
    net.run(seconds(30));
    assert!(is_restarting(&net));
}
