//! Snapshots: made in slices beside everything else, sent in parts, whatever is lost on the way.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::commands::rich_state;
use super::net::{Faults, Net, V1, V2, V3, request, signed};
use crate::control::making::Making;
use crate::control::snapshot;
use crate::control::transfer::PART;
use crate::ids::{Digest256, NodeId, SectionKind};
use crate::settings::Settings;
use crate::wire::codec;
use crate::wire::command::Command;
use crate::wire::frame::STREAM_LIMIT;
use crate::wire::member::{JoinRequest, MAX_ROLES, RoleSpec};
use crate::wire::message::{self, SnapshotPart, SnapshotWant};

const LONG: Duration = Duration::from_secs(20);

#[test]
fn slices_make_the_bytes_of_the_whole() {
    let applied = rich_state();
    let whole = [&[snapshot::VERSION][..], &codec::encode(&applied)].concat();
    for budget in [1, 7, 100, 1000, usize::MAX] {
        let mut making = Making::begin(applied.clone(), 5);
        let mut slices = 1;
        while !making.go_on(budget) {
            slices += 1;
        }
        let made = making.made();
        assert_eq!(made.data, whole);
        assert_eq!(made.digest, crate::keys::hash(&[&whole]));
        assert!(slices == 1 || slices * (budget + 4096) > whole.len());
        assert!(budget != 1 || slices > 100, "{slices}");
    }
    assert_eq!(snapshot::decode(&whole).unwrap(), applied);
}

/// A wish to join that is as large as one may be.
fn fat(number: u64) -> JoinRequest {
    let kinds =
        |list: usize| (0..MAX_ROLES).map(|kind| SectionKind::new(&format!("{number:08}-{list}-a-long-kind-{kind:02}")).unwrap()).collect();
    let role = |role: usize| RoleSpec {
        name: SectionKind::new(&format!("role-{role}")).unwrap(),
        requires: kinds(role),
        bootstraps_from: kinds(role),
        publishes: kinds(role),
        consumes: Vec::new(),
    };
    JoinRequest { roles: (0..MAX_ROLES).map(role).collect(), voter_eligible: false, ..request(&format!("f{number}"), number) }
}

/// One voter and another eligible member, and a state that is larger than a frame.
fn large() -> Net {
    let mut settings = Settings::default();
    settings.control.voters = 1;
    settings.control.snapshot_entries = 100_000;
    let mut net = Net::of(1, 2, settings);
    for number in 1000..1240 {
        net.propose(V1, signed(fat(number)));
        net.run(Duration::from_millis(5));
    }
    assert!(snapshot::encode(net.control(V1).applied.as_ref().unwrap(), 1).data.len() > STREAM_LIMIT);
    net.keep_sent = true;
    net.settings.control.voters = 2;
    net
}

/// How often each part was sent, by where it begins.
fn parts(net: &Net) -> BTreeMap<u64, u32> {
    let mut parts = BTreeMap::new();
    for (_, _, message) in &net.sent {
        if let message::Control::SnapshotPart(part) = message {
            assert!(part.bytes.len() <= PART);
            *parts.entry(part.offset).or_default() += 1;
        }
    }
    parts
}

#[test]
fn a_state_larger_than_a_frame_comes_in_parts() {
    let mut net = large();
    net.until(LONG, "v2 votes", |net| net.voters(V1) == [V1, V2]);
    net.until(LONG, "and has all", |net| net.facts(V2) == net.facts(V1));
    let parts = parts(&net);
    assert!(parts.len() > STREAM_LIMIT / PART && parts.values().all(|times| *times == 1), "{parts:?}");
}

#[test]
fn a_voter_goes_on_while_it_makes_a_snapshot() {
    let mut net = large();
    net.until(LONG, "a snapshot is begun", |net| net.control(V1).making.is_some());
    let mut decided = 0;
    while net.control(V1).making.is_some() {
        let begin = net.now;
        net.decide(V1, Command::Restarting { node: V1, grace: Duration::from_secs(1) });
        assert!(net.now.since(begin) < Duration::from_millis(50));
        decided += 1;
    }
    assert!(decided > 5, "{decided}");
    net.until(LONG, "v2 votes", |net| net.voters(V1) == [V1, V2]);
}

