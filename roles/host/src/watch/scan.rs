//! Listing and reading a folder, and reading again only what may have moved.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::file::MAX_FILE;
use crate::folder::{Content, is_host_file};

/// What tells one state of a file from another without reading it: device, inode, size and both times.
type Signature = (u64, u64, u64, (i64, i64), (i64, i64));

fn signature(metadata: &Metadata) -> Signature {
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    let changed = (metadata.ctime(), metadata.ctime_nsec());
    (metadata.dev(), metadata.ino(), metadata.size(), modified, changed)
}

/// What a scan must read even where nothing seems to have moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reread {
    /// These files: something was heard of them, perhaps within one tick of the file system's clock.
    Named(BTreeSet<PathBuf>),
    /// All files: what was heard is not complete.
    All,
}

/// What is known of the files of a folder since the last scan.
#[derive(Debug)]
pub(super) struct Scanner {
    folder: PathBuf,
    known: BTreeMap<PathBuf, Option<Signature>>,
}

/// What a scan found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Files that are new or may say something else.
    pub(super) read: BTreeMap<PathBuf, Content>,
    /// Files that are gone.
    pub(super) gone: BTreeSet<PathBuf>,
}

impl Scanner {
    pub(super) fn new(folder: PathBuf) -> Self {
        Scanner { folder, known: BTreeMap::new() }
    }

    /// Lists the folder, following symbolic links, and reads what moved. On an error nothing is
    /// forgotten: a folder that can not be listed is not an empty folder.
    pub(super) fn scan(&mut self, reread: &Reread) -> io::Result<Scan> {
        let mut scan = Scan::default();
        let mut present = BTreeSet::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = self.folder.join(entry?.file_name());
            if !is_host_file(&path) {
                continue;
            }
            match self.look(&path, reread) {
                Look::Absent => continue,
                Look::Same => {}
                Look::Read(signature, content) => {
                    self.known.insert(path.clone(), signature);
                    scan.read.insert(path.clone(), content);
                }
            }
            present.insert(path);
        }
        scan.gone = self.known.keys().filter(|path| !present.contains(*path)).cloned().collect();
        self.known.retain(|path, _| present.contains(path));
        Ok(scan)
    }

    fn look(&self, path: &Path, reread: &Reread) -> Look {
        let metadata = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => return Look::Absent,
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Look::Absent,
            Err(error) => return Look::Read(None, unreadable(&error)),
        };
        let signature = signature(&metadata);
        let is_named = match reread {
            Reread::Named(paths) => paths.contains(path),
            Reread::All => true,
        };
        if !is_named && self.known.get(path) == Some(&Some(signature)) {
            return Look::Same;
        }
        match read(path, &metadata) {
            Ok(content) => Look::Read(Some(signature), content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Look::Absent,
            Err(error) => Look::Read(None, unreadable(&error)),
        }
    }
}

/// What one look at a file found.
enum Look {
    Absent,
    Same,
    Read(Option<Signature>, Content),
}

fn unreadable(error: &io::Error) -> Content {
    Content::Unreadable { reason: error.to_string() }
}

/// Reads at most one octet more than a host file may have. A pipe or device is never opened: it could block.
pub(crate) fn read(path: &Path, metadata: &Metadata) -> io::Result<Content> {
    if !metadata.is_file() {
        return Ok(Content::Unreadable { reason: "it is not a regular file".to_owned() });
    }
    let mut octets = Vec::new();
    File::open(path)?.take(MAX_FILE as u64 + 1).read_to_end(&mut octets)?;
    if octets.len() > MAX_FILE {
        return Ok(Content::TooLarge { octets: metadata.len().max(octets.len() as u64) });
    }
    Ok(Content::Octets(octets))
}
