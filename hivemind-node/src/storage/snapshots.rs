//! Snapshots of the control plane's applied state: one sealed file each, named by its last entry.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hivemind_core::storage::LogSnapshot;
use hivemind_core::wire::codec;
use serde::{Deserialize, Serialize};

use super::error::{OpenError, WriteError};
use super::folder;
use super::raft_log::Group;
use super::sealed::{self, Kind, SealError};

const SUFFIX: &str = ".snapshot";

/// The last entry of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Its index.
    pub(super) index: u64,
    /// Its term.
    pub(super) term: u64,
}

#[derive(Serialize, Deserialize)]
struct Head {
    group: Group,
    mark: Mark,
}

/// One file of the folder.
#[derive(Debug)]
pub(super) struct Found {
    /// Where it stands.
    pub(super) path: PathBuf,
    /// By its name.
    pub(super) mark: Mark,
}

/// The folder of the snapshots.
#[derive(Debug)]
pub(super) struct Snapshots {
    dir: PathBuf,
}

impl Snapshots {
    /// The folder at `dir`, which is made with the first snapshot. What was never finished is removed.
    ///
    /// # Errors
    /// [`OpenError`]: the disk failed.
    pub(super) fn open(dir: PathBuf) -> Result<Self, OpenError> {
        for path in files(&dir).map_err(|error| OpenError::io(&dir, error))? {
            if path.to_string_lossy().ends_with(sealed::TEMPORARY) {
                sealed::remove(&path).map_err(|error| OpenError::io(&path, error))?;
            }
        }
        Ok(Snapshots { dir })
    }

    /// The snapshots, the newest first.
    ///
    /// # Errors
    /// What the system said.
    pub(super) fn list(&self) -> io::Result<Vec<Found>> {
        let mut found: Vec<Found> =
            files(&self.dir)?.into_iter().filter_map(|path| parse(&path).map(|mark| Found { path, mark })).collect();
        found.sort_unstable_by_key(|found| std::cmp::Reverse(found.mark));
        Ok(found)
    }

    /// Where the snapshot up to `mark` stands.
    pub(super) fn place(&self, mark: Mark) -> PathBuf {
        self.dir.join(format!("{:020}-{:020}{SUFFIX}", mark.index, mark.term))
    }

    /// Writes a snapshot beside those that are there; durable when this returns.
    ///
    /// # Errors
    /// [`WriteError`]: the disk failed.
    pub(super) fn write(&self, group: Group, snapshot: &LogSnapshot) -> Result<(), WriteError> {
        let mark = Mark { index: snapshot.index, term: snapshot.term };
        let path = self.place(mark);
        let file = sealed::seal(Kind::Snapshot, &[&codec::encode(&Head { group, mark }), &snapshot.bytes]);
        self.make().and_then(|()| sealed::replace(&path, &file)).map_err(|error| WriteError::io(&path, error))
    }

    fn make(&self) -> io::Result<()> {
        if self.dir.is_dir() {
            return Ok(());
        }
        folder::create_private(&self.dir)?;
        sealed::sync_folder(self.dir.parent().expect("it stands in the data folder"))
    }

    /// Removes all but the newest `keep`.
    ///
    /// # Errors
    /// [`WriteError`]: the disk failed.
    pub(super) fn prune(&self, keep: usize) -> Result<(), WriteError> {
        let failed = |error| WriteError::io(&self.dir, error);
        self.list().map_err(failed)?.iter().skip(keep).try_for_each(|old| sealed::remove(&old.path)).map_err(failed)
    }
}

/// Reads a snapshot of `group` from a file; `None` where it is of another group.
///
/// # Errors
/// [`SealError`]: damaged. An unreadable file counts as one.
pub(super) fn read(found: &Found, group: Group) -> Result<Option<LogSnapshot>, SealError> {
    let file = fs::read(&found.path).map_err(|_| SealError::Content)?;
    let body = sealed::unseal(Kind::Snapshot, &file)?;
    let (head, taken) = codec::decode_prefix::<Head, 1024>(body).map_err(|_| SealError::Content)?;
    if head.mark != found.mark {
        return Err(SealError::Content);
    }
    let bytes = Bytes::copy_from_slice(&body[taken..]);
    Ok((head.group == group).then_some(LogSnapshot { index: head.mark.index, term: head.mark.term, bytes }))
}

fn parse(path: &Path) -> Option<Mark> {
    let (index, term) = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?.split_once('-')?;
    Some(Mark { index: index.parse().ok()?, term: term.parse().ok()? })
}

fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
