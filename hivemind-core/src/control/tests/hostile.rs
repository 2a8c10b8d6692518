//! Messages that no run of Raft produces: they are dropped, and nothing panics.

use std::time::Duration;

use bytes::Bytes;
use protobuf::Message as _;
use raft::eraftpb::{ConfState, Entry, EntryType, Message, MessageType, Snapshot};

use super::net::{self, Net, TestKeys, V1, V2, V3, key_of, request, signed};
use crate::control::sanity::{self, Receiver};
use crate::ids::{BootNonce, ClusterId, NodeId, NodeName, ProposalId};
use crate::keys::Keys as _;
use crate::rng::Rng;
use crate::settings::Settings;
use crate::time::Timestamp;
use crate::wire::access::{Admits, Enrollment, SignedEnrollment};
use crate::wire::command::{Command, Outcome, Proposal, Refusal};
use crate::wire::frame::STREAM_LIMIT;
use crate::wire::message;

const KINDS: [MessageType; 19] = [
    MessageType::MsgHup,
    MessageType::MsgBeat,
    MessageType::MsgPropose,
    MessageType::MsgAppend,
    MessageType::MsgAppendResponse,
    MessageType::MsgRequestVote,
    MessageType::MsgRequestVoteResponse,
    MessageType::MsgSnapshot,
    MessageType::MsgHeartbeat,
    MessageType::MsgHeartbeatResponse,
    MessageType::MsgUnreachable,
    MessageType::MsgSnapStatus,
    MessageType::MsgCheckQuorum,
    MessageType::MsgTransferLeader,
    MessageType::MsgTimeoutNow,
    MessageType::MsgReadIndex,
    MessageType::MsgReadIndexResp,
    MessageType::MsgRequestPreVote,
    MessageType::MsgRequestPreVoteResponse,
];

/// A number that is often near what a log has, and sometimes absurd.
fn number(rng: &mut Rng) -> u64 {
    match rng.below(8) {
        0 => 0,
        1 => u64::MAX - rng.below(2),
        2 => 1 << rng.below(64),
        _ => rng.below(16),
    }
}

fn entry(rng: &mut Rng) -> Entry {
    let mut entry = Entry { index: number(rng), term: number(rng), ..Entry::default() };
    entry.data = vec![0; usize::try_from(rng.below(4)).unwrap()].into();
    let kinds = [EntryType::EntryNormal, EntryType::EntryConfChange, EntryType::EntryConfChangeV2];
    entry.set_entry_type(kinds[usize::try_from(rng.below(3)).unwrap()]);
    entry
}

fn random(rng: &mut Rng, from: NodeId, to: NodeId) -> Message {
    let mut message = Message { from: from.as_u64(), to: to.as_u64(), ..Message::default() };
    message.set_msg_type(KINDS[usize::try_from(rng.below(19)).unwrap()]);
    message.term = number(rng);
    message.log_term = number(rng);
    message.index = number(rng);
    message.commit = number(rng);
    message.commit_term = number(rng);
    message.reject_hint = number(rng);
    message.reject = rng.below(2) == 0;
    if rng.below(4) == 0 {
        message.request_snapshot = number(rng);
        message.priority = i64::from_le_bytes(number(rng).to_le_bytes());
    }
    if rng.below(3) == 0 {
        // Consecutive, so that it comes further.
        let count = rng.below(4);
        let made =
            (0..count).map(|offset| Entry { index: message.index.wrapping_add(offset + 1), term: message.log_term.max(1), ..entry(rng) });
        message.set_entries(made.collect::<Vec<_>>().into());
    }
    if rng.below(8) == 0 {
        let mut snapshot = Snapshot::default();
        snapshot.mut_metadata().index = number(rng);
        snapshot.mut_metadata().term = number(rng);
        snapshot.mut_metadata().set_conf_state(ConfState::from((vec![1, number(rng)], vec![to.as_u64()])));
        message.set_snapshot(snapshot);
    }
    message
}

fn wrap(message: &Message) -> message::Control {
    message::Control::Raft(message.write_to_bytes().unwrap().into())
}

#[test]
fn random_messages_from_a_voter_never_panic() {
    for seed in 0..12 {
        let mut net = Net::of_voters(seed, 3);
        let mut rng = Rng::new(seed);
        for round in 0..3000 {
            let (from, to) = if rng.below(2) == 0 { (V2, V1) } else { (V1, V2) };
            let message = random(&mut rng, from, to);
            net.deliver(from, to, wrap(&message));
            if round % 50 == 0 {
                // A lying voter may well stop the group or split its terms: what is claimed is only that nobody falls.
                net.run_unchecked(Duration::from_millis(200));
            }
        }
    }
}

#[test]
fn real_messages_that_were_altered_never_panic() {
    for seed in 0..12 {
        let mut net = Net::of_voters(seed, 3);
        let mut rng = Rng::new(seed);
        net.keep_sent = true;
        for nonce in 0..20 {
            net.propose(V1, signed(request(&format!("a{nonce}"), nonce)));
            net.run_unchecked(Duration::from_millis(20));
        }
        let sent = std::mem::take(&mut net.sent);
        for _ in 0..3000 {
            let (from, to, real) = &sent[usize::try_from(rng.below(sent.len() as u64)).unwrap()];
            let Some(mut message) = net::raft(real) else { continue };
            match rng.below(6) {
                0 => message.term = number(&mut rng),
                1 => message.index = number(&mut rng),
                2 => message.log_term = number(&mut rng),
                3 => message.commit = number(&mut rng),
                4 => message.set_msg_type(KINDS[usize::try_from(rng.below(19)).unwrap()]),
                _ => message.reject = !message.reject,
            }
            net.deliver(*from, *to, wrap(&message));
        }
        net.run_unchecked(Duration::from_secs(1));
    }
}

