//! A cluster that admits enrolled keys alone, as whole machines: who comes in, who does not, who comes back.

use std::time::Duration;

use hivemind_core::ids::{Digest256, Index};
use hivemind_core::keys::Keys;
use hivemind_core::machine::{HaltReason, Phase};
use hivemind_core::wire::access::{AdmissionPolicy, Admits, Credential, CredentialId, Enrollment, Label, Right, SignedEnrollment};
use hivemind_core::wire::command::{Command, Outcome, Refusal};
use hivemind_core::wire::event::LeaveReason;

use super::net::{CLUSTER, Net, Part, TestKeys, kind};

const SECOND: Duration = Duration::from_secs(1);
/// Of the secret of [`credential`].
const HASH: Digest256 = Digest256([7; 32]);

/// A token of this name for hosts, consumers and voters, for 100 s.
pub(crate) fn create(name: &str, uses: u32) -> Command {
    let admits = Admits { roles: vec![kind("host"), kind("consumer")], voter: true };
    let label = Label::new(name).expect("a short one");
    Command::TokenCreate { id: TestKeys::of(name).public(), label, admits, ttl: 100 * SECOND, uses }
}

/// What a node that has the token of this name asks a voter for.
pub(crate) fn enroll(token: &str, node: &str, part: Part) -> Command {
    let roles = match part {
        Part::Voter => vec![],
        Part::Host => vec![kind("host")],
        Part::Consumer | Part::Fragile => vec![kind("consumer")],
    };
    let secret = TestKeys::of(token);
    let enrollment = Enrollment {
        cluster: CLUSTER,
        token: secret.public(),
        key: TestKeys::of(node).public(),
        name: hivemind_core::ids::NodeName::new(node).expect("a short one"),
        wants: Admits { roles, voter: part == Part::Voter },
    };
    let proof = secret.sign(&enrollment.digest());
    Command::Enroll(SignedEnrollment { enrollment, proof })
}

/// A credential of the name 1.
pub(crate) fn credential() -> Command {
    let credential = Credential { label: Label::new("ci").expect("a short one"), hash: HASH, right: Right::Write };
    Command::CredentialCreate { id: CredentialId(1), credential }
}

struct Gated {
    net: Net,
    requests: u64,
}

impl Gated {
    /// One voter, and a token `t` with so many uses.
    fn new(uses: u32) -> Self {
        let mut net = Net::new();
        net.settings.control.admission = AdmissionPolicy::Enrolled;
        net.birth("v1", Part::Voter);
        net.run(2 * SECOND);
        let mut gated = Gated { net, requests: 0 };
        gated.commit(create("t", uses));
        gated
    }

    fn decide(&mut self, through: &str, command: Command) -> Outcome {
        self.requests += 1;
        self.net.propose(through, self.requests, command);
        self.net.run(SECOND);
        self.net.outcome(through, self.requests).expect("an answer within a second").clone()
    }

    fn commit(&mut self, command: Command) {
        let outcome = self.decide("v1", command);
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    }

    fn member(&mut self, name: &str, part: Part) {
        self.commit(enroll("t", name, part));
        self.net.start(name, part, &["v1"]);
        self.net.run(2 * SECOND);
        assert_eq!(self.net.phase(name), Some(Phase::Member), "{name}");
    }

    /// A node tries to join, and is refused for good.
    fn refused(&mut self, name: &str) -> Refusal {
        self.net.run(10 * SECOND);
        match &self.net.places[name].halted {
            Some(HaltReason::Refused(refusal)) => refusal.clone(),
            other => panic!("{name} is not refused: {other:?}"),
        }
    }
}

#[test]
fn who_does_not_vote_gives_nobody_rights() {
    let mut gated = Gated::new(5);
    gated.member("h1", Part::Host);
    assert_eq!(gated.decide("h1", credential()), Outcome::Refused(Refusal::NotAVoter));
    assert_eq!(gated.decide("h1", create("mine", 1)), Outcome::Refused(Refusal::NotAVoter));
    assert!(matches!(gated.decide("v1", credential()), Outcome::Committed { .. }));
}

#[test]
fn who_does_not_vote_decides_about_itself_alone() {
    let mut gated = Gated::new(6);
    gated.member("h1", Part::Host);
    gated.member("h2", Part::Host);
    let (own, other, grace) = (gated.net.node("h1"), gated.net.node("h2"), SECOND);
    let about = |node| {
        [
            Command::Restarting { node, grace },
            Command::Restarted { node },
            Command::Addresses { node, seq: 9, addresses: vec![] },
            Command::Features { node, features: Default::default() },
            Command::Leave { node, reason: LeaveReason::Evicted },
        ]
    };
    for command in about(other).into_iter().chain([Command::AdvanceEpoch { floor: Index(1) }, Command::Lead { heir: None }]) {
        assert_eq!(gated.decide("h1", command.clone()), Outcome::Refused(Refusal::NotAVoter), "{command:?}");
    }
    let [said @ .., leave] = about(own);
    for command in said {
        assert_ne!(gated.decide("h1", command.clone()), Outcome::Refused(Refusal::NotAVoter), "{command:?}");
    }
    gated.net.propose("h1", 99, leave);
    gated.net.run(2 * SECOND);
    assert_eq!(gated.net.phase("h1"), None, "it is out");
}

