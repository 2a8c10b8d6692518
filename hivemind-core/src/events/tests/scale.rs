//! What spreading costs and how long it takes, however many there are.

use std::time::Duration;

use super::net::{Lie, Net, by_lot};

const SECOND: Duration = Duration::from_secs(1);

fn report(what: &str, net: &Net) {
    let sent: usize = net.honest().map(|node| node.traffic.sent).sum();
    let pulls = net.honest().map(|node| node.traffic.pulls).max();
    println!(
        "{what}: {} honest; copies {}/100; 50 % {:?}, 99 % {:?}, 99.9 % {:?}, all {:?}; {} B per node, leader {} B; most pulls {pulls:?}",
        net.honest().count(),
        net.copies(),
        net.known_after(500_000),
        net.known_after(990_000),
        net.known_after(999_000),
        net.known_after(1_000_000),
        sent / net.honest().count(),
        net.nodes.values().next().map_or(0, |leader| leader.traffic.sent),
    );
}

fn lone(count: u64) -> Net {
    let mut net = Net::new(count, 7);
    for _ in 0..4 {
        net.commit();
        net.run(2 * SECOND);
    }
    report("lone", &net);
    net
}

#[test]
fn a_lone_event_is_everywhere_within_moments_in_four_copies_at_most() {
    for (count, bound) in [(1_000, SECOND), (5_000, SECOND * 3 / 2)] {
        let net = lone(count);
        assert!(net.known_after(990_000) < Some(SECOND / 2), "99 % of {count}");
        assert!(net.known_after(1_000_000).is_some_and(|all| all < bound), "all of {count}");
        assert!(net.copies() <= 400, "{count}");
    }
}

#[test]
fn what_the_leader_sends_does_not_grow_with_the_cluster() {
    let leader = |count| lone(count).node(1).traffic.sent;
    let (small, large) = (leader(200), leader(3_000));
    assert!(small.abs_diff(large) * 5 <= small, "{small} B among 200, {large} B among 3,000");
}

#[test]
fn where_ways_are_long_and_lossy_copies_stay_few() {
    let mut net = Net::new(1_000, 13);
    net.latency = SECOND / 50;
    net.loss_ppm = 10_000;
    for _ in 0..4 {
        net.commit();
        net.run(4 * SECOND);
    }
    report("far apart", &net);
    assert!(net.copies() <= 400);
    assert!(net.known_after(1_000_000).is_some_and(|all| all < 3 * SECOND));
}

#[test]
fn of_a_hundred_events_a_second_each_crosses_a_node_about_once() {
    let mut net = Net::new(1_000, 3);
    for _ in 0..300 {
        net.commit();
        net.run(SECOND / 100);
    }
    net.run(2 * SECOND);
    report("stream", &net);
    assert!(net.known_after(1_000_000).is_some_and(|all| all < SECOND));
    assert!(net.copies() <= 150);
}

#[test]
fn half_of_all_crash_and_the_next_event_reaches_the_others() {
    let mut net = Net::new(5_000, 5);
    net.loss_ppm = 10_000;
    for node in by_lot(&mut net, 2_500) {
        net.nodes.get_mut(&node).expect("it was made").alive = false;
    }
    net.commit();
    net.run(5 * SECOND);
    report("half", &net);
    assert!(net.known_after(999_000).is_some());
}

#[test]
fn liars_neither_keep_events_from_others_nor_keep_others_busy() {
    for lie in [Lie::Ahead, Lie::Alters, Lie::Silent] {
        let mut net = Net::new(400, 11);
        for node in by_lot(&mut net, 40) {
            net.nodes.get_mut(&node).expect("it was made").lie = Some(lie);
        }
        net.run(20 * SECOND);
        let before: usize = net.honest().map(|node| node.traffic.pulls).sum();
        for _ in 0..3 {
            net.commit();
            net.run(3 * SECOND);
        }
        report(&format!("{lie:?}"), &net);
        assert!(net.known_after(1_000_000).is_some_and(|all| all < 2 * SECOND), "{lie:?}");
        let calm = before / net.honest().count();
        assert!(calm < 40, "{lie:?}: {calm} pulls of each in twenty seconds without an event");
    }
}