#[test]
fn bytes_that_are_no_message_are_dropped_and_counted() {
    let mut net = Net::of_voters(1, 3);
    let mut rng = Rng::new(1);
    for length in 0..600 {
        let bytes: Vec<u8> = (0..length).map(|_| u8::try_from(rng.below(256)).unwrap()).collect();
        net.deliver(V2, V1, message::Control::Raft(bytes.into()));
    }
    net.deliver(V2, V1, message::Control::Raft(Bytes::from(vec![0x0b; STREAM_LIMIT])));
    net.deliver(V2, V1, message::Control::Raft(Bytes::from(vec![0; STREAM_LIMIT + 1])));
    assert!(net.hosts[&V1].junk >= 600, "{}", net.hosts[&V1].junk);
    assert_eq!(net.leader(), Some(V1));
}

#[test]
fn a_sender_that_left_or_lies_about_itself_is_dropped() {
    let mut net = Net::of_voters(1, 3);
    let mut vote = Message { from: V2.as_u64(), to: V1.as_u64(), term: 99, index: 99, log_term: 99, ..Message::default() };
    vote.set_msg_type(MessageType::MsgRequestVote);
    vote.context = b"CampaignTransfer".to_vec().into();
    let term = net.control(V1).term();
    net.deliver(V3, V1, wrap(&vote));
    let joined = net.join("a");
    net.decide(V1, Command::Leave { node: joined, reason: crate::wire::event::LeaveReason::Asked });
    vote.from = joined.as_u64();
    net.deliver(joined, V1, wrap(&vote));
    net.deliver(NodeId::NONE, V1, wrap(&vote));
    assert_eq!((net.hosts[&V1].junk, net.control(V1).term()), (3, term));
}

#[test]
fn answers_and_evidence_by_one_that_is_no_voter_are_dropped() {
    let mut net = Net::of_voters(1, 3);
    let member = net.join("a");
    let id = net.id(V3);
    let read = net.read(V3);
    net.deliver(member, V3, message::Control::ReadIndexed { id: read, index: Some(crate::ids::Index(0)), applied: 0 });
    net.deliver(member, V3, message::Control::Outcome { id, outcome: Outcome::OutcomeUnknown });
    net.deliver(member, V1, message::Control::Evidence { observer: V2, suspect: V3 });
    assert_eq!((net.hosts[&V3].junk, net.hosts[&V1].junk), (2, 1));
}

#[test]
fn an_entry_before_any_snapshot_is_not_taken() {
    let mut append = Message { from: V1.as_u64(), to: V2.as_u64(), term: 1, commit: 1, ..Message::default() };
    append.set_msg_type(MessageType::MsgAppend);
    append.mut_entries().push(Entry { index: 1, term: 1, ..Entry::default() });
    let bytes = append.write_to_bytes().unwrap();
    let mut receiver = Receiver { node: V2, last_index: 0, leader: Some(V1), is_leader: false, is_writing: false };
    assert!(sanity::read(V1, &bytes, &receiver).is_err(), "there is nothing to apply it to");
    receiver.last_index = 1;
    assert!(sanity::read(V1, &bytes, &receiver).is_ok());
}

#[test]
fn a_configuration_that_names_a_voter_twice_is_another_one() {
    let of = |nodes: &[NodeId]| ConfState::from((nodes.iter().map(|node| node.as_u64()).collect::<Vec<_>>(), Vec::<u64>::new()));
    let net = Net::of_voters(1, 3);
    let configuration = net.control(V1).applied.as_ref().expect("a voter has a state").configuration();
    assert!(configuration.is_of(&of(&[V3, V1, V2])));
    assert!(!configuration.is_of(&of(&[V1, V1, V2])), "raft-rs would make it one of two");
}

#[test]
fn what_applying_would_refuse_of_a_stranger_is_not_written_down() {
    let mut net = Net::of_voters(1, 3);
    let before = net.control(V1).raw.applied();
    let token = TestKeys(key_of("made up"));
    let enrollment = Enrollment {
        cluster: ClusterId(7),
        token: token.public(),
        key: key_of("stranger"),
        name: NodeName::new("stranger").unwrap(),
        wants: Admits { roles: Vec::new(), voter: false },
    };
    let proof = token.sign(&enrollment.digest());
    let outcome = net.decide(V2, Command::Enroll(SignedEnrollment { enrollment, proof }));
    assert!(matches!(outcome, Outcome::Refused(Refusal::NoSuchToken)), "{outcome:?}");
    assert_eq!(net.control(V1).raw.applied(), before, "nothing went into the log");
}

#[test]
fn one_member_can_not_keep_others_from_proposing() {
    let mut settings = Settings::default();
    settings.control.max_proposals = 8;
    let mut net = Net::of(1, 3, settings);
    let member = net.join("a");
    net.split(&[V1], &[V2, V3]);
    for counter in 0..100 {
        let id = ProposalId { node: member, boot: BootNonce(1), counter };
        let command = Command::Restarting { node: member, grace: Duration::from_secs(1) };
        net.deliver(member, V1, message::Control::Forward(Proposal { id, time: Timestamp(0), command }));
    }
    assert_eq!(net.control(V1).pending.of(member), 2, "its share");
}