#[test]
fn lost_and_doubled_parts_do_no_harm() {
    let mut net = large();
    net.faults = Faults { loss_ppm: 100_000, duplicate_ppm: 100_000, ..Faults::NONE };
    net.until(Duration::from_secs(60), "v2 votes", |net| net.voters(V1) == [V1, V2]);
    net.faults = Faults::NONE;
    net.until(LONG, "and has all", |net| net.facts(V2) == net.facts(V1));
}

#[test]
fn a_transfer_that_broke_off_goes_on_where_it_was() {
    let mut net = large();
    let half = (STREAM_LIMIT / 2) as u64;
    net.until(LONG, "half of it is here", |net| parts(net).keys().any(|offset| *offset > half));
    net.split(&[V1], &[V2]);
    net.run(Duration::from_secs(5));
    net.sent.clear();
    net.heal();
    net.until(LONG, "v2 votes", |net| net.voters(V1) == [V1, V2]);
    let again: Vec<u64> = parts(&net).keys().copied().filter(|offset| *offset > 0 && *offset <= half).collect();
    assert_eq!(again, Vec::<u64>::new(), "the first half is not sent again but for the offer");
}

#[test]
fn what_follows_a_snapshot_on_its_way_is_kept_in_the_log() {
    let mut net = large();
    net.settings.control.snapshot_entries = 16;
    net.until(LONG, "it is on its way", |net| parts(net).len() > 2);
    net.silence(V2, V1);
    for _ in 0..40 {
        net.decide(V1, Command::Restarting { node: V1, grace: Duration::from_secs(1) });
    }
    net.heal();
    net.until(LONG, "v2 votes", |net| net.voters(V1) == [V1, V2]);
    assert_eq!(parts(&net).get(&(3 * PART as u64)), Some(&1), "one snapshot was enough");
}

#[test]
fn voters_make_their_snapshots_at_different_times() {
    let mut settings = Settings::default();
    settings.control.snapshot_entries = 64;
    let mut net = Net::of(1, 3, settings);
    for nonce in 0..200 {
        net.propose(V1, signed(request(&format!("m{nonce}"), nonce)));
        net.run(Duration::from_millis(10));
    }
    let made: Vec<Vec<u64>> = [V1, V2, V3].iter().map(|node| net.hosts[node].disk.snapshots.clone()).collect();
    assert!(made.iter().all(|made| made.len() > 2), "{made:?}");
    for index in made[0].iter().filter(|index| **index > 20) {
        assert!(!made[1].contains(index) && !made[2].contains(index), "{made:?}");
    }
}

fn offer(net: &Net, from: NodeId, to: NodeId, change: impl FnOnce(&mut raft::eraftpb::Message, &mut SnapshotPart)) -> message::Control {
    let made = snapshot::encode(net.control(V1).applied.as_ref().unwrap(), 500);
    let mut head = raft::eraftpb::Message { from: from.as_u64(), to: to.as_u64(), term: net.control(V1).term(), ..Default::default() };
    head.set_msg_type(raft::eraftpb::MessageType::MsgSnapshot);
    let metadata = head.mut_snapshot().mut_metadata();
    (metadata.index, metadata.term) = (made.index, 2);
    metadata.set_conf_state(made.configuration.conf_state());
    let total = made.data.len() as u64;
    let mut part = SnapshotPart { head: Bytes::new(), digest: made.digest, total, offset: 0, bytes: made.data.into() };
    change(&mut head, &mut part);
    if part.head.is_empty() {
        part.head = protobuf::Message::write_to_bytes(&head).unwrap().into();
    }
    message::Control::SnapshotPart(part)
}

