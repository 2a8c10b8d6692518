//! What is written is found again.

use std::fs;

use bytes::Bytes;
use hivemind_core::ids::ClusterId;
use hivemind_core::storage::{Recovered, Write};

use super::{append, cached, config, entries, hard_state, identity, open, record, reopen, snapshot, voter};
use crate::storage::{Options, Storage};

#[test]
fn a_new_folder_is_made_and_holds_nothing_but_a_key() {
    let dir = tempfile::tempdir().expect("a folder");
    let place = dir.path().join("deep/down");
    let (storage, recovered, key) = open(&place).expect("it opens");
    assert_eq!((recovered, storage.cluster(), key.as_pkcs8()), (Recovered::default(), None, &b"a private key"[..]));
    drop(storage);
    let other = || b"another key".to_vec();
    let (_, _, again) = Storage::open(&place, &Options::new(&other)).expect("it opens");
    assert_eq!(again, key);
}

#[test]
fn the_identity_and_the_own_config_are_found_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut storage, _) = reopen(dir.path());
    storage.write(&[Write::Identity(identity(3)), Write::Own(Some(config(1))), Write::Own(Some(config(2)))]).expect("written");
    assert_eq!(storage.cluster(), Some(ClusterId(7)));
    drop(storage);
    let (mut storage, recovered) = reopen(dir.path());
    assert_eq!((recovered.identity, recovered.own), (Some(identity(3)), Some(config(2))));
    storage.write(&[Write::Own(None)]).expect("written");
    drop(storage);
    assert_eq!(reopen(dir.path()).1.own, None);
}

#[test]
fn the_raft_log_is_found_again_and_an_overwritten_suffix_is_gone() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut storage = voter(dir.path());
    storage.write(&[append(8..=9, 2), Write::Log { hard_state: None, entries: vec![] }]).expect("written");
    drop(storage);
    let log = reopen(dir.path()).1.log.expect("there is one");
    assert_eq!(log.hard_state, Some(hard_state(2, 8)));
    assert_eq!(log.entries, [entries(2..=7, 1), entries(8..=9, 2)].concat());
    assert_eq!(log.snapshot, Some(snapshot(1, 1)));
}

#[test]
fn a_compacted_log_begins_where_it_was_cut_and_keeps_its_hard_state() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut storage = voter(dir.path());
    storage.write(&[Write::Snapshot(snapshot(8, 1)), Write::Compact { below: 6 }]).expect("written");
    drop(storage);
    let (mut storage, recovered) = reopen(dir.path());
    let log = recovered.log.expect("there is one");
    assert_eq!((log.snapshot, log.hard_state), (Some(snapshot(8, 1)), Some(hard_state(1, 9))));
    assert_eq!(log.entries, entries(6..=10, 1));
    assert_eq!(fs::read_dir(dir.path().join("snapshots")).expect("a folder").count(), 1);
    storage.write(&[append(11..=12, 1)]).expect("written");
    drop(storage);
    assert_eq!(reopen(dir.path()).1.log.expect("there is one").entries, entries(6..=12, 1));
}

#[test]
fn a_snapshot_of_another_voter_replaces_the_log() {
    for (index, term) in [(40, 2), (10, 2)] {
        let dir = tempfile::tempdir().expect("a folder");
        let mut storage = voter(dir.path());
        storage.write(&[Write::Snapshot(snapshot(index, term)), append(index + 1..=index + 2, 3)]).expect("written");
        drop(storage);
        let log = reopen(dir.path()).1.log.expect("there is one");
        assert_eq!((log.snapshot, log.entries), (Some(snapshot(index, term)), entries(index + 1..=index + 2, 3)));
    }
}

#[test]
fn a_dropped_log_is_gone_and_another_may_begin() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut storage = voter(dir.path());
    storage.write(&[append(11..=11, 1), Write::DropLog]).expect("written");
    assert!(!dir.path().join("raft").exists() && !dir.path().join("snapshots").exists());
    drop(storage);
    let (mut storage, recovered) = reopen(dir.path());
    assert_eq!(recovered.log, None);
    storage.write(&[Write::Identity(identity(9)), Write::Snapshot(snapshot(5, 4)), append(6..=6, 4)]).expect("written");
    drop(storage);
    assert_eq!(reopen(dir.path()).1.log.expect("there is one").entries, entries(6..=6, 4));
}

