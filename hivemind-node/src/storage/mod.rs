#![doc = include_str!("README.md")]

mod cache;
mod error;
mod folder;
mod identity;
mod log_files;
mod log_tail;
#[cfg(feature = "cli")]
mod making;
mod own;
mod raft_log;
mod recovery;
mod scramble;
mod sealed;
mod snapshots;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

use hivemind_core::ids::ClusterId;
use hivemind_core::storage::{Identity, LogSnapshot, Recovered, RecoveredLog, Write};
use raft_engine::env::DefaultFileSystem;

pub use error::{OpenError, WriteError};
pub use identity::NodeKey;
#[cfg(feature = "cli")]
pub(crate) use making::{Making, settle};
pub(crate) use sealed::sync_folder;

use cache::{Cache, Change};
use folder::Folder;
use identity::IdentityFile;
use own::OwnFile;
use raft_log::{FileSizes, Group, LogError, RaftLog};
use recovery::RecoveryError;
use snapshots::{Mark, Snapshots};

/// The memory that a node's cache may take, in bytes: what [`Options::new`] sets.
pub const CACHE_MEMORY: u64 = 16 << 20;

/// Who the node of a data folder is, and its key, without opening it: a daemon may hold it. `None` where it is nobody's yet.
///
/// # Errors
/// [`OpenError`]: of another format, damaged, or the disk failed.
#[cfg(feature = "cli")]
pub(crate) fn inspect(dir: &Path) -> Result<Option<(Option<Identity>, NodeKey)>, OpenError> {
    if folder::has_format(dir)? { IdentityFile::inspect(dir) } else { Ok(None) }
}

/// How a data folder is opened.
pub struct Options<'a> {
    /// Makes the node's private key, as PKCS#8. Called once in the life of a data folder.
    pub new_key: &'a dyn Fn() -> Vec<u8>,
    /// The memory that the cache may take, in bytes. Default: [`CACHE_MEMORY`]. More keeps more records
    /// in memory; less is for many nodes in one process.
    pub cache_memory: u64,
}

impl<'a> Options<'a> {
    /// The defaults, with keys from `new_key`.
    pub fn new(new_key: &'a dyn Fn() -> Vec<u8>) -> Self {
        Options { new_key, cache_memory: CACHE_MEMORY }
    }
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("cache_memory", &self.cache_memory).finish_non_exhaustive()
    }
}

/// What one node keeps.
#[derive(Debug)]
pub struct Storage {
    place: Place,
}

#[derive(Debug)]
enum Place {
    Disk(Box<Disk>),
    Memory { cluster: Option<ClusterId> },
}

impl Storage {
    /// Opens the data folder `dir`, makes what is not there, and reads all that is kept.
    ///
    /// # Errors
    /// [`OpenError`]; nothing that was acknowledged was altered.
    pub fn open(dir: &Path, options: &Options<'_>) -> Result<(Storage, Recovered, NodeKey), OpenError> {
        let (disk, recovered) = Disk::open(dir, options)?;
        let key = disk.identity.key().clone();
        Ok((Storage { place: Place::Disk(Box::new(disk)) }, recovered, key))
    }

    /// For a node without a data folder: takes every write and keeps none, touches no disk and leaves
    /// nothing behind. Such a node begins anew whenever it starts.
    pub fn in_memory(options: &Options<'_>) -> (Storage, Recovered, NodeKey) {
        (Storage { place: Place::Memory { cluster: None } }, Recovered::default(), NodeKey::new((options.new_key)()))
    }

    /// The cluster of the node's identity, once it has one.
    pub fn cluster(&self) -> Option<ClusterId> {
        match &self.place {
            Place::Disk(disk) => disk.identity.identity().map(|identity| identity.cluster),
            Place::Memory { cluster } => *cluster,
        }
    }

    /// Makes `writes`, in their order. When this returns they are durable, those of the cache excepted.
    /// Neighboring writes of the Raft log become durable together, by one fdatasync.
    ///
    /// Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// [`WriteError`]: some of the writes, the first ones, may have been made; every later call fails with
    /// [`WriteError::Failed`].
    pub fn write(&mut self, writes: &[Write]) -> Result<(), WriteError> {
        match &mut self.place {
            Place::Disk(disk) => disk.write(writes),
            Place::Memory { cluster } => {
                for write in writes {
                    if let Write::Identity(identity) = write {
                        *cluster = Some(identity.cluster);
                    }
                }
                Ok(())
            }
        }
    }
}

