//! The applied state: what all voters agree on after the same entries. Applying reads no clock, no
//! chance and no setting of its node, so that it is the same everywhere.

use imbl::{OrdMap, OrdSet, Vector};
use serde::{Deserialize, Serialize};

use super::bounded::Bounded;
use super::configuration::Joint;
use super::gate::Gate;
use crate::facts::{Facts, NeighborhoodLimits};
use crate::ids::{ClusterId, Epoch, Index, NodeId, ProposalId, PublicKey};
use crate::keys::Keys;
use crate::time::Timestamp;
use crate::wire::access::{AdmissionPolicy, Admits, Enrolled};
use crate::wire::command::{Command, Outcome, Proposal, Refusal, VoterWish};
use crate::wire::event::{Event, LogEvent};
use crate::wire::member::MemberRecord;

/// So many grants are remembered, for a joiner that asks again with the same nonce.
const MAX_GRANTS: usize = 4096;
/// So many outcomes are remembered, so that a copy of a proposal is recognised.
const MAX_OUTCOMES: usize = 2048;
/// The event tail holds at most so many bytes of payload.
pub(super) const MAX_TAIL_BYTES: usize = 256 << 10;

/// What the commands left behind. It is the same on every voter at the same Raft index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Applied {
    pub(super) facts: Facts,
    pub(super) registry: Registry,
    pub(super) tail: Tail,
}

/// What must be remembered and is no event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Registry {
    /// The counter of the last id that was given.
    pub(super) counter: u64,
    /// What became of a wish to join, by its key and nonce.
    pub(super) grants: Bounded<(PublicKey, u64), NodeId, MAX_GRANTS>,
    /// Who is let in.
    pub(super) gate: Gate,
    /// Keys that an operator evicted.
    #[serde(with = "crate::wire::persistent::set")]
    pub(super) revoked: OrdSet<PublicKey>,
    /// The time of the last command.
    pub(super) time: Timestamp,
    /// The proposals that were applied last.
    pub(super) outcomes: Bounded<ProposalId, Outcome, MAX_OUTCOMES>,
    /// The joint change of the group that is on its way.
    pub(super) joint: Option<Joint>,
    /// Which members operators wish to vote, or not to, by key: a wish outlives a leave for failure. At most [`MAX_WISHES`](super::wishes::MAX_WISHES).
    #[serde(with = "crate::wire::persistent::map")]
    pub(super) wishes: OrdMap<PublicKey, VoterWish>,
    /// When the present authority followed the former one.
    pub(super) followed: Timestamp,
}

/// The last events: what others may have missed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tail {
    #[serde(with = "crate::wire::persistent::list")]
    events: Vector<LogEvent>,
    bytes: usize,
}

