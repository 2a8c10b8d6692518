//! A voter's log and snapshots, damaged by hand.

use std::fs;
use std::path::{Path, PathBuf};

use hivemind_core::storage::Write;

use super::{append, entries, identity, open, refusal, reopen, snapshot, voter};
use crate::storage::{OpenError, WriteError};

fn snapshot_file(dir: &Path, index: u64) -> PathBuf {
    dir.join(format!("snapshots/{index:020}-{:020}.snapshot", 1))
}

fn flip(file: &Path, place: usize) {
    let mut content = fs::read(file).expect("it is read");
    content[place] ^= 0x10;
    fs::write(file, content).expect("it is written");
}

/// The damage is before the last record, which a crash can not do.
fn voter_with_damaged_log(dir: &Path) {
    let mut storage = voter(dir);
    let file = dir.join("raft/0000000000000001.raftlog");
    storage.write(&[append(11..=12, 1)]).expect("written");
    drop(storage);
    flip(&file, fs::metadata(&file).expect("it is there").len() as usize / 2);
}

fn assert_damaged(dir: &Path, part: &str) {
    match refusal(dir) {
        OpenError::Damaged { file, repair, .. } => {
            assert!(file.to_string_lossy().contains(part), "{} is named", file.display());
            assert!(repair.starts_with("rm -r"), "{repair}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn every_damaged_byte_of_the_identity_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    drop(voter(dir.path()));
    let file = dir.path().join("identity");
    for place in 0..fs::metadata(&file).expect("it is there").len() as usize {
        flip(&file, place);
        assert_damaged(dir.path(), "identity");
        flip(&file, place);
    }
    reopen(dir.path());
}

#[test]
fn a_cut_or_missing_identity_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    drop(voter(dir.path()));
    let file = dir.path().join("identity");
    let content = fs::read(&file).expect("it is read");
    for length in [0, 10, content.len() - 1] {
        fs::write(&file, &content[..length]).expect("it is written");
        assert_damaged(dir.path(), "identity");
    }
    fs::remove_file(&file).expect("removed");
    assert_damaged(dir.path(), "identity");
}

#[test]
fn a_damaged_newest_snapshot_is_replaced_by_the_one_before_while_the_log_reaches_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut storage = voter(dir.path());
    storage.write(&[Write::Snapshot(snapshot(8, 1))]).expect("written");
    drop(storage);
    flip(&snapshot_file(dir.path(), 8), 60);
    let (mut storage, recovered) = reopen(dir.path());
    let log = recovered.log.expect("there is one");
    assert_eq!((log.snapshot, log.entries), (Some(snapshot(1, 1)), entries(2..=10, 1)));
    storage.write(&[Write::Snapshot(snapshot(9, 1)), Write::Compact { below: 9 }]).expect("written");
    drop(storage);
    assert_eq!(reopen(dir.path()).1.log.expect("there is one").snapshot, Some(snapshot(9, 1)));
}

#[test]
fn a_damaged_newest_snapshot_is_refused_once_the_log_was_cut() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut storage = voter(dir.path());
    storage.write(&[Write::Snapshot(snapshot(8, 1)), Write::Compact { below: 9 }]).expect("written");
    drop(storage);
    flip(&snapshot_file(dir.path(), 8), 60);
    assert_damaged(dir.path(), "snapshots");
}

#[test]
fn a_missing_snapshot_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    drop(voter(dir.path()));
    fs::remove_file(snapshot_file(dir.path(), 1)).expect("removed");
    assert_damaged(dir.path(), "snapshots");
}

#[test]
fn a_damaged_record_before_others_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    voter_with_damaged_log(dir.path());
    assert_damaged(dir.path(), "raft");
}

#[test]
fn the_repair_that_is_named_keeps_the_node_and_drops_its_raft_data() {
    let dir = tempfile::tempdir().expect("a folder");
    voter_with_damaged_log(dir.path());
    let OpenError::Damaged { repair, .. } = refusal(dir.path()) else { panic!("it is damaged") };
    let named: Vec<&str> = repair.split('\'').skip(1).step_by(2).take(2).collect();
    assert_eq!(named, [dir.path().join("raft").to_string_lossy(), dir.path().join("snapshots").to_string_lossy()]);
    named.iter().for_each(|place| fs::remove_dir_all(place).expect("removed"));
    let (_, recovered) = reopen(dir.path());
    assert!(recovered.identity.expect("the node is the same").was_voter);
    assert_eq!(recovered.log, None);
}

#[test]
fn a_log_that_ends_before_what_was_committed_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut storage, _) = reopen(dir.path());
    let ahead = Write::Log { hard_state: Some(super::hard_state(1, 50)), entries: entries(2..=10, 1) };
    storage.write(&[Write::Identity(identity(3)), Write::Snapshot(snapshot(1, 1)), ahead]).expect("written");
    drop(storage);
    assert_damaged(dir.path(), "raft");
}

