//! Leaders, outcomes, reads, and having none of them.

use std::time::Duration;

use super::net::{Net, V1, V2, V3, request, signed};
use crate::ids::{Index, NodeId};
use crate::settings::Settings;
use crate::wire::command::{Outcome, Refusal};
use crate::wire::message;

const LONG: Duration = Duration::from_secs(10);

#[test]
fn a_lone_voter_leads_as_soon_as_its_birth_is_durable() {
    let mut net = Net::new(1);
    let took = net.until(LONG, "it leads and has committed", |net| net.control(V1).is_leader() && net.control(V1).raw.is_established());
    assert!(took <= Duration::from_millis(5), "{took:?}");
    net.crash(V1);
    net.restart(V1);
    let took = net.until(LONG, "it leads again", |net| net.control(V1).raw.is_established());
    assert!(took <= Duration::from_millis(5), "{took:?}");
}

#[test]
fn a_dead_leader_is_replaced_in_about_a_second() {
    for seed in 0..40 {
        let mut net = Net::of_voters(seed, 3);
        net.crash(V1);
        let took = net.until(LONG, "another leads", |net| net.leader().is_some_and(|leader| net.control(leader).raw.is_established()));
        assert!(took <= Duration::from_millis(1500), "seed {seed}: {took:?}");
    }
}

#[test]
fn a_proposal_at_a_follower_reaches_the_leader_and_its_outcome_comes_back() {
    let mut net = Net::of_voters(1, 3);
    let outcome = net.decide(V3, signed(request("a", 5)));
    assert!(matches!(outcome, Outcome::Committed { position } if position.index == net.facts(V3).position().index));
    assert!(net.control(V3).granted(super::net::key_of("a"), 5).is_some(), "the voter that waits has applied it");
}

#[test]
fn a_proposal_of_a_member_without_a_part_is_answered_by_message() {
    let mut settings = Settings::default();
    settings.control.voters = 1;
    let mut net = Net::of(1, 2, settings);
    let id = net.id(V2);
    let proposal = crate::wire::command::Proposal { id, time: crate::time::Timestamp(0), command: signed(request("a", 5)) };
    net.deliver(V2, V1, message::Control::Forward(proposal.clone()));
    net.run(Duration::from_millis(50));
    assert!(matches!(net.outcome(id), Some(Outcome::Committed { .. })));
    let events = net.hosts[&V1].events.len();
    net.deliver(V2, V1, message::Control::Forward(proposal));
    net.run(Duration::from_millis(50));
    assert_eq!(net.hosts[&V1].events.len(), events, "a copy does nothing");
}

#[test]
fn a_proposal_in_the_name_of_another_member_is_dropped() {
    let mut settings = Settings::default();
    settings.control.voters = 1;
    let mut net = Net::of(1, 3, settings);
    let id = net.id(V3);
    let proposal = crate::wire::command::Proposal { id, time: crate::time::Timestamp(0), command: signed(request("a", 5)) };
    net.deliver(V2, V1, message::Control::Forward(proposal));
    net.run(Duration::from_millis(50));
    assert_eq!((net.outcome(id), net.hosts[&V1].junk), (None, 1));
}

#[test]
fn without_a_leader_nothing_is_proposed_and_that_is_said() {
    let mut net = Net::of_voters(1, 3);
    net.crash(V1);
    net.crash(V2);
    net.run(Duration::from_secs(3));
    assert_eq!(net.decide(V3, signed(request("a", 5))), Outcome::Refused(Refusal::Degraded));
}

#[test]
fn a_leader_that_loses_its_quorum_says_that_it_does_not_know() {
    let mut net = Net::of_voters(1, 3);
    net.split(&[V1], &[V2, V3]);
    let id = net.propose(V1, signed(request("a", 5)));
    net.until(LONG, "an outcome", |net| net.outcome(id).is_some());
    assert_eq!(net.outcome(id), Some(&Outcome::OutcomeUnknown));
    net.until(LONG, "the others have a leader", |net| net.leader().is_some());
    net.decide(V2, signed(request("b", 6)));
    net.heal();
    net.run(Duration::from_secs(2));
    let facts = net.facts(V1);
    assert!(facts.with_key(&super::net::key_of("a")).is_none() && facts.with_key(&super::net::key_of("b")).is_some());
}

#[test]
fn a_proposal_whose_leader_died_is_given_up_in_time() {
    let mut net = Net::of_voters(1, 3);
    net.split(&[V1], &[V2, V3]);
    let begin = net.now;
    let outcome = net.decide(V3, signed(request("a", 5)));
    assert_eq!(outcome, Outcome::OutcomeUnknown);
    let limit = net.settings.control.proposal_timeout + net.settings.control.tick * 4;
    assert!(net.now.since(begin) <= limit);
}

#[test]
fn more_proposals_than_the_limit_are_refused_as_busy() {
    let mut settings = Settings::default();
    settings.control.max_proposals = 4;
    settings.control.voters = 1;
    let mut net = Net::of(1, 1, settings);
    let ids: Vec<_> = (0..6).map(|nonce| net.propose(V1, signed(request(&format!("a{nonce}"), nonce)))).collect();
    net.run(Duration::from_millis(100));
    let busy = |id: &&crate::ids::ProposalId| net.outcome(**id) == Some(&Outcome::Refused(Refusal::Busy));
    assert_eq!(ids.iter().filter(busy).count(), 2);
    assert_eq!(net.facts(V1).members().len(), 5);
}

