//! Evidence, and when it is enough.

use std::time::Duration;

use super::net::{Net, V1, V2, V3, V4};
use crate::ids::NodeId;
use crate::settings::Settings;
use crate::wire::command::Command;
use crate::wire::event::{Event, LeaveReason};

const LONG: Duration = Duration::from_secs(10);
const H5: NodeId = NodeId::new(1, 5);
const H6: NodeId = NodeId::new(1, 6);

fn settings(voters: usize) -> Settings {
    let mut settings = Settings::default();
    settings.control.voters = voters;
    settings
}

/// Three voters and three others, which are not eligible in these tests' eyes: nobody replaces a voter.
fn six() -> Net {
    Net::of(1, 6, settings(3))
}

fn is_member(net: &Net, node: NodeId) -> bool {
    net.facts(V1).member(node).is_some()
}

#[test]
fn a_member_that_enough_observers_miss_leaves() {
    let mut net = six();
    net.evidence(V1, V2, H6);
    net.evidence(V1, V3, H6);
    net.run(Duration::from_millis(500));
    assert!(is_member(&net, H6), "two of three are not enough");
    net.evidence(V1, V4, H6);
    net.run(Duration::from_millis(500));
    assert!(!is_member(&net, H6));
    let last = net.hosts[&V1].events.last().unwrap().event().unwrap();
    assert_eq!(last, Event::Left { node: H6, reason: LeaveReason::Failed { observers: vec![V2, V3, V4] }, listed: vec![] });
}

#[test]
fn one_observer_counts_once_however_often_it_speaks() {
    let mut net = six();
    for _ in 0..10 {
        net.evidence(V1, V2, H6);
        net.run(Duration::from_millis(100));
    }
    assert!(is_member(&net, H6));
}

#[test]
fn evidence_that_reaches_a_follower_is_passed_on_in_its_observers_name() {
    let mut net = six();
    net.evidence(V2, V3, H6);
    net.evidence(V2, V4, H6);
    net.evidence(V2, H5, H6);
    net.run(Duration::from_millis(500));
    assert!(!is_member(&net, H6));
}

#[test]
fn old_evidence_does_not_count() {
    let mut net = six();
    net.evidence(V1, V2, H6);
    net.evidence(V1, V3, H6);
    net.run(Duration::from_millis(2500));
    net.evidence(V1, V4, H6);
    net.run(Duration::from_millis(500));
    assert!(is_member(&net, H6));
}

#[test]
fn evidence_by_or_about_one_that_is_no_member_says_nothing() {
    let mut net = six();
    for stranger in 90..95 {
        net.evidence(V1, NodeId::new(1, stranger), H6);
        net.evidence(V1, V2, NodeId::new(1, stranger));
    }
    net.evidence(V1, H6, H6);
    net.run(Duration::from_millis(500));
    assert_eq!(net.facts(V1).members().len(), 6);
}

#[test]
fn a_starved_node_that_misses_everybody_evicts_nobody() {
    let mut net = six();
    for _ in 0..20 {
        for suspect in [V1, V2, V3, V4, H5] {
            net.evidence(V1, H6, suspect);
        }
        net.run(Duration::from_millis(200));
    }
    assert_eq!(net.facts(V1).members().len(), 6);
}

#[test]
fn where_fewer_than_the_wanted_observers_live_all_of_them_are_enough() {
    // One voter and two others, of which both die: only the leader is left to say so.
    let mut net = Net::of(1, 3, settings(1));
    for _ in 0..10 {
        net.evidence(V1, V1, V2);
        net.evidence(V1, V1, V3);
        net.run(Duration::from_millis(200));
    }
    assert_eq!(net.facts(V1).members().len(), 1);
}

#[test]
fn two_that_miss_each_other_need_the_word_of_a_third() {
    let mut net = Net::of(1, 3, settings(1));
    for _ in 0..10 {
        net.evidence(V1, V2, V3);
        net.evidence(V1, V3, V2);
        net.run(Duration::from_millis(200));
    }
    assert_eq!(net.facts(V1).members().len(), 3);
}

