//! The Raft log and hard state of a voter, in raft-engine.
//!
//! One Raft group under one key of raft-engine, and beside its entries four values: the group that the
//! log is of, the hard state, the mark of the newest snapshot that was acknowledged, and where the log begins. They are written
//! again at every compaction, so that the files in which they stood can go.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use hivemind_core::ids::{ClusterId, NodeId};
use hivemind_core::storage::LogEntry;
use hivemind_core::wire::codec;
use raft::eraftpb::Entry;
use raft_engine::env::{DefaultFileSystem, FileSystem};
use raft_engine::{Command, Config, Engine, LogBatch, MessageExt, ReadableSize, RecoveryMode};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::error::WriteError;
use super::folder;
use super::log_files::{Failure, Watched};
use super::log_tail::{self, TailError};
use super::scramble::scramble;
use super::sealed;
use super::snapshots::Mark;

/// raft-engine's name for the one group.
const REGION: u64 = 1;
const GROUP_KEY: &[u8] = b"group";
const HARD_STATE_KEY: &[u8] = b"hard";
const MARK_KEY: &[u8] = b"snapshot";
const FLOOR_KEY: &[u8] = b"floor";

/// How the log is divided into files, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileSizes {
    /// A file is left for the next one at this size.
    pub(super) file: u64,
    /// Files are given back from this total on.
    pub(super) purge_from: u64,
}

impl FileSizes {
    /// What a voter's log takes: little, for it is cut at every snapshot.
    pub(super) const USUAL: FileSizes = FileSizes { file: 8 << 20, purge_from: 64 << 20 };
}

/// Whose log it is: raft-engine repeats what the identity says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Group {
    /// The cluster.
    pub(super) cluster: ClusterId,
    /// The member.
    pub(super) node: NodeId,
}

/// What a log held when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LogContent {
    /// The hard state, as protobuf.
    pub(super) hard_state: Option<Bytes>,
    /// The newest snapshot that was acknowledged.
    pub(super) mark: Option<Mark>,
    /// The entries, consecutive.
    pub(super) entries: Vec<LogEntry>,
}

/// Why a log can not be opened.
#[derive(Debug, Error)]
pub(super) enum LogError {
    /// What is written is not what was.
    #[error("{} is damaged: {why}", file.display())]
    Damaged {
        /// The file or folder.
        file: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// The disk failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<TailError> for LogError {
    fn from(error: TailError) -> Self {
        match error {
            TailError::Damaged { file, why } => LogError::Damaged { file, why },
            TailError::Io { path, source } => LogError::Io { path, source },
        }
    }
}

/// How raft-engine finds an entry's index.
struct Stored;

impl MessageExt for Stored {
    type Entry = Entry;

    fn index(entry: &Entry) -> u64 {
        entry.index
    }
}

/// An open log. Changes are staged, and durable together at the next [`RaftLog::commit`].
pub(super) struct RaftLog<F: FileSystem = DefaultFileSystem> {
    dir: PathBuf,
    engine: Engine<Watched<F>>,
    failure: Failure,
    group: Group,
    hard_state: Option<Bytes>,
    mark: Option<Mark>,
    /// Entries below were compacted. raft-engine may bring some of them back.
    floor: u64,
    /// The first and the last entry, as they are after what is staged.
    span: Option<(u64, u64)>,
    staged: LogBatch,
    compacts: bool,
}

impl<F: FileSystem> RaftLog<F> {
    /// Begins an empty log of `group` in `dir`, in place of whatever is there.
    ///
    /// # Errors
    /// [`WriteError`]: the disk failed.
    pub(super) fn create(dir: &Path, group: Group, files: F, sizes: FileSizes) -> Result<Self, WriteError> {
        let failed = |error| WriteError::io(dir, error);
        discard(dir).map_err(failed)?;
        folder::create_private(dir).map_err(failed)?;
        let (engine, failure) = start(dir, files, sizes).map_err(failed)?;
        let staged = LogBatch::default();
        let mut log = RaftLog {
            dir: dir.to_path_buf(),
            engine,
            failure,
            group,
            hard_state: None,
            mark: None,
            floor: 0,
            span: None,
            staged,
            compacts: false,
        };
        log.put(GROUP_KEY, codec::encode(&group))?;
        log.commit()?;
        sync_both(dir).map_err(failed)?;
        Ok(log)
    }

