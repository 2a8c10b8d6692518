//! The Raft log through crashes, torn writes and flipped bits, from seeds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use bytes::Bytes;
use hivemind_core::ids::{ClusterId, NodeId};
use hivemind_core::rng::Rng;
use hivemind_core::storage::LogEntry;
use raft_engine::env::DefaultFileSystem;

use super::crash_files::{CrashFiles, Loss, restore};
use super::{entries, hard_state};
use crate::storage::error::WriteError;
use crate::storage::raft_log::{FileSizes, Group, LogContent, LogError, RaftLog};
use crate::storage::snapshots::Mark;

const GROUP: Group = Group { cluster: ClusterId(7), node: NodeId::from_u64(3) };
/// So small that files are left and given back within a test.
const SMALL: FileSizes = FileSizes { file: 16 << 10, purge_from: 48 << 10 };

/// In memory: what a disk does wrong is done by [`CrashFiles`] here.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").expect("a folder")
}

/// What a log must hold.
#[derive(Clone, Default, PartialEq)]
struct Model(LogContent);

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LogContent { hard_state, mark, entries } = &self.0;
        write!(f, "{hard_state:?} {mark:?}")?;
        entries.iter().try_for_each(|entry| write!(f, " {}.{}:{}", entry.term, entry.index, entry.bytes.len()))
    }
}

impl Model {
    fn last(&self) -> u64 {
        let covered = self.0.mark.map_or(0, |mark| mark.index);
        self.0.entries.last().map_or(covered, |last| last.index)
    }

    fn append(&mut self, hard_state: Option<&Bytes>, entries: &[LogEntry]) {
        if let Some(hard_state) = hard_state {
            self.0.hard_state = Some(hard_state.clone());
        }
        if let Some(first) = entries.first() {
            self.0.entries.retain(|entry| entry.index < first.index);
            self.0.entries.extend_from_slice(entries);
        }
    }
}

fn some_entries(chance: &mut Rng, from: u64) -> Vec<LogEntry> {
    let term = 1 + chance.below(3);
    (from..from + 1 + chance.below(4))
        .map(|index| {
            let length = [0, 3, 300, 2000, 9000][chance.below(5) as usize];
            // Zeros look like what never arrived, were they stored as they are.
            let bytes = if chance.below(2) == 0 { vec![0; length] } else { (0..length).map(|_| chance.next() as u8).collect() };
            LogEntry { index, term, bytes: bytes.into() }
        })
        .collect()
}

/// One commit of something. Returns what the log must hold after it.
fn step(log: &mut RaftLog<CrashFiles>, before: &Model, chance: &mut Rng) -> Model {
    let mut after = before.clone();
    match chance.below(8) {
        0 => {
            let newest = before.0.mark.map_or(0, |mark| mark.index);
            if let Some(entry) = before.0.entries.iter().find(|entry| entry.index > newest + 4) {
                let mark = Mark { index: entry.index, term: entry.term };
                after.0.mark = Some(mark);
                log.acknowledge(mark).expect("it fits");
            }
        }
        1 => {
            let below = before.0.mark.map_or(0, |mark| mark.index);
            after.0.entries.retain(|entry| entry.index >= below);
            log.compact(below).expect("it fits");
        }
        _ => {
            let floor = before.0.mark.map_or(0, |mark| mark.index);
            let from = before.last() + 1 - chance.below(3).min(before.last() - floor);
            let (state, entries) = (hard_state(from, 0), some_entries(chance, from));
            let state = (chance.below(2) == 0).then_some(state);
            after.append(state.as_ref(), &entries);
            log.append(state.as_ref(), &entries).expect("it fits");
        }
    }
    log.commit().expect("the disk does not fail");
    after
}

/// A log that crashed: which contents are right after it.
struct Crashed {
    dir: tempfile::TempDir,
    loss: Loss,
    right: Vec<Option<Model>>,
}

impl Crashed {
    fn log(&self) -> PathBuf {
        self.dir.path().join("raft")
    }
}

