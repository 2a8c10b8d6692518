//! Where a node has the authority's key, if it has it: voters do. While one authority follows another, it has the keys of both.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use hivemind_core::ids::Digest256;

use crate::authority::{Authority, AuthorityFolderError};

/// In the data folder.
const FOLDER: &str = "authority";
/// In that one: the authority that is to follow.
const NEXT: &str = "next";

/// The authorities that this node can issue by.
#[derive(Debug)]
pub(crate) struct Safe {
    held: RwLock<Held>,
    /// Where they are kept, if they are.
    folder: Option<PathBuf>,
    /// Whether the program that embeds the node has the authority: it stays as it is.
    is_given: bool,
    /// Files are changed by one at a time.
    files: Mutex<()>,
    /// One rotation is asked for at a time: another one would put its key in the place of the first one's.
    pub(crate) rotating: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug, Default)]
struct Held {
    present: Option<Arc<Authority>>,
    next: Option<Arc<Authority>>,
}

impl Safe {
    /// One whose owner has the authority.
    pub(crate) fn of(authority: Arc<Authority>) -> Self {
        let held = Held { present: Some(authority), next: None };
        Safe { held: RwLock::new(held), folder: None, is_given: true, files: Mutex::new(()), rotating: Default::default() }
    }

    /// One that keeps authorities in a data folder, and finds them there.
    pub(crate) fn open(data: Option<&PathBuf>) -> Result<Self, AuthorityFolderError> {
        let folder = data.map(|data| data.join(FOLDER));
        let held = folder.as_deref().map(found).transpose()?.unwrap_or_default();
        Ok(Safe { held: RwLock::new(held), folder, is_given: false, files: Mutex::new(()), rotating: Default::default() })
    }

    /// Whether it keeps anything on disk.
    pub(crate) fn keeps(&self) -> bool {
        self.folder.is_some()
    }

    /// Whether what it has is the embedding program's, and can not be followed by another one.
    pub(crate) fn is_given(&self) -> bool {
        self.is_given
    }

    /// The authority that this node issues by.
    pub(crate) fn authority(&self) -> Option<Arc<Authority>> {
        self.held().present
    }

    /// One of those that it has.
    pub(crate) fn find(&self, authority: Digest256) -> Option<Arc<Authority>> {
        let Held { present, next } = self.held();
        present.into_iter().chain(next).find(|one| one.digest() == authority)
    }

    /// The one that is to follow.
    pub(crate) fn next(&self) -> Option<Arc<Authority>> {
        self.held().next
    }

    /// Keeps the first one that this node issues by; any other one follows.
    pub(crate) fn put(&self, authority: Arc<Authority>) -> Result<(), AuthorityFolderError> {
        let _alone = self.alone();
        self.write(authority)
    }

    fn write(&self, authority: Arc<Authority>) -> Result<(), AuthorityFolderError> {
        if let Some(folder) = &self.folder {
            authority.save(folder)?;
        }
        self.change(|held| held.present = Some(authority));
        Ok(())
    }

    /// Keeps the one that is to follow, in place of any other that was to.
    pub(crate) fn put_next(&self, authority: Arc<Authority>) -> Result<(), AuthorityFolderError> {
        let _alone = self.alone();
        if let Some(folder) = &self.folder {
            let folder = folder.join(NEXT);
            remove(&folder)?;
            authority.save(&folder)?;
        }
        self.change(|held| held.next = Some(authority));
        Ok(())
    }

    /// Issues from now on by the one that was to follow; the key of the one before it is gone.
    pub(crate) fn follow(&self) -> Result<(), AuthorityFolderError> {
        let _alone = self.alone();
        let Some(next) = self.held().next else { return Ok(()) };
        self.write(next)?;
        if let Some(folder) = &self.folder {
            remove(&folder.join(NEXT))?;
        }
        self.change(|held| held.next = None);
        Ok(())
    }

