//! Addresses that change: a node comes back at another one when nobody leads; a joiner is told where to ask.

use std::net::SocketAddr;
use std::time::Duration;

use hivemind_core::machine::Phase;

use super::net::{Net, Part};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn where_a_node_listens_now_is_committed_once_somebody_leads_again() {
    let mut net = Net::new();
    net.birth("v1", Part::Voter);
    net.start("v2", Part::Voter, &["v1"]);
    net.start("h1", Part::Host, &["v1"]);
    net.run(seconds(5));
    net.kill("h1");
    net.kill("v2");
    net.run(seconds(1));
    let moved = SocketAddr::from(([10, 0, 9, 9], 6550));
    net.places.get_mut("h1").expect("it was started").address = moved;
    net.restart("h1");
    // Longer than any proposal waits.
    net.run(seconds(30));
    let known = |net: &Net| {
        net.machine("v1").view().expect("a voter has a view").facts.member(net.node("h1")).map(|member| member.addresses.clone())
    };
    assert_ne!(known(&net), Some(vec![moved]), "nobody led");
    net.restart("v2");
    net.run(seconds(30));
    assert_eq!(known(&net), Some(vec![moved]));
}

#[test]
fn a_joiner_asks_where_it_was_told_last() {
    let mut net = Net::new();
    net.birth("v1", Part::Voter);
    net.start_waiting("h1", Part::Host);
    net.run(seconds(5));
    assert_eq!(net.phase("h1"), Some(Phase::Joining), "it knows nobody to ask");
    net.learn_seeds("h1", vec![SocketAddr::from(([10, 0, 9, 9], 6550))]);
    net.run(seconds(5));
    assert_eq!(net.phase("h1"), Some(Phase::Joining), "nobody is there");
    let voter = net.places["v1"].address;
    net.learn_seeds("h1", vec![voter]);
    net.run(seconds(5));
    assert_eq!(net.phase("h1"), Some(Phase::Member));
}
