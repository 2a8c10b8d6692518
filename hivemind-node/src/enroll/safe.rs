//! Where a node has the authority's key, if it has it: voters do.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use crate::authority::{Authority, AuthorityFolderError};

/// In the data folder.
const FOLDER: &str = "authority";

/// The authority, once this node has it.
#[derive(Debug)]
pub(crate) struct Safe {
    authority: RwLock<Option<Arc<Authority>>>,
    /// Where it is kept; `None` where its owner keeps it elsewhere, or nothing is kept.
    folder: Option<PathBuf>,
}

impl Safe {
    /// One whose owner has the authority.
    pub(crate) fn of(authority: Arc<Authority>) -> Self {
        Safe { authority: RwLock::new(Some(authority)), folder: None }
    }

    /// One that keeps the authority in a data folder, and finds it there.
    pub(crate) fn open(data: Option<&PathBuf>) -> Result<Self, AuthorityFolderError> {
        let folder = data.map(|data| data.join(FOLDER));
        let found = folder.as_deref().map(Authority::load).transpose()?.flatten();
        Ok(Safe { authority: RwLock::new(found.map(Arc::new)), folder })
    }

    /// Whether it keeps anything on disk.
    pub(crate) fn keeps(&self) -> bool {
        self.folder.is_some()
    }

    pub(crate) fn authority(&self) -> Option<Arc<Authority>> {
        self.authority.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps it.
    pub(crate) fn put(&self, authority: Arc<Authority>) -> Result<(), AuthorityFolderError> {
        if let Some(folder) = &self.folder {
            authority.save(folder)?;
        }
        *self.authority.write().unwrap_or_else(PoisonError::into_inner) = Some(authority);
        Ok(())
    }
}
