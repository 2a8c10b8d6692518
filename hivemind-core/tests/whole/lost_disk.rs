//! A voter whose Raft data is lost never acts under its id again; it joins anew, and the group is whole.

use std::time::Duration;

use hivemind_core::facts::Scope;
use hivemind_core::machine::Phase;
use hivemind_core::wire::command::Command;
use hivemind_core::wire::event::{LeaveReason, VoterPart};

use super::net::{Net, Part};

fn three_voters() -> Net {
    let mut net = Net::new();
    net.birth("v1", Part::Voter);
    for (name, part) in [("v2", Part::Voter), ("v3", Part::Voter), ("h1", Part::Host)] {
        net.start(name, part, &["v1"]);
        net.run(Duration::from_secs(2));
    }
    net
}

fn loses_its_log_and_comes_back(name: &str) {
    let mut net = three_voters();
    let before = net.node(name);
    net.kill(name);
    net.lose_log(name);
    net.restart(name);
    net.run(Duration::from_secs(30));
    assert_eq!(net.phase(name), Some(Phase::Member), "{name}");
    assert_ne!(net.node(name), before, "{name} must not act under its old id");
    for voter in ["v1", "v2", "v3"] {
        assert_eq!(net.machine(voter).status().voter, VoterPart::Voter, "{voter} after {name} came back");
    }
    let facts = &net.machine("h1").view().expect("a member has a view").facts;
    assert!(facts.member(before).is_none());
    assert_eq!(facts.members().len(), 4);
}

#[test]
fn a_voter_that_lost_its_log_joins_anew() {
    loses_its_log_and_comes_back("v2");
}

#[test]
fn the_founder_that_lost_its_log_joins_anew() {
    loses_its_log_and_comes_back("v1");
}

#[test]
fn a_host_whose_cache_is_that_of_its_former_membership_learns_its_place_anew() {
    let mut net = three_voters();
    for number in 2..60 {
        net.start(&format!("h{number}"), Part::Host, &["v1"]);
        net.run(Duration::from_millis(200));
    }
    net.run(Duration::from_secs(3));
    let (former, disk) = (net.node("h1"), net.disk("h1"));
    net.propose("v1", 9, Command::Leave { node: former, reason: LeaveReason::Asked });
    net.run(Duration::from_secs(2));
    net.restart("h1");
    net.run(Duration::from_secs(3));
    let node = net.node("h1");
    assert_ne!(node, former);
    net.kill("h1");
    let mut now = net.disk("h1");
    now.take_cache(&disk);
    net.put_disk("h1", now);
    net.restart("h1");
    net.run(Duration::from_secs(5));
    let view = net.machine("h1").view().expect("a member has a view");
    assert_eq!((view.node, view.facts.scope()), (node, Scope::Slice(node)));
    assert!(view.facts.neighborhood_of(node).is_some());
}