#[test]
fn only_an_enrolled_node_becomes_a_member() {
    let mut gated = Gated::new(2);
    gated.net.start("h1", Part::Host, &["v1"]);
    assert_eq!(gated.refused("h1"), Refusal::NotEnrolled);
    gated.commit(enroll("t", "h1", Part::Host));
    gated.net.restart("h1");
    gated.net.run(2 * SECOND);
    assert_eq!(gated.net.phase("h1"), Some(Phase::Member));
    gated.member("c1", Part::Consumer);
    assert_eq!(gated.decide("v1", enroll("t", "h2", Part::Host)), Outcome::Refused(Refusal::TokenUsedUp));
}

#[test]
fn an_enrollment_may_go_through_any_member() {
    let mut gated = Gated::new(2);
    gated.member("h1", Part::Host);
    let outcome = gated.decide("h1", enroll("t", "h2", Part::Host));
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    gated.net.start("h2", Part::Host, &["h1"]);
    gated.net.run(2 * SECOND);
    assert_eq!(gated.net.phase("h2"), Some(Phase::Member));
}

#[test]
fn a_token_admits_nobody_after_its_time() {
    let mut gated = Gated::new(2);
    gated.net.run(120 * SECOND);
    assert_eq!(gated.decide("v1", enroll("t", "h1", Part::Host)), Outcome::Refused(Refusal::TokenExpired));
}

#[test]
fn an_eviction_revokes_the_key_at_once_and_a_leave_for_failure_keeps_it() {
    let mut gated = Gated::new(3);
    for name in ["h1", "h2", "h3"] {
        gated.member(name, Part::Host);
    }
    // Cut off until it is put out for failure, it comes back by itself, without a token.
    let before = gated.net.node("h1");
    gated.net.cut("h1", true);
    gated.net.run(30 * SECOND);
    assert!(!gated.net.machine("v1").view().expect("a view").facts.is_member(before));
    gated.net.cut("h1", false);
    gated.net.run(30 * SECOND);
    assert_eq!(gated.net.phase("h1"), Some(Phase::Member));
    assert_ne!(gated.net.node("h1"), before);

    let node = gated.net.node("h2");
    gated.commit(Command::Leave { node, reason: LeaveReason::Evicted });
    assert_eq!(gated.net.places["h2"].halted, Some(HaltReason::Left));
    gated.net.lose_disk("h2");
    gated.net.restart("h2");
    assert_eq!(gated.refused("h2"), Refusal::Revoked);

    let node = gated.net.node("h3");
    gated.commit(Command::Leave { node, reason: LeaveReason::Asked });
    gated.net.lose_disk("h3");
    gated.net.restart("h3");
    assert_eq!(gated.refused("h3"), Refusal::NotEnrolled);
}

#[test]
fn what_voters_know_of_tokens_and_keys_outlives_the_first_of_them() {
    let mut gated = Gated::new(6);
    for name in ["v2", "v3"] {
        gated.member(name, Part::Voter);
    }
    gated.net.run(10 * SECOND);
    let known = gated.net.machine("v1").tokens().expect("a voter knows them");
    assert_eq!(known.iter().map(|known| known.token.uses).collect::<Vec<_>>(), [4]);
    for name in ["v2", "v3"] {
        assert_eq!(gated.net.machine(name).tokens().as_ref(), Some(&known), "{name}");
        assert_eq!(gated.net.machine(name).admitted_name(&TestKeys::of("v1").public()).expect("the founder's key").as_str(), "v1");
    }
    gated.net.kill("v1");
    gated.net.run(10 * SECOND);
    let outcome = gated.decide("v2", enroll("t", "h1", Part::Host));
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    gated.net.start("h1", Part::Host, &["v2", "v3"]);
    gated.net.run(2 * SECOND);
    assert_eq!(gated.net.phase("h1"), Some(Phase::Member));
    assert_eq!(gated.net.machine("h1").tokens(), None, "a plain host knows none");
}

#[test]
fn every_node_knows_the_credentials_whether_it_came_before_or_after_them() {
    let mut gated = Gated::new(3);
    gated.member("h1", Part::Host);
    gated.commit(credential());
    gated.member("h2", Part::Host);
    gated.member("c1", Part::Consumer);
    let known = |gated: &Gated, name: &str| {
        let view = gated.net.machine(name).view().expect("a view").clone();
        view.facts.credential_of(&HASH).map(|(id, credential)| (id, credential.right))
    };
    for name in ["v1", "h1", "h2", "c1"] {
        assert_eq!(known(&gated, name), Some((CredentialId(1), Right::Write)), "{name}");
    }
    gated.commit(Command::CredentialRevoke { id: CredentialId(1) });
    for name in ["v1", "h1", "h2", "c1"] {
        assert_eq!(known(&gated, name), None, "{name}");
    }
}
