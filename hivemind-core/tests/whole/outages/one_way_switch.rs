//! A switch that lets through one direction only. Cloudflare, 2 November 2020 ("A Byzantine failure in the real world",
//! blog.cloudflare.com/a-byzantine-failure-in-the-real-world).
//!
//! There, a switch failed in part, so that one member of an etcd cluster could not hear the leader but was heard by another
//! one. It called for an election again and again; each call raised the term and took the leader down, for hours, and with
//! it everything that needed to write.
//!
//! Here, a voter that can not hear the leader asks first whether it would win (pre-vote), and nobody that hears the leader
//! lately answers yes (check-quorum's lease): `control/raw.rs`. So the term stands still, the leader leads, proposals commit.

use hivemind_core::ids::NodeId;
use hivemind_core::wire::command::{Command, Outcome};

use super::super::net::{Net, Part};
use super::{VOTERS, cluster, seconds};

/// So many proposals, one a second, may be lost on a voter that hears and is not heard: until the first of them gets no outcome.
const LOST: u64 = 6;
/// How long each switch is broken.
const BROKEN_S: u64 = 60;
/// So many elections may follow the break, and its repair: each is one term.
const ELECTIONS: u64 = 2;

fn term(net: &Net) -> u64 {
    VOTERS.iter().map(|voter| net.machine(voter).status().term).max().expect("there are voters")
}

fn leader(net: &Net) -> Option<NodeId> {
    let known: Vec<Option<NodeId>> = VOTERS.iter().map(|voter| net.machine(voter).status().leader).collect();
    known.iter().copied().flatten().find(|leader| known.iter().filter(|one| **one == Some(*leader)).count() >= 2)
}

fn name_of(net: &Net, node: NodeId) -> &'static str {
    VOTERS.into_iter().find(|voter| net.node(voter) == node).expect("voters lead")
}

/// Breaks links, each in one direction, and lets hosts go on working for a minute.
fn works_with(broken: impl Fn(&str, [&str; 2]) -> Vec<(String, String)>) {
    let mut net = cluster();
    let leading = name_of(&net, leader(&net).expect("the group has one"));
    let others: Vec<&str> = VOTERS.into_iter().filter(|voter| *voter != leading).collect();
    let ways = broken(leading, [others[0], others[1]]);
    let before = term(&net);
    for (from, to) in &ways {
        net.cut_way(from, to, true);
    }
    net.run(seconds(5));
    let node = net.node("h1");
    for second in 0..BROKEN_S {
        let request = 100 + second;
        let grace = std::time::Duration::from_millis(1);
        net.propose("h1", request, Command::Restarting { node, grace });
        net.run(seconds(1));
        assert!(leader(&net).is_some(), "{ways:?}: after {second} s nobody leads");
    }
    net.run(seconds(6));
    let committed = |request: &u64| matches!(net.outcome("h1", *request), Some(Outcome::Committed { .. }));
    let done = (100..100 + BROKEN_S).filter(committed).count();
    assert!(done as u64 >= BROKEN_S - LOST, "{ways:?}: only {done} of {BROKEN_S} proposals were committed");
    let climbed = term(&net) - before;
    assert!(climbed <= ELECTIONS, "{ways:?}: the term climbed by {climbed}");
    for (from, to) in &ways {
        net.cut_way(from, to, false);
    }
    net.run(seconds(20));
    assert!(term(&net) - before <= 2 * ELECTIONS, "{ways:?}: the voter that comes back does not take the leader down");
    let positions: Vec<_> = net.places.keys().map(|name| net.machine(name).status().position).collect();
    assert!(positions.iter().all(|position| *position == positions[0]), "{ways:?}: {positions:?}");
}

fn way(from: &str, to: &str) -> (String, String) {
    (from.to_owned(), to.to_owned())
}

#[test]
fn a_voter_that_can_not_hear_the_leader_does_not_campaign_for_ever() {
    works_with(|leader, [one, _]| vec![way(leader, one)]);
}

#[test]
fn a_voter_that_the_leader_can_not_hear_does_not_stop_it() {
    works_with(|leader, [one, _]| vec![way(one, leader)]);
}

#[test]
fn a_voter_that_is_heard_and_hears_nobody_does_not_campaign_for_ever() {
    works_with(|leader, [one, other]| {
        let rest = ["c1", "c2", "h1", "h2"].into_iter().chain([leader, other]);
        rest.map(|from| way(from, one)).collect()
    });
}

#[test]
fn a_link_between_two_followers_that_carries_one_way_is_nobodys_trouble() {
    works_with(|_, [one, other]| vec![way(one, other)]);
}

#[test]
fn a_leader_that_hears_and_is_not_heard_makes_room_for_another_one() {
    works_with(|leader, [one, other]| vec![way(leader, one), way(leader, other)]);
}

#[test]
fn a_leader_that_is_heard_and_hears_no_voter_makes_room_for_another_one() {
    works_with(|leader, [one, other]| vec![way(one, leader), way(other, leader)]);
}

#[test]
fn a_group_of_five_keeps_its_leader_when_two_of_it_can_not_hear_it() {
    let mut net = Net::new();
    net.settings.control.voters = 5;
    net.birth("v1", Part::Voter);
    for name in ["v2", "v3", "v4", "v5"] {
        net.start(name, Part::Voter, &["v1"]);
        net.run(seconds(2));
    }
    net.run(seconds(5));
    let before = net.machine("v1").status().term;
    let leads = net.machine("v2").status().leader.expect("somebody leads");
    let leading = ["v1", "v2", "v3", "v4", "v5"].into_iter().find(|name| net.node(name) == leads).expect("a voter leads");
    let deaf: Vec<&str> = ["v1", "v2", "v3", "v4", "v5"].into_iter().filter(|name| *name != leading).take(2).collect();
    deaf.iter().for_each(|to| net.cut_way(leading, to, true));
    net.run(seconds(60));
    let terms: Vec<u64> = ["v1", "v2", "v3", "v4", "v5"].iter().map(|name| net.machine(name).status().term).collect();
    assert!(terms.iter().all(|term| *term <= before + 1), "{before} before, {terms:?} after");
}