#[test]
fn parts_that_no_snapshot_has_are_dropped() {
    let mut net = Net::of_voters(1, 3);
    let member = net.join("a");
    net.run(Duration::from_millis(100));
    let wrong = [
        offer(&net, V1, V2, |_, part| part.digest = Digest256([7; 32])),
        offer(&net, V1, V2, |_, part| part.total = u64::MAX),
        offer(&net, V1, V2, |_, part| part.total -= 1),
        offer(&net, V1, V2, |_, part| part.bytes = Bytes::new()),
        offer(&net, V1, V2, |_, part| part.head = Bytes::from_static(b"\xff\xff\xff")),
        offer(&net, V1, V2, |head, _| head.term = u64::MAX),
        offer(&net, V1, V2, |head, _| head.to = V3.as_u64()),
        offer(&net, V1, V2, |head, _| head.mut_snapshot().mut_metadata().index = 0),
        offer(&net, V1, V2, |head, _| head.mut_snapshot().mut_metadata().set_conf_state(Default::default())),
        offer(&net, V1, V2, |head, _| head.mut_snapshot().mut_metadata().mut_conf_state().voters.pop().into_iter().for_each(drop)),
        offer(&net, V1, V2, |head, _| head.set_msg_type(raft::eraftpb::MessageType::MsgAppend)),
    ];
    let facts = net.facts(V2).clone();
    let count = u64::try_from(wrong.len()).unwrap();
    for part in wrong {
        net.deliver(V1, V2, part);
    }
    assert_eq!(net.hosts[&V2].junk, count);
    net.deliver(member, V2, offer(&net, member, V2, |_, _| ()));
    net.deliver(member, V1, message::Control::SnapshotWant(SnapshotWant { digest: Digest256([7; 32]), offset: 0 }));
    assert_eq!((net.hosts[&V2].junk, net.hosts[&V1].junk), (count + 1, 1), "one that has no part in the group is not heard");
    let behind = offer(&net, V1, V2, |_, part| part.offset = 9);
    net.deliver(V1, V2, behind);
    net.deliver(V2, V1, message::Control::SnapshotWant(SnapshotWant { digest: Digest256([7; 32]), offset: u64::MAX }));
    net.run(Duration::from_secs(30));
    assert_eq!((net.leader(), net.facts(V2)), (Some(V1), &facts));
}

#[test]
fn a_crash_while_a_snapshot_is_made_leaves_the_one_before() {
    let mut net = large();
    let before = net.hosts[&V1].disk.snapshots.clone();
    net.until(LONG, "a snapshot is begun", |net| net.control(V1).making.is_some());
    net.crash(V1);
    assert_eq!(net.hosts[&V1].disk.snapshots, before);
    net.restart(V1);
    net.until(LONG, "v2 votes", |net| net.voters(V1) == [V1, V2]);
}

/// One voter that commits 40 events, and what its disk holds then.
fn with_history(snapshot_entries: u64, collect_events: u64) -> (Net, usize) {
    let mut settings = Settings::default();
    settings.control.voters = 1;
    settings.control.snapshot_entries = snapshot_entries;
    settings.control.collect_events = collect_events;
    let mut net = Net::of(1, 1, settings);
    for seq in 1..=40 {
        net.decide(V1, Command::Addresses { node: V1, seq, addresses: Vec::new() });
    }
    net.run(Duration::from_secs(1));
    let entries = net.hosts[&V1].disk.found().entries.len();
    (net, entries)
}

#[test]
fn cutting_the_log_collects_no_history() {
    let (net, entries) = with_history(4, 1000);
    let facts = net.facts(V1);
    assert!(entries < 10, "{entries}");
    assert_eq!((facts.floor().0, facts.epoch().number, net.control(V1).tail().len()), (1, 1, 40));
}

#[test]
fn collecting_history_cuts_no_log() {
    let (net, entries) = with_history(1000, 8);
    let facts = net.facts(V1);
    assert!(facts.floor().0 > 30 && facts.epoch().number > 2);
    assert!(entries >= 40, "{entries}");
}
