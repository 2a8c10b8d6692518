//! Daemons that are killed, and what the cluster said it did.

use crate::cluster::{Cluster, VOTERS};
use crate::host::Family;
use crate::load::{FENCE, KEPT, under_load};

/// How often a voter is killed, unless the environment's `HIVEMIND_KILLS` says otherwise.
const KILLS: usize = 10;
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

#[test]
fn no_acknowledged_command_is_lost_by_kills() {
    let kills = std::env::var("HIVEMIND_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let mut cluster = Cluster::new(VOTERS, Family::V4);
    let before = cluster.memberships();
    let (hosts, daemons) = (&cluster.hosts, &mut cluster.daemons);
    let ledger = under_load(hosts, |load| {
        for kill in 0..kills {
            let at = kill % VOTERS;
            load.acknowledges(BETWEEN);
            daemons[at].take().unwrap().kill();
            daemons[at] = Some(hosts[at].start());
        }
    });
    cluster.all_well();
    // Who has this one has all that were before it.
    cluster.commits(0, FENCE);
    println!("kills: {kills}, {ledger}");
    assert!(ledger.standing() * KEPT >= kills, "there was load: {ledger}");
    ledger.stands_at(&cluster.hosts);
    assert_eq!(cluster.memberships(), before, "nobody left");
}