fn crash(seed: u64) -> Crashed {
    let dir = folder();
    let mut chance = Rng::new(seed);
    let files = CrashFiles::new(seed);
    files.crash_after(1 + chance.below(300));
    let mut log = RaftLog::create(&dir.path().join("raft"), GROUP, files.clone(), SMALL).expect("it begins");
    let mut right = vec![None, Some(Model::default())];
    let mut model = Model::default();
    if !files.has_crashed() {
        right = vec![Some(model.clone())];
    }
    for _ in 0..120 {
        if files.has_crashed() {
            break;
        }
        let after = step(&mut log, &model, &mut chance);
        right = match files.has_crashed() {
            // It was cut short: done or not done are both right, and nothing between.
            true => vec![Some(model.clone()), Some(after.clone())],
            false => vec![Some(after.clone())],
        };
        model = after;
    }
    let (loss, image) = files.crash();
    drop(log);
    restore(&dir.path().join("raft"), &image);
    Crashed { dir, loss, right }
}

fn open(dir: &Path) -> Result<Option<Model>, LogError> {
    Ok(RaftLog::open(dir, DefaultFileSystem, SMALL)?.map(|(log, content)| {
        assert_eq!(log.group(), GROUP);
        Model(content)
    }))
}

fn flip_bits(dir: &Path, count: u64, chance: &mut Rng) {
    let mut files: Vec<PathBuf> = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
    files.retain(|path| path.extension().is_some_and(|suffix| suffix == "raftlog" || suffix == "rewrite"));
    files.sort();
    for _ in 0..count {
        let file = &files[chance.below(files.len() as u64) as usize];
        let mut content = fs::read(file).expect("it is read");
        if content.is_empty() {
            continue;
        }
        // The last record is the one that could be taken for a torn one.
        let reach = if chance.below(2) == 0 { content.len() } else { content.len().min(3000) };
        let place = content.len() - 1 - chance.below(reach as u64) as usize;
        content[place] ^= 1 << chance.below(8);
        fs::write(file, content).expect("it is written");
    }
}

#[test]
fn after_any_crash_the_log_holds_what_was_acknowledged() {
    let mut seen: BTreeMap<Loss, u32> = BTreeMap::new();
    let mut refused = 0;
    for seed in 0..300 {
        let crashed = crash(seed);
        match open(&crashed.log()) {
            Ok(found) => {
                assert!(crashed.right.contains(&found), "seed {seed}, {:?}: {found:?} is none of {:?}", crashed.loss, crashed.right)
            }
            // A tear that leaves nothing but the bytes before a sector's end can look like damage.
            Err(LogError::Damaged { why, .. }) => {
                refused += 1;
                eprintln!("seed {seed}, {:?}: {why}", crashed.loss);
            }
            Err(other) => panic!("seed {seed}: {other}"),
        }
        *seen.entry(crashed.loss).or_default() += 1;
    }
    assert!(seen.len() == 4 && seen.values().all(|count| *count > 30), "{seen:?}");
    assert!(refused <= 3, "{refused} of 300 were refused");
}

#[test]
fn a_log_that_crashed_and_was_altered_is_right_or_refused() {
    let (mut refused, mut right) = (0, 0);
    for seed in 2200..2500 {
        let crashed = crash(seed);
        if !crashed.log().is_dir() || crashed.right.len() > 1 && crashed.right[0].is_none() {
            continue;
        }
        let mut chance = Rng::new(seed);
        let flips = 1 + chance.below(3);
        flip_bits(&crashed.log(), flips, &mut chance);
        match open(&crashed.log()) {
            Ok(found) => {
                assert!(crashed.right.contains(&found), "seed {seed}, {:?}: {found:?} is none of {:?}", crashed.loss, crashed.right);
                right += 1;
            }
            Err(LogError::Damaged { .. }) => refused += 1,
            Err(other) => panic!("seed {seed}: {other}"),
        }
    }
    // What hits only zeros, or a record that was never acknowledged, does no harm.
    assert!(refused > 50 && right > 3, "{refused} refused, {right} right");
}

#[test]
fn every_flipped_bit_of_the_last_record_is_refused() {
    let dir = folder();
    let path = dir.path().join("raft");
    let mut log = RaftLog::create(&path, GROUP, DefaultFileSystem, SMALL).expect("it begins");
    log.append(Some(&hard_state(1, 0)), &entries(1..=1, 1)).expect("it fits");
    log.commit().expect("written");
    drop(log);
    let file = path.join("0000000000000001.raftlog");
    let content = fs::read(&file).expect("it is read");
    for padding in [0, 4096] {
        for bit in 0..content.len() * 8 {
            let mut altered = content.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            altered.resize(content.len() + padding, 0);
            fs::write(&file, altered).expect("it is written");
            assert!(matches!(open(&path), Err(LogError::Damaged { .. })), "bit {bit}");
        }
    }
}

