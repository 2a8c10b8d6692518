//! Daemons that are killed, and what the cluster said it did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use hivemind_node::http::model::{Credentials, NewCredential};

use crate::cluster::{Cluster, VOTERS};
use crate::host::{Family, Host};
use crate::wait::until;

/// How often a voter is killed, unless the environment's `HIVEMIND_KILLS` says otherwise.
const KILLS: usize = 10;
/// Every so many-th credential that was made stays; the others are revoked again, as a cluster has no more than a thousand.
const KEPT: usize = 5;
/// So many commands are acknowledged between two kills, so that there is something to lose.
const BETWEEN: usize = 3;

#[test]
fn the_cluster_outlives_its_leader() {
    let mut cluster = Cluster::new(5, Family::V4);
    let before = cluster.memberships();
    let leader = cluster.leader(&[0, 1, 2]);
    cluster.daemons[leader].take().unwrap().kill();
    let rest: Vec<usize> = (0..VOTERS).filter(|at| *at != leader).collect();
    let next = cluster.leader(&rest);
    cluster.commits(next, "after the leader");
    cluster.daemons[leader] = Some(cluster.hosts[leader].start());
    cluster.all_well();
    let after = cluster.memberships();
    assert!(before.iter().all(|(name, node)| *name == cluster.hosts[leader].name || after.get(name) == Some(node)), "nobody else left");
}

/// What was asked for, and what came of it.
#[derive(Default)]
struct Ledger {
    /// By label: made for sure, and not asked to be revoked.
    standing: BTreeSet<String>,
    /// Not there for sure: refused, not asked, or revoked.
    absent: BTreeSet<String>,
    /// It may be there or not.
    open: BTreeSet<String>,
}

/// Asks one host after another for credentials, and has most of them revoked, until it is told to stop.
fn load(voters: &[Host], acknowledged: &AtomicUsize, done: &AtomicBool) -> Ledger {
    let mut ledger = Ledger::default();
    let mut number = 0;
    while !done.load(Ordering::Relaxed) {
        number += 1;
        let (label, host) = (format!("load {number}"), &voters[number % voters.len()]);
        let said = host.ask(&["credential", "create", "--right", "read", "--label", &label, "--json"]);
        match said.status {
            0 => {
                let made: NewCredential = said.json();
                if acknowledged.fetch_add(1, Ordering::Relaxed).is_multiple_of(KEPT) {
                    ledger.standing.insert(label);
                    continue;
                }
                // Revoked at another voter than the one that made it.
                let revoked = voters[(number + 1) % voters.len()].ask(&["credential", "revoke", &made.id]);
                match revoked.status {
                    0 => ledger.absent.insert(label),
                    // A view that has not got it yet refuses; nobody asked is nothing done.
                    1 | 3 => ledger.standing.insert(label),
                    4 => ledger.open.insert(label),
                    other => panic!("{other}: {revoked:?}"),
                };
            }
            1 | 3 => drop(ledger.absent.insert(label)),
            4 => drop(ledger.open.insert(label)),
            other => panic!("{other}: {said:?}"),
        }
    }
    ledger
}

#[test]
fn no_acknowledged_command_is_lost_by_kills() {
    let kills = std::env::var("HIVEMIND_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let mut cluster = Cluster::new(VOTERS, Family::V4);
    let before = cluster.memberships();
    let (acknowledged, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (hosts, daemons) = (&cluster.hosts, &mut cluster.daemons);
    let ledger = thread::scope(|scope| {
        let loading = scope.spawn(|| load(hosts, &acknowledged, &done));
        for kill in 0..kills {
            let (at, before) = (kill % VOTERS, acknowledged.load(Ordering::Relaxed));
            until(
                || format!("commands are acknowledged after {kill} kills; {}", hosts[0].log()),
                || (acknowledged.load(Ordering::Relaxed) >= before + BETWEEN || loading.is_finished()).then_some(()),
            );
            daemons[at].take().unwrap().kill();
            daemons[at] = Some(hosts[at].start());
        }
        done.store(true, Ordering::Relaxed);
        loading.join().unwrap()
    });
    cluster.all_well();
    // Who has this one has all that were before it.
    cluster.commits(0, "fence");
    let acknowledged = acknowledged.load(Ordering::Relaxed);
    let (standing, absent, open) = (ledger.standing.len(), ledger.absent.len(), ledger.open.len());
    println!("kills: {kills}, acknowledged: {acknowledged}, standing: {standing}, absent: {absent}, open: {open}");
    assert!(standing * KEPT >= kills, "there was load: {standing} stand");
    for host in &cluster.hosts {
        let list: Credentials = host
            .ask_until(&["credential", "list"], |list: &Credentials| list.credentials.iter().any(|credential| credential.label == "fence"));
        let mut listed: BTreeMap<&str, usize> = BTreeMap::new();
        for credential in &list.credentials {
            *listed.entry(&credential.label).or_default() += 1;
        }
        for label in &ledger.standing {
            assert_eq!(listed.get(label.as_str()), Some(&1), "{label} was acknowledged, and {} has not got it once", host.name);
        }
        for label in &ledger.absent {
            assert_eq!(listed.get(label.as_str()), None, "{label} is there at {}, though it was revoked or not made", host.name);
        }
    }
    assert_eq!(cluster.memberships(), before, "nobody left");
}