impl Tail {
    fn push(&mut self, event: LogEvent) {
        self.bytes += event.payload.len();
        self.events.push_back(event);
        while self.bytes > MAX_TAIL_BYTES && self.events.len() > 1 {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(first) = self.events.pop_front() {
            self.bytes -= first.payload.len();
        }
    }

    fn collect(&mut self, floor: Index) {
        while self.events.front().is_some_and(|event| event.index < floor) {
            self.drop_first();
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// The event at a place, from 0.
    pub(super) fn at(&self, place: usize) -> Option<&LogEvent> {
        self.events.get(place)
    }

    /// How many bytes of payload they have.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn to_vec(&self) -> Vec<LogEvent> {
        self.events.iter().cloned().collect()
    }

    /// Whether the events are consecutive, end at `last` and are counted rightly: a decoded tail is checked.
    pub(super) fn is_sound(&self, last: Index) -> bool {
        let consecutive = self.events.iter().zip(self.events.iter().skip(1)).all(|(one, next)| next.index == one.index.next());
        let ends_well = self.events.back().is_none_or(|event| event.index == last);
        let counted = self.events.iter().map(|event| event.payload.len()).sum::<usize>() == self.bytes;
        consecutive && ends_well && counted
    }
}

/// What one command did.
pub(super) struct Done {
    /// The events that it produced, in order.
    pub(super) events: Vec<LogEvent>,
    /// For who waits.
    pub(super) outcome: Outcome,
}

impl Applied {
    /// The state at birth.
    pub(super) fn birth(
        cluster: ClusterId,
        epoch: Epoch,
        limits: NeighborhoodLimits,
        policy: AdmissionPolicy,
        first: MemberRecord,
    ) -> Applied {
        let mut gate = Gate::new(policy);
        gate.roll.insert(first.key, Enrolled { name: first.name.clone(), admits: Admits::default(), token: None });
        let registry = Registry {
            counter: first.node.counter(),
            grants: Bounded::new(),
            gate,
            revoked: OrdSet::new(),
            time: Timestamp::default(),
            outcomes: Bounded::new(),
            joint: None,
            wishes: OrdMap::new(),
            followed: Timestamp::default(),
        };
        Applied { facts: Facts::birth(cluster, epoch, limits, first), registry, tail: Tail::default() }
    }

    /// Applies a command. A copy of one that was applied does nothing, and has the first one's outcome.
    pub(super) fn apply(&mut self, proposal: &Proposal, keys: &dyn Keys) -> Done {
        if let Some(known) = self.registry.outcomes.get(&proposal.id) {
            return Done { events: Vec::new(), outcome: known.clone() };
        }
        self.registry.time = self.registry.time.max(proposal.time);
        let (events, outcome) = match self.decide(&proposal.command, keys) {
            Ok(event) => {
                let events = event.map(|event| self.commit(event)).unwrap_or_default();
                (events, Outcome::Committed { position: self.facts.position() })
            }
            Err(refusal) => (Vec::new(), Outcome::Refused(refusal)),
        };
        self.registry.outcomes.insert(proposal.id, outcome.clone());
        Done { events, outcome }
    }

    /// What a command leads to. `Ok(None)`: it holds already, or changed what only voters know. On `Err` nothing changed.
    fn decide(&mut self, command: &Command, keys: &dyn Keys) -> Result<Option<Event>, Refusal> {
        match command {
            Command::Join(join) => self.join(join, keys),
            Command::Leave { node, reason } => self.leave(*node, reason),
            Command::Restarting { node, grace } => self.restarting(*node, *grace),
            Command::Restarted { node } => self.restarted(*node),
            Command::Addresses { node, seq, addresses } => self.addresses(*node, *seq, addresses),
            Command::AdvanceEpoch { floor } => self.advance_epoch(*floor),
            Command::TokenCreate { id, label, admits, ttl, uses } => self.token_create(*id, label, admits, *ttl, *uses),
            Command::TokenRevoke { id } => self.token_revoke(*id),
            Command::Enroll(enrollment) => self.enroll(enrollment, keys),
            Command::EnrollmentRevoke { key } => self.enrollment_revoke(*key),
            Command::CredentialCreate { id, credential } => self.credential_create(*id, credential),
            Command::CredentialRevoke { id } => self.credential_revoke(*id),
            Command::FeatureOn { feature } => self.feature_on(feature),
            Command::Features { node, features } => self.supports(*node, features),
            Command::VoterAdd { node } => self.voter_add(*node),
            Command::VoterRemove { node } => self.voter_remove(*node),
            Command::AuthorityNext { present, next } => self.authority_next(present, next),
            Command::AuthorityHeld { node, authority } => self.authority_held(*node, *authority),
            Command::AuthorityRetire { early } => self.authority_retire(*early),
            Command::Lead { .. } => Err(Refusal::Invalid { why: "who leads is not decided by the log".into() }),
        }
    }

    /// Puts an event that was decided on into the log.
    pub(super) fn record(&mut self, event: &Event) -> LogEvent {
        let logged = LogEvent::new(self.facts.position().index.next(), event);
        let was_followed = self.facts.trust().former().is_some();
        self.facts.apply(&logged).expect("an event is decided against the very facts that it is folded into");
        if !was_followed && self.facts.trust().former().is_some() {
            self.registry.followed = self.registry.time;
        }
        self.tail.push(logged.clone());
        self.tail.collect(self.facts.floor());
        logged
    }

    /// Refuses a command for a node that is no member.
    pub(super) fn expect_member(&self, node: NodeId) -> Result<&MemberRecord, Refusal> {
        self.facts.member(node).map(AsRef::as_ref).ok_or(Refusal::NotAMember { node })
    }

    /// Whether a member said that it restarts, and its time is not over.
    pub(super) fn is_restarting(&self, node: NodeId, at: Timestamp) -> bool {
        self.facts.restarting_until(node).is_some_and(|until| until > at)
    }
}