#[test]
fn a_log_of_another_member_or_cluster_is_not_given_out_and_not_continued() {
    let (dir, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    drop(voter(dir.path()));
    let (mut storage, _) = reopen(other.path());
    storage.write(&[Write::Identity(identity(4))]).expect("written");
    drop(storage);
    fs::rename(dir.path().join("raft"), other.path().join("raft")).expect("moved");
    let (mut storage, recovered) = reopen(other.path());
    assert_eq!(recovered.log, None);
    assert!(recovered.identity.expect("there is one").was_voter);
    storage.write(&[Write::Snapshot(snapshot(20, 2)), append(21..=22, 2)]).expect("written");
    drop(storage);
    let log = reopen(other.path()).1.log.expect("there is one");
    assert_eq!((log.snapshot, log.entries), (Some(snapshot(20, 2)), entries(21..=22, 2)));
}

#[test]
fn a_voter_whose_log_is_missing_gets_none_and_keeps_its_mark() {
    let dir = tempfile::tempdir().expect("a folder");
    drop(voter(dir.path()));
    fs::remove_dir_all(dir.path().join("raft")).expect("removed");
    let (_, recovered) = reopen(dir.path());
    assert_eq!(recovered.log, None);
    assert!(recovered.identity.expect("there is one").was_voter);
}

#[test]
fn what_was_never_finished_is_taken_as_never_begun() {
    let dir = tempfile::tempdir().expect("a folder");
    drop(voter(dir.path()));
    for name in ["format.tmp", "identity.tmp", "own.tmp", "snapshots/00000000000000000099-00000000000000000001.snapshot.tmp"] {
        fs::write(dir.path().join(name), b"half of").expect("it is written");
    }
    let (_, recovered) = reopen(dir.path());
    let log = recovered.log.expect("there is one");
    assert_eq!((recovered.identity, recovered.own), (Some(identity(3)), None));
    assert_eq!((log.snapshot, log.entries), (Some(snapshot(1, 1)), entries(2..=10, 1)));
}

#[test]
fn a_crash_between_a_snapshot_and_the_log_keeps_both() {
    let (dir, later) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    drop(voter(dir.path()));
    let (mut storage, _) = reopen(later.path());
    // Another voter's, installed: the log before it is obsolete.
    storage.write(&[Write::Identity(identity(3)), Write::Snapshot(snapshot(50, 1))]).expect("written");
    drop(storage);
    fs::copy(snapshot_file(later.path(), 50), snapshot_file(dir.path(), 50)).expect("copied");
    for _ in 0..2 {
        let log = reopen(dir.path()).1.log.expect("there is one");
        assert_eq!((log.snapshot, log.entries), (Some(snapshot(50, 1)), vec![]));
    }
}

#[test]
fn on_a_full_disk_the_small_files_stay_as_they_were_and_nothing_more_is_taken() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut storage = voter(dir.path());
    // Where the new file is written, every write finds the disk full.
    std::os::unix::fs::symlink("/dev/full", dir.path().join("identity.tmp")).expect("linked");
    let next = || Write::Identity(identity(4));
    assert!(matches!(storage.write(&[next()]), Err(WriteError::Full { .. })));
    fs::remove_file(dir.path().join("identity.tmp")).expect("removed");
    assert!(matches!(storage.write(&[next()]), Err(WriteError::Failed)));
    drop(storage);
    assert_eq!(reopen(dir.path()).1.identity, Some(identity(3)));
}

#[test]
fn writes_that_do_not_fit_together_are_refused_and_were_not_made() {
    let unfit = [append(15..=16, 1), append(0..=3, 1), Write::Compact { below: 9 }, Write::Snapshot(snapshot(0, 1))];
    for write in unfit {
        let dir = tempfile::tempdir().expect("a folder");
        let mut storage = voter(dir.path());
        storage.write(&[Write::Snapshot(snapshot(3, 1)), Write::Compact { below: 3 }]).expect("written");
        assert!(matches!(storage.write(std::slice::from_ref(&write)), Err(WriteError::Unfit { .. })), "{write:?}");
        assert!(matches!(storage.write(&[]), Err(WriteError::Failed)));
        drop(storage);
        assert_eq!(reopen(dir.path()).1.log.expect("there is one").entries, entries(3..=10, 1));
    }
    let dir = tempfile::tempdir().expect("a folder");
    assert!(matches!(open(dir.path()).expect("opens").0.write(&[append(1..=1, 1)]), Err(WriteError::Unfit { .. })));
}
