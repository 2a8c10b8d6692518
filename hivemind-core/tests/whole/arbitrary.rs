//! Any message at all, for property tests.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use hivemind_core::facts::{Facts, NeighborhoodLimits};
use hivemind_core::ids::{
    BootNonce, ClusterId, Digest256, Epoch, Index, NeighborhoodId, NodeId, NodeName, Position, ProposalId, PublicKey, SectionKind, Seq,
};
use hivemind_core::keys::Signature;
use hivemind_core::time::Timestamp;
use hivemind_core::wire::access::{AccessChange, Admits, Credential, CredentialId, Enrollment, Label, Right, SignedEnrollment};
use hivemind_core::wire::command::{Command, Outcome, Proposal, Refusal};
use hivemind_core::wire::config::{ConfigDigest, HeldConfig, HeldVersion, HostConfig, LeafHashes, Leaves, Section, SignedConfig};
use hivemind_core::wire::event::{Checkpoint, Event, LeaveReason, LogEvent, VoterPart};
use hivemind_core::wire::feature::FeatureName;
use hivemind_core::wire::frame::{Beat, Frame, Header};
use hivemind_core::wire::member::{Acquaintance, JoinRequest, MemberRecord, RoleSpec, SignedJoin};
use hivemind_core::wire::message::{
    Admission, Configs, Control, Digest, EventBatch, Events, Membership, Message, ResumeAnswer, SnapshotPart, SnapshotWant,
};
use hivemind_core::wire::trust::{AuthorityChange, CertificateBytes, Successor};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..300_u64, any::<u64>(), Just(u64::MAX)]
}

fn node() -> impl Strategy<Value = NodeId> {
    number().prop_map(NodeId::from_u64)
}

fn name() -> impl Strategy<Value = NodeName> {
    "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?".prop_map(|name| NodeName::new(&name).expect("of the alphabet"))
}

fn kind() -> impl Strategy<Value = SectionKind> {
    "[a-z0-9_-]{1,32}".prop_map(|kind| SectionKind::new(&kind).expect("of the alphabet"))
}

fn key() -> impl Strategy<Value = PublicKey> {
    any::<[u8; 32]>().prop_map(PublicKey)
}

fn digest256() -> impl Strategy<Value = Digest256> {
    any::<[u8; 32]>().prop_map(Digest256)
}

fn signature() -> impl Strategy<Value = Signature> {
    (any::<[u8; 32]>(), any::<[u8; 32]>()).prop_map(|(low, high)| {
        let mut whole = [0; 64];
        whole[..32].copy_from_slice(&low);
        whole[32..].copy_from_slice(&high);
        Signature(whole)
    })
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..80).prop_map(Bytes::from)
}

fn epoch() -> impl Strategy<Value = Epoch> {
    (any::<u16>(), any::<u32>(), number()).prop_map(|(generation, number, tag)| Epoch { generation, number, tag })
}

fn position() -> impl Strategy<Value = Position> {
    (epoch(), number(), digest256()).prop_map(|(epoch, index, chain)| Position { epoch, index: Index(index), chain })
}

fn addresses() -> impl Strategy<Value = Vec<SocketAddr>> {
    let address = (any::<bool>(), any::<u128>(), any::<u16>()).prop_map(|(is_v4, octets, port)| match is_v4 {
        true => SocketAddr::from(((octets as u32).to_be_bytes(), port)),
        false => SocketAddr::from((octets.to_be_bytes(), port)),
    });
    vec(address, 0..4)
}

fn roles() -> impl Strategy<Value = Vec<RoleSpec>> {
    let kinds = || vec(kind(), 0..3);
    let role = (kind(), kinds(), kinds(), kinds(), kinds());
    let role = role.prop_map(|(name, requires, bootstraps_from, publishes, consumes)| RoleSpec {
        name,
        requires,
        bootstraps_from,
        publishes,
        consumes,
    });
    vec(role, 0..3)
}

fn feature() -> impl Strategy<Value = FeatureName> {
    "[a-z0-9_-]{1,32}".prop_map(|name| FeatureName::new(&name).expect("of its alphabet"))
}

fn features() -> impl Strategy<Value = BTreeSet<FeatureName>> {
    btree_set(feature(), 0..3)
}

fn member() -> impl Strategy<Value = MemberRecord> {
    (node(), name(), key(), addresses(), roles(), any::<bool>(), features(), number()).prop_map(
        |(node, name, key, addresses, roles, voter_eligible, features, joined)| MemberRecord {
            node,
            name,
            key,
            addresses,
            roles,
            voter_eligible,
            features,
            address_seq: joined / 3,
            joined: Index(joined),
        },
    )
}

