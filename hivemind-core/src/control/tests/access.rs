//! What the commands of access do to the applied state: tokens, enrollments, credentials.

use std::time::Duration;

use super::commands::{State, failed, leave};
use super::net::{TestKeys, V1, key_of, request, signed};
use crate::control::snapshot;
use crate::fixture::kind;
use crate::ids::{ClusterId, Digest256, NodeId, NodeName, PublicKey};
use crate::keys::{Keys, hash};
use crate::time::Timestamp;
use crate::wire::access::{
    AccessChange, AdmissionPolicy, Admits, Credential, CredentialId, Enrollment, Label, MAX_CREDENTIALS, MAX_TOKENS, Right,
    SignedEnrollment, Token,
};
use crate::wire::command::{Command, MAX_TOKEN_TTL, Refusal};
use crate::wire::event::{Event, LeaveReason};
use crate::wire::member::{JoinRequest, RoleSpec};

/// What tokens of these tests live: made at just above 1,000, they have expired by [`LATER`].
const TTL: Duration = Duration::from_millis(900_000);
const LATER: Timestamp = Timestamp(1_000_000);

fn admits(roles: &[&str], voter: bool) -> Admits {
    Admits { roles: roles.iter().map(|role| kind(role)).collect(), voter }
}

fn token(uses: u32) -> Token {
    Token { label: Label::new("rack 7").unwrap(), admits: admits(&["host"], false), expires: LATER, uses }
}

fn secret(name: &str) -> TestKeys {
    TestKeys(key_of(&format!("token {name}")))
}

fn create(name: &str, token: Token) -> Command {
    lasting(name, token, TTL)
}

fn lasting(name: &str, token: Token, ttl: Duration) -> Command {
    let Token { label, admits, uses, expires: _ } = token;
    Command::TokenCreate { id: secret(name).public(), label, admits, ttl, uses }
}

fn wish(token: &str, node: &str) -> Enrollment {
    let (token, key) = (secret(token).public(), key_of(node));
    Enrollment { cluster: ClusterId(7), token, key, name: NodeName::new(node).unwrap(), wants: admits(&["host"], false) }
}

fn proven(enrollment: Enrollment) -> Command {
    let proof = TestKeys(enrollment.token).sign(&enrollment.digest());
    Command::Enroll(SignedEnrollment { enrollment, proof })
}

fn enroll(token: &str, node: &str) -> Command {
    proven(wish(token, node))
}

/// A host that wants to join.
fn host(node: &str, nonce: u64) -> JoinRequest {
    let (requires, bootstraps_from, publishes, consumes) = (vec![], vec![], vec![], vec![]);
    let role = RoleSpec { name: kind("host"), requires, bootstraps_from, publishes, consumes };
    JoinRequest { roles: vec![role], voter_eligible: false, ..request(node, nonce) }
}

fn join(node: &str, nonce: u64) -> Command {
    signed(host(node, nonce))
}

fn credential(number: u64, right: Right) -> Command {
    let hash = hash(&[&number.to_be_bytes()]);
    let credential = Credential { label: Label::new("ci").unwrap(), hash, right };
    Command::CredentialCreate { id: CredentialId(number), credential }
}

fn uses(state: &State, name: &str) -> Option<u32> {
    state.applied.registry.gate.tokens.get(&secret(name).public()).map(|token| token.uses)
}

/// Puts some of each into a state, enough that a snapshot of it has several parts.
pub(super) fn furnish(state: &mut State) {
    for number in 0..30 {
        let name = format!("t{number}");
        state.event(create(&name, token(3)));
        state.event(enroll(&name, &format!("e{number}")));
        state.event(credential(number, Right::Write));
    }
}

fn gated() -> State {
    State::with(AdmissionPolicy::Enrolled)
}

#[test]
fn where_keys_are_enrolled_nobody_else_joins() {
    let mut state = gated();
    assert_eq!(state.refusal(join("a", 1)), Refusal::NotEnrolled);
    state.event(create("t", token(1)));
    state.event(enroll("t", "a"));
    assert!(matches!(state.event(join("a", 2)), Some(Event::Joined { .. })));
    assert_eq!(state.refusal(join("b", 3)), Refusal::NotEnrolled, "the key counts, not that there was a token");
}

#[test]
fn an_open_cluster_lets_in_whoever_has_a_certificate() {
    let mut state = State::with(AdmissionPolicy::Open);
    assert!(matches!(state.event(join("a", 1)), Some(Event::Joined { .. })));
}

#[test]
fn a_join_gets_the_name_and_roles_that_were_enrolled() {
    let mut state = gated();
    state.event(create("t", token(2)));
    state.event(enroll("t", "a"));
    let mut other = host("b", 1);
    other.key = key_of("a");
    assert_eq!(state.refusal(signed(other)), Refusal::EnrolledAs { name: NodeName::new("a").unwrap() });
    let mut voter = host("a", 2);
    voter.voter_eligible = true;
    assert_eq!(state.refusal(signed(voter)), Refusal::VoterNotAdmitted);
    let mut role = host("a", 3);
    role.roles[0].name = kind("dns_processor");
    assert_eq!(state.refusal(signed(role)), Refusal::RoleNotAdmitted { role: kind("dns_processor") });
}

