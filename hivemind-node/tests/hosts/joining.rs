//! Seven hosts become a cluster.

use std::fs;

use hivemind_node::http::model::{Configs, Services};
use rustix::process::Signal;

use crate::cluster::Cluster;
use crate::host::Family;

/// A host's file becomes known to a voter, and each of seven hosts is restarted without losing its membership.
fn seven_hosts(family: Family) {
    let mut cluster = Cluster::new(7, family);
    let text = "addresses = [\"10.0.0.7\"]\n\n[[service]]\nname = \"web\"\nport = 80\n";
    fs::write(cluster.hosts[6].path("hosts.d/h7.toml"), text).unwrap();
    cluster.hosts[6].ask_until(&["configs"], |list: &Configs| list.configs.iter().any(|config| config.host == "h7"));
    // The founder is an observer: it holds what all hosts publish.
    cluster.hosts[0].ask_until(&["services"], |list: &Services| list.services.iter().any(|service| service.name == "web"));
    let before = cluster.memberships();
    for at in 0..cluster.hosts.len() {
        let daemon = cluster.daemons[at].take().unwrap();
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.ended(), Some(0), "{}", cluster.hosts[at].log());
        cluster.daemons[at] = Some(cluster.hosts[at].start());
    }
    cluster.all_well();
    assert_eq!(cluster.memberships(), before, "nobody left");
}

#[test]
fn seven_hosts_join_over_ipv4_and_are_restarted_one_after_another() {
    seven_hosts(Family::V4);
}

#[test]
fn seven_hosts_join_over_ipv6_and_are_restarted_one_after_another() {
    seven_hosts(Family::V6);
}