#[test]
fn a_flipped_bit_of_a_record_that_was_moved_is_refused() {
    let dir = folder();
    let path = dir.path().join("raft");
    let mut chance = Rng::new(7);
    let mut log = RaftLog::create(&path, GROUP, CrashFiles::new(7), SMALL).expect("it begins");
    let mut model = Model::default();
    let moved = path.join("0000000000000001.rewrite");
    while fs::metadata(&moved).expect("it is there").len() < 4000 {
        model = step(&mut log, &model, &mut chance);
    }
    drop(log);
    assert_eq!(open(&path).expect("it opens"), Some(model));
    let content = fs::read(&moved).expect("it is read");
    let header = 69 * 8;
    for bit in (header..content.len() * 8).filter(|bit| *bit < header + 256 || bit % 331 == 0) {
        let mut altered = content.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        fs::write(&moved, altered).expect("it is written");
        assert!(matches!(open(&path), Err(LogError::Damaged { .. })), "bit {bit} of {}", content.len() * 8);
    }
}

#[test]
fn a_missing_file_of_the_log_is_damage() {
    let dir = folder();
    let path = dir.path().join("raft");
    let mut log = RaftLog::create(&path, GROUP, DefaultFileSystem, SMALL).expect("it begins");
    let mut chance = Rng::new(1);
    for index in 1..40 {
        let bytes: Vec<u8> = (0..2000).map(|_| chance.next() as u8).collect();
        log.append(None, &[LogEntry { index, term: 1, bytes: bytes.into() }]).expect("it fits");
        log.commit().expect("written");
    }
    drop(log);
    fs::remove_file(path.join("0000000000000002.raftlog")).expect("there are several");
    assert!(matches!(open(&path), Err(LogError::Damaged { .. })));
}

#[test]
fn on_a_disk_that_is_full_or_turns_read_only_a_write_fails_and_the_log_keeps_what_was_acknowledged() {
    const NO_SPACE: i32 = 28;
    const READ_ONLY: i32 = 30;
    for seed in 0..40 {
        let dir = folder();
        let path = dir.path().join("raft");
        let mut chance = Rng::new(seed);
        let files = CrashFiles::new(seed);
        let mut log = RaftLog::create(&path, GROUP, files.clone(), SMALL).expect("it begins");
        let why = if seed % 2 == 0 { NO_SPACE } else { READ_ONLY };
        files.limit_writes(chance.below(60_000) as usize, why);
        let mut model = Model::default();
        let error = loop {
            let entries = some_entries(&mut chance, model.last() + 1);
            log.append(None, &entries).expect("it fits");
            match log.commit() {
                Ok(()) => model.append(None, &entries),
                Err(error) => break error,
            }
        };
        let named = if why == NO_SPACE { matches!(error, WriteError::Full { .. }) } else { matches!(error, WriteError::ReadOnly { .. }) };
        assert!(named, "seed {seed}: {error}");
        drop(log);
        assert_eq!(open(&path).expect("it opens"), Some(model), "seed {seed}");
    }
}

#[test]
fn a_sync_that_failed_is_an_error_and_never_tried_again() {
    let dir = folder();
    let files = CrashFiles::new(1);
    let mut log = RaftLog::create(&dir.path().join("raft"), GROUP, files.clone(), SMALL).expect("it begins");
    files.fail_syncs();
    let before = files.syncs();
    log.append(None, &entries(1..=3, 1)).expect("it fits");
    assert!(matches!(log.commit(), Err(WriteError::Io { .. })));
    log.append(None, &entries(4..=4, 1)).expect("it fits");
    assert!(log.commit().is_err());
    drop(log);
    assert_eq!(files.syncs(), before + 1);
}

#[test]
fn neighboring_writes_become_durable_by_one_sync() {
    let dir = folder();
    let files = CrashFiles::new(1);
    let mut log = RaftLog::create(&dir.path().join("raft"), GROUP, files.clone(), SMALL).expect("it begins");
    let before = files.syncs();
    log.append(Some(&hard_state(1, 0)), &entries(1..=3, 1)).expect("it fits");
    log.append(Some(&hard_state(2, 1)), &entries(2..=5, 2)).expect("it fits");
    log.commit().expect("written");
    assert_eq!(files.syncs(), before + 1);
}
