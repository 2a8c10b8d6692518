//! What survives, and what is damage.

use std::time::Duration;

use bytes::Bytes;
use protobuf::Message as _;
use raft::eraftpb::{Entry, HardState};

use super::net::{Net, TestKeys, V1, V2, V3, key_of, request, signed};
use crate::context::{Context, Outbox};
use crate::control::{Control, RecoverError};
use crate::ids::{BootNonce, NodeId, PublicKey};
use crate::rng::Rng;
use crate::settings::Settings;
use crate::storage::{LogEntry, RecoveredLog};
use crate::time::Now;
use crate::timers::Timers;
use crate::wire::command::Outcome;

const LONG: Duration = Duration::from_secs(10);

fn recover(node: NodeId, log: &RecoveredLog) -> Result<Control, RecoverError> {
    let settings = Settings::default();
    let keys = TestKeys(PublicKey([1; 32]));
    let (mut rng, mut out, mut timers) = (Rng::new(1), Outbox::default(), Timers::default());
    let mut ctx = Context {
        now: Now::default(),
        node,
        boot: BootNonce(1),
        settings: &settings,
        keys: &keys,
        rng: &mut rng,
        out: &mut out,
        timers: &mut timers,
    };
    Control::recover(node, log, 1, &mut ctx)
}

/// The log of a voter with some entries behind its snapshot.
fn log() -> RecoveredLog {
    let mut net = Net::of_voters(1, 3);
    net.join("a");
    net.join("b");
    net.run(Duration::from_millis(100));
    net.hosts[&V2].disk.found()
}

fn entry(index: u64, term: u64) -> LogEntry {
    let entry = Entry { index, term, ..Entry::default() };
    LogEntry { index, term, bytes: entry.write_to_bytes().unwrap().into() }
}

fn hard_state(term: u64, commit: u64) -> Option<Bytes> {
    Some(HardState { term, commit, ..HardState::default() }.write_to_bytes().unwrap().into())
}

fn error(log: &RecoveredLog) -> RecoverError {
    recover(V2, log).map(|_| ()).expect_err("damage")
}

#[test]
fn all_voters_may_restart_and_nothing_acknowledged_is_lost() {
    for seed in 0..10 {
        let mut net = Net::of_voters(seed, 3);
        for nonce in 1..=5 {
            assert!(matches!(net.decide(V1, signed(request(&format!("a{nonce}"), nonce))), Outcome::Committed { .. }));
        }
        for voter in [V1, V2, V3] {
            net.crash(voter);
        }
        for voter in [V1, V2, V3] {
            net.restart(voter);
        }
        net.until(LONG, "a leader", |net| net.leader().is_some_and(|leader| net.control(leader).raw.is_established()));
        net.run(Duration::from_millis(300));
        for voter in [V1, V2, V3] {
            for nonce in 1..=5 {
                assert!(net.facts(voter).with_key(&key_of(&format!("a{nonce}"))).is_some());
            }
        }
    }
}

#[test]
fn a_proposal_of_before_the_restart_is_not_applied_again() {
    let mut net = Net::of_voters(1, 3);
    let id = net.propose(V1, signed(request("a", 5)));
    net.until(LONG, "an outcome", |net| net.outcome(id).is_some());
    let members = net.facts(V1).members().len();
    net.crash(V1);
    net.restart(V1);
    net.until(LONG, "a leader", |net| net.leader().is_some_and(|leader| net.control(leader).raw.is_established()));
    net.hosts.get_mut(&V1).unwrap().outcomes.clear();
    net.until(LONG, "v1 knows it", |net| net.control(V1).leader().is_some());
    net.propose_as(id, signed(request("a", 5)));
    net.run(Duration::from_millis(300));
    assert_eq!(net.facts(V1).members().len(), members);
}

#[test]
fn a_crash_between_the_writes_of_a_snapshot_is_no_damage() {
    for done in 0..=3 {
        let mut settings = Settings::default();
        settings.control.snapshot_entries = 4;
        let mut net = Net::of(1, 3, settings);
        net.split(&[V3], &[V1, V2]);
        for nonce in 1..=12 {
            net.decide(V1, signed(request(&format!("a{nonce}"), nonce)));
        }
        net.faults.disk = (Duration::from_millis(50), Duration::from_millis(51));
        net.heal();
        net.until(LONG, "v3 writes a snapshot", |net| {
            net.trace.last().is_some_and(|line| line.contains("1.3 persists") && line.contains("snapshot"))
        });
        net.crash_after(V3, done);
        net.restart(V3);
        net.until(LONG, "v3 follows", |net| net.facts(V3) == net.facts(V1));
    }
}

#[test]
fn nothing_is_acknowledged_and_no_vote_given_before_it_is_durable() {
    let mut net = Net::of_voters(1, 3);
    net.faults.disk = (Duration::from_millis(300), Duration::from_millis(301));
    let seen = net.trace.len();
    let id = net.propose(V1, signed(request("a", 5)));
    net.run(Duration::from_millis(295));
    assert!(!net.trace[seen..].iter().any(|line| line.contains("MsgAppendResponse")), "{}", net.last_lines());
    net.until(LONG, "an outcome", |net| net.outcome(id).is_some());
    net.crash(V1);
    let crashed = net.trace.len();
    net.until(LONG, "a vote is asked for", |net| net.trace[crashed..].iter().any(|line| line.contains("MsgRequestVote ")));
    let asked = net.trace.len();
    net.run(Duration::from_millis(295));
    assert!(!net.trace[asked..].iter().any(|line| line.contains("MsgRequestVoteResponse")), "{}", net.last_lines());
    net.until(LONG, "a vote is given", |net| net.trace[asked..].iter().any(|line| line.contains("MsgRequestVoteResponse")));
}

