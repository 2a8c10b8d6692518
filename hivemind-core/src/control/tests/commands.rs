//! What each command does to the applied state.

use std::time::Duration;

use super::access;
use super::net::{TestKeys, V1, V2, first_member, key_of, request, signed};
use crate::control::applied::{Applied, MAX_TAIL_BYTES};
use crate::control::apply_voter::Change;
use crate::control::configuration::Joint;
use crate::control::snapshot::{self, SnapshotError};
use crate::ids::{BootNonce, ClusterId, Epoch, Index, NodeId, NodeName, ProposalId, PublicKey};
use crate::time::Timestamp;
use crate::wire::access::AdmissionPolicy;
use crate::wire::command::{Command, MAX_RESTART_GRACE, Outcome, Proposal, Refusal};
use crate::wire::event::{Event, LeaveReason, VoterPart};
use crate::wire::member::MAX_ADDRESSES;

pub(super) struct State {
    pub(super) applied: Applied,
    counter: u64,
    pub(super) time: u64,
}

impl State {
    fn new() -> State {
        State::with(AdmissionPolicy::Open)
    }

    pub(super) fn with(policy: AdmissionPolicy) -> State {
        let epoch = Epoch { generation: 1, number: 1, tag: 9 };
        let applied = Applied::birth(ClusterId(7), epoch, Default::default(), policy, first_member());
        State { applied, counter: 0, time: 1000 }
    }

    fn proposal(&mut self, command: Command) -> Proposal {
        self.counter += 1;
        self.time += 1;
        Proposal { id: ProposalId { node: V1, boot: BootNonce(1), counter: self.counter }, time: Timestamp(self.time), command }
    }

    fn take(&mut self, proposal: &Proposal) -> (Option<Event>, Outcome) {
        let done = self.applied.apply(proposal, &TestKeys(PublicKey([1; 32])));
        (done.events.first().map(|logged| logged.event().unwrap()), done.outcome)
    }

    fn apply(&mut self, command: Command) -> (Option<Event>, Outcome) {
        let proposal = self.proposal(command);
        self.take(&proposal)
    }

    /// The event of a command that is not refused.
    pub(super) fn event(&mut self, command: Command) -> Option<Event> {
        let (event, outcome) = self.apply(command);
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
        event
    }