    /// Opens the log in `dir`; `None` where there is none, or where its making was cut short.
    ///
    /// # Errors
    /// [`LogError`]: damaged, or the disk failed.
    pub(super) fn open(dir: &Path, files: F, sizes: FileSizes) -> Result<Option<(Self, LogContent)>, LogError> {
        if !dir.is_dir() || !log_tail::mend(dir)? {
            return Ok(None);
        }
        let failed = |source| LogError::Io { path: dir.to_path_buf(), source };
        let damaged = |why: &str| LogError::Damaged { file: dir.to_path_buf(), why: why.into() };
        let (engine, failure) = start(dir, files, sizes).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => damaged(&error.to_string()),
            _ => failed(error),
        })?;
        sync_both(dir).map_err(failed)?;
        let Some(group) = engine.get(REGION, GROUP_KEY) else {
            let unfinished = engine.is_empty();
            return if unfinished { Ok(None) } else { Err(damaged("it does not say whose log it is")) };
        };
        let group = codec::decode::<Group, 256>(&group).map_err(|_| damaged("whose log it is can not be read"))?;
        let mark = engine.get(REGION, MARK_KEY).map(|mark| codec::decode::<Mark, 256>(&mark)).transpose();
        let mark = mark.map_err(|_| damaged("which snapshot it continues can not be read"))?;
        let floor = engine.get(REGION, FLOOR_KEY).map(|floor| codec::decode::<u64, 256>(&floor)).transpose();
        let floor = floor.map_err(|_| damaged("where it begins can not be read"))?.unwrap_or(0);
        let hard_state = engine.get(REGION, HARD_STATE_KEY).map(Bytes::from);
        let mut entries = apart(|| entries(&engine)).map_err(|error| damaged(&error.to_string()))?;
        let compacted = entries.partition_point(|entry| entry.index < floor);
        entries.drain(..compacted);
        let span = entries.first().zip(entries.last()).map(|(first, last)| (first.index, last.index));
        let content = LogContent { hard_state: hard_state.clone(), mark, entries };
        let dir = dir.to_path_buf();
        let mut log = RaftLog { dir, engine, failure, group, hard_state, mark, floor, span, staged: LogBatch::default(), compacts: false };
        if compacted > 0 {
            log.stage_compaction(floor);
            log.commit().map_err(|error| failed(io::Error::other(error)))?;
        }
        Ok(Some((log, content)))
    }

    /// Whose log it is.
    pub(super) fn group(&self) -> Group {
        self.group
    }

    /// Where it stands.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The first and the last entry.
    pub(super) fn span(&self) -> Option<(u64, u64)> {
        self.span
    }

    /// Stages entries and a hard state. Entries at or above the first one's index are replaced.
    ///
    /// # Errors
    /// [`WriteError::Unfit`]: they do not continue the log, or its snapshot.
    pub(super) fn append(&mut self, hard_state: Option<&Bytes>, entries: &[LogEntry]) -> Result<(), WriteError> {
        if let Some(hard_state) = hard_state {
            self.put(HARD_STATE_KEY, hard_state.to_vec())?;
            self.hard_state = Some(hard_state.clone());
        }
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return Ok(());
        };
        if entries.windows(2).any(|pair| pair[0].index + 1 != pair[1].index) {
            return Err(WriteError::Unfit { why: "the entries are not consecutive" });
        }
        let covered = self.mark.map_or(0, |mark| mark.index);
        let end = self.span.map_or(0, |(_, last)| last).max(covered);
        if first.index > end + 1 {
            return Err(WriteError::Unfit { why: "entries are missing before the first one" });
        }
        match self.span {
            Some((start, _)) if first.index < start => return Err(WriteError::Unfit { why: "the entries begin below what was compacted" }),
            // A snapshot covers the gap: what is before it is obsolete.
            Some((_, end)) if first.index > end + 1 => self.compact(first.index)?,
            Some(_) | None => {}
        }
        let stored: Vec<Entry> = entries.iter().map(to_stored).collect();
        self.staged.add_entries::<Stored>(REGION, &stored).map_err(|error| self.engine_failed(error))?;
        let start = self.span.map_or(first.index, |(start, _)| start);
        self.span = Some((start, last.index));
        Ok(())
    }

    /// Stages the removal of the entries below `below`.
    ///
    /// # Errors
    /// [`WriteError`]: raft-engine refused it.
    pub(super) fn compact(&mut self, below: u64) -> Result<(), WriteError> {
        if below > self.floor {
            self.floor = below;
            self.put(FLOOR_KEY, codec::encode(&below))?;
            self.stage_compaction(below);
        }
        Ok(())
    }

    fn stage_compaction(&mut self, below: u64) {
        self.staged.add_command(REGION, Command::Compact { index: below });
        self.span = self.span.and_then(|(first, last)| (below <= last).then_some((first.max(below), last)));
        self.compacts = true;
    }

    /// Stages that a snapshot up to `mark` is durable. Where it does not continue what the log holds, it
    /// was another's, and the log is obsolete as a whole (Ongaro, "Consensus: Bridging Theory and
    /// Practice", section 5.3).
    ///
    /// # Errors
    /// [`WriteError`]: the disk failed.
    pub(super) fn acknowledge(&mut self, mark: Mark) -> Result<(), WriteError> {
        self.put(MARK_KEY, codec::encode(&mark))?;
        self.mark = Some(mark);
        let Some((first, last)) = self.span else {
            return Ok(());
        };
        let continues = match mark.index {
            index if index > last => false,
            index if index >= first => self.term_of(index)? == Some(mark.term),
            _ => true,
        };
        if !continues {
            self.compact(last.max(mark.index) + 1)?;
        }
        Ok(())
    }

    /// The newest snapshot that was acknowledged.
    pub(super) fn mark(&self) -> Option<Mark> {
        self.mark
    }

    /// Makes durable what is staged: one record, one fdatasync.
    ///
    /// # Errors
    /// [`WriteError`]: the disk failed. The log must not be used any more.
    pub(super) fn commit(&mut self) -> Result<(), WriteError> {
        if self.staged.is_empty() {
            return Ok(());
        }
        let compacts = std::mem::take(&mut self.compacts);
        if compacts {
            self.repeat_values()?;
        }
        let RaftLog { engine, staged, .. } = self;
        let written = contained(|| engine.write(staged, true).map_err(to_io)).map(drop);
        let purged = written.and_then(|()| match compacts {
            true => apart(|| engine.purge_expired_files().map_err(to_io)).map(drop),
            false => Ok(()),
        });
        match self.failure.seen().map_or(purged, Err) {
            Ok(()) => Ok(()),
            Err(error) => Err(WriteError::io(&self.dir, error)),
        }
    }

    fn repeat_values(&mut self) -> Result<(), WriteError> {
        self.put(GROUP_KEY, codec::encode(&self.group))?;
        if let Some(hard_state) = self.hard_state.clone() {
            self.put(HARD_STATE_KEY, hard_state.to_vec())?;
        }
        if let Some(mark) = self.mark {
            self.put(MARK_KEY, codec::encode(&mark))?;
        }
        self.put(FLOOR_KEY, codec::encode(&self.floor))
    }

    fn put(&mut self, key: &[u8], value: Vec<u8>) -> Result<(), WriteError> {
        self.staged.put(REGION, key.to_vec(), value).map_err(|error| self.engine_failed(error))
    }

    /// The term of an entry that is durable already.
    fn term_of(&self, index: u64) -> Result<Option<u64>, WriteError> {
        let found = apart(|| self.engine.get_entry::<Stored>(REGION, index).map_err(to_io));
        found.map(|entry| entry.map(|entry| entry.term)).map_err(|error| WriteError::io(&self.dir, error))
    }

    fn engine_failed(&self, error: raft_engine::Error) -> WriteError {
        WriteError::io(&self.dir, to_io(error))
    }
}

