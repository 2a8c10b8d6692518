//! Why a data folder can not be opened, and why a write failed.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a data folder can not be used. Nothing that was acknowledged is lost by it: a folder is refused
/// as it stands, or opened whole.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The folder, or a file in it, can not be written. The operator's: give the right to this user.
    #[error("the data folder can not be written: {} is read-only or belongs to another user; make it writable or choose another folder", path.display())]
    NotWritable {
        /// What was tried.
        path: PathBuf,
    },
    /// There is something else in the folder's place.
    #[error("{} is not a folder; choose another path for the data", path.display())]
    NotADirectory {
        /// What was found.
        path: PathBuf,
    },
    /// The folder holds files that are none of a node's. Nothing was written.
    #[error("{} is not a data folder: it holds {found:?}; choose an empty folder or a new one", path.display())]
    Stranger {
        /// The folder.
        path: PathBuf,
        /// One of the files.
        found: String,
    },
    /// Another process has it, or this one, elsewhere.
    #[error("the data folder {} is in use{}; stop that node first, or choose another folder", path.display(), by_whom(*by))]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The process that has it, where its number could be read.
        by: Option<u32>,
    },
    /// A later version of the program wrote it.
    #[error("the data folder is of format {found}, and this program speaks {speaks}: start the newer program that wrote it")]
    Newer {
        /// The folder's format.
        found: u32,
        /// The newest that this program knows.
        speaks: u32,
    },
    /// What is written is not what was: the disk's or somebody's doing. Nothing is guessed.
    #[error("{} is damaged: {why}. To repair: {repair}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What does not fit.
        why: String,
        /// What to do.
        repair: String,
    },
    /// The disk, or the quota, is full. Nothing that was kept is lost.
    #[error("no space left for {}; free some, then try again", path.display())]
    Full {
        /// What was to be written.
        path: PathBuf,
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

impl OpenError {
    /// What the system said about `path`, in the operator's words.
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => OpenError::NotWritable { path },
            io::ErrorKind::NotADirectory => OpenError::NotADirectory { path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => OpenError::Full { path },
            _ => OpenError::Io { path, source },
        }
    }

    /// Damage of `file` in the data folder `folder`.
    pub(super) fn damaged(file: &Path, folder: &Path, why: impl Into<String>) -> Self {
        let repair = format!(
            "rm -r '{}' (remove this node's data folder, so that it joins anew under a new key, while a majority of voters is \
             healthy; its name is free again once the old member has left or was evicted)",
            folder.display()
        );
        OpenError::Damaged { file: file.to_path_buf(), why: why.into(), repair }
    }

    /// Damage of the Raft data, named by `file`. The node's key and name are not touched by it.
    pub(super) fn damaged_log(file: &Path, raft_data: &[PathBuf; 2], why: String) -> Self {
        let [log, snapshots] = raft_data.each_ref().map(|place| place.display());
        let repair = format!(
            "rm -rf '{log}' '{snapshots}' (remove this node's Raft data, so that it joins anew under its key and name, while a \
             majority of voters is healthy)"
        );
        OpenError::Damaged { file: file.to_path_buf(), why, repair }
    }
}

fn by_whom(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" by process {pid}"))
}

/// Why something could not be kept. After any of these the storage refuses everything: what the disk
/// holds of the failed call is unknown until it is opened again, and an fsync that failed once tells
/// nothing when it is called again.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The disk, or the quota, is full. What was acknowledged is still there.
    #[error("no space left for {}; free some, then start the node again", path.display())]
    Full {
        /// What was written.
        path: PathBuf,
    },
    /// The disk takes nothing more, as a system does with one that failed, or an operator with one that is looked at. What was
    /// acknowledged is still there.
    #[error(
        "{}: its disk is read-only now; find out why (the kernel says so where a disk fails), make it writable, then start the node again",
        path.display()
    )]
    ReadOnly {
        /// What was written.
        path: PathBuf,
    },
    /// The disk failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An earlier call failed. Nothing was tried.
    #[error("the storage failed before and takes nothing more; start the node again")]
    Failed,
    /// The writes do not fit what is kept: a bug of this program. None of the write at fault was done.
    #[error("writes that do not fit together: {why}")]
    Unfit {
        /// What does not fit.
        why: &'static str,
    },
}

impl WriteError {
    /// What the system said about `path`.
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => WriteError::Full { path },
            io::ErrorKind::ReadOnlyFilesystem => WriteError::ReadOnly { path },
            _ => WriteError::Io { path, source },
        }
    }
}