fn join() -> impl Strategy<Value = SignedJoin> {
    let request = (number(), name(), key(), addresses(), roles(), any::<bool>(), features(), option::of(node()));
    (request, signature()).prop_map(|((nonce, name, key, addresses, roles, voter_eligible, features, previous), signature)| SignedJoin {
        request: JoinRequest { nonce, name, key, addresses, roles, voter_eligible, features, previous },
        signature,
    })
}

fn reason() -> impl Strategy<Value = LeaveReason> {
    prop_oneof![
        vec(node(), 0..5).prop_map(|observers| LeaveReason::Failed { observers }),
        Just(LeaveReason::Asked),
        Just(LeaveReason::Evicted),
    ]
}

fn part() -> impl Strategy<Value = VoterPart> {
    prop_oneof![Just(VoterPart::None), Just(VoterPart::Learner), Just(VoterPart::Voter)]
}

fn label() -> impl Strategy<Value = Label> {
    "[^\\p{Cc}]{1,64}".prop_map(|text| Label::new(&text).expect("1 to 64 characters, none a control character"))
}

fn credential() -> impl Strategy<Value = Credential> {
    let right = prop_oneof![Just(Right::Read), Just(Right::Write), Just(Right::Admin)];
    (label(), digest256(), right).prop_map(|(label, hash, right)| Credential { label, hash, right })
}

fn admits() -> impl Strategy<Value = Admits> {
    (vec(kind(), 0..4), any::<bool>()).prop_map(|(roles, voter)| Admits { roles, voter })
}

fn token() -> impl Strategy<Value = Command> {
    let token = (key(), label(), admits(), number(), any::<u32>());
    token.prop_map(|(id, label, admits, ttl, uses)| Command::TokenCreate { id, label, admits, ttl: Duration::from_millis(ttl), uses })
}

fn enrollment() -> impl Strategy<Value = SignedEnrollment> {
    (number(), key(), key(), name(), admits(), signature()).prop_map(|(cluster, token, key, name, wants, proof)| SignedEnrollment {
        enrollment: Enrollment { cluster: ClusterId(cluster), token, key, name, wants },
        proof,
    })
}

/// Any event.
pub(crate) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (member(), hood(), option::of(node()), vec(member(), 0..2)).prop_map(|(member, neighborhood, supersedes, listed)| Event::Joined {
            member,
            neighborhood,
            supersedes,
            listed
        }),
        (node(), reason(), vec(member(), 0..2)).prop_map(|(node, reason, listed)| Event::Left { node, reason, listed }),
        (hood(), hood(), vec(node(), 0..24)).prop_map(|(from, into, moved)| Event::Split { from, into, moved }),
        (hood(), hood(), vec(member(), 0..4)).prop_map(|(from, into, members)| Event::Merged { from, into, members }),
        (member(), part()).prop_map(|(member, part)| Event::Voter { member, part }),
        (node(), number()).prop_map(|(node, until)| Event::Restarting { node, until: Timestamp(until) }),
        node().prop_map(|node| Event::Restarted { node }),
        (node(), number(), addresses()).prop_map(|(node, seq, addresses)| Event::Addresses { node, seq, addresses }),
        (any::<u32>(), number()).prop_map(|(number, floor)| Event::EpochAdvanced { number, floor: Index(floor) }),
        (number(), credential())
            .prop_map(|(id, credential)| { Event::Access(AccessChange::CredentialCreated { id: CredentialId(id), credential }) }),
        number().prop_map(|id| Event::Access(AccessChange::CredentialRevoked { id: CredentialId(id) })),
        feature().prop_map(|feature| Event::FeatureOn { feature }),
        (node(), features()).prop_map(|(node, features)| Event::Features { node, features }),
        authority_change().prop_map(Event::Authority),
    ]
}

fn certificate() -> impl Strategy<Value = CertificateBytes> {
    vec(any::<u8>(), 1..CertificateBytes::MAX).prop_map(|der| CertificateBytes::new(&der).expect("short enough"))
}

fn successor() -> impl Strategy<Value = Successor> {
    (certificate(), certificate()).prop_map(|(certificate, bridge)| Successor { certificate, bridge })
}

fn authority_change() -> impl Strategy<Value = AuthorityChange> {
    prop_oneof![
        (certificate(), successor()).prop_map(|(present, next)| AuthorityChange::Announced { present, next }),
        (node(), digest256()).prop_map(|(node, authority)| AuthorityChange::Held { node, authority }),
        Just(AuthorityChange::Retired),
    ]
}

