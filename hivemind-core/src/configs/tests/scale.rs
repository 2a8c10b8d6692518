//! Some hundred nodes: what is where in the end, how fast, and at what cost.

use std::time::Duration;

use super::net::Net;
use crate::fixture::id;
use crate::ids::{NodeId, Seq};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn every_config_reaches_every_consumer_at_once_and_in_few_copies() {
    for (hosts, consumers) in [(300, 10), (120, 120)] {
        let mut net = Net::settled(hosts, hosts + consumers);
        for host in 1..=hosts {
            net.publish(host, b"the second");
        }
        net.run(SECOND / 4);
        for consumer in hosts + 1..=hosts + consumers {
            assert_eq!(net.seqs(consumer), net.seqs(hosts + 1), "{consumer}");
            let seqs = net.seqs(consumer);
            assert!((1..=hosts).all(|host| seqs.get(&id(host)) == Some(&Seq(2))), "consumer {consumer}: {seqs:?}");
            let copies = net.copies[&id(consumer)];
            assert!(copies <= 3 * hosts as usize, "consumer {consumer} got {copies} copies of {hosts} configs: {:?}", net.counts);
        }
    }
}

/// Half of the consumers are cut off while `changed` of the hosts publish: to the others alone.
fn cut_and_healed(hosts: u64, changed: u64) -> (Net, Vec<u64>, Vec<u64>) {
    let mut net = Net::settled(hosts, hosts + 10);
    let (here, there): (Vec<u64>, Vec<u64>) = (hosts + 1..=hosts + 10).partition(|consumer| consumer % 2 == 0);
    net.cut_off = there.iter().map(|&consumer| id(consumer)).collect();
    net.run(SECOND * 2);
    for host in 1..=changed {
        net.publish(host, b"the second");
    }
    net.run(SECOND * 5);
    for &consumer in &here {
        assert!((1..=changed).all(|host| net.held_seq(consumer, host) == Some(Seq(2))));
    }
    for &consumer in &there {
        assert!((1..=changed).all(|host| net.held_seq(consumer, host) == Some(Seq(1))));
    }
    net.cut_off.clear();
    net.counts.clear();
    (net, here, there)
}

#[test]
fn after_a_partition_consumers_are_equal_at_once_and_the_cost_follows_the_difference() {
    for changed in [300, 60] {
        let (mut net, here, there) = cut_and_healed(300, changed);
        net.run(SECOND * 2);
        for &consumer in &there {
            assert_eq!(net.seqs(consumer), net.seqs(here[0]), "{consumer}");
        }
        let difference: usize = (1..=changed).map(|host| net.weight(host)).sum::<usize>() * there.len();
        assert!(net.bytes() <= 3 * difference, "{} bytes for a difference of {difference}: {:?}", net.bytes(), net.counts);
    }
}

#[test]
fn stores_that_are_equal_cost_next_to_nothing() {
    let mut net = Net::settled(300, 310);
    net.run(SECOND * 60);
    let per_second = net.bytes() / 60 / 10;
    assert!(per_second < 600, "{per_second} bytes for each consumer and second: {:?}", net.counts);
    assert!(net.counts.keys().all(|kind| ["compare", "alike"].contains(kind)), "{:?}", net.counts);
}

#[test]
fn a_first_consumer_gets_all_configs_those_of_dead_hosts_among_them_from_few_neighbors() {
    let mut net = Net::settled(300, 300);
    let dead = [7, 90, 222];
    dead.into_iter().for_each(|host| net.kill(host));
    net.call_down(&dead);
    net.run(SECOND);
    net.counts.clear();
    net.join(301, true);
    net.run(SECOND * 2);
    assert!(net.peers[&id(301)].complete);
    assert_eq!(net.seqs(301).len(), 300, "{:?}", net.counts);
    assert!(net.counts["want"].0 < 60, "a few answer for many: {:?}", net.counts);
}

