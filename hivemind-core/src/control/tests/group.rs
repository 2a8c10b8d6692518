//! Who has a part in the group: growing, demoting, replacing, superseding.

use std::time::Duration;

use super::net::{Net, V1, V2, V3, V4, key_of, request, signed};
use crate::ids::NodeId;
use crate::settings::Settings;
use crate::wire::command::{Command, Outcome, Refusal};
use crate::wire::event::{LeaveReason, VoterPart};

const LONG: Duration = Duration::from_secs(10);

fn leave(node: NodeId) -> Command {
    Command::Leave { node, reason: LeaveReason::Asked }
}

fn settings(voters: usize) -> Settings {
    let mut settings = Settings::default();
    settings.control.voters = voters;
    settings
}

#[test]
fn members_become_voters_up_to_the_wanted_number() {
    let net = Net::of(1, 5, settings(3));
    assert_eq!(net.voters(V1), [V1, V2, V3]);
    assert_eq!(net.facts(V3), net.facts(V1));
    assert!(net.hosts[&V4].control.is_none());
}

#[test]
fn a_member_that_is_not_eligible_never_votes() {
    let mut net = Net::with(1, settings(3));
    let mut wish = request("a", 5);
    wish.voter_eligible = false;
    net.join_with(wish);
    net.run(Duration::from_secs(3));
    assert_eq!(net.facts(V1).voters().len(), 1);
}

#[test]
fn a_voter_that_leaves_is_demoted_first() {
    let mut net = Net::of(1, 4, settings(3));
    let outcome = net.decide(V2, leave(V3));
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    net.until(LONG, "the spare takes its place", |net| net.voters(V1) == [V1, V2, V4]);
    assert!(net.facts(V1).member(V3).is_none());
    assert!(net.hosts[&V3].removed);
}

#[test]
fn a_leader_that_leaves_hands_over_first() {
    let mut net = Net::of_voters(1, 3);
    let outcome = net.decide(V1, leave(V1));
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    let leader = net.leader().unwrap();
    assert!(leader != V1 && net.facts(leader).member(V1).is_none());
}

#[test]
fn the_last_voter_can_not_leave_and_hears_so_at_once() {
    let mut net = Net::of(1, 1, settings(1));
    let begin = net.now;
    assert_eq!(net.decide(V1, leave(V1)), Outcome::Refused(Refusal::StillVoter { node: V1 }));
    assert!(net.now.since(begin) < Duration::from_millis(100));
}

#[test]
fn the_last_voter_leaves_where_another_can_take_its_place() {
    let mut net = Net::of(1, 2, settings(1));
    let outcome = net.decide(V1, leave(V1));
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    net.until(LONG, "the other leads", |net| net.leader() == Some(V2));
    net.until(LONG, "v1 is gone", |net| net.facts(V2).member(V1).is_none());
    assert_eq!(net.voters(V2), [V2]);
}

#[test]
fn a_leave_that_would_stop_the_group_is_not_carried_out() {
    let mut net = Net::of_voters(1, 3);
    net.crash(V3);
    net.run(Duration::from_secs(2));
    // Without v2, one of two voters would be left: no quorum.
    assert_eq!(net.decide(V1, leave(V2)), Outcome::Refused(Refusal::StillVoter { node: V2 }));
    assert_eq!(net.voters(V1).len(), 3);
}

#[test]
fn a_voter_that_lost_its_disk_joins_anew_and_its_old_part_ends_first() {
    let mut net = Net::of_voters(1, 3);
    net.crash(V3);
    let again = net.join("v3");
    net.until(LONG, "it votes again under its new id", |net| net.voters(V1) == [V1, V2, again]);
    let facts = net.facts(V1);
    assert!(facts.member(V3).is_none());
    assert_eq!(facts.with_key(&key_of("v3")).unwrap().node, again);
}

#[test]
fn an_evicted_voter_is_demoted_and_its_key_is_revoked() {
    let mut net = Net::of_voters(1, 3);
    net.decide(V1, Command::Leave { node: V3, reason: LeaveReason::Evicted });
    let nonce = net.nonce();
    assert_eq!(net.decide(V1, signed(request("v3", nonce))), Outcome::Refused(Refusal::Revoked));
}

