//! Facts that are replaced as a whole: the events between the old and the new ones are not seen.

use super::net::Net;
use super::*;
use crate::fixture::member;
use crate::wire::event::{LeaveReason, LogEvent};

/// What consumer 21 is told at once: host 7 joined again as 30, then as 31, and host 8 left.
fn later(net: &Net) -> Facts {
    let mut facts = net.facts.clone();
    for (old, new) in [(7, 30), (30, 31)] {
        let again = crate::wire::member::MemberRecord { node: id(new), ..member(7, false, facts.position().index.next().0) };
        let neighborhood = facts.assignment();
        let listed = facts.successors_in_lists(id(old));
        next(&mut facts, &Event::Joined { member: again, neighborhood, supersedes: Some(id(old)), listed });
    }
    let listed = facts.successors_in_lists(id(8));
    next(&mut facts, &Event::Left { node: id(8), reason: LeaveReason::Asked, listed });
    facts.digest_for(id(21)).expect("full facts give everyone its own")
}

fn next(facts: &mut Facts, event: &Event) {
    facts.apply(&LogEvent::new(facts.position().index.next(), event)).expect("the events of a test fold");
}

#[test]
fn a_host_that_joined_again_unseen_keeps_its_config() {
    let mut net = Net::settled(20, 22);
    let before = net.held_seq(21, 7);
    assert!(before.is_some() && net.held_seq(21, 8).is_some());
    let facts = later(&net);
    net.with(id(21), |configs, around, ctx| {
        configs.inherit(around.facts, &facts, ctx);
        configs.replaced(&Surroundings { facts: &facts, unreachable: around.unreachable }, ctx);
    });
    assert_eq!(net.held_seq(21, 31), before, "the key is the same host's");
    assert_eq!(net.held_seq(21, 7), None, "the former membership has ended");
    assert_eq!(net.held_seq(21, 8), None, "a leave was committed");
    assert_eq!(net.seqs(21).len(), 19);
}

/// Several events that come together are all in the facts before the first of them is told.
#[test]
fn a_host_that_joined_again_just_after_a_split_keeps_its_config() {
    let mut net = Net::settled(20, 22);
    let before = net.held_seq(21, 7);
    assert!(before.is_some());
    let mut facts = net.facts.clone();
    let (from, hood) = facts.neighborhoods().iter().next().map(|(from, hood)| (*from, hood.members.clone())).expect("there is one");
    let moved = hood.iter().copied().filter(|node| node.counter() % 2 == 0).collect();
    let split = Event::Split { from, into: crate::ids::NeighborhoodId(from.0 + 1), moved };
    next(&mut facts, &split);
    let again = crate::wire::member::MemberRecord { node: id(30), ..member(7, false, facts.position().index.next().0) };
    let joined = Event::Joined { member: again, neighborhood: facts.assignment(), supersedes: Some(id(7)), listed: vec![] };
    next(&mut facts, &joined);
    net.with(id(21), |configs, around, ctx| {
        let ahead = Surroundings { facts: &facts, unreachable: around.unreachable };
        configs.handle_event(&split, &ahead, ctx);
        configs.handle_event(&joined, &ahead, ctx);
    });
    assert_eq!(net.held_seq(21, 30), before, "its answers never went");
}
