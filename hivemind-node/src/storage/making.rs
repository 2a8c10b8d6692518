//! A data folder that is being made for a new cluster: until all of it is there, a mark in it says that nobody knows it yet.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::error::OpenError;
use super::folder::{self, UNFINISHED as MARK};
use super::sealed;

/// A folder that is being made. Dropping it leaves the mark: whoever begins again clears the folder first.
#[derive(Debug)]
pub(crate) struct Making {
    path: PathBuf,
    cleared: bool,
    /// The lock goes with the file.
    _mark: File,
}

impl Making {
    /// Marks an empty folder, which is made where it is missing; one whose making was cut short is emptied first. `None` where there is
    /// something else in it, which is left untouched.
    ///
    /// # Errors
    /// [`OpenError`]: the disk's, or another process makes the folder right now.
    pub(crate) fn begin(path: &Path) -> Result<Option<Self>, OpenError> {
        folder::create(path)?;
        let held = folder::names(path)?;
        let is_marked = held.iter().any(|name| name == MARK);
        if !is_marked && !held.is_empty() {
            return Ok(None);
        }
        let place = path.join(MARK);
        let failed = |error| OpenError::io(&place, error);
        let mark = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&place).map_err(failed)?;
        match mark.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path: path.to_path_buf(), by: None }),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // What another process may have begun and left since is cleared too.
        for name in folder::names(path)?.iter().filter(|name| *name != MARK) {
            let inside = path.join(name);
            remove(&inside).map_err(|error| OpenError::io(&inside, error))?;
        }
        sealed::sync_folder(path).map_err(|error| OpenError::io(path, error))?;
        Ok(Some(Making { path: path.to_path_buf(), cleared: is_marked, _mark: mark }))
    }

    /// As [`begin`](Self::begin), where the folder's making was cut short; nothing is done to any other one. Whether it was.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn undo(path: &Path) -> Result<bool, OpenError> {
        if !path.join(MARK).exists() {
            return Ok(false);
        }
        if let Some(making) = Making::begin(path)? {
            making.end()?;
        }
        Ok(true)
    }

    /// Whether the remains of an earlier try were removed.
    pub(crate) fn cleared(&self) -> bool {
        self.cleared
    }

    /// All is there: takes the mark away.
    ///
    /// # Errors
    /// [`OpenError`]: the disk's.
    pub(crate) fn end(self) -> Result<(), OpenError> {
        settle(&self.path)
    }
}

/// Takes the mark away where it is: of a folder that is whole, since its daemon runs on it.
///
/// # Errors
/// [`OpenError`]: the disk's.
pub(crate) fn settle(path: &Path) -> Result<(), OpenError> {
    let place = path.join(MARK);
    match fs::remove_file(&place) {
        Ok(()) => sealed::sync_folder(path).map_err(|error| OpenError::io(path, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(OpenError::io(&place, error)),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_short_is_cleared_and_nothing_else_is() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("data");
        let first = Making::begin(&path).unwrap().unwrap();
        assert!(!first.cleared());
        assert!(matches!(Making::begin(&path), Err(OpenError::InUse { .. })), "it is being made");
        fs::create_dir(path.join("raft")).unwrap();
        fs::write(path.join("identity"), b"half").unwrap();
        drop(first);
        let second = Making::begin(&path).unwrap().unwrap();
        assert!(second.cleared() && !path.join("raft").exists() && !path.join("identity").exists());
        fs::write(path.join("identity"), b"whole").unwrap();
        second.end().unwrap();
        assert!(Making::begin(&path).unwrap().is_none() && !Making::undo(&path).unwrap());
        assert_eq!(fs::read(path.join("identity")).unwrap(), b"whole");
        fs::write(path.join(MARK), b"").unwrap();
        settle(&path).unwrap();
        settle(&path).unwrap();
        assert!(Making::begin(&path).unwrap().is_none(), "its daemon has run");
    }

    #[test]
    fn a_folder_that_was_cut_short_is_emptied_for_another_use() {
        let place = tempfile::tempdir().unwrap();
        drop(Making::begin(place.path()).unwrap());
        fs::write(place.path().join("identity"), b"half").unwrap();
        assert!(Making::undo(place.path()).unwrap());
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
