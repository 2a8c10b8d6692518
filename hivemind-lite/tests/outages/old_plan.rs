//! An old plan applied over a newer one, then its clean-up, seen through DNS: Amazon DynamoDB, October 2025 (see
//! `hivemind-core/tests/whole/outages/old_plan.rs`). There, an endpoint ended up with no address at all.
//!
//! Here, whatever is delayed, repeated or cleaned up, no consumer's zone is ever empty, no version goes back (S4 is checked at
//! every step), and after the delay every consumer is at the newest.

use hivemind_core::ids::Seq;
use hivemind_core::wire::command::Command;
use hivemind_core::wire::event::LeaveReason;
use hivemind_lite::sim::cluster::Cluster;
use hivemind_lite::sim::roles;

use super::{DNS, HOSTS, answers_all, cluster, commit, is_back, is_whole, name, seconds, watch};

fn version(cluster: &Cluster, dns: &str, host: &str) -> Option<Seq> {
    Some(cluster.answers(dns)?.get(&name(host))?.seq)
}

#[test]
fn a_consumer_that_was_delayed_by_many_plans_never_empties_the_zone_and_ends_at_the_newest() {
    let mut cluster = cluster(21);
    let mut newest = Vec::new();
    for round in 1..=8 {
        // One of the two is cut off in each round, so that each in turn holds plans that are old.
        let late = DNS[round as usize % 2];
        cluster.isolate(&[late]).expect("it is there");
        newest = HOSTS
            .iter()
            .zip(1..)
            .map(|(host, number)| (*host, cluster.publish(host, roles::sections(number, round)).expect("it is published")))
            .collect();
        watch(&mut cluster, seconds(2), |cluster| {
            assert!(DNS.iter().all(|dns| answers_all(cluster, dns)), "round {round}: an answer is gone");
        });
        cluster.heal();
        watch(&mut cluster, seconds(1), |cluster| {
            assert!(DNS.iter().all(|dns| answers_all(cluster, dns)), "round {round}: an answer is gone");
        });
    }
    let all_newest = |cluster: &Cluster| DNS.iter().all(|dns| newest.iter().all(|(host, seq)| version(cluster, dns, host) == Some(*seq)));
    cluster.wait("both are at the newest plans", seconds(10), all_newest).expect("they are");
}

#[test]
fn the_clean_up_of_one_membership_takes_no_answer_of_the_next_one_or_of_others() {
    let mut cluster = cluster(22);
    let former = cluster.status("web1").expect("it runs").node;
    // A consumer is away while the host's old membership is cleaned up and its next one publishes.
    cluster.isolate(&["dns2"]).expect("it is there");
    cluster.kill("web1").expect("it is there");
    cluster.wait("its membership ended", seconds(30), |cluster| !cluster.is_answered("dns1", &name("web1"))).expect("it left");
    cluster.restart("web1").expect("it starts");
    cluster
        .wait("it is back", seconds(30), |cluster| is_back(cluster, "web1") && cluster.is_answered("dns1", &name("web1")))
        .expect("it is");
    assert!(cluster.status("web1").expect("it runs").node > former);
    let newest = cluster.publish("web1", roles::sections(1, 9)).expect("it is published");
    cluster.run_for(seconds(1)).expect("nothing breaks");
    // What is late about the old membership reaches one that knows the new one, and the other way round.
    cluster.heal();
    watch(&mut cluster, seconds(20), |cluster| {
        assert_eq!(version(cluster, "dns1", "web1"), Some(newest));
        let others = HOSTS.iter().filter(|host| **host != "web1");
        for dns in DNS.iter().filter(|dns| is_back(cluster, dns)) {
            assert!(others.clone().all(|host| cluster.is_answered(dns, &name(host))), "{dns} has lost the answer of another host");
        }
    });
    cluster.wait("all know the newest", seconds(20), |cluster| version(cluster, "dns2", "web1") == Some(newest)).expect("they do");
    // Cleaning the old membership up once more is refused, and changes nothing.
    let again = Command::Leave { node: former, reason: LeaveReason::Evicted };
    let outcome = cluster.propose("voter1", again).expect("it runs");
    assert!(matches!(outcome, hivemind_core::wire::command::Outcome::Refused(_)), "{outcome:?}");
    cluster.wait("all is whole", seconds(20), is_whole).expect("it is");
}

#[test]
fn collected_history_takes_no_answer_along() {
    let mut cluster = cluster(23);
    cluster.isolate(&["dns2"]).expect("it is there");
    for round in 1..=4 {
        let floor = cluster.read("voter1").expect("a quorum").index;
        commit(&mut cluster, "voter1", Command::AdvanceEpoch { floor });
        cluster.publish("web1", roles::sections(1, round)).expect("it is published");
        watch(&mut cluster, seconds(1), |cluster| assert!(DNS.iter().all(|dns| answers_all(cluster, dns))));
    }
    cluster.heal();
    watch(&mut cluster, seconds(20), |cluster| assert!(answers_all(cluster, "dns1"), "at {:?}", cluster.now()));
    cluster.wait("all is whole", seconds(30), is_whole).expect("it is");
}
