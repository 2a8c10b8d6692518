//! What was said of wrong files, so that nothing is said twice.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::file::FileError;
use crate::folder::FolderChange;

/// What was reported last, by file.
#[derive(Debug, Default)]
pub(crate) struct Reported(BTreeMap<PathBuf, Vec<FileError>>);

impl Reported {
    /// Takes in all that is wrong now, and tells `change` of it: mistakes that are new, and files that have none any more.
    pub(crate) fn update(&mut self, current: Vec<FileError>, change: &mut FolderChange) {
        let mut by_file: BTreeMap<PathBuf, Vec<FileError>> = BTreeMap::new();
        for error in current {
            by_file.entry(error.file.clone()).or_default().push(error);
        }
        change.corrected.extend(self.0.keys().filter(|file| !by_file.contains_key(*file)).cloned());
        let is_new = |error: &&FileError| !self.0.get(&error.file).is_some_and(|known| known.contains(error));
        change.errors.extend(by_file.values().flatten().filter(is_new).cloned());
        self.0 = by_file;
    }
}
