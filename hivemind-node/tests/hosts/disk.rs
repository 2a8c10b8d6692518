//! Disks that are full, or read-only.

use std::fs;

use hivemind_node::http::model::Configs;
use rustix::process::Signal;

use crate::cluster::{Cluster, VOTERS};
use crate::host::{Daemon, Family, Host};
use crate::load::{FENCE, under_load};
use crate::wait::until;
use crate::world::World;

/// Mounts the data folder of a host as a disk of its own.
fn mount(host: &Host, size: &str) {
    host.namespace.sh(&format!("mount -t tmpfs -o mode=700,size={size} data {}", host.data()));
}

fn remount(host: &Host, options: &str) {
    host.namespace.sh(&format!("mount --options-mode ignore -o remount,{options} {}", host.data()));
}

/// Takes all room that is left.
fn fill(host: &Host) {
    host.namespace.sh(&format!("dd if=/dev/zero of={}/ballast bs=4k 2>/dev/null || true", host.data()));
}

fn make_room(host: &Host) {
    host.namespace.sh(&format!("rm {}/ballast", host.data()));
}

/// Lays a read-only picture of the data folder over it. The kernel lets no test take the right to write from files that are open: what
/// comes of that, the tests of the storage show.
fn turn_read_only(host: &Host) {
    host.namespace.sh(&format!("mount --bind {0} {0}; mount --options-mode ignore -o remount,bind,ro {0}", host.data()));
}

fn turn_writable(host: &Host) {
    host.namespace.sh(&format!("umount {}", host.data()));
}

/// The status of a daemon that ends by itself.
fn status_at_end(host: &Host, daemon: &mut Daemon) -> i32 {
    until(|| format!("the disk of {} is noticed; {}", host.name, host.log()), || daemon.has_ended())
}

#[test]
fn an_init_that_is_cut_short_is_begun_anew() {
    let world = World::new();
    let host = Host::new(&world, 1, Family::V4);
    for size in ["4k", "12k", "20k", "28k", "36k"] {
        mount(&host, size);
        let said = host.init();
        assert!(said.status == 1 && said.err.to_lowercase().contains("no space left"), "{size}: {said:?}");
        assert!(!host.path("node.toml").exists(), "{size}");
        remount(&host, "size=64m");
        let said = host.init();
        assert!(said.err.contains("was cut short") && said.out.starts_with("hmc1-"), "{size}: {said:?}");
        std::fs::remove_file(host.path("node.toml")).unwrap();
        host.namespace.sh(&format!("umount {}", host.data()));
    }
    for file in ["unfinished", "identity", "raft", "certificate.pem"] {
        let mut founding = host.founding();
        let is_there = || host.path("data").join(file).exists();
        until(|| format!("{file} is made"), || (is_there() || founding.try_wait().unwrap().is_some()).then_some(()));
        founding.kill().unwrap();
        founding.wait().unwrap();
        // It may have been faster.
        if host.path("node.toml").exists() {
            std::fs::remove_file(host.path("node.toml")).unwrap();
            host.namespace.sh(&format!("rm -r {}/*", host.data()));
        }
    }
    host.init().done();
    host.start();
    assert!(!host.path("data/unfinished").exists());
}

#[test]
fn a_voter_whose_disk_is_full_stops_and_comes_back_with_room() {
    // Small enough that the log gets no room in advance.
    let mut cluster = Cluster::on(3, Family::V4, |host| mount(host, "1m"));
    let before = cluster.memberships();
    let leader = cluster.leader(&[0, 1, 2]);
    let full = (leader + 1) % 3;
    let host = &cluster.hosts[full];
    fill(host);
    let mut daemon = cluster.daemons[full].take().unwrap();
    let mut number = 0;
    let ended = until(
        || format!("a full disk is noticed; {}", host.log()),
        || {
            number += 1;
            cluster.commits(leader, &format!("fill {number}"));
            daemon.has_ended()
        },
    );
    assert!(ended == 1 && host.log().contains("no space left"), "{ended}: {}", host.log());
    // Started again without room it says the same, and nothing is lost.
    assert_eq!(host.spawn().ended(), Some(1), "{}", host.log());
    cluster.commits(leader, "without it");
    make_room(host);
    cluster.daemons[full] = Some(host.start());
    cluster.all_well();
    assert_eq!(cluster.memberships(), before, "nobody left");
}