fn acquaintance() -> impl Strategy<Value = Acquaintance> {
    (node(), key(), addresses(), hood()).prop_map(|(node, key, addresses, neighborhood)| Acquaintance {
        node,
        key,
        addresses,
        neighborhood,
    })
}

fn hood() -> impl Strategy<Value = NeighborhoodId> {
    any::<u32>().prop_map(NeighborhoodId)
}

fn checkpoint() -> impl Strategy<Value = Checkpoint> {
    (number(), position(), node(), signature()).prop_map(|(cluster, position, voter, signature)| Checkpoint {
        cluster: ClusterId(cluster),
        epoch: position.epoch,
        index: position.index,
        chain: position.chain,
        voter,
        signature,
    })
}

fn batch() -> impl Strategy<Value = EventBatch> {
    let logged = (number(), event()).prop_map(|(index, event)| LogEvent::new(Index(index), &event));
    (vec(logged, 0..4), vec(checkpoint(), 0..3)).prop_map(|(events, checkpoints)| EventBatch { events, checkpoints })
}

/// Facts that a log led to: whatever events fit, from a birth.
fn facts() -> impl Strategy<Value = Facts> {
    (number(), epoch(), member(), vec((member(), part()), 0..6), vec((number(), credential()), 0..3)).prop_map(
        |(cluster, epoch, first, others, credentials)| {
            let mut facts = Facts::birth(ClusterId(cluster), epoch, NeighborhoodLimits::default(), first);
            for (member, part) in others {
                let (node, again) = (member.node, member.clone());
                let joined = Event::Joined { member, neighborhood: NeighborhoodId(0), supersedes: None, listed: vec![] };
                for event in [joined, Event::Voter { member: again, part }, Event::Restarting { node, until: Timestamp(cluster) }] {
                    // Two of a name or id: the second does not fit.
                    let _fits = facts.apply(&LogEvent::new(facts.position().index.next(), &event));
                }
            }
            for (id, credential) in credentials {
                let event = Event::Access(AccessChange::CredentialCreated { id: CredentialId(id), credential });
                let _fits = facts.apply(&LogEvent::new(facts.position().index.next(), &event));
            }
            facts
        },
    )
}

fn digest() -> impl Strategy<Value = Box<Digest>> {
    (facts(), checkpoint()).prop_map(|(facts, checkpoint)| Box::new(Digest { facts, checkpoint }))
}

fn proposal_id() -> impl Strategy<Value = ProposalId> {
    (node(), number(), number()).prop_map(|(node, boot, counter)| ProposalId { node, boot: BootNonce(boot), counter })
}