/// A data folder.
struct Disk {
    folder: Folder,
    identity: IdentityFile,
    own: OwnFile,
    cache: Cache,
    snapshots: Snapshots,
    /// Open only where the node has a part in the group.
    raft: Option<RaftLog>,
    failed: bool,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("folder", &self.folder.path()).field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl Disk {
    fn open(dir: &Path, options: &Options<'_>) -> Result<(Self, Recovered), OpenError> {
        let folder = Folder::open(dir)?;
        let identity = IdentityFile::open(&folder, options.new_key)?;
        let (own, config) = OwnFile::open(&folder)?;
        let snapshots = Snapshots::open(folder.place("snapshots"))?;
        let (raft, log) = open_raft(&folder, identity.identity(), &snapshots)?;
        let (cache, records) = Cache::open(folder.place("cache"), options.cache_memory);
        let recovered = Recovered { identity: identity.identity().cloned(), log, own: config, cache: records };
        Ok((Disk { folder, identity, own, cache, snapshots, raft, failed: false }, recovered))
    }

    fn write(&mut self, writes: &[Write]) -> Result<(), WriteError> {
        if self.failed {
            return Err(WriteError::Failed);
        }
        // Whatever happens between, a call that did not succeed was the last.
        self.failed = true;
        let mut changes = Vec::new();
        for write in writes {
            self.write_one(write, &mut changes)?;
        }
        self.commit()?;
        self.cache.apply(changes);
        self.failed = false;
        Ok(())
    }

    fn write_one(&mut self, write: &Write, changes: &mut Vec<Change>) -> Result<(), WriteError> {
        match write {
            Write::Identity(identity) => {
                self.commit()?;
                self.identity.write(identity)
            }
            Write::Log { hard_state, entries } => self.raft()?.append(hard_state.as_ref(), entries),
            Write::Snapshot(snapshot) => self.write_snapshot(snapshot),
            Write::Compact { below } => self.compact(*below),
            Write::DropLog => {
                // Nothing that is staged for it matters any more.
                self.raft = None;
                discard_raft(&self.folder)
            }
            Write::Own(config) => {
                self.commit()?;
                self.own.write(config.as_ref())
            }
            Write::Cache(records) => {
                changes.extend(records.iter().map(|(key, value)| Change::Put(key.clone(), value.clone())));
                Ok(())
            }
            Write::ClearCache => {
                changes.push(Change::Clear);
                Ok(())
            }
        }
    }

    fn commit(&mut self) -> Result<(), WriteError> {
        self.raft.as_mut().map_or(Ok(()), RaftLog::commit)
    }

    fn write_snapshot(&mut self, snapshot: &LogSnapshot) -> Result<(), WriteError> {
        let mark = Mark { index: snapshot.index, term: snapshot.term };
        let raft = self.raft()?;
        if raft.mark().is_some_and(|newest| newest.index > mark.index) {
            return Err(WriteError::Unfit { why: "the snapshot is older than the newest" });
        }
        raft.commit()?;
        let group = raft.group();
        self.snapshots.write(group, snapshot)?;
        let raft = self.raft()?;
        raft.acknowledge(mark)?;
        raft.commit()?;
        // The one before it may still be of use, as long as the log reaches back to it.
        self.snapshots.prune(2)
    }

    fn compact(&mut self, below: u64) -> Result<(), WriteError> {
        let raft = self.raft()?;
        if raft.mark().is_none_or(|mark| below > mark.index + 1) {
            return Err(WriteError::Unfit { why: "no snapshot covers the entries to be removed" });
        }
        raft.compact(below)?;
        raft.commit()?;
        self.snapshots.prune(1)
    }

    /// The log of the identity's group; a new one where there is none, or where it is another group's.
    fn raft(&mut self) -> Result<&mut RaftLog, WriteError> {
        let group = self.identity.identity().and_then(group_of).ok_or(WriteError::Unfit { why: "a Raft log without a membership" })?;
        if self.raft.as_ref().is_none_or(|raft| raft.group() != group) {
            self.raft = None;
            discard_raft(&self.folder)?;
            self.raft = Some(RaftLog::create(&raft_place(&self.folder), group, DefaultFileSystem, FileSizes::USUAL)?);
        }
        Ok(self.raft.as_mut().expect("it was just made"))
    }
}

fn raft_place(folder: &Folder) -> PathBuf {
    folder.place("raft")
}

fn group_of(identity: &Identity) -> Option<Group> {
    (!identity.node.is_none()).then_some(Group { cluster: identity.cluster, node: identity.node })
}

/// Without its log a snapshot counts for nothing, so the log goes first.
fn discard_raft(folder: &Folder) -> Result<(), WriteError> {
    for place in raft_places(folder) {
        raft_log::discard(&place).map_err(|error| WriteError::io(&place, error))?;
    }
    Ok(())
}

fn raft_places(folder: &Folder) -> [PathBuf; 2] {
    [raft_place(folder), folder.place("snapshots")]
}

fn open_raft(
    folder: &Folder,
    identity: Option<&Identity>,
    snapshots: &Snapshots,
) -> Result<(Option<RaftLog>, Option<RecoveredLog>), OpenError> {
    for place in raft_places(folder) {
        raft_log::sweep(&place).map_err(|error| OpenError::io(&place, error))?;
    }
    let place = raft_place(folder);
    let group = identity.and_then(group_of);
    let Some((mut log, content)) = RaftLog::open(&place, DefaultFileSystem, FileSizes::USUAL).map_err(|error| refused(folder, error))?
    else {
        return Ok((None, None));
    };
    if Some(log.group()) != group {
        tracing::warn!(folder = %place.display(), "the Raft log is not this member's; it is left alone until a new one begins");
        return Ok((None, None));
    }
    let recovered = recovery::recover(&mut log, content, snapshots).map_err(|error| match error {
        RecoveryError::Log(error) => refused(folder, error),
        RecoveryError::Write(WriteError::Io { path, source }) => OpenError::Io { path, source },
        RecoveryError::Write(WriteError::ReadOnly { path }) => OpenError::NotWritable { path },
        RecoveryError::Write(error @ (WriteError::Full { .. } | WriteError::Failed | WriteError::Unfit { .. })) => {
            OpenError::Io { path: place, source: std::io::Error::other(error) }
        }
    })?;
    // A log that was made, and into which nothing was written, is none.
    let found = (recovered != RecoveredLog::default()).then_some(recovered);
    Ok((Some(log), found))
}

fn refused(folder: &Folder, error: LogError) -> OpenError {
    match error {
        LogError::Damaged { file, why } => OpenError::damaged_log(&file, &raft_places(folder), why),
        LogError::Io { path, source } => OpenError::io(&path, source),
    }
}
