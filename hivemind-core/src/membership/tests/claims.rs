use std::time::Duration;

use super::net::{CREATED, HOOD, Net, id, ms};
use crate::ids::{Index, NeighborhoodId};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent).div_ceil(100).clamp(1, sorted.len()) - 1]
}

#[test]
fn a_crash_is_confirmed_by_three_observers_in_time() {
    let seeds = from_env("SWIM_SEEDS", 200);
    let mut times: Vec<Duration> = (0..seeds)
        .map(|seed| {
            let mut net = Net::new(48, seed);
            net.loss_ppm = 10_000;
            net.run(secs(5) + ms(seed * 37 % 1_000));
            let victim = id(1 + seed % 48);
            let crashed = net.now;
            net.crash(victim);
            assert!(net.run_until(secs(30), |net| net.convicted.contains_key(&victim)), "seed {seed}");
            assert_eq!(net.convicted.len(), 1, "seed {seed}: a live node was convicted");
            net.now.since(crashed)
        })
        .collect();
    times.sort_unstable();
    let (median, p99, most) = (percentile(&times, 50), percentile(&times, 99), percentile(&times, 100));
    println!("crash at 48 nodes, 1 % loss, {seeds} seeds: three observers after {median:?} (median), {p99:?} (p99), {most:?} (most)");
    assert!(median < secs(5) && p99 < secs(8), "{median:?} {p99:?}");
}

#[test]
fn no_live_node_gets_three_observers() {
    let minutes = from_env("SWIM_MINUTES", 10);
    let mut net = Net::new(48, from_env("SWIM_SEED", 7));
    net.loss_ppm = 10_000;
    for _ in 0..minutes {
        net.run(secs(60));
        assert!(net.convicted.is_empty(), "{:?} by {:?}", net.convicted, net.now);
    }
    println!("{minutes} virtual minutes of 48 nodes, 1 % loss: {} suspicions confirmed first-hand, none by three", net.suspicions);
    println!("per node and second: {} bytes, {} frames", net.bytes / (48 * 60 * minutes), net.frames * 100 / (48 * 60 * minutes));
}

/// How much a test runs: by default little, on demand (`SWIM_MINUTES=600`, `SWIM_SEEDS=2000`) a lot.
#[expect(clippy::disallowed_methods, reason = "how much a test runs is no input of the core")]
fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn a_starved_node_alone_makes_no_case_against_anyone() {
    let (mut woke, mut failures) = (0, 0);
    for seed in 0..4 {
        let mut net = Net::new(48, seed);
        net.loss_ppm = 10_000;
        net.run(secs(5));
        let starved = id(1 + seed * 5 % 48);
        for round in 0..20 {
            net.starve(starved, secs(2 + round % 6));
            net.run(secs(8));
            woke += 1;
        }
        net.convicted.remove(&starved);
        assert!(net.convicted.is_empty(), "seed {seed}: {:?}", net.convicted);
        net.run(secs(5));
        failures += net.suspicions;
        let fine = net.members.iter().all(|&at| net.node(at).membership.unreachable().is_empty());
        assert!(fine, "seed {seed}: someone is still held for unreachable");
    }
    println!("a node starved {woke} times for 2 to 7 s: {failures} first-hand failures in all, of it and by it");
    assert_eq!(woke, 80);
}

#[test]
fn a_node_that_gets_too_little_time_makes_no_case_against_anyone() {
    let mut net = Net::new(48, 18);
    net.run(secs(5));
    let starved = id(30);
    for _ in 0..200 {
        net.starve(starved, ms(1_600));
        net.run(ms(1_620));
    }
    net.convicted.remove(&starved);
    assert!(net.convicted.is_empty(), "{:?}", net.convicted);
    println!("20 ms of time every 1.6 s: {} first-hand failures, {} identities renewed", net.suspicions, net.renewed());
}

#[test]
fn a_node_that_hears_nobody_makes_no_case_against_others() {
    let mut net = Net::new(48, 11);
    net.run(secs(5));
    let deaf = id(20);
    for other in net.members.clone() {
        net.cut.insert((other, deaf));
    }
    net.run(secs(60));
    assert!(net.node(deaf).membership.unreachable().len() > 40, "it should hold the others for unreachable");
    // It answers nobody: that it is itself convicted is right.
    net.convicted.remove(&deaf);
    assert!(net.convicted.is_empty(), "{:?}", net.convicted);
    net.cut.clear();
    net.run(secs(3));
    assert!(net.node(deaf).membership.unreachable().is_empty());
}

#[test]
fn without_asking_for_themselves_nodes_would_believe_a_deaf_one() {
    let mut net = Net::new(48, 11);
    net.settings.membership.confirm_pings = 0;
    net.run(secs(5));
    let deaf = id(20);
    for other in net.members.clone() {
        net.cut.insert((other, deaf));
    }
    net.run(secs(20));
    net.convicted.remove(&deaf);
    assert!(!net.convicted.is_empty(), "then the tests above would not notice that the rule is missing");
}

#[test]
fn a_single_broken_link_leaves_both_ends_reachable_for_all() {
    let mut net = Net::new(12, 12);
    net.run(secs(5));
    net.cut.insert((id(3), id(4)));
    net.cut.insert((id(4), id(3)));
    net.run(secs(120));
    assert!(net.convicted.is_empty(), "{:?}", net.convicted);
    assert!(net.members.iter().all(|&at| net.node(at).membership.unreachable().is_empty()));
}

