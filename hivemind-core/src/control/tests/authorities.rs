//! Authorities: one follows another when it can not be lost, and the former one goes when nobody needs it.

use std::time::Duration;

use super::commands::State;
use super::net::{Net, V1, V2, V3, V4, request, signed};
use crate::control::snapshot;
use crate::facts::Facts;
use crate::ids::NodeId;
use crate::settings::Settings;
use crate::wire::access::AdmissionPolicy;
use crate::wire::codec;
use crate::wire::command::{AUTHORITY_OVERLAP, Command, Outcome, Refusal};
use crate::wire::event::{Event, LeaveReason, VoterPart};
use crate::wire::trust::{AuthorityChange, CertificateBytes, Successor};

fn certificate(text: &str) -> CertificateBytes {
    CertificateBytes::new(text.as_bytes()).unwrap()
}

fn next(present: &str, name: &str) -> Command {
    let next = Successor { certificate: certificate(name), bridge: certificate(&format!("{name} by {present}")) };
    Command::AuthorityNext { present: certificate(present), next }
}

fn held(node: NodeId, name: &str) -> Command {
    Command::AuthorityHeld { node, authority: certificate(name).digest() }
}

fn retire(early: bool) -> Command {
    Command::AuthorityRetire { early }
}

/// Three voters.
fn three() -> (State, NodeId) {
    let mut state = State::with(AdmissionPolicy::Open);
    for name in ["v2", "v3"] {
        state.event(signed(request(name, 1)));
    }
    let v3 = state.applied.facts.live().iter().last().unwrap();
    for node in [V2, v3] {
        assert!(state.change(node, VoterPart::Learner) && state.change(node, VoterPart::Voter));
    }
    (state, v3)
}

fn current(state: &State) -> Option<&CertificateBytes> {
    state.applied.facts.trust().current()
}

#[test]
fn an_authority_follows_when_a_majority_holds_its_key_and_both_are_trusted_until_the_former_is_retired() {
    let (mut state, v3) = three();
    assert_eq!(state.refusal(retire(false)), Refusal::NoFormer);
    assert!(matches!(state.event(next("one", "two")), Some(Event::Authority(AuthorityChange::Announced { .. }))));
    assert_eq!(state.event(next("one", "two")), None, "said again");
    state.event(held(V1, "two"));
    assert_eq!(current(&state), None, "one of three could be lost");
    assert!(state.applied.facts.trust().former().is_none());
    state.event(held(v3, "two"));
    let trust = state.applied.facts.trust();
    assert_eq!((trust.current(), trust.former()), (Some(&certificate("two")), Some(&certificate("one"))));
    assert_eq!((trust.bridge(), trust.next()), (Some(&certificate("two by one")), None));

    assert_eq!(state.refusal(next("two", "three")), Refusal::FormerTrusted);
    assert!(matches!(state.refusal(retire(false)), Refusal::Overlap { left } if left <= AUTHORITY_OVERLAP && !left.is_zero()));
    state.time += u64::try_from(AUTHORITY_OVERLAP.as_millis()).unwrap();
    assert_eq!(state.event(retire(false)), Some(Event::Authority(AuthorityChange::Retired)));
    assert!(state.applied.facts.trust().former().is_none());
    assert_eq!(state.refusal(next("one", "three")), Refusal::Outdated, "it is not the present one any more");
    state.event(next("two", "three"));
}

#[test]
fn a_stolen_key_is_retired_at_once_and_what_was_announced_in_vain_is_replaced() {
    let (mut state, v3) = three();
    state.event(next("one", "lost"));
    state.event(held(V1, "lost"));
    state.event(next("one", "two"));
    assert_eq!(state.refusal(held(v3, "lost")), Refusal::Outdated);
    state.event(held(V2, "two"));
    assert_eq!(current(&state), None, "who holds what was announced before does not count");
    state.event(held(V1, "two"));
    assert_eq!(current(&state), Some(&certificate("two")));
    state.event(retire(true));
}