#[test]
fn the_same_proposal_made_again_is_applied_once() {
    let mut net = Net::of_voters(1, 3);
    let id = net.propose(V2, signed(request("a", 5)));
    net.propose_as(id, signed(request("a", 5)));
    net.until(LONG, "an outcome", |net| net.outcome(id).is_some());
    let first = net.hosts.get_mut(&V2).unwrap().outcomes.remove(&id);
    net.propose_as(id, signed(request("a", 5)));
    net.run(Duration::from_millis(100));
    assert_eq!(net.outcome(id), first.as_ref());
    assert_eq!(net.facts(V1).members().len(), 4);
}

#[test]
fn a_read_sees_all_that_was_acknowledged_before_it() {
    let mut net = Net::of_voters(1, 3);
    for (voter, nonce) in [(V1, 1), (V2, 2), (V3, 3)] {
        let Outcome::Committed { position } = net.decide(V2, signed(request(&format!("a{nonce}"), nonce))) else { panic!("committed") };
        let read = net.read(voter);
        net.until(LONG, "an answer", |net| net.hosts[&voter].reads.contains_key(&read));
        assert!(net.hosts[&voter].reads[&read].unwrap() >= position.index);
    }
}

#[test]
fn a_voter_reads_once_it_has_applied_what_was_committed_though_it_made_no_event() {
    let mut net = Net::of_voters(1, 3);
    let index = net.facts(V3).position().index;
    let applied = net.control(V3).raw.applied();
    let read = net.read(V3);
    net.deliver(V1, V3, message::Control::ReadIndexed { id: read, index: Some(index), applied: applied + 1 });
    assert!(!net.hosts[&V3].reads.contains_key(&read), "a token may have been made, which no event tells of");
    net.decide(V1, signed(request("a", 5)));
    net.until(LONG, "an answer", |net| net.hosts[&V3].reads.contains_key(&read));
    assert!(net.control(V3).raw.applied() > applied);
}

#[test]
fn a_deposed_leader_answers_no_read() {
    let mut net = Net::of_voters(1, 3);
    net.split(&[V1], &[V2, V3]);
    let read = net.read(V1);
    net.until(LONG, "the others have a leader", |net| net.leader().is_some_and(|leader| leader != V1));
    net.decide(V2, signed(request("a", 5)));
    net.run(Duration::from_secs(6));
    assert_eq!(net.hosts[&V1].reads.get(&read), Some(&None), "given up, and never answered");
}

#[test]
fn a_read_that_meets_a_change_of_leader_is_asked_again() {
    let mut net = Net::of_voters(1, 3);
    net.crash(V1);
    let read = net.read(V3);
    net.until(LONG, "an answer", |net| net.hosts[&V3].reads.contains_key(&read));
    assert!(net.hosts[&V3].reads[&read].is_some_and(|index| index >= Index(6)));
}

#[test]
fn a_voter_without_a_leader_is_degraded_after_a_while_and_not_at_once() {
    let mut net = Net::of_voters(1, 3);
    net.crash(V1);
    net.crash(V2);
    let degraded = |net: &Net, node: NodeId| net.control(node).is_degraded(net.now, &net.settings.control);
    net.run(Duration::from_secs(1));
    assert!(!degraded(&net, V3));
    net.run(Duration::from_secs(4));
    assert!(degraded(&net, V3));
    net.restart(V2);
    net.until(LONG, "it is over", |net| !degraded(net, V3) && !degraded(net, V2));
}

#[test]
fn a_leader_alone_counts_no_signs_of_life() {
    let mut net = Net::of_voters(1, 3);
    net.run(Duration::from_secs(3));
    assert!(net.hosts[&V1].beats >= 5);
    net.split(&[V1], &[V2, V3]);
    net.run(Duration::from_secs(1));
    let beats = net.hosts[&V1].beats;
    net.run(Duration::from_secs(5));
    assert_eq!(net.hosts[&V1].beats, beats);
    assert!(net.control(V1).is_degraded(net.now, &net.settings.control));
}

#[test]
fn a_voter_that_was_cut_off_does_not_disturb_the_others() {
    let mut net = Net::of_voters(1, 3);
    let term = net.control(V1).term();
    net.split(&[V3], &[V1, V2]);
    net.run(Duration::from_secs(5));
    net.heal();
    net.run(Duration::from_secs(2));
    assert_eq!((net.leader(), net.control(V3).term()), (Some(V1), term));
}

#[test]
fn early_and_second_timers_do_nothing() {
    let mut net = Net::of_voters(1, 3);
    for _ in 0..100 {
        net.fire(V3, crate::timers::Timer::RaftTick);
        net.fire(V1, crate::timers::Timer::Beat);
        net.fire(V1, crate::timers::Timer::Housekeeping);
        net.fire(V1, crate::timers::Timer::Pending);
    }
    net.run(Duration::from_millis(300));
    assert_eq!(net.leader(), Some(V1));
    assert!(net.control(V3).leader() == Some(V1));
}
