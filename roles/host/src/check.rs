//! Checking host files without running anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hivemind_core::ids::NodeName;

use crate::file::{FileError, Problem, Rules};
use crate::folder::{Content, Folder, is_host_file};
use crate::parts::Parts;
use crate::watch::scan;

/// What is wrong with some host files. Shown as one line per mistake: `file:line: key: message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How many files were looked at.
    pub files: usize,
    /// Every mistake, by file and line.
    pub errors: Vec<FileError>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.errors.iter().try_for_each(|error| writeln!(f, "{error}"))
    }
}

/// Checks files, and the host files of folders, each as a host of its own: a host name may stand in one of them only.
/// What is named is checked whatever its name ends in. A named folder without any host file is a mistake:
/// whoever named it expects something to be checked.
pub fn check(paths: &[PathBuf], rules: &Rules) -> Report {
    let named = Named::read(paths);
    let files = named.contents.len();
    let errors = Folder::new(rules.clone()).update_all(named.contents, &BTreeSet::new()).errors;
    report(files, errors, named.empty)
}

/// As [`check`], as the parts of the one host `name`.
pub fn check_parts(paths: &[PathBuf], name: &NodeName, rules: &Rules) -> Report {
    let named = Named::read(paths);
    let files = named.contents.len();
    let errors = Parts::new(name.clone(), rules.clone()).update_all(named.contents, &BTreeSet::new()).errors;
    report(files, errors, named.empty)
}

fn report(files: usize, mut errors: Vec<FileError>, empty: Vec<FileError>) -> Report {
    errors.extend(empty);
    // Stable: the mistakes of one file stay in the order of its lines.
    errors.sort_by(|a, b| a.file.cmp(&b.file));
    Report { files, errors }
}

/// What stands where something was named.
struct Named {
    contents: BTreeMap<PathBuf, Content>,
    /// Folders without host files.
    empty: Vec<FileError>,
}

impl Named {
    fn read(paths: &[PathBuf]) -> Named {
        let mut named = Named { contents: BTreeMap::new(), empty: Vec::new() };
        for path in paths {
            match host_files(path) {
                Ok(files) if files.is_empty() => {
                    let problem = Problem::NoHostFile;
                    named.empty.push(FileError { file: path.clone(), line: 1, column: 1, key: String::new(), problem });
                }
                Ok(files) => named.contents.extend(files.into_iter().map(|file| (file.clone(), read(&file)))),
                Err(error) => {
                    named.contents.insert(path.clone(), Content::Unreadable { reason: error.to_string() });
                }
            }
        }
        named
    }
}

fn host_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries: Vec<PathBuf> = fs::read_dir(path)?.map(|entry| Ok(path.join(entry?.file_name()))).collect::<io::Result<_>>()?;
    Ok(entries.into_iter().filter(|entry| is_host_file(entry)).collect())
}

fn read(path: &Path) -> Content {
    let content = fs::metadata(path).and_then(|metadata| scan::read(path, &metadata));
    content.unwrap_or_else(|error| Content::Unreadable { reason: error.to_string() })
}