#[test]
fn a_member_that_restarts_is_waited_for() {
    let mut net = six();
    net.decide(V1, Command::Restarting { node: H6, grace: Duration::from_secs(5) });
    let report = |net: &mut Net| {
        for observer in [V2, V3, V4] {
            net.evidence(V1, observer, H6);
        }
        net.run(Duration::from_millis(500));
    };
    for _ in 0..8 {
        report(&mut net);
    }
    assert!(is_member(&net, H6));
    for _ in 0..4 {
        report(&mut net);
    }
    assert!(!is_member(&net, H6));
}

#[test]
fn a_time_far_ahead_in_the_log_makes_no_restart_last() {
    let mut net = six();
    net.ahead = 3_600_000;
    net.decide(V1, Command::Restarting { node: H6, grace: Duration::from_secs(5) });
    net.ahead = 0;
    for _ in 0..15 {
        for observer in [V2, V3, V4] {
            net.evidence(V1, observer, H6);
        }
        net.run(Duration::from_millis(500));
    }
    assert!(!is_member(&net, H6));
}

#[test]
fn a_mass_alarm_empties_the_cluster_at_a_bounded_rate() {
    let mut settings = settings(1);
    settings.control.max_leaves = 2;
    settings.control.observers = 2;
    let mut net = Net::of(1, 10, settings);
    let alarm = |net: &mut Net, seconds: u64| {
        for _ in 0..seconds * 5 {
            for suspect in 4..=10 {
                net.evidence(V1, V2, NodeId::new(1, suspect));
                net.evidence(V1, V3, NodeId::new(1, suspect));
            }
            net.run(Duration::from_millis(200));
        }
    };
    alarm(&mut net, 5);
    assert_eq!(net.facts(V1).members().len(), 8);
    alarm(&mut net, 8);
    assert_eq!(net.facts(V1).members().len(), 6);
}

fn miss_v3(net: &mut Net, rounds: u32) {
    for _ in 0..rounds {
        net.evidence(V1, V1, V3);
        net.evidence(V1, V2, V3);
        if net.hosts.contains_key(&V4) {
            net.evidence(V1, V4, V3);
        }
        net.run(Duration::from_millis(200));
    }
}

#[test]
fn a_crashed_voter_with_nobody_to_replace_it_keeps_its_place() {
    let mut net = Net::of_voters(1, 3);
    net.crash(V3);
    miss_v3(&mut net, 30);
    assert_eq!(net.voters(V1), [V1, V2, V3]);
    assert!(is_member(&net, V3));
}

#[test]
fn a_crashed_voter_is_replaced_and_then_leaves() {
    let mut net = Net::of(1, 4, settings(3));
    net.crash(V3);
    miss_v3(&mut net, 30);
    assert_eq!(net.voters(V1), [V1, V2, V4]);
    assert!(!is_member(&net, V3));
}

#[test]
fn long_history_is_collected() {
    let mut settings = settings(1);
    settings.control.collect_events = 8;
    let mut net = Net::of(1, 1, settings);
    for seq in 1..=30 {
        net.decide(V1, Command::Addresses { node: V1, seq, addresses: Vec::new() });
    }
    net.until(LONG, "the floor follows", |net| net.facts(V1).floor().0 > 20);
    assert!(net.facts(V1).epoch().number > 2);
    assert_eq!(net.control(V1).tail().first().unwrap().index, net.facts(V1).floor());
}

/// A cluster of `count` members in neighborhoods of at most four, with so many voters.
fn many(voters: usize, count: u64) -> Net {
    let mut settings = settings(voters);
    settings.control.neighborhoods.most = 4;
    settings.control.neighborhoods.least = 1;
    settings.control.max_leaves = 100;
    Net::of(1, count, settings)
}

/// The neighborhoods in which there is no voter, with their members.
fn hoods_without_voters(net: &Net) -> Vec<Vec<NodeId>> {
    let facts = net.facts(V1);
    let hoods = facts.neighborhoods().values().map(|hood| hood.members.iter().copied().collect::<Vec<_>>());
    hoods.filter(|hood| hood.iter().all(|node| !facts.is_voter(*node))).collect()
}