#[test]
fn a_restarted_node_is_readmitted_at_once() {
    for seed in 0..20 {
        let mut net = Net::new(48, seed);
        net.loss_ppm = 10_000;
        net.run(secs(5));
        let node = id(1 + seed % 48);
        net.crash(node);
        // Long enough to be unreachable for all, or short enough that nobody noticed.
        net.run(if seed % 2 == 0 { secs(15) } else { ms(300) });
        net.start(node);
        let back = |net: &Net| net.members.iter().all(|&at| at == node || net.node(at).membership.swim_standing(node).0);
        assert!(net.run_until(secs(3), back), "seed {seed}");
        net.run(secs(20));
        assert!(back(&net), "seed {seed}: it did not stay");
        assert!(net.members.iter().all(|&at| net.node(at).membership.unreachable().is_empty()), "seed {seed}");
    }
}

#[test]
fn two_that_lost_each_other_find_each_other_again() {
    let mut net = Net::new(2, 13);
    net.run(secs(5));
    net.cut.insert((id(1), id(2)));
    net.cut.insert((id(2), id(1)));
    net.run(secs(30));
    assert!(net.is_unreachable(id(1), id(2)) && net.is_unreachable(id(2), id(1)));
    net.cut.clear();
    let healed = |net: &Net| {
        let up = |at, of| !net.is_unreachable(at, of) && net.node(at).membership.swim_standing(of).0;
        up(id(1), id(2)) && up(id(2), id(1))
    };
    assert!(net.run_until(secs(5), healed));
}

#[test]
fn a_partition_heals() {
    let mut net = Net::new(48, 14);
    net.run(secs(5));
    for (left, right) in (1..=24).flat_map(|left| (25..=48).map(move |right| (left, right))) {
        net.cut.insert((id(left), id(right)));
        net.cut.insert((id(right), id(left)));
    }
    net.run(secs(60));
    assert_eq!(net.node(id(1)).membership.unreachable().len(), 24);
    net.cut.clear();
    let healed = |net: &Net| {
        net.members.iter().all(|&at| {
            let membership = &net.node(at).membership;
            membership.unreachable().is_empty() && net.members.iter().all(|&of| of == at || membership.swim_standing(of).0)
        })
    };
    assert!(net.run_until(secs(10), healed));
}

#[test]
fn a_left_member_is_not_readmitted_by_late_gossip() {
    let mut net = Net::new(12, 15);
    net.run(secs(5));
    let left = id(12);
    // Half of the nodes have not heard of the leave: they go on to probe it and to speak of it.
    for node in 1..=6 {
        net.with(id(node), |membership, ctx| membership.member_left(left, ctx));
    }
    net.run(secs(10));
    net.crash(left);
    net.run(secs(10));
    net.start(left);
    net.run(secs(10));
    for node in 1..=6 {
        assert!(!net.node(id(node)).membership.swim_standing(left).1, "{node} speaks of one that left");
        assert!(!net.is_unreachable(id(node), left));
    }
    assert!(net.node(id(7)).membership.swim_standing(left).0, "those who have not heard of it know it still");
}

#[test]
fn one_seed_is_one_trace() {
    let trace = |seed| {
        let mut net = Net::new(24, seed);
        net.loss_ppm = 20_000;
        net.run(secs(5));
        net.crash(id(3));
        net.starve(id(5), secs(3));
        net.run(secs(10));
        net.start(id(3));
        net.run(secs(5));
        net.trace
    };
    assert_eq!(trace(1), trace(1));
    assert_ne!(trace(1), trace(2));
}

#[test]
fn a_node_that_left_says_nothing_more() {
    let mut net = Net::new(4, 19);
    net.run(secs(5));
    for node in net.members.clone() {
        net.with(node, |membership, _| membership.leave_all());
    }
    let before = net.frames;
    net.run(secs(120));
    assert_eq!(net.frames, before, "a timer of an instance that ended did something");
    assert!(net.node(id(1)).timers.next_due().is_none());
}

#[test]
fn entering_the_same_neighborhood_again_only_mends_the_list() {
    let mut net = Net::new(5, 20);
    net.run(secs(5));
    net.crash(id(4));
    net.run(secs(6));
    assert!(net.is_unreachable(id(1), id(4)));
    let before = net.frames;
    net.with(id(1), |membership, ctx| membership.enter(HOOD, CREATED, &[id(1), id(2), id(3), id(5), id(6)], ctx));
    assert_eq!(net.frames, before, "it introduced itself again");
    let standing = |node| net.node(id(1)).membership.swim_standing(id(node));
    assert_eq!([2, 3, 4, 5, 6].map(|node| standing(node).1), [true, true, false, true, true]);
    assert!(!net.is_unreachable(id(1), id(4)));
}

#[test]
fn entering_another_neighborhood_forgets_who_is_not_in_it() {
    let mut net = Net::new(5, 21);
    net.run(secs(5));
    net.crash(id(4));
    net.run(secs(6));
    net.log = Some(Vec::new());
    net.with(id(5), |membership, ctx| membership.enter(NeighborhoodId(1), Index(77), &[id(5), id(2)], ctx));
    let log = net.log.take().expect("it was set above");
    assert!(log.iter().any(|line| line.ends_with("Reachability { node: n1.4, reachable: true }")), "{log:?}");
    assert!(!net.is_unreachable(id(5), id(4)));
}