#[test]
fn a_token_admits_as_many_keys_as_it_was_made_for() {
    let mut state = gated();
    state.event(create("t", token(2)));
    state.event(enroll("t", "a"));
    state.event(enroll("t", "a"));
    assert_eq!(uses(&state, "t"), Some(1), "the same key and token twice cost one use");
    state.event(enroll("t", "b"));
    assert_eq!(state.refusal(enroll("t", "c")), Refusal::TokenUsedUp);
    state.event(enroll("t", "a"));
    let mut renamed = wish("t", "a");
    renamed.name = NodeName::new("a2").unwrap();
    state.event(proven(renamed));
    assert_eq!(uses(&state, "t"), Some(0), "nor does a new name of a key that it has admitted");
    state.event(create("u", token(1)));
    state.event(enroll("u", "c"));
}

#[test]
fn a_token_admits_nobody_after_its_time_and_is_swept_then() {
    let mut state = gated();
    state.event(create("t", token(5)));
    state.event(enroll("t", "a"));
    state.time = LATER.0;
    assert_eq!(state.refusal(enroll("t", "b")), Refusal::TokenExpired);
    state.event(enroll("t", "a"));
    state.event(create("u", token(5)));
    assert_eq!(uses(&state, "t"), None);
    assert_eq!(state.refusal(enroll("t", "b")), Refusal::NoSuchToken);
    assert!(state.applied.registry.gate.roll.get(&key_of("a")).is_some(), "who was admitted stays");
}

#[test]
fn time_that_goes_back_wakes_no_token() {
    let mut state = gated();
    state.event(create("t", token(5)));
    state.time = LATER.0;
    assert_eq!(state.refusal(enroll("t", "a")), Refusal::TokenExpired);
    state.time = 2_000;
    assert_eq!(state.refusal(enroll("t", "a")), Refusal::TokenExpired);
}

#[test]
fn what_a_token_does_not_admit_is_refused_with_its_reason() {
    let mut state = gated();
    assert_eq!(state.refusal(enroll("t", "a")), Refusal::NoSuchToken);
    state.event(create("t", token(5)));
    let mut greedy = wish("t", "a");
    greedy.wants = admits(&["host", "dns_processor"], false);
    assert_eq!(state.refusal(proven(greedy)), Refusal::RoleNotAdmitted { role: kind("dns_processor") });
    let mut voter = wish("t", "a");
    voter.wants = admits(&[], true);
    assert_eq!(state.refusal(proven(voter)), Refusal::VoterNotAdmitted);
    let mut many = wish("t", "a");
    many.wants.roles = vec![kind("host"); 17];
    assert!(matches!(state.refusal(proven(many)), Refusal::Invalid { .. }));
    assert_eq!(uses(&state, "t"), Some(5), "a refusal costs nothing");
}

#[test]
fn what_passed_by_serves_no_other_key_and_no_other_cluster() {
    let mut state = gated();
    state.event(create("t", token(5)));
    let Command::Enroll(mut stolen) = enroll("t", "a") else { panic!("not an enrollment") };
    stolen.enrollment.key = key_of("thief");
    assert_eq!(state.refusal(Command::Enroll(stolen)), Refusal::BadProof);
    let mut elsewhere = wish("t", "a");
    elsewhere.cluster = ClusterId(8);
    assert_eq!(state.refusal(proven(elsewhere)), Refusal::BadProof);
}

#[test]
fn a_name_belongs_to_the_key_that_was_enrolled_with_it() {
    let mut state = gated();
    state.event(create("t", token(5)));
    state.event(enroll("t", "a"));
    let mut other = wish("t", "b");
    other.name = NodeName::new("a").unwrap();
    assert_eq!(state.refusal(proven(other.clone())), Refusal::NameInUse { name: other.name.clone(), owner: key_of("a") });
    let mut founder = other.clone();
    founder.name = NodeName::new("v1").unwrap();
    assert_eq!(state.refusal(proven(founder.clone())), Refusal::NameInUse { name: founder.name, owner: key_of("v1") });
    // A machine that was lost before it joined: its name is freed by putting its key out.
    state.event(Command::EnrollmentRevoke { key: key_of("a") });
    state.event(proven(other));
    assert_eq!(state.refusal(enroll("t", "a")), Refusal::Revoked);
}

#[test]
fn a_member_is_put_out_by_its_eviction_alone() {
    let mut state = gated();
    assert_eq!(state.refusal(Command::EnrollmentRevoke { key: key_of("v1") }), Refusal::StillMember { node: V1 });
    state.event(Command::EnrollmentRevoke { key: key_of("nobody") });
    assert!(state.applied.registry.revoked.is_empty());
}

fn member(state: &mut State, name: &str, nonce: u64) -> NodeId {
    match state.event(join(name, nonce)) {
        Some(Event::Joined { member, .. }) => member.node,
        other => panic!("no join: {other:?}"),
    }
}

