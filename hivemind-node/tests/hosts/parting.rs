//! Links that fail.

use hivemind_node::http::model::{MemberState, Members, Status};

use crate::cluster::{Cluster, VOTERS};
use crate::host::Family;

#[test]
fn a_minority_that_was_cut_off_comes_back() {
    let cluster = Cluster::new(7, Family::V4);
    let before = cluster.memberships();
    let all: Vec<usize> = (0..VOTERS).collect();
    let cut_off = cluster.leader(&all);
    let rest: Vec<usize> = all.iter().copied().filter(|at| *at != cut_off).collect();
    cluster.world.plug(cut_off + 1, false);
    // Its own cluster has no quorum, and says so; the others elect another leader and go on.
    cluster.hosts[cut_off].ask_until(&["status"], |status: &Status| status.condition.degraded);
    let said = cluster.hosts[cut_off].ask(&["credential", "create", "--right", "read", "--label", "minority"]);
    assert!([3, 4].contains(&said.status), "it can not commit: {said:?}");
    let leader = cluster.leader(&rest);
    cluster.commits(leader, "majority");
    let name = cluster.hosts[cut_off].name.clone();
    cluster.hosts[leader].ask_until(&["members"], |list: &Members| {
        list.members.iter().all(|member| member.name != name || member.state == MemberState::Unreachable)
    });
    cluster.world.plug(cut_off + 1, true);
    cluster.all_well();
    let after = cluster.memberships();
    for (name, node) in &before {
        assert!(after.get(name) == Some(node) || *name == cluster.hosts[cut_off].name, "{name} left, which was not cut off");
    }
    assert_eq!(after.len(), before.len(), "who was cut off is a member: the same one, or anew");
}

#[test]
fn lost_packets_cost_no_membership() {
    let cluster = Cluster::new(5, Family::V6);
    let before = cluster.memberships();
    let leader = cluster.leader(&[0, 1, 2]);
    let deaf = (0..VOTERS).find(|at| *at != leader).unwrap();
    let [from, to] = [leader, deaf].map(|at| format!("fd00::{}", at + 1));
    // The deaf one hears nothing of the leader, which hears it; the others hear both.
    let one_way = format!(
        "nft add table inet cut; nft 'add chain inet cut in {{ type filter hook input priority 0; }}'; nft add rule inet cut in ip6 saddr {from} ip6 daddr {to} counter drop"
    );
    cluster.hosts[deaf].namespace.sh(&one_way);
    for number in 0..5 {
        cluster.commits(leader, &format!("one way {number}"));
    }
    let counted = cluster.hosts[deaf].namespace.sh("nft list table inet cut; nft delete table inet cut");
    assert!(counted.contains("counter packets") && !counted.contains("counter packets 0 "), "packets were lost: {counted}");
    for host in &cluster.hosts {
        host.namespace.sh("nft add table inet loss; nft 'add chain inet loss in { type filter hook input priority 0; }'; nft add rule inet loss in iifname eth0 numgen random mod 100 '<' 10 counter drop");
    }
    for number in 0..10 {
        cluster.commits(number % VOTERS, &format!("lossy {number}"));
    }
    // A quiet host may be lucky; all of them are not.
    let lost = cluster.hosts.iter().filter(|host| {
        let counted = host.namespace.sh("nft list table inet loss; nft delete table inet loss");
        assert!(counted.contains("counter packets"), "it was counted: {counted}");
        !counted.contains("counter packets 0 ")
    });
    assert!(lost.count() > 0, "packets were lost");
    cluster.all_well();
    assert_eq!(cluster.memberships(), before, "nobody left");
}
