//! Dead data that comes back, seen through DNS: chitchat, memberlist (see `hivemind-core/tests/whole/outages/dead_data.rs`).
//!
//! Here, whoever was away for long comes back with configs of hosts that are gone, old versions, and members long evicted;
//! nobody else shows any of it for a moment, and it forgets them as soon as it is back.

use hivemind_core::wire::command::Command;
use hivemind_core::wire::event::LeaveReason;
use hivemind_lite::sim::cluster::{Cluster, NodeSpec};
use hivemind_lite::sim::node::Part;
use hivemind_lite::sim::roles;

use super::{answers_all, cluster, commit, is_back, name, seconds, watch};

/// What is gone, and what is new, while `dns2` and `web5` are away.
fn much_happens(cluster: &mut Cluster) {
    let evicted = cluster.status("web2").expect("it runs").node;
    commit(cluster, "voter1", Command::Leave { node: evicted, reason: LeaveReason::Evicted });
    cluster.leave("web3").expect("it leaves");
    // Another machine takes over the name of one that left, with nothing to say yet.
    cluster.join(NodeSpec { name: name("web6"), part: Part::Host, sections: roles::sections(6, 0) }).expect("it joins");
    for version in 1..=20 {
        cluster.publish("web1", roles::sections(1, version)).expect("it is published");
    }
    cluster.run_for(seconds(60)).expect("nothing breaks");
    let floor = cluster.read("voter1").expect("a quorum").index.next();
    commit(cluster, "voter1", Command::AdvanceEpoch { floor });
    cluster.run_for(seconds(3_600)).expect("nothing breaks");
}

fn shows_nothing_dead(cluster: &Cluster, node: &str) {
    for dead in ["web2", "web3"] {
        assert!(!cluster.is_answered(node, &name(dead)), "{node} answers for {dead} at {:?}", cluster.now());
        let view = cluster.views().remove(node).expect("it has a view");
        assert!(view.facts.named(&name(dead)).is_none() && view.config_of(&name(dead)).is_none(), "{node} knows {dead}");
    }
}

fn comes_back(mut cluster: Cluster, come_back: impl FnOnce(&mut Cluster)) {
    let newest = cluster.answers("dns1").expect("it answers")[&name("web1")];
    shows_nothing_dead(&cluster, "dns1");
    come_back(&mut cluster);
    // Roles run `role_coalesce` after their view has moved, which is less than a look later.
    let mut was_back = false;
    watch(&mut cluster, seconds(60), |cluster| {
        shows_nothing_dead(cluster, "dns1");
        assert_eq!(cluster.answers("dns1").expect("it answers").get(&name("web1")), Some(&newest), "at {:?}", cluster.now());
        let is_back = is_back(cluster, "dns2");
        if was_back && is_back {
            shows_nothing_dead(cluster, "dns2");
        }
        was_back = is_back;
    });
    for node in ["dns2", "web5"] {
        assert!(is_back(&cluster, node), "{node} is back");
    }
    assert_eq!(cluster.answers("dns2").expect("it answers"), cluster.answers("dns1").expect("it answers"));
    assert!(cluster.is_answered("dns1", &name("web5")) && cluster.is_answered("dns2", &name("web6")));
}

#[test]
fn one_that_was_cut_off_for_an_hour_brings_nothing_back() {
    let mut cluster = cluster(41);
    cluster.isolate(&["dns2", "web5"]).expect("they are there");
    much_happens(&mut cluster);
    assert!(answers_all(&cluster, "dns2"), "it still shows what it knew last");
    comes_back(cluster, Cluster::heal);
}

#[test]
fn one_that_starts_from_an_hour_old_disk_brings_nothing_back() {
    let mut cluster = cluster(42);
    cluster.kill("dns2").expect("it is there");
    cluster.kill("web5").expect("it is there");
    much_happens(&mut cluster);
    comes_back(cluster, |cluster| {
        cluster.restart("dns2").expect("it starts");
        cluster.restart("web5").expect("it starts");
    });
}
