use std::time::Duration;

use super::net::{CREATED, HOOD, Net, id, ms};
use super::town::{apply, net_of, scope_of, town};
use crate::facts::Facts;
use crate::ids::{Index, NeighborhoodId, NodeId};
use crate::wire::event::Event;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// 48 nodes in one neighborhood, and what they will know after it was halved: the even ones move.
fn before_and_after(seed: u64) -> (Net, Facts) {
    let before = town(1, 48);
    let mut after = before.clone();
    let moved = (1..=24).map(|half| id(2 * half)).collect();
    apply(&mut after, &Event::Split { from: HOOD, into: NeighborhoodId(1), moved });
    (net_of(&before, seed), after)
}

fn split(net: &mut Net, node: NodeId, after: &Facts) {
    net.follow(node, scope_of(after, node));
}

/// Each node hears of the split at a time of its own, within `most`.
fn split_all(net: &mut Net, after: &Facts, most: Duration) {
    let mut times: Vec<(Duration, NodeId)> = net.members.clone().into_iter().map(|node| (net.chance.duration_below(most), node)).collect();
    times.sort_unstable();
    let begin = net.now;
    for (at, node) in times {
        net.run((begin + at).since(net.now));
        split(net, node, after);
    }
}

#[test]
fn a_split_makes_no_case_against_a_live_node() {
    for seed in 0..10 {
        let (mut net, after) = before_and_after(seed);
        net.loss_ppm = 10_000;
        net.run(secs(5));
        split_all(&mut net, &after, ms(1 + seed * 700));
        net.run(secs(30));
        assert!(net.convicted.is_empty(), "seed {seed}: {:?}", net.convicted);
        assert_eq!(net.junk, 0, "seed {seed}: a packet of a neighborhood that its sender knows still is ordinary");
        for &node in &net.members {
            assert!(net.node(node).membership.unreachable().is_empty(), "seed {seed}: {node}");
            let hood = after.neighborhood_of(node).expect("a member is somewhere").1;
            for &of in net.members.iter().filter(|&&of| of != node) {
                let (up, known) = net.node(node).membership.swim_standing(of);
                assert_eq!((up, known), (hood.members.contains(&of), hood.members.contains(&of)), "seed {seed}: {node} of {of}");
            }
        }
    }
}

#[test]
fn who_hears_late_of_a_split_is_answered_in_the_former_neighborhood() {
    let (mut net, after) = before_and_after(1);
    let late = id(7);
    net.run(secs(5));
    let others: Vec<NodeId> = net.members.iter().copied().filter(|&node| node != late).collect();
    others.iter().for_each(|&node| split(&mut net, node, &after));
    net.run(secs(9));
    assert!(others.iter().all(|&of| net.node(late).membership.swim_standing(of).0), "nobody seems down to it");
    net.run(secs(20));
    let silent = others.iter().filter(|&&of| !net.node(late).membership.swim_standing(of).0).count();
    assert!(silent > 0, "the former neighborhood goes silent in the end");
    assert!(net.node(late).membership.unreachable().is_empty(), "and yet everyone answers it first-hand");
    assert!(net.convicted.is_empty(), "{:?}", net.convicted);
}

#[test]
fn a_crash_during_a_split_is_found_in_time() {
    for seed in 0..20 {
        let (mut net, after) = before_and_after(seed);
        net.loss_ppm = 10_000;
        net.run(secs(5) + ms(seed * 91 % 1_000));
        let victim = id(5 + seed);
        let crashed = net.now;
        net.crash(victim);
        net.run(ms(seed * 200));
        for node in net.members.clone() {
            split(&mut net, node, &after);
        }
        assert!(net.run_until(secs(30), |net| net.convicted.contains_key(&victim)), "seed {seed}");
        let took = net.now.since(crashed);
        assert!(took < secs(10), "seed {seed}: {took:?}");
        assert_eq!(net.convicted.len(), 1, "seed {seed}: {:?}", net.convicted);
    }
}

#[test]
fn a_doubt_about_one_who_stays_goes_on() {
    let (mut net, after) = before_and_after(3);
    net.run(secs(5));
    net.crash(id(9));
    net.crash(id(10));
    net.run(secs(8));
    assert!(net.is_unreachable(id(11), id(9)) && net.is_unreachable(id(11), id(10)));
    net.log = Some(Vec::new());
    split(&mut net, id(11), &after);
    assert!(net.is_unreachable(id(11), id(9)), "a neighbor still");
    assert!(!net.is_unreachable(id(11), id(10)), "no business of this node any more");
    let log = net.log.take().expect("it was set above");
    assert!(!log.iter().any(|line| line.contains("n1.9, reachable")), "{log:?}");
    net.told_again(id(9));
    net.run(secs(1));
    assert!(net.was_told_by(id(9), id(11)), "the evidence goes on without a pause");
}

#[test]
fn a_merge_makes_one_list_of_two() {
    let before = town(2, 10);
    let mut net = net_of(&before, 5);
    net.run(secs(5));
    let members = before.members().values().map(|member| (**member).clone()).collect();
    let mut after = before;
    apply(&mut after, &Event::Merged { from: NeighborhoodId(1), into: NeighborhoodId(0), members });
    split_all(&mut net, &after, secs(1));
    net.run(secs(15));
    for &node in &net.members {
        assert!(net.members.iter().all(|&of| of == node || net.node(node).membership.swim_standing(of).0), "{node}");
    }
    assert!(net.convicted.is_empty() && net.junk == 0);
}

#[test]
fn former_neighborhoods_are_few_and_end() {
    let mut net = Net::new(3, 6);
    net.run(secs(2));
    for change in 1..=10 {
        net.with(id(3), |membership, ctx| membership.enter(HOOD, Index(change), &[id(2)], ctx));
        assert!(net.node(id(3)).membership.retired.len() <= 4);
    }
    net.run(secs(11));
    assert!(net.node(id(3)).membership.retired.is_empty());
    assert_ne!(CREATED, Index(10));
}

#[cfg(debug_assertions)]
#[test]
#[should_panic(expected = "more than 47 neighbors")]
fn no_list_is_longer_than_the_limit() {
    let mut net = Net::new(48, 7);
    net.with(id(1), |membership, ctx| membership.peer_joined(id(49), ctx));
}