/// Removes a folder and all that is in it. Where that is cut short, it is as if it had been done, but for
/// [`sweep`].
///
/// # Errors
/// What the system said.
pub(super) fn discard(dir: &Path) -> io::Result<()> {
    sweep(dir)?;
    if dir.exists() {
        std::fs::rename(dir, dropped(dir))?;
        sealed::sync_folder(dir.parent().expect("it stands in the data folder"))?;
    }
    sweep(dir)
}

/// Removes what a [`discard`] that was cut short left behind.
///
/// # Errors
/// What the system said.
pub(super) fn sweep(dir: &Path) -> io::Result<()> {
    remove_all(&dropped(dir))
}

fn dropped(dir: &Path) -> PathBuf {
    dir.with_extension("dropped")
}

fn remove_all(dir: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// raft-engine syncs neither the folder when it makes its first file, nor the one above it.
fn sync_both(dir: &Path) -> io::Result<()> {
    sealed::sync_folder(dir)?;
    sealed::sync_folder(dir.parent().expect("it stands in the data folder"))
}

fn start<F: FileSystem>(dir: &Path, files: F, sizes: FileSizes) -> io::Result<(Engine<Watched<F>>, Failure)> {
    let path = dir.to_str().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8"))?;
    let config = Config {
        dir: path.to_owned(),
        recovery_mode: RecoveryMode::AbsoluteConsistency,
        recovery_threads: 1,
        // A compressed record, or a file used again, would make a torn record look like a damaged one.
        batch_compression_threshold: ReadableSize(0),
        enable_log_recycle: false,
        target_file_size: ReadableSize(sizes.file),
        purge_threshold: ReadableSize(sizes.purge_from),
        ..Config::default()
    };
    let files = Arc::new(Watched::new(files));
    let failure = files.failure();
    let engine = contained(|| Engine::open_with_file_system(config, files).map_err(to_io))?;
    failure.seen().map_or(Ok((engine, failure)), Err)
}

fn entries<F: FileSystem>(engine: &Engine<Watched<F>>) -> io::Result<Vec<LogEntry>> {
    let (Some(first), Some(last)) = (engine.first_index(REGION), engine.last_index(REGION)) else {
        return Ok(Vec::new());
    };
    let mut stored = Vec::new();
    engine.fetch_entries_to::<Stored>(REGION, first, last + 1, None, &mut stored).map_err(to_io)?;
    let consecutive = stored.iter().zip(first..).all(|(entry, index)| entry.index == index) && stored.len() as u64 == last + 1 - first;
    if !consecutive {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "entries are missing"));
    }
    Ok(stored.into_iter().map(from_stored).collect())
}

fn to_stored(entry: &LogEntry) -> Entry {
    Entry { index: entry.index, term: entry.term, data: scramble(entry.index, &entry.bytes).into(), ..Entry::default() }
}

fn from_stored(stored: Entry) -> LogEntry {
    LogEntry { index: stored.index, term: stored.term, bytes: scramble(stored.index, &stored.data).into() }
}

/// Does what reads entries, in a thread of its own. raft-engine keeps the block that a thread read last, and
/// knows it again by its place alone: so in one thread, one log would be read where another was meant.
fn apart<T: Send>(act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| scope.spawn(act).join()).unwrap_or_else(|_| Err(io::Error::other("raft-engine panicked")))
}

/// raft-engine panics where it finds what it does not expect; here that is an error like any other.
fn contained<T>(act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    panic::catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| Err(io::Error::other("raft-engine panicked")))
}

fn to_io(error: raft_engine::Error) -> io::Error {
    match error {
        raft_engine::Error::Io(error) => error,
        corrupt @ (raft_engine::Error::Corruption(_) | raft_engine::Error::Codec(_) | raft_engine::Error::Protobuf(_)) => {
            io::Error::new(io::ErrorKind::InvalidData, corrupt)
        }
        other => io::Error::other(other),
    }
}