    pub(super) fn refusal(&mut self, command: Command) -> Refusal {
        let before = self.applied.facts.clone();
        let (event, outcome) = self.apply(command);
        assert_eq!((event, &before), (None, &self.applied.facts), "a refused command changes nothing");
        match outcome {
            Outcome::Refused(refusal) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    }

    pub(super) fn change(&mut self, node: NodeId, part: VoterPart) -> bool {
        let Some(events) = self.applied.change(&[Change { node, part }]) else { return false };
        events.iter().for_each(|event| drop(self.applied.record(event)));
        true
    }
}

/// A state with something of everything in it.
pub(super) fn rich_state() -> Applied {
    let mut state = State::new();
    for number in 0..60 {
        state.event(signed(request(&format!("a{number}"), number)));
    }
    for number in 10..20 {
        state.event(Command::Restarting { node: NodeId::new(1, number), grace: Duration::from_secs(number) });
        state.event(leave(NodeId::new(1, number + 20), LeaveReason::Evicted));
    }
    state.refusal(leave(NodeId::new(1, 999), LeaveReason::Asked));
    access::furnish(&mut state);
    assert!(state.change(V2, VoterPart::Learner));
    let entered = state.applied.change(&exchange(V2, V1)).unwrap();
    entered.iter().for_each(|event| drop(state.applied.record(event)));
    state.applied
}

pub(super) fn leave(node: NodeId, reason: LeaveReason) -> Command {
    Command::Leave { node, reason }
}

pub(super) fn failed(node: NodeId) -> Command {
    leave(node, LeaveReason::Failed { observers: vec![V1] })
}

#[test]
fn the_same_nonce_gets_the_same_grant_and_no_second_event() {
    let mut state = State::new();
    assert!(matches!(state.event(signed(request("a", 5))), Some(Event::Joined { member, .. }) if member.node == V2));
    assert_eq!(state.event(signed(request("a", 5))), None);
    assert_eq!(state.applied.registry.grants.get(&(key_of("a"), 5)), Some(&V2));
    assert_eq!(state.applied.facts.members().len(), 2);
}

#[test]
fn the_nonce_of_another_key_grants_nothing() {
    let mut state = State::new();
    state.event(signed(request("a", 5)));
    assert!(matches!(state.event(signed(request("b", 5))), Some(Event::Joined { .. })));
}

#[test]
fn a_copy_of_a_proposal_is_applied_once_and_has_one_outcome() {
    let mut state = State::new();
    let proposal = state.proposal(signed(request("a", 5)));
    let first = state.take(&proposal);
    state.event(signed(request("b", 6)));
    let (event, outcome) = state.take(&proposal);
    assert_eq!((event, outcome), (None, first.1));
    let refused = state.proposal(failed(NodeId::new(1, 99)));
    assert_eq!(state.take(&refused).1, state.take(&refused).1);
}

#[test]
fn a_name_belongs_to_its_key() {
    let mut state = State::new();
    state.event(signed(request("a", 5)));
    let mut thief = request("a", 6);
    thief.key = key_of("thief");
    let name = NodeName::new("a").unwrap();
    assert_eq!(state.refusal(signed(thief)), Refusal::NameInUse { name, owner: key_of("a") });
}

#[test]
fn a_join_with_the_key_of_a_member_ends_that_membership_in_one_event() {
    let mut state = State::new();
    state.event(signed(request("a", 5)));
    let again = state.event(signed(request("a", 6)));
    assert!(matches!(again, Some(Event::Joined { supersedes: Some(V2), .. })), "{again:?}");
    let mut renamed = request("b", 7);
    renamed.key = key_of("a");
    let renamed = state.event(signed(renamed));
    assert!(matches!(renamed, Some(Event::Joined { supersedes: Some(_), .. })), "{renamed:?}");
    assert_eq!(state.applied.facts.members().len(), 2);
    assert!(state.applied.facts.named(&NodeName::new("a").unwrap()).is_none());
}

#[test]
fn a_member_with_a_part_in_the_group_is_not_superseded() {
    let mut state = State::new();
    state.event(signed(request("a", 5)));
    assert!(state.change(V2, VoterPart::Learner));
    assert_eq!(state.refusal(signed(request("a", 6))), Refusal::StillVoter { node: V2 });
    assert!(state.change(V2, VoterPart::None));
    assert!(state.event(signed(request("a", 6))).is_some());
}

#[test]
fn ids_are_never_given_twice() {
    let mut state = State::new();
    state.event(signed(request("a", 5)));
    state.event(leave(V2, LeaveReason::Asked));
    let again = state.event(signed(request("a", 6)));
    assert!(matches!(again, Some(Event::Joined { member, .. }) if member.node == NodeId::new(1, 3)));
}

#[test]
fn a_join_that_was_altered_on_its_way_is_refused() {
    let mut state = State::new();
    let Command::Join(mut join) = signed(request("a", 5)) else { unreachable!() };
    join.request.voter_eligible = false;
    assert!(matches!(state.refusal(Command::Join(join)), Refusal::Invalid { .. }));
}

#[test]
fn a_join_above_a_limit_is_refused() {
    let mut state = State::new();
    let mut wish = request("a", 5);
    wish.addresses = vec!["127.0.0.1:1".parse().unwrap(); MAX_ADDRESSES + 1];
    assert!(matches!(state.refusal(signed(wish)), Refusal::Invalid { .. }));
}

#[test]
fn an_evicted_key_never_joins_again_and_one_that_left_may() {
    let mut state = State::new();
    state.event(signed(request("a", 5)));
    state.event(signed(request("b", 6)));
    state.event(leave(V2, LeaveReason::Evicted));
    state.event(leave(NodeId::new(1, 3), LeaveReason::Asked));
    assert_eq!(state.refusal(signed(request("a", 5))), Refusal::Revoked, "not even by its old grant");
    assert_eq!(state.refusal(signed(request("a", 7))), Refusal::Revoked);
    assert!(state.event(signed(request("b", 8))).is_some());
}

#[test]
fn who_is_no_member_can_not_leave_or_say_anything() {
    let mut state = State::new();
    let nobody = NodeId::new(1, 99);
    let none = Refusal::NotAMember { node: nobody };
    assert_eq!(state.refusal(leave(nobody, LeaveReason::Asked)), none);
    assert_eq!(state.refusal(Command::Restarting { node: nobody, grace: Duration::ZERO }), none);
    assert_eq!(state.refusal(Command::Restarted { node: nobody }), none);
    assert_eq!(state.refusal(Command::Addresses { node: nobody, seq: 1, addresses: Vec::new() }), none);
}

#[test]
fn a_member_that_restarts_keeps_its_place_until_its_time_is_over() {
    let mut state = State::new();
    state.event(signed(request("a", 5)));
    state.event(Command::Restarting { node: V2, grace: Duration::from_secs(10) });
    assert_eq!(state.refusal(failed(V2)), Refusal::Restarting { node: V2 });
    state.time += 10_000;
    assert!(state.event(failed(V2)).is_some());
}

#[test]
fn who_is_back_can_fail_again_and_saying_it_twice_is_harmless() {
    let mut state = State::new();
    state.event(signed(request("a", 5)));
    state.event(Command::Restarting { node: V2, grace: Duration::from_secs(10) });
    assert_eq!(state.event(Command::Restarted { node: V2 }), Some(Event::Restarted { node: V2 }));
    assert_eq!(state.event(Command::Restarted { node: V2 }), None);
    assert!(state.event(failed(V2)).is_some());
}

#[test]
fn a_grace_has_a_limit() {
    let mut state = State::new();
    let grace = MAX_RESTART_GRACE + Duration::from_millis(1);
    assert!(matches!(state.refusal(Command::Restarting { node: V1, grace }), Refusal::Invalid { .. }));
}

#[test]
fn the_time_of_commands_never_goes_back() {
    let mut state = State::new();
    state.event(signed(request("a", 5)));
    state.event(Command::Restarting { node: V2, grace: Duration::from_secs(10) });
    state.time = 1;
    assert_eq!(state.refusal(failed(V2)), Refusal::Restarting { node: V2 });
    assert!(state.applied.registry.time > Timestamp(1000));
}

#[test]
fn older_addresses_never_replace_newer_ones() {
    let mut state = State::new();
    let to = |seq, port: u16| Command::Addresses { node: V1, seq, addresses: vec![([127, 0, 0, 1], port).into()] };
    assert!(state.event(to(2, 2)).is_some());
    assert_eq!(state.refusal(to(2, 3)), Refusal::Outdated);
    assert_eq!(state.refusal(to(1, 1)), Refusal::Outdated);
    assert_eq!(state.applied.facts.member(V1).unwrap().addresses, vec![([127, 0, 0, 1], 2).into()]);
    let many = Command::Addresses { node: V1, seq: 9, addresses: vec![([127, 0, 0, 1], 2).into(); MAX_ADDRESSES + 1] };
    assert!(matches!(state.refusal(many), Refusal::Invalid { .. }));
}

#[test]
fn history_is_collected_below_a_higher_floor_and_no_further_than_there_is() {
    let mut state = State::new();
    for nonce in 1..=4 {
        state.event(signed(request(&format!("a{nonce}"), nonce)));
    }
    assert_eq!(state.refusal(Command::AdvanceEpoch { floor: Index(1) }), Refusal::Outdated);
    assert!(matches!(state.refusal(Command::AdvanceEpoch { floor: Index(6) }), Refusal::Invalid { .. }));
    let event = state.event(Command::AdvanceEpoch { floor: Index(4) });
    assert_eq!(event, Some(Event::EpochAdvanced { number: 2, floor: Index(4) }));
    let kept: Vec<Index> = state.applied.tail.to_vec().iter().map(|logged| logged.index).collect();
    assert_eq!(kept, [Index(4), Index(5)]);
    assert_eq!(state.applied.facts.epoch().number, 2);
}

#[test]
fn the_tail_of_events_has_a_limit() {
    let mut state = State::new();
    for seq in 1..=2000 {
        state.event(Command::Addresses { node: V1, seq, addresses: vec!["[fd00::1]:65000".parse().unwrap(); MAX_ADDRESSES] });
    }
    let tail = state.applied.tail.to_vec();
    let bytes: usize = tail.iter().map(|logged| logged.payload.len()).sum();
    assert!(bytes <= MAX_TAIL_BYTES && tail.len() < 2000, "{bytes} bytes in {} events", tail.len());
    assert_eq!(tail.last().unwrap().index, state.applied.facts.position().index);
}

#[test]
fn a_change_of_the_group_that_does_not_fit_changes_nothing() {
    let mut state = State::new();
    state.event(signed(request("a", 5)));
    assert!(!state.change(V1, VoterPart::None), "the last voter stays");
    assert!(!state.change(V2, VoterPart::Voter), "a voter was a learner before");
    assert!(!state.change(NodeId::new(1, 99), VoterPart::Learner), "no member");
    assert!(state.change(V2, VoterPart::Learner) && state.change(V2, VoterPart::Voter));
    assert_eq!(state.refusal(failed(V2)), Refusal::StillVoter { node: V2 });
    assert!(state.change(V1, VoterPart::None));
    assert!(!state.change(V2, VoterPart::None), "now it is the last");
}

#[test]
fn a_snapshot_gives_back_the_very_state() {
    let mut state = State::new();
    state.event(signed(request("a", 5)));
    state.event(signed(request("b", 6)));
    state.event(leave(V2, LeaveReason::Evicted));
    state.event(Command::Restarting { node: NodeId::new(1, 3), grace: Duration::from_secs(10) });
    state.refusal(failed(V2));
    let bytes = snapshot::encode(&state.applied, 1).data;
    assert_eq!(snapshot::decode(&bytes).unwrap(), state.applied);
}

fn exchange(fresh: NodeId, gone: NodeId) -> [Change; 2] {
    [Change { node: fresh, part: VoterPart::Voter }, Change { node: gone, part: VoterPart::None }]
}

#[test]
fn of_changes_that_do_not_all_fit_none_is_made() {
    let mut state = State::new();
    state.event(signed(request("a", 5)));
    let before = state.applied.clone();
    assert_eq!(state.applied.change(&exchange(V2, V1)), None, "v2 is no learner");
    assert_eq!(state.applied.change(&[Change { node: V2, part: VoterPart::Learner }; 2]), None, "one node twice");
    assert_eq!(state.applied, before);
    assert!(state.change(V2, VoterPart::Learner));
    assert_eq!(state.applied.change(&exchange(V2, NodeId::new(1, 9))), None, "nobody to take away");
}

#[test]
fn one_that_goes_out_jointly_keeps_its_part_until_the_joint_configuration_is_left() {
    let mut state = State::new();
    state.event(signed(request("a", 5)));
    assert!(state.change(V2, VoterPart::Learner));
    assert_eq!(state.applied.leave_joint(), None, "there is none");
    let entered = state.applied.change(&exchange(V2, V1)).unwrap();
    assert_eq!(parts(&entered), [(V2, VoterPart::Voter)]);
    entered.iter().for_each(|event| drop(state.applied.record(event)));
    assert!(state.applied.is_joint_sound());
    assert_eq!(state.refusal(leave(V1, LeaveReason::Asked)), Refusal::StillVoter { node: V1 });
    assert!(!state.change(V1, VoterPart::None), "one change at a time");
    let configuration = state.applied.configuration();
    assert!(!configuration.is_able(&[V2].into()) && !configuration.is_able(&[V1].into()) && configuration.is_able(&[V1, V2].into()));
    assert_eq!(snapshot::decode(&snapshot::encode(&state.applied, 1).data).unwrap(), state.applied);
    let left = state.applied.leave_joint().unwrap();
    assert_eq!(parts(&left), [(V1, VoterPart::None)]);
    left.iter().for_each(|event| drop(state.applied.record(event)));
    assert!(state.applied.configuration().is_able(&[V2].into()));
    state.event(leave(V1, LeaveReason::Asked));
}

#[test]
fn a_joint_change_that_is_none_of_its_voters_is_refused() {
    let mut state = State::new();
    state.event(signed(request("a", 5)));
    let with = |entered: &[NodeId], leaving: &[NodeId]| {
        let mut applied = state.applied.clone();
        applied.registry.joint = Some(Joint { entered: entered.to_vec(), leaving: leaving.to_vec() });
        snapshot::decode(&snapshot::encode(&applied, 1).data).unwrap_err()
    };
    for (entered, leaving) in [(&[V2][..], &[][..]), (&[V1], &[]), (&[], &[V1]), (&[V1], &[V1]), (&[], &[])] {
        assert_eq!(with(entered, leaving), SnapshotError::Contradiction("a joint change that is none of its voters'"));
    }
}

#[test]
fn what_is_no_snapshot_is_refused() {
    let bytes = snapshot::encode(&State::new().applied, 1).data;
    assert_eq!(snapshot::decode(&[]).unwrap_err(), SnapshotError::Version { found: None });
    let mut other = bytes.clone();
    other[0] = 1;
    assert_eq!(snapshot::decode(&other).unwrap_err(), SnapshotError::Version { found: Some(1) });
    for length in 1..bytes.len() {
        assert!(snapshot::decode(&bytes[..length]).is_err(), "truncated at {length}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(matches!(snapshot::decode(&longer).unwrap_err(), SnapshotError::Malformed(_)));
}

fn parts(events: &[Event]) -> Vec<(NodeId, VoterPart)> {
    let part = |event: &Event| if let Event::Voter { member, part } = event { Some((member.node, *part)) } else { None };
    events.iter().filter_map(part).collect()
}