#[test]
fn a_demoted_node_that_heard_nothing_learns_it_from_its_view() {
    let mut net = Net::of_voters(1, 3);
    net.split(&[V3], &[V1, V2]);
    net.settings.control.voters = 2;
    net.until(LONG, "v3 is demoted", |net| net.voters(V1) == [V1, V2]);
    net.heal();
    net.run(Duration::from_secs(2));
    assert!(!net.hosts[&V3].removed, "nobody in the group speaks to it");
    let facts = net.facts(V1).clone();
    net.with_host(V3, |host, _| host.control.as_mut().unwrap().handle_view(&facts));
    assert!(net.hosts[&V3].removed);
}

#[test]
fn a_demoted_node_keeps_its_log_and_may_get_its_part_back() {
    let mut net = Net::of_voters(1, 3);
    net.settings.control.voters = 2;
    net.until(LONG, "v3 is demoted", |net| net.hosts[&V3].removed);
    net.run(Duration::from_millis(50));
    net.crash(V3);
    net.restart(V3);
    net.settings.control.voters = 3;
    net.until(LONG, "v3 votes again", |net| net.voters(V1) == [V1, V2, V3]);
    net.until(LONG, "and follows", |net| net.control(V3).facts() == net.control(V1).facts());
    net.crash(V1);
    net.until(LONG, "and counts", |net| net.leader().is_some_and(|leader| net.control(leader).raw.is_established()));
}

#[test]
fn a_demoted_node_that_heard_nothing_may_get_its_part_back() {
    let mut net = Net::of_voters(1, 3);
    net.split(&[V3], &[V1, V2]);
    net.settings.control.voters = 2;
    net.until(LONG, "v3 is demoted", |net| net.voters(V1) == [V1, V2]);
    net.settings.control.voters = 3;
    net.until(LONG, "v3 is a learner", |net| net.facts(V1).voters().contains_key(&V3));
    net.heal();
    net.until(LONG, "v3 votes again", |net| net.voters(V1) == [V1, V2, V3]);
    net.until(LONG, "and follows", |net| net.control(V3).facts() == net.control(V1).facts());
}

/// That a change is committed is written with the entry behind it: until then a crash brings back the group before it.
#[test]
fn one_that_was_demoted_votes_for_who_crashed_before_it_had_written_that() {
    let mut net = Net::of_voters(1, 2);
    net.settings.control.voters = 1;
    net.until(LONG, "v2 is demoted", |net| net.hosts[&V2].removed);
    net.crash(V1);
    net.run(Duration::from_secs(5));
    net.restart(V1);
    net.until(LONG, "v1 leads, with a vote of v2", |net| net.leader() == Some(V1) && net.control(V1).raw.is_established());
    net.until(LONG, "v2 is out again", |net| net.voters(V1) == [V1]);
}

#[test]
fn more_voters_than_wanted_are_demoted_one_by_one() {
    let mut net = Net::of_voters(1, 5);
    net.settings.control.voters = 3;
    net.until(LONG, "three are left", |net| net.voters(V1) == [V1, V2, V3]);
    net.run(Duration::from_secs(2));
    assert_eq!(net.voters(V1), [V1, V2, V3]);
}

#[test]
fn a_late_learner_gets_a_snapshot_that_names_it() {
    let mut settings = settings(1);
    settings.control.snapshot_entries = 8;
    let mut net = Net::of(1, 1, settings);
    for number in 2..40 {
        net.join(&format!("v{number}"));
    }
    net.settings.control.voters = 2;
    net.until(LONG, "v2 votes", |net| net.voters(V1) == [V1, V2]);
    net.run(Duration::from_millis(200));
    assert_eq!(net.facts(V2), net.facts(V1));
    assert_eq!(net.facts(V2).voters().get(&V2), Some(&VoterPart::Voter));
    let tail = net.control(V2).tail();
    assert_eq!(tail.last().unwrap().index, net.facts(V2).position().index);
}

#[test]
fn a_lost_snapshot_is_sent_again() {
    let mut net = Net::of(1, 2, settings(1));
    net.split(&[V1], &[V2]);
    net.settings.control.voters = 2;
    net.until(LONG, "v2 is a learner", |net| net.facts(V1).voters().contains_key(&V2));
    net.run(Duration::from_secs(3));
    net.heal();
    net.until(LONG, "v2 votes", |net| net.voters(V1) == [V1, V2]);
}
