//! A small cluster to draw in tests: voter1, dns1, and web1 that dns1 holds a config of.

use std::sync::Arc;
use std::time::Duration;

use hivemind_core::facts::{Facts, NeighborhoodLimits};
use hivemind_core::ids::{ClusterId, Digest256, Epoch, Index, NeighborhoodId, NodeId, NodeName, Position, PublicKey, SectionKind, Seq};
use hivemind_core::keys::Signature;
use hivemind_core::machine::{Phase, Status};
use hivemind_core::view::{Condition, View};
use hivemind_core::wire::config::{HostConfig, Section, SignedConfig};
use hivemind_core::wire::event::{Event, LogEvent, VoterPart};
use hivemind_core::wire::member::{MemberRecord, RoleSpec};

use super::{Kind, Life, NodePicture, Picture};

const EPOCH: Epoch = Epoch { generation: 1, number: 0, tag: 9 };

pub(crate) fn id(counter: u64) -> NodeId {
    NodeId::new(1, counter)
}

pub(crate) fn name(name: &str) -> NodeName {
    NodeName::new(name).expect("a name")
}

fn kind(kind: &str) -> SectionKind {
    SectionKind::new(kind).expect("a kind")
}

pub(crate) fn position(index: u64) -> Position {
    Position { epoch: EPOCH, index: Index(index), chain: Digest256::default() }
}

pub(crate) fn member(counter: u64, called: &str, roles: &[&str]) -> MemberRecord {
    let spec = |name: &&str| RoleSpec { name: kind(name), requires: vec![], bootstraps_from: vec![], publishes: vec![], consumes: vec![] };
    MemberRecord {
        node: id(counter),
        name: name(called),
        key: PublicKey([counter as u8; 32]),
        addresses: vec![([127, 0, 0, 1], 4000 + counter as u16).into()],
        roles: roles.iter().map(spec).collect(),
        voter_eligible: false,
        features: Default::default(),
        address_seq: 0,
        joined: Index(counter - 1),
    }
}

/// All three run, and know all that there is.
pub(crate) fn cluster() -> Picture {
    let members = [member(1, "voter1", &[]), member(2, "dns1", &["dns_processor"]), member(3, "web1", &["host"])];
    let mut facts = Facts::birth(ClusterId(7), EPOCH, NeighborhoodLimits::default(), members[0].clone());
    for (at, member) in members.iter().enumerate().skip(1) {
        let event = Event::Joined { member: member.clone(), neighborhood: NeighborhoodId(0), supersedes: None, listed: vec![] };
        facts.apply(&LogEvent::new(Index(at as u64), &event)).expect("the next event");
    }
    let section = |name: &str, body: &'static [u8]| Section { kind: kind(name), body: body.into() };
    let config = HostConfig { node: id(3), seq: Seq(4), sections: vec![section("host", b"abc"), section("service", b"defgh")] };
    let config = Arc::new(SignedConfig { config, signature: Signature([0; 64]) });
    let nodes = members.iter().zip([Kind::Voter, Kind::Dns, Kind::Host]).map(|(member, kind)| {
        let view = View {
            node: member.node,
            facts: facts.clone(),
            configs: imbl::OrdMap::unit(id(3), Arc::clone(&config)),
            unreachable: imbl::OrdSet::new(),
            condition: Condition::default(),
        };
        NodePicture {
            name: member.name.clone(),
            kind,
            life: Life::Running,
            isolated: false,
            address: member.addresses.first().copied(),
            status: Some(account(member, kind)),
            view: Some(Arc::new(view)),
            complaints: vec![],
            dns: if kind == Kind::Dns { vec![(([127, 0, 0, 1], 5300).into(), 7)] } else { vec![] },
            published: (kind == Kind::Host).then_some((Seq(4), Duration::from_secs(65))),
        }
    });
    Picture { nodes: nodes.collect(), wrong_files: vec![] }
}

fn account(member: &MemberRecord, kind: Kind) -> Status {
    Status {
        name: member.name.clone(),
        node: member.node,
        phase: Phase::Member,
        position: Some(position(2)),
        voter: if kind == Kind::Voter { VoterPart::Voter } else { VoterPart::None },
        leader: (kind == Kind::Voter).then_some(id(1)),
        term: 2,
        condition: Condition::default(),
        own_seq: Seq(0),
        configs: 1,
        junk: 0,
    }
}