fn proposal() -> impl Strategy<Value = Proposal> {
    let command = prop_oneof![
        join().prop_map(Command::Join),
        (node(), reason()).prop_map(|(node, reason)| Command::Leave { node, reason }),
        (node(), number(), 0..1_000_000_000_u32)
            .prop_map(|(node, seconds, nanos)| Command::Restarting { node, grace: Duration::new(seconds, nanos) }),
        node().prop_map(|node| Command::Restarted { node }),
        (node(), number(), addresses()).prop_map(|(node, seq, addresses)| Command::Addresses { node, seq, addresses }),
        number().prop_map(|floor| Command::AdvanceEpoch { floor: Index(floor) }),
        token(),
        key().prop_map(|id| Command::TokenRevoke { id }),
        enrollment().prop_map(Command::Enroll),
        key().prop_map(|key| Command::EnrollmentRevoke { key }),
        (number(), credential()).prop_map(|(id, credential)| Command::CredentialCreate { id: CredentialId(id), credential }),
        number().prop_map(|id| Command::CredentialRevoke { id: CredentialId(id) }),
        feature().prop_map(|feature| Command::FeatureOn { feature }),
        (node(), features()).prop_map(|(node, features)| Command::Features { node, features }),
        node().prop_map(|node| Command::VoterAdd { node }),
        node().prop_map(|node| Command::VoterRemove { node }),
        option::of(node()).prop_map(|heir| Command::Lead { heir }),
        (certificate(), successor()).prop_map(|(present, next)| Command::AuthorityNext { present, next }),
        (node(), digest256()).prop_map(|(node, authority)| Command::AuthorityHeld { node, authority }),
        any::<bool>().prop_map(|early| Command::AuthorityRetire { early }),
    ];
    (proposal_id(), number(), command).prop_map(|(id, time, command)| Proposal { id, time: Timestamp(time), command })
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        (name(), key()).prop_map(|(name, owner)| Refusal::NameInUse { name, owner }),
        Just(Refusal::Revoked),
        ".{0,40}".prop_map(|why| Refusal::Invalid { why }),
        node().prop_map(|node| Refusal::NotAMember { node }),
        node().prop_map(|node| Refusal::StillVoter { node }),
        node().prop_map(|node| Refusal::Restarting { node }),
        Just(Refusal::Outdated),
        (feature(), vec(name(), 0..4)).prop_map(|(feature, members)| Refusal::Unsupported { feature, members }),
        vec(feature(), 0..4).prop_map(|features| Refusal::LacksFeatures { features }),
        Just(Refusal::NotEnrolled),
        name().prop_map(|name| Refusal::EnrolledAs { name }),
        kind().prop_map(|role| Refusal::RoleNotAdmitted { role }),
        Just(Refusal::VoterNotAdmitted),
        Just(Refusal::NoSuchToken),
        Just(Refusal::TokenExpired),
        Just(Refusal::TokenUsedUp),
        Just(Refusal::BadProof),
        number().prop_map(|id| Refusal::NoSuchCredential { id: CredentialId(id) }),
        node().prop_map(|node| Refusal::StillMember { node }),
        Just(Refusal::Degraded),
        Just(Refusal::Busy),
        Just(Refusal::NotAVoter),
        node().prop_map(|node| Refusal::NotEligible { node }),
        node().prop_map(|node| Refusal::NotVoting { node }),
        node().prop_map(|node| Refusal::LastVoter { node }),
        node().prop_map(|node| Refusal::LeadsAlready { node }),
        node().prop_map(|node| Refusal::Lags { node }),
        Just(Refusal::NoHeir),
        node().prop_map(|node| Refusal::NotTakenOver { node }),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        position().prop_map(|position| Outcome::Committed { position }),
        refusal().prop_map(Outcome::Refused),
        Just(Outcome::OutcomeUnknown),
    ]
}

fn held() -> impl Strategy<Value = HeldConfig> {
    let section = (kind(), bytes()).prop_map(|(kind, body)| Section { kind, body });
    let config = (node(), number(), vec(section, 0..3)).prop_map(|(node, seq, sections)| HostConfig { node, seq: Seq(seq), sections });
    (node(), config, signature()).prop_map(|(member, config, signature)| HeldConfig { member, config: SignedConfig { config, signature } })
}

fn version() -> impl Strategy<Value = ConfigDigest> {
    (node(), number(), digest256()).prop_map(|(node, seq, hash)| ConfigDigest { node, seq: Seq(seq), hash })
}

fn admission() -> impl Strategy<Value = Admission> {
    let answers = [ResumeAnswer::Welcome, ResumeAnswer::Fenced, ResumeAnswer::Gone, ResumeAnswer::Duplicate];
    prop_oneof![
        join().prop_map(|join| Admission::Join(Box::new(join))),
        (number(), node(), digest()).prop_map(|(nonce, node, digest)| Admission::Granted { nonce, node, digest }),
        (number(), refusal()).prop_map(|(nonce, refusal)| Admission::Refused { nonce, refusal }),
        number().prop_map(|nonce| Admission::Later { nonce }),
        number().prop_map(|nonce| Admission::Lapsed { nonce }),
        vec(member(), 0..3).prop_map(|voters| Admission::Elsewhere { voters }),
        (position(), any::<u32>(), any::<u32>(), bytes()).prop_map(|(position, total, offset, bytes)| Admission::Part {
            position,
            total,
            offset,
            bytes
        }),
        (position(), any::<u32>()).prop_map(|(position, offset)| Admission::PartAsk { position, offset }),
        position().prop_map(|position| Admission::Resume { position }),
        (node(), proptest::sample::select(answers.to_vec())).prop_map(|(node, answer)| Admission::Resumed { node, answer }),
    ]
}

fn membership() -> impl Strategy<Value = Membership> {
    prop_oneof![
        (any::<u32>(), number(), bytes()).prop_map(|(hood, created, packet)| Membership::Swim {
            neighborhood: NeighborhoodId(hood),
            created: Index(created),
            packet
        }),
        number().prop_map(|token| Membership::Ping { token }),
        number().prop_map(|token| Membership::Pong { token }),
        node().prop_map(|suspect| Membership::Evidence { suspect }),
        (vec(acquaintance(), 0..3), any::<bool>()).prop_map(|(members, reply_wanted)| Membership::Sample { members, reply_wanted }),
        hood().prop_map(|neighborhood| Membership::Keepalive { neighborhood }),
    ]
}

