//! What may be rebuilt, in sled. Nothing here ever stops a node: a cache that does not open, is damaged
//! or can not be written is set aside, and the node resyncs.

use std::fs;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use thiserror::Error;

/// A folder that was set aside is named after the cache, with this and a number.
const SET_ASIDE: &str = ".damaged-";
const CHECKSUM: usize = 4;

/// Why a cache is given up.
#[derive(Debug, Error)]
enum CacheError {
    #[error("sled: {0}")]
    Sled(#[from] sled::Error),
    #[error("sled panicked")]
    Panic,
    #[error("a record is not what was written")]
    Record,
    #[error("a crash left {0:?} behind")]
    Unfinished(PathBuf),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// One change, in the order in which they are made.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Sets or removes a record.
    Put(Bytes, Option<Bytes>),
    /// Removes all.
    Clear,
}

/// The records.
#[derive(Debug)]
pub(super) struct Cache {
    dir: PathBuf,
    /// None where not even a new one could be made, or since one failed.
    db: Option<sled::Db>,
}

type Records = Vec<(Bytes, Bytes)>;

impl Cache {
    /// Opens the cache at `dir` with `memory` bytes, and reads all that is in it. Where that fails, the
    /// folder is set aside, and the cache is a new one.
    pub(super) fn open(dir: PathBuf, memory: u64) -> (Self, Records) {
        match contained(|| open(&dir, memory)) {
            Ok((db, records)) => return (Cache { dir, db: Some(db) }, records),
            Err(error) => tracing::warn!(folder = %dir.display(), %error, "the cache is set aside, and rebuilt"),
        }
        let anew = set_aside(&dir).map_err(CacheError::from).and_then(|()| contained(|| open(&dir, memory)));
        match anew {
            Ok((db, _)) => (Cache { dir, db: Some(db) }, Vec::new()),
            Err(error) => {
                tracing::warn!(folder = %dir.display(), %error, "the node goes on without a cache");
                (Cache { dir, db: None }, Vec::new())
            }
        }
    }

    /// Makes `changes`, in their order. After a failure the cache takes no more, and what it held is set
    /// aside: half of a change must not be found again.
    pub(super) fn apply(&mut self, changes: Vec<Change>) {
        let Some(db) = self.db.as_ref().filter(|_| !changes.is_empty()) else {
            return;
        };
        if let Err(error) = contained(|| write(db, changes)) {
            self.db = None;
            let aside = set_aside(&self.dir);
            tracing::warn!(folder = %self.dir.display(), %error, ?aside, "the cache failed; the node goes on without");
        }
    }
}

fn open(dir: &Path, memory: u64) -> Result<(sled::Db, Records), CacheError> {
    // sled may not open where one of these was left behind (its issue 1533).
    if let Some(unfinished) = unfinished(dir)? {
        return Err(CacheError::Unfinished(unfinished));
    }
    let db = sled::Config::new().path(dir).cache_capacity(memory).flush_every_ms(None).open()?;
    let mut records = Vec::new();
    for record in db.iter() {
        let (key, stored) = record?;
        let value = checked(&key, &stored).ok_or(CacheError::Record)?;
        records.push((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(value)));
    }
    Ok((db, records))
}

fn unfinished(dir: &Path) -> io::Result<Option<PathBuf>> {
    if !dir.exists() {
        return Ok(None);
    }
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "generating") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn write(db: &sled::Db, changes: Vec<Change>) -> Result<(), CacheError> {
    let mut batch = sled::Batch::default();
    for change in changes {
        match change {
            Change::Put(key, Some(value)) => batch.insert(key.as_ref(), stored(&key, &value)),
            Change::Put(key, None) => batch.remove(key.as_ref()),
            Change::Clear => {
                batch = sled::Batch::default();
                db.clear()?;
            }
        }
    }
    db.apply_batch(batch)?;
    db.flush()?;
    Ok(())
}

fn stored(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(CHECKSUM + value.len());
    stored.extend_from_slice(&checksum(key, value));
    stored.extend_from_slice(value);
    stored
}

fn checked<'a>(key: &[u8], stored: &'a [u8]) -> Option<&'a [u8]> {
    let (found, value) = stored.split_first_chunk::<CHECKSUM>()?;
    (*found == checksum(key, value)).then_some(value)
}

fn checksum(key: &[u8], value: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(value);
    hasher.finalize().to_le_bytes()
}

/// Moves the folder to `cache.damaged-N`. One is kept, for whoever wants to know why.
fn set_aside(dir: &Path) -> io::Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    let parent = dir.parent().expect("it stands in the data folder");
    let prefix = format!("{}{SET_ASIDE}", dir.file_name().expect("it has a name").to_string_lossy());
    let mut last = 0;
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        if let Some(number) =
            entry.file_name().to_str().and_then(|name| name.strip_prefix(&prefix)).and_then(|number| number.parse::<u64>().ok())
        {
            last = last.max(number);
            fs::remove_dir_all(entry.path())?;
        }
    }
    fs::rename(dir, parent.join(format!("{prefix}{}", last + 1)))
}

/// sled panics on some damage; here that is an error like any other.
fn contained<T>(act: impl FnOnce() -> Result<T, CacheError>) -> Result<T, CacheError> {
    panic::catch_unwind(AssertUnwindSafe(act)).unwrap_or(Err(CacheError::Panic))
}