#[test]
fn voters_that_leave_are_not_waited_for_and_hold_nothing_any_more() {
    let (mut state, v3) = three();
    state.event(next("one", "two"));
    state.event(held(V1, "two"));
    state.event(held(V1, "two"));
    let stranger = NodeId::new(9, 9);
    assert_eq!(state.refusal(held(stranger, "two")), Refusal::NotVoting { node: stranger });
    for node in [V2, v3] {
        assert!(state.change(node, VoterPart::None));
        state.event(Command::Leave { node, reason: LeaveReason::Asked });
    }
    assert_eq!(current(&state), Some(&certificate("two")), "the one voter that is left holds it");
    assert!(state.applied.facts.is_key_kept());
    assert_eq!(state.applied.facts.trust().held_by(V2), None);
}

#[test]
fn authorities_are_in_snapshots_and_in_every_slice() {
    let (mut state, _) = three();
    state.event(next("one", "two"));
    state.event(held(V1, "two"));
    let facts = &state.applied.facts;
    let slice = facts.slice_for(V2).unwrap();
    assert_eq!(slice.trust(), facts.trust());
    assert_eq!(codec::decode::<Facts, 100_000>(&codec::encode(facts)).unwrap(), *facts);
    assert_eq!(snapshot::decode(&snapshot::encode(&state.applied, 7).data).unwrap(), state.applied);
}

#[test]
fn a_voter_that_alone_holds_the_key_stays_until_another_one_holds_it() {
    let mut settings = Settings::default();
    settings.control.voters = 3;
    let mut net = Net::of(1, 4, settings);
    let leave = Command::Leave { node: V2, reason: LeaveReason::Asked };
    net.decide(V2, held(V2, "one"));
    assert_eq!(net.decide(V1, leave.clone()), Outcome::Refused(Refusal::StillVoter { node: V2 }));
    net.decide(V1, Command::VoterRemove { node: V2 });
    net.run(Duration::from_secs(20));
    assert_eq!(net.voters(V1), [V1, V2, V3], "nobody else has it");
    net.decide(V3, held(V3, "one"));
    net.until(Duration::from_secs(20), "it is exchanged", |net| net.voters(V1) == [V1, V3, V4]);
    assert!(net.facts(V1).is_last_keeper(V3), "which is the next one that stays");
    assert!(matches!(net.decide(V1, leave), Outcome::Committed { .. }));
}

#[test]
fn where_nobody_says_what_he_holds_nobody_stays_for_it() {
    let (mut state, _) = three();
    assert!(!state.applied.facts.is_last_keeper(V1));
    state.event(next("one", "two"));
    state.event(held(V1, "two"));
    assert!(state.applied.facts.is_last_keeper(V1), "who has the next one has the present one");
    state.event(held(V2, "one"));
    assert!(!state.applied.facts.is_last_keeper(V1) && !state.applied.facts.is_last_keeper(V2));
}

#[test]
fn for_a_key_that_is_lost_nobody_waits() {
    let mut net = Net::of_voters(1, 3);
    net.decide(V2, held(V2, "one"));
    net.crash(V2);
    let again = net.join("v2");
    net.until(Duration::from_secs(20), "it votes again, without its disk", |net| net.voters(V1) == [V1, V3, again]);

    let mut net = Net::of_voters(2, 3);
    net.decide(V2, held(V2, "one"));
    net.crash(V2);
    let evict = Command::Leave { node: V2, reason: LeaveReason::Evicted };
    assert_eq!(net.decide(V1, evict.clone()), Outcome::Refused(Refusal::StillVoter { node: V2 }), "it may be back in a moment");
    for _ in 0..20 {
        for observer in [V1, V3] {
            net.evidence(V1, observer, V2);
        }
        net.run(Duration::from_millis(200));
    }
    assert!(matches!(net.decide(V1, evict), Outcome::Committed { .. }));
    assert_eq!(net.voters(V1), [V1, V3]);
}
