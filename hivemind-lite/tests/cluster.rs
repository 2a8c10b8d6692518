//! The verbs of a simulated cluster: each does what it says.

use std::time::Duration;

use hivemind_core::ids::NodeName;
use hivemind_core::view::View;
use hivemind_core::wire::command::{Command, Outcome};
use hivemind_core::wire::event::VoterPart;
use hivemind_lite::sim::cluster::{Cluster, ClusterError, ClusterOptions, NodeSpec, ViewsByName};
use hivemind_lite::sim::node::Part;
use hivemind_lite::sim::roles;

const BOUND: Duration = Duration::from_secs(60);

fn node(name: &str, part: Part) -> NodeSpec {
    let sections = if part == Part::Host { roles::sections(1, 0) } else { Vec::new() };
    NodeSpec { name: NodeName::new(name).expect("a valid name"), part, sections }
}

fn all_know(views: &ViewsByName, nodes: usize, members: usize) -> bool {
    views.len() == nodes && views.values().all(|view| view.facts.members().len() == members && !view.condition.stale)
}

fn voting(view: &View) -> usize {
    view.facts.voters().values().filter(|part| **part == VoterPart::Voter).count()
}

/// Three voters, a consumer and two hosts, all known to all and answered for.
fn formed(seed: u64) -> Cluster {
    let nodes = ["voter1", "voter2", "voter3"].map(|name| node(name, Part::Voter));
    let others = [node("dns1", Part::Consumer), node("web1", Part::Host), node("web2", Part::Host)];
    let mut cluster = Cluster::start(ClusterOptions::new(seed), nodes.into_iter().chain(others).collect()).expect("voters come first");
    cluster.wait_until("six members in every view", BOUND, |views| all_know(views, 6, 6)).expect("it forms");
    cluster
        .wait("both hosts are answered for", BOUND, |cluster| cluster.answers("dns1").is_some_and(|names| names.len() == 2))
        .expect("they publish");
    let three_vote = |views: &ViewsByName| views.values().all(|view| voting(view) == 3);
    cluster.wait_until("three voters", BOUND, three_vote).expect("they are promoted");
    cluster
}

#[test]
fn a_killed_host_is_gone_and_comes_back_under_a_new_id() {
    let mut cluster = formed(1);
    let before = cluster.views()["web1"].node;
    cluster.kill("web1").expect("there is one");
    cluster.wait_until("five members", BOUND, |views| all_know(views, 5, 5)).expect("its leave is committed");
    let web1 = NodeName::new("web1").expect("a valid name");
    cluster.wait("its name is gone", BOUND, |cluster| !cluster.is_answered("dns1", &web1)).expect("the roles run after the view");
    cluster.restart("web1").expect("its disk is good");
    cluster.wait_until("six members again", BOUND, |views| all_know(views, 6, 6)).expect("it joins by itself");
    assert_ne!(cluster.views()["web1"].node, before);
}

#[test]
fn a_host_that_restarts_at_once_keeps_its_id() {
    let mut cluster = formed(2);
    let before = cluster.views()["web1"].node;
    cluster.kill("web1").expect("there is one");
    cluster.run_for(Duration::from_millis(300)).expect("clean");
    cluster.restart("web1").expect("its disk is good");
    cluster.wait_until("it has a view that is not stale", BOUND, |views| all_know(views, 6, 6)).expect("it resumes");
    assert_eq!(cluster.views()["web1"].node, before);
}

#[test]
fn what_is_published_is_answered_and_a_read_sees_what_was_proposed() {
    let mut cluster = formed(3);
    let seq = cluster.publish("web2", roles::sections(2, 7)).expect("durable");
    let web2 = NodeName::new("web2").expect("a valid name");
    let answered = |cluster: &Cluster| cluster.answers("dns1").and_then(|names| names.get(&web2)).is_some_and(|answer| answer.seq == seq);
    cluster.wait("the new version is answered", BOUND, answered).expect("it spreads");
    let restarting = Command::Restarting { node: cluster.views()["web1"].node, grace: Duration::from_secs(1) };
    let Outcome::Committed { position } = cluster.propose("web1", restarting).expect("an outcome") else { panic!("not committed") };
    assert!(cluster.read("dns1").expect("a quorum").index >= position.index);
}

#[test]
fn a_host_that_leaves_is_gone_and_stays_away() {
    let mut cluster = formed(6);
    cluster.leave("web1").expect("it leaves");
    cluster.wait_until("five members", BOUND, |views| all_know(views, 5, 5)).expect("all know");
    cluster.run_for(Duration::from_secs(20)).expect("clean");
    assert!(cluster.views().values().all(|view| view.facts.members().len() == 5), "it does not come back by itself");
}

#[test]
fn without_a_majority_of_voters_everybody_says_degraded_and_answers_on() {
    let mut cluster = formed(4);
    cluster.isolate(&["voter2", "voter3"]).expect("there are");
    cluster.wait_until("degraded", BOUND, |views| views.values().all(|view| view.condition.degraded)).expect("all notice");
    assert!(cluster.answers("dns1").is_some_and(|names| names.len() == 2), "DNS answers on");
    cluster.publish("web1", roles::sections(1, 9)).expect("publishing needs no quorum");
    cluster.heal();
    cluster
        .wait_until("healed", BOUND, |views| all_know(views, 6, 6) && views.values().all(|view| !view.condition.degraded))
        .expect("it ends");
}

#[test]
fn verbs_name_what_is_wrong_with_them() {
    let mut cluster = formed(5);
    assert_eq!(cluster.kill("nobody"), Err(ClusterError::NoSuchNode("nobody".to_owned())));
    cluster.kill("web1").expect("there is one");
    let web1 = NodeName::new("web1").expect("a valid name");
    assert_eq!(cluster.publish("web1", Vec::new()), Err(ClusterError::NotRunning(web1)));
    let late = cluster.wait_until("what never comes", Duration::from_secs(1), |_| false);
    assert_eq!(late.expect_err("it never comes").to_string(), "after 1 s of virtual time still not: what never comes");
    let hosts_only = Cluster::start(ClusterOptions::new(1), vec![node("web1", Part::Host)]);
    assert!(matches!(hosts_only, Err(ClusterError::VotersFirst)));
}