#[test]
fn a_sole_voter_says_nothing_in_a_term_that_it_could_forget() {
    let mut settings = Settings::default();
    settings.control.voters = 1;
    let mut net = Net::of(1, 2, settings);
    net.settings.control.voters = 2;
    net.until(LONG, "v2 is a learner and follows", |net| net.hosts[&V2].control.as_ref().is_some_and(|control| control.facts().is_some()));
    net.settings.control.voters = 1;
    net.crash(V1);
    net.faults.disk = (Duration::from_millis(400), Duration::from_millis(401));
    net.restart(V1);
    let seen = net.trace.len();
    net.run(Duration::from_millis(399));
    assert!(net.control(V1).is_leader());
    assert!(!net.trace[seen..].iter().any(|line| line.contains("1.1 -> ")), "{}", net.last_lines());
}

#[test]
fn a_voter_that_lost_its_log_elects_nobody_before_it_has_a_snapshot() {
    let mut net = Net::of_voters(1, 3);
    // Only v1 and v3 have this one; then v3 forgets it, and v1 is away.
    net.split(&[V2], &[V1, V3]);
    assert!(matches!(net.decide(V1, signed(request("a", 5))), Outcome::Committed { .. }));
    net.crash(V3);
    net.crash(V1);
    net.wipe(V3);
    net.heal();
    net.restart(V3);
    net.run(Duration::from_secs(5));
    assert_eq!(net.leader(), None);
    net.restart(V1);
    net.until(LONG, "all have it", |net| {
        [V1, V2, V3].iter().all(|voter| net.control(*voter).facts().is_some_and(|facts| facts.with_key(&key_of("a")).is_some()))
    });
}

#[test]
fn a_learner_that_never_got_its_snapshot_starts_empty() {
    let control = recover(V2, &RecoveredLog { hard_state: hard_state(3, 0), ..RecoveredLog::default() }).unwrap();
    assert!(control.facts().is_none() && control.term() == 3);
}

#[test]
fn a_whole_log_is_recovered_with_what_was_committed() {
    let found = log();
    assert!(recover(V2, &found).unwrap().facts().unwrap().position().index.0 >= 6);
}

#[test]
fn a_log_without_its_snapshot_is_damage() {
    let found = RecoveredLog { snapshot: None, ..log() };
    assert_eq!(error(&found), RecoverError::NoSnapshot);
    let committed = RecoveredLog { hard_state: hard_state(3, 4), ..RecoveredLog::default() };
    assert_eq!(error(&committed), RecoverError::NoSnapshot);
}

#[test]
fn missing_entries_are_damage() {
    let mut found = log();
    assert!(found.entries.len() > 2, "something to remove");
    let removed = found.entries.remove(found.entries.len() - 2);
    assert_eq!(error(&found), RecoverError::Gap { last: removed.index - 1, found: removed.index + 1 });
    let mut found = log();
    let snapshot = found.snapshot.as_ref().unwrap().index;
    found.entries = vec![entry(snapshot + 2, 9)];
    assert_eq!(error(&found), RecoverError::Gap { last: snapshot, found: snapshot + 2 });
}

#[test]
fn a_lost_end_of_the_log_is_damage_where_it_was_committed() {
    let mut found = log();
    let snapshot = found.snapshot.as_ref().unwrap().index;
    found.entries.retain(|entry| entry.index <= snapshot + 1);
    found.hard_state = hard_state(2, snapshot + 3);
    assert!(matches!(error(&found), RecoverError::Commit { .. }));
}

#[test]
fn a_term_out_of_place_is_damage() {
    let mut found = log();
    let next = found.entries.last().unwrap().index + 1;
    found.entries.push(entry(next, 1));
    assert_eq!(error(&found), RecoverError::Term { index: next, term: 1 });
    let mut found = log();
    found.entries.push(entry(next, 99));
    assert_eq!(error(&found), RecoverError::Term { index: next, term: 99 });
}

#[test]
fn bytes_that_are_not_what_they_are_filed_as_are_damage() {
    let mut found = log();
    found.entries[0].index += 100;
    assert!(matches!(error(&found), RecoverError::Entry { .. }));
    let mut found = log();
    found.entries[0].bytes = Bytes::from_static(&[0xff; 9]);
    assert!(matches!(error(&found), RecoverError::Entry { .. }));
    let mut found = log();
    found.hard_state = Some(Bytes::from_static(&[0xff; 9]));
    assert_eq!(error(&found), RecoverError::HardState);
    let mut found = log();
    found.snapshot.as_mut().unwrap().index += 1;
    assert_eq!(error(&found), RecoverError::Snapshot);
}

#[test]
fn a_flipped_bit_anywhere_never_panics() {
    let whole = log();
    let snapshot = whole.snapshot.clone().unwrap();
    for at in 0..snapshot.bytes.len() {
        let mut bytes = snapshot.bytes.to_vec();
        bytes[at] ^= 1 << (at % 8);
        let mut found = whole.clone();
        found.snapshot.as_mut().unwrap().bytes = bytes.into();
        // The file's checksum is the storage's affair; here it only must not panic.
        let _either = recover(V2, &found);
    }
}

#[test]
fn the_log_of_a_node_that_the_cluster_never_knew_is_refused() {
    let stranger = NodeId::new(1, 99);
    assert_eq!(recover(stranger, &log()).map(|_| ()).unwrap_err(), RecoverError::Foreign { node: stranger });
}