fn control() -> impl Strategy<Value = Control> {
    prop_oneof![
        bytes().prop_map(Control::Raft),
        proposal().prop_map(Control::Forward),
        (proposal_id(), outcome()).prop_map(|(id, outcome)| Control::Outcome { id, outcome }),
        proposal_id().prop_map(|id| Control::ReadIndex { id }),
        (proposal_id(), option::of(number()), number()).prop_map(|(id, index, applied)| Control::ReadIndexed {
            id,
            index: index.map(Index),
            applied
        }),
        (node(), node()).prop_map(|(observer, suspect)| Control::Evidence { observer, suspect }),
        (bytes(), digest256(), number(), number(), bytes())
            .prop_map(|(head, digest, total, offset, bytes)| Control::SnapshotPart(SnapshotPart { head, digest, total, offset, bytes })),
        (digest256(), number()).prop_map(|(digest, offset)| Control::SnapshotWant(SnapshotWant { digest, offset })),
        node().prop_map(|suspect| Control::Probe { suspect }),
    ]
}

fn events() -> impl Strategy<Value = Events> {
    prop_oneof![
        batch().prop_map(Events::Push),
        position().prop_map(|after| Events::Pull { after }),
        batch().prop_map(Events::Range),
        number().prop_map(|floor| Events::Collected { floor: Index(floor) }),
        Just(Events::Announce),
        Just(Events::AskAnother),
        Just(Events::Resync),
        digest().prop_map(Events::Snapshot),
    ]
}

fn leaf_hashes() -> impl Strategy<Value = LeafHashes> {
    (any::<u8>(), vec(any::<u32>(), 0..9)).prop_map(|(bucket, hashes)| LeafHashes { bucket, hashes })
}

fn leaves() -> impl Strategy<Value = Leaves> {
    (any::<u8>(), any::<u8>(), vec(any::<u8>(), 0..9)).prop_map(|(bucket, width_log2, at)| Leaves { bucket, width_log2, at })
}

fn held_version() -> impl Strategy<Value = HeldVersion> {
    (node(), option::of(node()), number(), any::<u64>()).prop_map(|(member, former, seq, hash)| HeldVersion {
        member,
        former,
        seq: Seq(seq),
        hash,
    })
}

fn configs() -> impl Strategy<Value = Configs> {
    prop_oneof![
        (held(), node()).prop_map(|(entry, root)| Configs::Offer { entry, root }),
        (node(), version(), node()).prop_map(|(member, version, root)| Configs::Advert { member, version, root }),
        (node(), option::of(version())).prop_map(|(member, version)| Configs::Stored { member, version }),
        (number(), vec(number(), 0..70)).prop_map(|(index, buckets)| Configs::Compare { index: Index(index), buckets }),
        any::<bool>().prop_map(|complete| Configs::Alike { complete }),
        Just(Configs::Busy),
        (vec(leaf_hashes(), 0..5), any::<bool>()).prop_map(|(buckets, rest)| Configs::Differ { buckets, rest }),
        (vec(leaves(), 0..5), vec(held_version(), 0..5), any::<bool>(), any::<bool>())
            .prop_map(|(leaves, held, complete, rest)| Configs::Versions { leaves, held, complete, rest }),
        vec(node(), 0..9).prop_map(|nodes| Configs::Want { nodes }),
        (vec(held(), 0..3), vec(node(), 0..4)).prop_map(|(configs, missing)| Configs::Batch { configs, missing }),
        Just(Configs::SeqAsk),
    ]
}

/// Any header.
pub(crate) fn header() -> impl Strategy<Value = Header> {
    let beat = (number(), number()).prop_map(|(term, count)| Beat { term, count });
    (option::of(number()), epoch(), node(), number(), number(), any::<u32>(), beat).prop_map(
        |(cluster, epoch, from, boot, index, chain, beat)| Header {
            cluster: cluster.map(ClusterId),
            epoch,
            from,
            boot: BootNonce(boot),
            index: Index(index),
            chain,
            beat,
        },
    )
}

/// Any message.
pub(crate) fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        admission().prop_map(Message::Admission),
        membership().prop_map(Message::Membership),
        control().prop_map(Message::Control),
        events().prop_map(Message::Events),
        configs().prop_map(Message::Configs),
    ]
}

/// Any frame.
pub(crate) fn frame() -> impl Strategy<Value = Frame> {
    (header(), message()).prop_map(|(header, message)| Frame { header, message })
}
