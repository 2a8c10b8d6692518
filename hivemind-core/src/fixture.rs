//! What unit tests of the subsystems stand on: cheap keys, a node's surroundings, made-up members.

use crate::context::{Context, Outbox, Outgoing};
use crate::facts::{Facts, NeighborhoodLimits};
use crate::ids::{BootNonce, ClusterId, Digest256, Epoch, Index, NeighborhoodId, NodeId, NodeName, PublicKey, SectionKind};
use crate::keys::{Keys, Signature, hash};
use crate::rng::Rng;
use crate::settings::Settings;
use crate::time::{Now, Time};
use crate::timers::Timers;
use crate::wire::event::{Event, LogEvent, VoterPart};
use crate::wire::member::{MemberRecord, RoleSpec};

/// Signatures that prove nothing, but differ by key and content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CheapKeys(pub(crate) PublicKey);

impl CheapKeys {
    pub(crate) fn of(counter: u64) -> Self {
        CheapKeys(PublicKey(hash(&[b"key", &counter.to_be_bytes()]).0))
    }

    fn stamp(key: &PublicKey, digest: &Digest256) -> Signature {
        let mut whole = [0; 64];
        whole[..32].copy_from_slice(&hash(&[&key.0, &digest.0]).0);
        Signature(whole)
    }
}

impl Keys for CheapKeys {
    fn public(&self) -> PublicKey {
        self.0
    }

    fn sign(&self, digest: &Digest256) -> Signature {
        Self::stamp(&self.0, digest)
    }

    fn verify(&self, key: &PublicKey, digest: &Digest256, signature: &Signature) -> bool {
        Self::stamp(key, digest) == *signature
    }
}

/// One node's surroundings.
pub(crate) struct Surround {
    pub(crate) now: Now,
    pub(crate) node: NodeId,
    pub(crate) keys: CheapKeys,
    pub(crate) settings: Settings,
    pub(crate) rng: Rng,
    pub(crate) out: Outbox,
    pub(crate) timers: Timers,
}

impl Surround {
    pub(crate) fn new(counter: u64) -> Self {
        Surround {
            now: Now { time: Time::from_origin(std::time::Duration::from_secs(1)), ..Now::default() },
            node: id(counter),
            keys: CheapKeys::of(counter),
            settings: Settings::default(),
            rng: Rng::new(counter),
            out: Outbox::default(),
            timers: Timers::default(),
        }
    }

    pub(crate) fn ctx(&mut self) -> Context<'_> {
        Context {
            now: self.now,
            node: self.node,
            boot: BootNonce::new(1, 0),
            settings: &self.settings,
            keys: &self.keys,
            rng: &mut self.rng,
            out: &mut self.out,
            timers: &mut self.timers,
        }
    }

    pub(crate) fn sent(&mut self) -> Vec<Outgoing> {
        self.out.sends.drain(..).collect()
    }
}

pub(crate) fn id(counter: u64) -> NodeId {
    NodeId::new(1, counter)
}

pub(crate) fn kind(name: &str) -> SectionKind {
    SectionKind::new(name).expect("the kinds in tests are valid")
}

fn role(name: &str, publishes: &[&str], consumes: &[&str]) -> RoleSpec {
    let kinds = |names: &[&str]| names.iter().map(|name| kind(name)).collect();
    RoleSpec { name: kind(name), requires: vec![], bootstraps_from: vec![], publishes: kinds(publishes), consumes: kinds(consumes) }
}

/// A host, or, where `consumer`, one that consumes what hosts publish.
pub(crate) fn member(counter: u64, consumer: bool, joined: u64) -> MemberRecord {
    let role = if consumer { role("dns_processor", &[], &["host"]) } else { role("host", &["host"], &[]) };
    MemberRecord {
        node: id(counter),
        name: NodeName::new(&format!("m{counter}")).expect("the names in tests are valid"),
        key: CheapKeys::of(counter).0,
        addresses: vec![],
        address_seq: 0,
        roles: vec![role],
        voter_eligible: true,
        features: Default::default(),
        joined: Index(joined),
    }
}

pub(crate) fn joined(counter: u64, consumer: bool, index: u64) -> Event {
    Event::Joined { member: member(counter, consumer, index), neighborhood: NeighborhoodId(0), supersedes: None, listed: vec![] }
}

/// Born with member 1, the only voter.
pub(crate) fn birth() -> Facts {
    Facts::birth(ClusterId(7), Epoch { generation: 1, number: 1, tag: 9 }, NeighborhoodLimits::default(), member(1, false, 0))
}

/// Members 1 to `hosts`, then consumers up to `all`.
pub(crate) fn cluster(hosts: u64, all: u64) -> Facts {
    let mut facts = birth();
    for counter in 2..=all {
        let index = facts.position().index.next();
        facts.apply(&LogEvent::new(index, &joined(counter, counter > hosts, index.0))).expect("joins fold");
    }
    facts
}

pub(crate) fn voter(counter: u64) -> Event {
    Event::Voter { member: member(counter, false, 0), part: VoterPart::Voter }
}
