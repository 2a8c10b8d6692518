//! Who may be heard: terms of those that have no part in the group, and of voters that hear only half of
//! what is said, disturb nobody.

use std::time::Duration;

use bytes::Bytes;
use protobuf::Message as _;
use raft::eraftpb::{Message, MessageType};

use super::net::{Net, V1, V2, V3, V4};
use crate::ids::NodeId;
use crate::settings::Settings;
use crate::wire::command::{Command, Outcome};
use crate::wire::event::LeaveReason;
use crate::wire::message;

const LONG: Duration = Duration::from_secs(10);

fn of(count: u64) -> Net {
    let mut settings = Settings::default();
    settings.control.voters = 3;
    Net::of(1, count, settings)
}

fn lie(kind: MessageType, from: NodeId, to: NodeId, term: u64) -> message::Control {
    let mut lie = Message { from: from.as_u64(), to: to.as_u64(), term, index: 9, log_term: 1, ..Message::default() };
    lie.set_msg_type(kind);
    if kind == MessageType::MsgRequestVote {
        lie.context = Bytes::from_static(b"CampaignTransfer");
    }
    message::Control::Raft(lie.write_to_bytes().unwrap().into())
}

const LIES: [MessageType; 5] = [
    MessageType::MsgAppend,
    MessageType::MsgHeartbeat,
    MessageType::MsgRequestVote,
    MessageType::MsgRequestPreVote,
    MessageType::MsgAppendResponse,
];

/// Says every lie in every term to a node, and fails where it had any effect.
fn lie_to(net: &mut Net, liar: NodeId, to: NodeId) {
    let before = (net.control(to).term(), net.control(to).leader(), net.hosts[&to].junk);
    for kind in LIES {
        for term in [before.0, before.0 + 1, (1 << 60) - 1, u64::MAX] {
            net.deliver(liar, to, lie(kind, liar, to, term));
        }
    }
    let lies = u64::try_from(LIES.len()).unwrap() * 4;
    assert_eq!((net.control(to).term(), net.control(to).leader(), net.hosts[&to].junk), (before.0, before.1, before.2 + lies));
}

#[test]
fn no_term_of_a_plain_member_is_heard() {
    let mut net = of(5);
    for to in [V1, V2, V3] {
        lie_to(&mut net, V4, to);
    }
    net.run(Duration::from_secs(3));
    assert_eq!((net.leader(), net.control(V1).term()), (Some(V1), 2));
}

#[test]
fn a_learner_that_has_nothing_yet_hears_only_those_that_its_view_names() {
    let mut net = of(4);
    net.split(&[V4], &[V2, V3]);
    net.settings.control.voters = 4;
    net.until(LONG, "v4 has its control plane", |net| net.hosts[&V4].control.is_some());
    assert!(net.control(V4).facts().is_none(), "it waits for its snapshot");
    let joined = net.join("v5");
    lie_to(&mut net, joined, V4);
    net.heal();
    net.until(LONG, "v4 votes", |net| net.voters(V1) == [V1, V2, V3, V4]);
}

#[test]
fn a_removed_voter_that_campaigns_for_ever_disturbs_nobody() {
    let mut net = of(4);
    net.split(&[V3], &[V1, V2, V4]);
    let outcome = net.decide(V1, Command::Leave { node: V3, reason: LeaveReason::Asked });
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    let (term, own) = (net.control(V1).term(), net.control(V3).term());
    net.heal();
    let junk = net.hosts[&V1].junk;
    net.run(Duration::from_secs(60));
    assert!(net.hosts[&V1].junk > junk + 10, "it campaigns");
    assert_eq!((net.leader(), net.control(V1).term(), net.control(V3).term()), (Some(V1), term, own));
    let facts = net.facts(V1).clone();
    net.with_host(V3, |host, _| host.control.as_mut().unwrap().handle_view(&facts));
    assert!(net.hosts[&V3].removed, "its view tells it in the end");
    let junk = net.hosts[&V1].junk;
    net.run(Duration::from_secs(10));
    assert_eq!(net.hosts[&V1].junk, junk, "and it is quiet");
}

#[test]
fn a_voter_that_hears_nothing_disturbs_nobody() {
    // Cloudflare, 2 November 2020: a switch that drops one direction, and a member that campaigns for ever.
    let mut net = of(3);
    for from in [V1, V2] {
        net.silence(from, V3);
    }
    net.run(Duration::from_secs(60));
    assert_eq!((net.leader(), net.control(V1).term(), net.control(V3).term()), (Some(V1), 2, 2));
    net.heal();
    net.run(Duration::from_secs(2));
    assert_eq!((net.control(V3).leader(), net.control(V1).term()), (Some(V1), 2));
}

#[test]
fn a_voter_that_hears_all_but_the_leader_disturbs_nobody() {
    let mut net = of(3);
    net.split(&[V1], &[V3]);
    net.run(Duration::from_secs(60));
    assert_eq!((net.leader(), net.control(V1).term()), (Some(V1), 2), "v2 hears the leader, and gives no vote");
}

#[test]
fn a_leader_that_hears_nothing_gives_way_once() {
    let mut net = of(3);
    for from in [V2, V3] {
        net.silence(from, V1);
    }
    net.until(Duration::from_secs(5), "another one leads", |net| net.leader().is_some_and(|leader| leader != V1));
    let (leader, term) = (net.leader(), net.control(V2).term());
    net.run(Duration::from_secs(60));
    assert_eq!((net.leader(), net.control(V2).term()), (leader, term));
    assert!(!net.control(V1).is_leader());
}

#[test]
fn one_that_was_cut_off_while_all_others_were_exchanged_hears_the_new_ones_by_its_view() {
    let mut net = of(5);
    let v5 = NodeId::new(1, 5);
    net.split(&[V3], &[V1, V2, V4, v5]);
    for gone in [V1, V2] {
        let through = net.leader().unwrap();
        net.decide(through, Command::Leave { node: gone, reason: LeaveReason::Asked });
    }
    let leader = net.leader().unwrap();
    assert_eq!(net.voters(leader), [V3, V4, v5]);
    net.crash(V1);
    net.crash(V2);
    net.heal();
    net.run(Duration::from_secs(3));
    assert!(net.hosts[&V3].junk > 0 && net.facts(V3) != net.facts(leader), "it does not know who speaks to it");
    let facts = net.facts(leader).clone();
    net.with_host(V3, |host, _| host.control.as_mut().unwrap().handle_view(&facts));
    net.until(LONG, "it follows", |net| net.control(V3).facts() == net.control(leader).facts());
}

#[test]
fn one_to_whom_the_log_gives_a_part_is_heard_before_that_is_applied() {
    let mut net = of(5);
    net.settings.control.voters = 4;
    net.until(LONG, "v3 has the entry", |net| net.control(V3).raw.is_named(V4));
    assert!(!net.control(V3).raw.is_part(V4), "it does not know yet that this is committed");
    let (junk, term) = (net.hosts[&V3].junk, net.control(V3).term() + 1);
    net.deliver(V4, V3, lie(MessageType::MsgRequestPreVote, V4, V3, term));
    assert_eq!(net.hosts[&V3].junk, junk);
    let v5 = NodeId::new(1, 5);
    net.deliver(v5, V3, lie(MessageType::MsgRequestPreVote, v5, V3, term));
    assert_eq!(net.hosts[&V3].junk, junk + 1, "another one is not");
}