/// Observers say of each suspect that they miss it, every 200 ms, for so many rounds.
fn say(net: &mut Net, observers: &[NodeId], suspects: &[NodeId], rounds: u32) {
    for _ in 0..rounds {
        for suspect in suspects {
            observers.iter().filter(|observer| *observer != suspect).for_each(|observer| net.evidence(V1, *observer, *suspect));
        }
        net.run(Duration::from_millis(200));
    }
}

#[test]
fn only_neighbors_and_voters_are_heeded() {
    let mut net = many(3, 24);
    let hoods = hoods_without_voters(&net);
    let suspect = hoods[0][0];
    say(&mut net, &hoods[1], &[suspect], 20);
    assert!(is_member(&net, suspect), "they never probed it");
    let neighbors: Vec<NodeId> = hoods[0].iter().copied().filter(|node| *node != suspect).collect();
    say(&mut net, &neighbors, &[suspect], 4);
    assert_eq!(is_member(&net, suspect), neighbors.len() < 3);
    say(&mut net, &[V1, V2, V3], &[suspect], 4);
    assert!(!is_member(&net, suspect));
}

#[test]
fn where_too_few_speak_the_voters_are_asked_to_probe() {
    let mut net = many(3, 24);
    let hood = hoods_without_voters(&net)[0].clone();
    say(&mut net, &[hood[1]], &[hood[0]], 3);
    assert_eq!(net.hosts[&V1].probes, [], "its neighbors have a moment to speak");
    say(&mut net, &[hood[1]], &[hood[0]], 6);
    for voter in [V1, V2, V3] {
        assert!(net.hosts[&voter].probes.contains(&hood[0]), "{voter}");
        assert!(net.hosts[&voter].probes.len() <= 2, "once in a while");
    }
    let stranger = hood[2];
    net.deliver(stranger, V2, crate::wire::message::Control::Probe { suspect: hood[0] });
    assert_eq!(net.hosts[&V2].junk, 1, "only a voter may ask");
}

#[test]
fn a_neighborhood_that_is_silent_as_a_whole_goes_on_the_word_of_three_voters() {
    let mut net = many(3, 24);
    let hood = hoods_without_voters(&net)[0].clone();
    say(&mut net, &[V1, V2], &hood, 15);
    assert!(hood.iter().all(|node| is_member(&net, *node)), "two of three that could say so");
    say(&mut net, &[V1, V2, V3], &hood, 3);
    assert!(hood.iter().all(|node| !is_member(&net, *node)));
}

#[test]
fn with_one_voter_its_word_must_last_and_the_others_must_live() {
    let mut net = many(1, 24);
    let hoods = hoods_without_voters(&net);
    say(&mut net, &[V1], &hoods[0], 8);
    assert!(hoods[0].iter().all(|node| is_member(&net, *node)), "not for long enough");
    say(&mut net, &[V1], &hoods[0], 6);
    assert!(hoods[0].iter().all(|node| !is_member(&net, *node)));
}

#[test]
fn a_lone_voter_that_misses_everybody_puts_nobody_out() {
    let mut net = many(1, 24);
    let all: Vec<NodeId> = net.facts(V1).members().keys().copied().filter(|node| *node != V1).collect();
    say(&mut net, &[V1], &all, 60);
    assert_eq!(net.facts(V1).members().len(), 24);
}

#[test]
fn one_member_alone_makes_nobody_a_suspect() {
    let mut net = Net::of(1, 6, settings(3));
    net.evidence(V1, V4, H6);
    let suspects = |net: &Net| net.control(V1).evidence.suspects(net.control(V1).applied.as_ref().expect("a voter has a state"));
    assert!(suspects(&net).is_empty(), "it may lie, and would keep {H6} from becoming a voter");
    net.evidence(V1, H5, H6);
    assert!(suspects(&net).contains(&H6));
}

#[test]
fn a_voter_alone_makes_a_suspect() {
    let mut net = Net::of(1, 6, settings(3));
    net.evidence(V1, V2, H6);
    let control = net.control(V1);
    assert!(control.evidence.suspects(control.applied.as_ref().expect("a voter has a state")).contains(&H6));
}