#[test]
fn a_node_without_a_part_in_the_group_never_opens_the_raft_log() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut storage, _) = reopen(dir.path());
    storage.write(&[Write::Identity(identity(3)), Write::Own(Some(config(1))), cached("view", "1")]).expect("written");
    drop(storage);
    assert_eq!(reopen(dir.path()).1.log, None);
    assert!(!dir.path().join("raft").exists());
}

#[test]
fn logs_of_several_nodes_in_one_thread_are_not_confused() {
    let dirs: Vec<_> = (0..3).map(|_| tempfile::tempdir().expect("a folder")).collect();
    for (term, dir) in (1..).zip(&dirs) {
        let (mut storage, _) = reopen(dir.path());
        storage.write(&[Write::Identity(identity(3)), Write::Snapshot(snapshot(1, 1)), append(2..=9, term)]).expect("written");
    }
    for (term, dir) in (1..).zip(&dirs) {
        assert_eq!(reopen(dir.path()).1.log.expect("there is one").entries, entries(2..=9, term));
    }
}

#[test]
fn the_cache_is_found_again_in_the_order_of_its_keys() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut storage, _) = reopen(dir.path());
    let large = "x".repeat(256 << 10);
    storage.write(&[cached("b", "1"), cached("a", &large), cached("c", "3")]).expect("written");
    storage.write(&[Write::Cache(vec![(Bytes::from("c"), None)]), cached("b", "2")]).expect("written");
    drop(storage);
    let (mut storage, recovered) = reopen(dir.path());
    assert_eq!(recovered.cache, vec![record("a", &large), record("b", "2")]);
    storage.write(&[cached("d", "4"), Write::ClearCache, cached("e", "5")]).expect("written");
    drop(storage);
    assert_eq!(reopen(dir.path()).1.cache, vec![record("e", "5")]);
}

#[test]
fn a_damaged_cache_is_set_aside_and_only_the_last_one_is_kept() {
    let dir = tempfile::tempdir().expect("a folder");
    for round in 1..=3 {
        let (mut storage, recovered) = reopen(dir.path());
        assert_eq!(recovered.cache, vec![], "round {round}");
        storage.write(&[Write::Identity(identity(3)), cached("view", "1")]).expect("written");
        drop(storage);
        match round {
            2 => fs::write(dir.path().join("cache/snap.0000000000000042.generating"), b"").expect("it is written"),
            _ => {
                let db = dir.path().join("cache/db");
                let altered: Vec<u8> = fs::read(&db).expect("it is read").iter().map(|byte| byte ^ 0x5a).collect();
                fs::write(&db, altered).expect("it is written");
            }
        }
    }
    let (_, recovered) = reopen(dir.path());
    assert_eq!((recovered.cache, recovered.identity), (vec![], Some(identity(3))));
    let aside: Vec<_> = fs::read_dir(dir.path()).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(aside.iter().filter(|name| name.to_string_lossy().starts_with("cache.damaged-")).count(), 1, "{aside:?}");
}

#[test]
fn a_copied_folder_is_found_as_the_first_one() {
    let (dir, copy) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let mut storage = voter(dir.path());
    storage.write(&[Write::Own(Some(config(1))), cached("view", "1")]).expect("written");
    drop(storage);
    copy_all(dir.path(), copy.path());
    let (_first, ours) = reopen(dir.path());
    let (_second, theirs) = reopen(copy.path());
    assert_eq!(ours, theirs);
}

fn copy_all(from: &std::path::Path, to: &std::path::Path) {
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        match path.is_dir() {
            true => {
                fs::create_dir(&target).expect("made");
                copy_all(&path, &target);
            }
            false => drop(fs::copy(&path, &target).expect("copied")),
        }
    }
}

#[test]
fn a_node_without_a_folder_takes_all_and_keeps_nothing() {
    let (mut storage, recovered, key) = Storage::in_memory(&Options::new(&super::new_key));
    assert_eq!((recovered, key.as_pkcs8()), (Recovered::default(), &b"a private key"[..]));
    storage.write(&[Write::Identity(identity(3)), append(2..=3, 1), Write::DropLog, cached("view", "1")]).expect("taken");
    assert_eq!(storage.cluster(), Some(ClusterId(7)));
}