#[test]
fn a_data_folder_that_is_read_only_is_said_to_be() {
    let mut cluster = Cluster::on(3, Family::V6, |host| mount(host, "64m"));
    let before = cluster.memberships();
    let daemon = cluster.daemons[2].take().unwrap();
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended(), Some(0));
    let host = &cluster.hosts[2];
    remount(host, "ro");
    assert_eq!(host.spawn().ended(), Some(1));
    assert!(host.log().contains("is read-only or belongs to another user; make it writable"), "{}", host.log());
    remount(host, "rw");
    cluster.daemons[2] = Some(host.start());
    cluster.all_well();
    assert_eq!(cluster.memberships(), before, "nobody left");
}

#[test]
fn a_leader_whose_disk_fills_under_load_loses_nothing_and_comes_back_with_room() {
    let mut cluster = Cluster::on(VOTERS, Family::V4, |host| mount(host, "1m"));
    let before = cluster.memberships();
    let leader = cluster.leader(&[0, 1, 2]);
    let rest: Vec<usize> = (0..VOTERS).filter(|at| *at != leader).collect();
    rest.iter().for_each(|at| remount(&cluster.hosts[*at], "size=64m"));
    let (host, mut daemon) = (&cluster.hosts[leader], cluster.daemons[leader].take().unwrap());
    let ledger = under_load(&cluster.hosts, |load| {
        load.acknowledges(5);
        fill(host);
        assert_eq!(status_at_end(host, &mut daemon), 1, "{}", host.log());
        load.acknowledges(10);
    });
    let log = host.log();
    assert!(log.contains("no space left for ") && log.contains("free some, then start the node again"), "{log}");
    let looked = host.ask(&["doctor"]);
    assert!(looked.status == 1 && looked.out.lines().any(|line| line.starts_with("FAIL") && line.contains("room")), "{looked:?}");
    let next = cluster.leader(&rest);
    cluster.commits(next, "without it");
    make_room(host);
    cluster.daemons[leader] = Some(host.start());
    cluster.all_well();
    cluster.commits(leader, FENCE);
    println!("{ledger}");
    ledger.stands_at(&cluster.hosts);
    cluster.at_one_position();
    assert_eq!(cluster.memberships(), before, "nobody left");
}

#[test]
fn a_disk_that_turns_read_only_ends_a_plain_host_and_a_leader_until_it_is_writable() {
    let mut cluster = Cluster::new(VOTERS + 1, Family::V6);
    let before = cluster.memberships();
    let plain = VOTERS;
    until(
        || "the founder leads, which publishes".to_owned(),
        || {
            let leader = cluster.leader(&[0, 1, 2]);
            (leader == 0 || cluster.hosts[leader].ask(&["leader", "transfer", &cluster.hosts[0].name]).status == 0).then_some(())
        },
    );
    let (hosts, daemons) = (&cluster.hosts, &mut cluster.daemons);
    let ledger = under_load(&hosts[..VOTERS], |load| {
        for at in [plain, 0] {
            let (host, mut daemon) = (&hosts[at], daemons[at].take().unwrap());
            load.acknowledges(3);
            turn_read_only(host);
            fs::write(host.path(&format!("hosts.d/{}.toml", host.name)), "addresses = [\"10.0.0.9\"]\n").unwrap();
            assert_eq!(status_at_end(host, &mut daemon), 1, "{}", host.log());
            let log = host.log();
            assert!(log.contains("its disk is read-only now") && log.contains("make it writable, then start the node again"), "{log}");
            assert_eq!(host.spawn().ended(), Some(1));
            assert!(host.log().contains("is read-only or belongs to another user; make it writable"), "{}", host.log());
            load.acknowledges(3);
            turn_writable(host);
            daemons[at] = Some(host.start());
        }
    });
    cluster.all_well();
    // What could not be kept is published now.
    cluster.hosts[0].ask_until(&["configs"], |list: &Configs| {
        [0, plain].iter().all(|at| list.configs.iter().any(|config| config.host == cluster.hosts[*at].name))
    });
    cluster.commits(0, FENCE);
    ledger.stands_at(&cluster.hosts[..VOTERS]);
    cluster.at_one_position();
    let after = cluster.memberships();
    for host in &cluster.hosts[..VOTERS] {
        assert_eq!(after.get(&host.name), before.get(&host.name), "no voter left");
    }
    assert!(after.keys().eq(before.keys()), "the same hosts are members");
}
