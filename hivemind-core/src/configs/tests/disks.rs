//! A host's own disk: lost, rolled back, copied.

use std::time::Duration;

use super::net::Net;
use super::*;
use crate::context::Report;

const SECOND: Duration = Duration::from_secs(1);

fn has_jumped(net: &Net, counter: u64) -> bool {
    net.peers[&id(counter)].surround.out.reports.contains(&Report::SeqJumped)
}

#[test]
fn a_disk_that_was_rolled_back_publishes_above_all_that_it_forgot() {
    let mut net = Net::settled(20, 22);
    let old = net.disk(7);
    for round in 0..300_u32 {
        net.publish(7, format!("round {round}").as_bytes());
        net.run(SECOND / 50);
    }
    assert_eq!(net.held_seq(21, 7), Some(Seq(301)));
    net.start_with(7, old.0, old.1);
    net.run(SECOND);
    net.publish(7, b"after");
    net.run(SECOND);
    assert!(has_jumped(&net, 7));
    assert!(net.held_seq(7, 7) > Some(Seq(301)));
    assert_eq!(net.held_seq(21, 7), net.held_seq(7, 7));
    assert_eq!(net.held_seq(22, 7), net.held_seq(7, 7));
}

#[test]
fn it_does_so_as_well_when_those_who_know_better_come_late() {
    let mut net = Net::settled(20, 22);
    let old = net.disk(7);
    for round in 0..300_u32 {
        net.publish(7, format!("round {round}").as_bytes());
        net.run(SECOND / 50);
    }
    net.cut_off = [id(7)].into();
    net.start_with(7, old.0, old.1);
    net.run(SECOND);
    net.publish(7, b"after");
    net.run(SECOND * 3);
    assert!(net.held_seq(7, 7) < Some(Seq(301)), "nobody could tell");
    net.cut_off.clear();
    net.run(SECOND * 3);
    assert!(net.held_seq(7, 7) > Some(Seq(301)));
    assert_eq!(net.held_seq(21, 7), net.held_seq(7, 7));
}

#[test]
fn a_disk_that_lost_its_config_publishes_above_it_and_until_then_the_last_one_stays() {
    let mut net = Net::settled(20, 22);
    net.publish(7, b"the second");
    net.run(SECOND);
    let reserved = net.disk(7).1;
    for lost in [reserved, Seq(0)] {
        let before = net.held_seq(21, 7).expect("it was published");
        net.start_with(7, None, lost);
        net.run(SECOND);
        assert_eq!(net.held_seq(21, 7), Some(before), "gone is not empty");
        net.publish(7, b"the next");
        net.run(SECOND);
        assert!(net.held_seq(21, 7) > Some(before));
        assert_eq!(net.held_seq(22, 7), net.held_seq(7, 7));
    }
}

#[test]
fn of_two_copies_of_a_disk_the_one_that_hears_of_the_other_goes_above_it() {
    let mut net = Net::settled(20, 22);
    let (own, reserved) = net.disk(7);
    // What the copy published meanwhile, under the number that the original takes next.
    let seq = Seq(own.as_ref().map_or(0, |own| own.config.seq.0) + 1);
    let config = crate::wire::config::HostConfig { node: id(7), seq, sections: vec![super::net::section(b"of the copy")] };
    let entry = HeldConfig { member: id(7), config: SignedConfig::new(config, &CheapKeys::of(7)) };
    net.with(id(21), |configs, around, ctx| {
        configs.take(entry, None, around, ctx);
    });
    net.publish(7, b"of the original");
    net.run(SECOND * 4);
    assert!(has_jumped(&net, 7));
    assert!(net.held_seq(7, 7) > Some(seq) && reserved > seq);
    assert_eq!(net.held_seq(21, 7), net.held_seq(7, 7));
    assert_eq!(net.held_seq(22, 7), net.held_seq(7, 7));
}

#[test]
fn a_neighbor_that_lost_its_cache_holds_what_it_answers_for_again() {
    let mut net = Net::settled(30, 30);
    let hood = net.facts.neighborhood_of(id(9)).expect("a member");
    let delegate = super::super::scope::delegates(&net.facts, hood, id(9))[0];
    let counter = (1..=30).find(|&counter| id(counter) == delegate).expect("a member");
    assert!(net.held_seq(counter, 9).is_some());
    net.start(counter);
    net.run(SECOND);
    assert!(net.held_seq(counter, 9).is_some());
}
