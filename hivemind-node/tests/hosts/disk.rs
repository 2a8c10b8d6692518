//! Disks that are full, or read-only.

use rustix::process::Signal;

use crate::cluster::Cluster;
use crate::host::{Family, Host};
use crate::wait::until;
use crate::world::World;

/// Mounts the data folder of a host as a disk of its own.
fn mount(host: &Host, size: &str) {
    host.namespace.sh(&format!("mount -t tmpfs -o mode=700,size={size} data {}", host.data()));
}

fn remount(host: &Host, options: &str) {
    host.namespace.sh(&format!("mount --options-mode ignore -o remount,{options} {}", host.data()));
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
    host.namespace.sh(&format!("dd if=/dev/zero of={}/ballast bs=4k 2>/dev/null || true", host.data()));
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
    host.namespace.sh(&format!("rm {}/ballast", host.data()));
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