#[test]
fn when_all_consumers_are_lost_the_next_one_finds_everything() {
    let mut net = Net::settled(100, 104);
    net.kill(33);
    net.call_down(&[33]);
    net.run(SECOND);
    (101..=104).for_each(|consumer| net.leave(consumer));
    net.run(SECOND);
    net.join(105, true);
    net.run(SECOND * 2);
    assert!(net.peers[&id(105)].complete);
    assert_eq!(net.seqs(105), (1..=100).map(|host| (id(host), Seq(1))).collect());
}

#[test]
fn a_later_consumer_gets_thousands_of_configs_from_one_fellow_in_chunks() {
    let mut net = Net::new(2_500, 2_502);
    net.start(2_501);
    for host in 1..=2_500 {
        let entry = super::config(host, 1, b"the first");
        net.with(id(2_501), |configs, around, ctx| {
            configs.take(entry, None, around, ctx);
        });
    }
    net.run(SECOND * 8);
    assert!(net.peers[&id(2_501)].complete);
    net.counts.clear();
    net.start(2_502);
    net.run(SECOND / 2);
    assert!(net.peers[&id(2_502)].complete, "{:?}", net.counts);
    assert_eq!(net.seqs(2_502), net.seqs(2_501));
    let whole: usize = 2_500 * super::super::store::weight(&super::config(1, 1, b"the first"));
    assert!(net.bytes() < 2 * whole, "{} bytes for {whole}: {:?}", net.bytes(), net.counts);
}

#[test]
fn a_fellow_that_is_lost_on_the_way_is_got_round() {
    let mut net = Net::settled(60, 90);
    let lost: Vec<u64> = (61..=90).filter(|consumer| consumer % 3 == 0).collect();
    lost.iter().for_each(|&consumer| net.kill(consumer));
    // Once it is noticed by those who wait for its answer.
    (1..=60).for_each(|host| net.publish(host, b"the second"));
    net.run(SECOND * 2);
    (1..=60).for_each(|host| net.publish(host, b"the third"));
    net.run(SECOND / 2);
    let alive = (61..=90).filter(|consumer| !lost.contains(consumer));
    let late: Vec<(u64, u64)> =
        alive.flat_map(|at| (1..=60).map(move |host| (at, host))).filter(|&(at, host)| net.held_seq(at, host) != Some(Seq(3))).collect();
    assert!(late.len() < 20, "{} of 1,200 are late: {late:?}", late.len());
    net.run(SECOND * 4);
    for consumer in (61..=90).filter(|consumer| !lost.contains(consumer)) {
        assert!((1..=60).all(|host| net.held_seq(consumer, host) == Some(Seq(3))), "{consumer}");
    }
}

#[test]
fn when_one_that_answers_for_a_dead_host_leaves_another_gets_its_config() {
    let mut net = Net::settled(40, 40);
    let holders = |net: &Net| -> Vec<NodeId> {
        let held = net.peers.iter().filter(|(_, peer)| peer.configs.held().contains_key(&id(5)));
        held.map(|(node, _)| *node).collect()
    };
    net.kill(5);
    net.call_down(&[5]);
    net.run(SECOND);
    for _ in 0..5 {
        let holders = holders(&net);
        assert!(holders.len() >= 2, "{holders:?}");
        let leaver = (1..=40).find(|counter| holders[0] == id(*counter)).expect("a member");
        net.leave(leaver);
        net.run(SECOND);
    }
    assert!(holders(&net).len() >= 2);
}

#[test]
fn a_host_gives_its_config_to_whoever_answers_for_it_now() {
    let mut net = Net::settled(30, 30);
    for counter in 31..=60 {
        net.join(counter, false);
        net.run(SECOND / 10);
    }
    net.run(SECOND * 2);
    for host in 1..=30 {
        let hood = net.facts.neighborhood_of(id(host)).expect("a member");
        let delegates = super::super::scope::delegates(&net.facts, hood, id(host));
        for node in &delegates[..2] {
            assert!(net.peers[node].configs.held().contains_key(&id(host)), "{node} answers for {host}");
        }
    }
}