#[test]
fn a_leave_for_failure_keeps_the_key_and_an_operators_leave_or_evict_revokes_it() {
    let mut state = gated();
    state.event(create("t", token(1)));
    state.event(enroll("t", "a"));
    let node = member(&mut state, "a", 1);
    state.event(failed(node));
    let node = member(&mut state, "a", 2);
    state.event(leave(node, LeaveReason::Asked));
    assert_eq!(state.refusal(join("a", 3)), Refusal::NotEnrolled);
    assert_eq!(state.refusal(enroll("t", "a")), Refusal::TokenUsedUp, "it needs a use again");
    state.event(create("u", token(2)));
    state.event(enroll("u", "a"));
    let node = member(&mut state, "a", 4);
    state.event(leave(node, LeaveReason::Evicted));
    assert_eq!(state.refusal(join("a", 5)), Refusal::Revoked);
    assert_eq!(state.refusal(enroll("u", "a")), Refusal::Revoked);
}

#[test]
fn a_token_is_made_once_and_revoked_once() {
    let mut state = gated();
    state.event(create("t", token(2)));
    state.event(create("t", token(2)));
    let other = Token { admits: admits(&["dns_processor"], true), ..token(2) };
    assert!(matches!(state.refusal(create("t", other)), Refusal::Invalid { .. }));
    for ttl in [Duration::ZERO, MAX_TOKEN_TTL + Duration::from_secs(1)] {
        assert!(matches!(state.refusal(lasting("u", token(1), ttl)), Refusal::Invalid { .. }));
    }
    assert!(matches!(state.refusal(create("u", token(0))), Refusal::Invalid { .. }));
    let id = secret("t").public();
    state.event(Command::TokenRevoke { id });
    assert_eq!(state.refusal(Command::TokenRevoke { id }), Refusal::NoSuchToken);
    assert_eq!(state.refusal(enroll("t", "a")), Refusal::NoSuchToken);
}

#[test]
fn tokens_have_a_limit_and_the_expired_do_not_count() {
    let mut state = gated();
    for number in 0..MAX_TOKENS {
        state.event(create(&number.to_string(), token(1)));
    }
    assert!(matches!(state.refusal(create("more", token(1))), Refusal::Invalid { .. }));
    state.time = LATER.0;
    state.event(create("more", token(1)));
    assert_eq!(state.applied.registry.gate.tokens.len(), 1);
}

#[test]
fn a_credential_is_known_to_all_until_it_is_revoked() {
    let mut state = State::with(AdmissionPolicy::Open);
    let created = state.event(credential(4, Right::Admin));
    assert!(matches!(created, Some(Event::Access(AccessChange::CredentialCreated { id: CredentialId(4), .. }))));
    assert_eq!(state.event(credential(4, Right::Admin)), None, "made once");
    assert!(matches!(state.refusal(credential(4, Right::Read)), Refusal::Invalid { .. }));
    let found = state.applied.facts.credential_of(&hash(&[&4_u64.to_be_bytes()]));
    assert_eq!(found.map(|(id, credential)| (id, credential.right)), Some((CredentialId(4), Right::Admin)));
    state.event(Command::CredentialRevoke { id: CredentialId(4) });
    assert!(state.applied.facts.credentials().is_empty());
    let gone = CredentialId(4);
    assert_eq!(state.refusal(Command::CredentialRevoke { id: gone }), Refusal::NoSuchCredential { id: gone });
}

#[test]
fn credentials_have_a_limit_and_each_a_secret_of_its_own() {
    let mut state = State::with(AdmissionPolicy::Open);
    for number in 0..MAX_CREDENTIALS as u64 {
        state.event(credential(number, Right::Read));
    }
    assert!(matches!(state.refusal(credential(5_000, Right::Read)), Refusal::Invalid { .. }));
    let mut state = State::with(AdmissionPolicy::Open);
    state.event(credential(1, Right::Read));
    let Command::CredentialCreate { credential: same, .. } = credential(1, Right::Admin) else { panic!("not a credential") };
    let again = Command::CredentialCreate { id: CredentialId(2), credential: same.clone() };
    assert!(matches!(state.refusal(again), Refusal::Invalid { .. }));
    let none = Credential { hash: Digest256::default(), ..same };
    assert!(matches!(state.refusal(Command::CredentialCreate { id: CredentialId(3), credential: none }), Refusal::Invalid { .. }));
}

#[test]
fn a_snapshot_keeps_the_gate_and_refuses_one_that_contradicts_itself() {
    let mut state = gated();
    furnish(&mut state);
    let bytes = snapshot::encode(&state.applied, 1).data;
    assert_eq!(snapshot::decode(&bytes).unwrap(), state.applied);
    let mut crowded = state.applied.clone();
    for number in 0..=MAX_TOKENS {
        crowded.registry.gate.tokens.insert(PublicKey(hash(&[&number.to_be_bytes()]).0), token(1));
    }
    assert!(snapshot::decode(&snapshot::encode(&crowded, 1).data).is_err());
}