    /// Has none any more.
    pub(crate) fn empty(&self) -> Result<(), AuthorityFolderError> {
        let _alone = self.alone();
        self.folder.as_deref().map(remove).transpose()?;
        self.change(|held| *held = Held::default());
        Ok(())
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> Held {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Held)) {
        change(&mut self.held.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// What a crash may have left: the next one is whole until the present one is, and one without its key was about to be removed.
fn found(folder: &Path) -> Result<Held, AuthorityFolderError> {
    let load = |folder: &Path| if Authority::key_file(folder).exists() { Authority::load(folder) } else { Ok(None) };
    match (load(folder), load(&folder.join(NEXT))) {
        (Ok(present), Ok(next)) => Ok(Held { present: present.map(Arc::new), next: next.map(Arc::new) }),
        // It ended between the two files of the present one, or before the next one was whole: that was not told to anybody yet.
        (Err(AuthorityFolderError::Damaged { .. }), Ok(Some(next))) => {
            next.save(folder)?;
            Ok(Held { present: Some(Arc::new(next)), next: None })
        }
        (Ok(present), Err(AuthorityFolderError::Damaged { .. })) => {
            remove(&folder.join(NEXT))?;
            Ok(Held { present: present.map(Arc::new), next: None })
        }
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

/// With everything in it, keys first: where it is cut short, no key is left behind.
fn remove(folder: &Path) -> Result<(), AuthorityFolderError> {
    for key in [Authority::key_file(&folder.join(NEXT)), Authority::key_file(folder)] {
        gone(&key, fs::remove_file(&key))?;
    }
    gone(folder, fs::remove_dir_all(folder))
}

fn gone(path: &Path, removed: io::Result<()>) -> Result<(), AuthorityFolderError> {
    match removed {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(AuthorityFolderError::Io { path: path.to_owned(), source }),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use hivemind_core::ids::ClusterId;

    use super::*;

    fn digest(authority: Option<Arc<Authority>>) -> Option<Digest256> {
        authority.map(|one| one.digest())
    }

    #[test]
    fn one_follows_the_other_and_is_found_again_wherever_it_was_stopped() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().to_owned();
        let open = || Safe::open(Some(&folder)).unwrap();
        let one = Arc::new(Authority::new(ClusterId(1)).unwrap());
        let two = Arc::new(one.successor().unwrap());
        open().put(one.clone()).unwrap();
        assert_eq!(digest(open().authority()), Some(one.digest()));
        assert!(open().find(two.digest()).is_none());
        open().put_next(two.clone()).unwrap();
        assert_eq!(digest(open().authority()), Some(one.digest()), "it is not its turn yet");
        assert!(open().find(two.digest()).is_some());

        // The process ended when the new key was written over the old one, and the certificate was not.
        let (from, to) = (folder.join(FOLDER).join(NEXT), folder.join(FOLDER));
        fs::copy(from.join("authority.key"), to.join("authority.key")).unwrap();
        let safe = open();
        assert_eq!(digest(safe.authority()), Some(two.digest()));
        assert!(safe.authority().unwrap().bridge().is_some(), "the bridge is kept with it");

        open().follow().unwrap();
        assert_eq!(digest(open().authority()), Some(two.digest()));
        assert!(open().find(one.digest()).is_none() && !from.exists(), "the former key is nowhere any more");
    }

    #[test]
    fn one_that_is_half_written_is_no_loss_and_an_emptied_safe_has_nothing() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().to_owned();
        let one = Arc::new(Authority::new(ClusterId(1)).unwrap());
        let safe = Safe::open(Some(&folder)).unwrap();
        safe.put(one.clone()).unwrap();
        safe.put_next(Arc::new(one.successor().unwrap())).unwrap();
        fs::write(folder.join(FOLDER).join(NEXT).join("authority.pem"), "half").unwrap();
        let safe = Safe::open(Some(&folder)).unwrap();
        assert_eq!(digest(safe.authority()), Some(one.digest()));
        safe.empty().unwrap();
        assert!(safe.authority().is_none());
        assert!(Safe::open(Some(&folder)).unwrap().authority().is_none());
    }
}
