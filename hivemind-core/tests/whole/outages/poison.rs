//! A record that poisons its consumers. Fly.io, 1 September 2024 ("Consul/Corrosion and the proxy: a contagious deadlock",
//! fly.io/infra-log/2024-09-07).
//!
//! There, one app's new kind of record reached every proxy of the fleet within seconds, and each that read it ran into the
//! same deadlock; whoever was restarted read the same record and stopped again. State was global, and so was the trouble.
//!
//! Here, a role that panics is isolated (`role/runner.rs`): its last desired state stays in force, it is shown in the status
//! with what it said, and is tried again with backoff. The node, its other roles, and everybody else's changes go on.

use std::time::Duration;

use hivemind_core::ids::NodeName;
use hivemind_core::machine::Phase;
use hivemind_core::role::RoleStatus;

use super::super::net::{Net, POISON, Part};
use super::{cluster, seconds};

/// The first role of `f1` is fragile, its second is not.
const FRAGILE: usize = 0;
const STURDY: usize = 1;

fn with_a_fragile_role() -> Net {
    let mut net = cluster();
    net.start("f1", Part::Fragile, &["v1", "v2"]);
    net.run(seconds(4));
    assert_eq!(net.places["f1"].wants[&FRAGILE].len(), 2);
    net
}

fn fares(net: &Net, role: usize) -> RoleStatus {
    net.machine("f1").roles().nth(role).map(|(_, status)| status.clone()).expect("it has two roles")
}

fn name(text: &str) -> NodeName {
    NodeName::new(text).expect("a name")
}

#[test]
fn a_record_that_a_role_falls_over_stops_neither_the_node_nor_the_changes_of_others() {
    let mut net = with_a_fragile_role();
    let good = net.places["f1"].wants[&FRAGILE].clone();
    net.publish("h1", 10, POISON);
    net.run(seconds(2));
    let status = fares(&net, FRAGILE);
    assert_eq!(status.failing.as_deref(), Some("h1 poisons its consumers"), "it is said which host it was");
    assert_eq!(net.places["f1"].wants[&FRAGILE], good, "what it wanted last stays in force");

    net.publish("h2", 11, "two of h2");
    net.run(seconds(2));
    assert_eq!(net.phase("f1"), Some(Phase::Member), "the node lives on");
    assert_eq!(fares(&net, STURDY), RoleStatus::default());
    let seen = net.places["f1"].wants[&STURDY][&name("h2")];
    assert_eq!(seen, net.machine("h2").status().own_seq, "the other role follows other hosts");
    assert_eq!(net.text("c1", "h2").as_deref(), Some("two of h2"), "and so do other nodes");

    net.publish("h1", 12, "harmless");
    net.run(seconds(31));
    assert_eq!(fares(&net, FRAGILE).failing, None, "it recovers by itself when the record is gone");
    let wants = net.places["f1"].wants.clone();
    assert_eq!(wants[&FRAGILE], wants[&STURDY], "from nothing, and knows all that it missed");
}

#[test]
fn a_role_that_keeps_falling_is_tried_again_ever_more_seldom_however_much_changes() {
    let mut net = with_a_fragile_role();
    net.publish("h1", 10, POISON);
    net.run(seconds(1));
    let falls = |net: &Net| fares(net, FRAGILE).panics;
    assert!((2..=5).contains(&falls(&net)), "{} times in the first second", falls(&net));
    // A storm of other changes: 20 a second for a minute.
    let before = falls(&net);
    for round in 0..1200 {
        net.publish("h2", 100 + round, &format!("{round} of h2"));
        net.run(Duration::from_millis(50));
    }
    let more = falls(&net) - before;
    assert!((4..=9).contains(&more), "{more} more in a minute: 30 s is the longest pause");
    assert_eq!(net.text("f1", "h2").as_deref(), Some("1199 of h2"), "the node follows all the while");
}

#[test]
fn a_role_that_fell_is_tried_again_even_where_nothing_changes() {
    let mut net = with_a_fragile_role();
    net.publish("h1", 10, POISON);
    net.run(seconds(1));
    let before = fares(&net, FRAGILE).panics;
    net.run(seconds(20));
    assert!(fares(&net, FRAGILE).panics > before);
}

#[test]
fn a_node_that_starts_with_the_poison_in_its_cache_starts() {
    let mut net = with_a_fragile_role();
    net.publish("h1", 10, POISON);
    net.run(seconds(5));
    net.kill("f1");
    net.restart("f1");
    net.run(seconds(5));
    assert_eq!(net.phase("f1"), Some(Phase::Member), "the restart does not read itself to death");
    assert_eq!(net.text("f1", "h1").as_deref(), Some(POISON), "it holds the record and passes it on like any other");
    assert_eq!(net.places["f1"].wants[&STURDY].len(), 2);
}
