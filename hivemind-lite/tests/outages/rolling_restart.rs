//! A rolling restart that was taken for departures. Slack, 22 February 2022 ("Slack's Incident on 2-22-22",
//! slack.engineering/slacks-incident-on-2-22-22).
//!
//! There, Consul agents were upgraded a quarter of the fleet at a time. Each restart took its node out of the catalogue, the
//! cache ring read that as a departed node and replaced it by an empty spare; the hit rate fell, and the databases with it.
//!
//! Here, a node that says that it restarts keeps its place until it is back (`Command::Restarting`, refused leaves in
//! `control/apply_leave.rs`), one that is silent for less than the suspicion is not even asked about, and what a host published
//! stays in force while it is away: it goes only by a committed leave or its own newer config (S5).

use std::time::Duration;

use hivemind_core::wire::command::Command;
use hivemind_lite::sim::cluster::Cluster;

use super::{DNS, answers_all, cluster, commit, everyone, ids, is_back, is_whole, seconds, watch};

/// What others see of the cluster while `away` is restarted: both DNS servers, where they have caught up, answer for all.
fn looks_whole(cluster: &Cluster, away: &str, members: usize) {
    for dns in DNS.iter().filter(|dns| **dns != away && is_back(cluster, dns)) {
        assert!(answers_all(cluster, dns), "at {:?}, while {away} restarts, {dns} has lost an answer", cluster.now());
    }
    assert_eq!(cluster.world().members(), members, "at {:?}, while {away} restarts", cluster.now());
}

fn restart(cluster: &mut Cluster, node: &str, down: Duration) {
    let members = cluster.world().members();
    cluster.kill(node).expect("it is there");
    watch(cluster, down, |cluster| looks_whole(cluster, node, members));
    cluster.restart(node).expect("it starts");
    let mut waited = Duration::ZERO;
    while !is_back(cluster, node) {
        assert!(waited < seconds(20), "{node} is not back after 20 s");
        waited += Duration::from_millis(100);
        watch(cluster, Duration::from_millis(100), |cluster| looks_whole(cluster, node, members));
    }
}

#[test]
fn who_announces_its_restart_keeps_its_place_however_slow_it_is() {
    let mut cluster = cluster(11);
    let before = ids(&cluster);
    for node in everyone() {
        let id = cluster.status(node).expect("it runs").node;
        let by = if node == "voter1" { "voter2" } else { "voter1" };
        commit(&mut cluster, by, Command::Restarting { node: id, grace: seconds(60) });
        // Ten times as long as it takes until one that crashed has left.
        restart(&mut cluster, node, seconds(45));
    }
    cluster.wait("all is as before", seconds(30), is_whole).expect("it is");
    assert_eq!(ids(&cluster), before, "nobody joined again");
}

#[test]
fn who_is_back_within_the_suspicion_keeps_its_place_unannounced() {
    let mut cluster = cluster(12);
    let before = ids(&cluster);
    for node in everyone() {
        restart(&mut cluster, node, Duration::from_millis(1_200));
        watch(&mut cluster, seconds(2), |cluster| looks_whole(cluster, node, before.len()));
    }
    cluster.wait("all is as before", seconds(30), is_whole).expect("it is");
    assert_eq!(ids(&cluster), before, "nobody joined again");
}

#[test]
fn a_quarter_of_the_fleet_at_once_that_announced_it_keeps_its_place() {
    let mut cluster = cluster(13);
    let before = ids(&cluster);
    for batch in [["voter1", "web1", "web2"], ["voter2", "dns1", "web3"], ["voter3", "web4", "web5"]] {
        for node in batch {
            let id = cluster.status(node).expect("it runs").node;
            commit(&mut cluster, node, Command::Restarting { node: id, grace: seconds(60) });
        }
        batch.iter().for_each(|node| cluster.kill(node).expect("it is there"));
        watch(&mut cluster, seconds(20), |cluster| looks_whole(cluster, "dns1", before.len()));
        batch.iter().for_each(|node| cluster.restart(node).expect("it starts"));
        cluster.wait("the batch is back", seconds(30), is_whole).expect("it is");
    }
    assert_eq!(ids(&cluster), before, "nobody joined again");
}
