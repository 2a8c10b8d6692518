//! A folder of host files as a set of hosts, one a file: pure, over whatever lists and reads the files.
//!
//! A wrong file never takes its host away: what it last said rightly stays in force until the file is
//! right again or gone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hivemind_core::ids::NodeName;

use crate::file::{self, FileError, HostFile, Naming, PlacedHost, Problem, Rules};
use crate::reported::Reported;

/// What a host file holds, as far as it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Its octets.
    Octets(Vec<u8>),
    /// It is larger than [`file::MAX_FILE`] and was not read.
    TooLarge {
        /// Its size.
        octets: u64,
    },
    /// It is there, and can not be read.
    Unreadable {
        /// What the operating system says.
        reason: String,
    },
}

/// What moved since the last change, in the terms of whoever publishes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FolderChange {
    /// Hosts that are new or say something else than before, by name.
    pub changed: Vec<HostFile>,
    /// Hosts that are gone.
    pub removed: Vec<NodeName>,
    /// Mistakes that were not reported yet, by file and line.
    pub errors: Vec<FileError>,
    /// Files that had mistakes and have none any more, be it that they are gone.
    pub corrected: Vec<PathBuf>,
}

impl FolderChange {
    /// Whether nothing moved.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty() && self.errors.is_empty() && self.corrected.is_empty()
    }
}

/// Whether a file of this name is a host file: `*.toml`, but no dotfile and nothing that editors leave
/// behind (`web1.toml~`, `.web1.toml.swp`, `#web1.toml#`).
pub fn is_host_file(name: &Path) -> bool {
    let Some(name) = name.file_name().and_then(|name| name.to_str()) else {
        return false;
    };
    !name.starts_with(['.', '#']) && name.len() > ".toml".len() && name.ends_with(".toml")
}

/// The hosts of one folder.
#[derive(Debug)]
pub struct Folder {
    rules: Rules,
    files: BTreeMap<PathBuf, FileState>,
    reported: Reported,
}

/// What is known of one file.
#[derive(Debug, Default)]
struct FileState {
    /// What it last said rightly; it may still lose its name to another file.
    wanted: Option<HostFile>,
    /// Line and column where that names the host.
    name_place: (usize, usize),
    /// What of it is in force. At most one file is in force under a name.
    in_force: Option<HostFile>,
    /// What is wrong with its present content.
    mistakes: Vec<FileError>,
}

impl Folder {
    /// A folder without files.
    pub fn new(rules: Rules) -> Self {
        Folder { rules, files: BTreeMap::new(), reported: Reported::default() }
    }

    /// The hosts in force, by name.
    pub fn hosts(&self) -> BTreeMap<&NodeName, &HostFile> {
        self.files.values().filter_map(|state| state.in_force.as_ref()).map(|host| (&host.name, host)).collect()
    }

    /// Takes in what was read anew and what is gone. Files that are named in neither stay as they are.
    /// Names that are not of host files are passed over.
    pub fn update(&mut self, mut read: BTreeMap<PathBuf, Content>, gone: &BTreeSet<PathBuf>) -> FolderChange {
        read.retain(|path, _| is_host_file(path));
        self.update_all(read, gone)
    }

    /// As [`update`](Self::update), whatever the files are called.
    pub(crate) fn update_all(&mut self, read: BTreeMap<PathBuf, Content>, gone: &BTreeSet<PathBuf>) -> FolderChange {
        let before: BTreeMap<NodeName, HostFile> = self.hosts().into_iter().map(|(name, host)| (name.clone(), host.clone())).collect();
        let mut change = FolderChange::default();
        self.files.retain(|path, _| !gone.contains(path));
        for (path, content) in read {
            let parsed = parse_content(&path, &content, &self.rules);
            let state = self.files.entry(path).or_default();
            match parsed {
                Ok(PlacedHost { host, name_place, .. }) => {
                    state.wanted = Some(host);
                    state.name_place = name_place;
                    state.mistakes.clear();
                }
                Err(mistakes) => state.mistakes = mistakes,
            }
        }
        let refused = self.resolve();
        self.report(&refused, &mut change);
        let after = self.hosts();
        change.changed = after.values().filter(|host| before.get(&host.name) != Some(**host)).map(|host| (*host).clone()).collect();
        change.removed = before.keys().filter(|name| !after.contains_key(name)).cloned().collect();
        change
    }

    /// Decides which file has each name, and says which files were refused theirs.
    ///
    /// All files start with what they want. Where two want one name, the one that has it keeps it, else
    /// the first in the order of file names gets it; the other falls back to what it has in force, which
    /// may in turn push another back. Each round pushes at least one file back, and a file that stands on
    /// what it has in force is never pushed, so this ends.
    fn resolve(&mut self) -> BTreeMap<PathBuf, PathBuf> {
        let mut refused: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
        loop {
            let mut holders: BTreeMap<&NodeName, &PathBuf> = BTreeMap::new();
            for (path, state) in &self.files {
                let Some(host) = state.standing(refused.contains_key(path)) else { continue };
                let holder = holders.entry(&host.name).or_insert(path);
                if state.has(&host.name) {
                    *holder = path;
                }
            }
            let pushed: Vec<(PathBuf, PathBuf)> = self
                .files
                .iter()
                .filter(|(path, _)| !refused.contains_key(*path))
                .filter_map(|(path, state)| {
                    let holder = holders.get(&state.wanted.as_ref()?.name)?;
                    (*holder != path).then(|| (path.clone(), (*holder).clone()))
                })
                .collect();
            if pushed.is_empty() {
                break;
            }
            refused.extend(pushed);
        }
        for (path, state) in &mut self.files {
            if !refused.contains_key(path) {
                state.in_force.clone_from(&state.wanted);
            }
        }
        refused
    }

    fn report(&mut self, refused: &BTreeMap<PathBuf, PathBuf>, change: &mut FolderChange) {
        let of_file = |(path, state): (&PathBuf, &FileState)| {
            let taken = refused.get(path).zip(state.wanted.as_ref()).map(|(other, host)| FileError {
                file: path.clone(),
                line: state.name_place.0,
                column: state.name_place.1,
                key: "name".to_owned(),
                problem: Problem::NameTaken { name: host.name.to_string(), other: other.clone() },
            });
            state.mistakes.iter().cloned().chain(taken).collect::<Vec<_>>()
        };
        self.reported.update(self.files.iter().flat_map(of_file).collect(), change);
    }
}

impl FileState {
    /// What the file stands for: what it wants, or, where that was refused, what it has.
    fn standing(&self, is_refused: bool) -> Option<&HostFile> {
        if is_refused { self.in_force.as_ref() } else { self.wanted.as_ref() }
    }

    fn has(&self, name: &NodeName) -> bool {
        self.in_force.as_ref().is_some_and(|host| &host.name == name)
    }
}

fn parse_content(path: &Path, content: &Content, rules: &Rules) -> Result<PlacedHost, Vec<FileError>> {
    match content {
        Content::Octets(octets) => file::parse_placed(path, octets, Naming::ByFile, rules),
        Content::TooLarge { .. } | Content::Unreadable { .. } => Err(content_errors(path, content)),
    }
}

/// What is wrong where there are no octets.
pub(crate) fn content_errors(path: &Path, content: &Content) -> Vec<FileError> {
    let problem = match content {
        Content::Octets(_) => return Vec::new(),
        Content::TooLarge { octets } => Problem::TooLarge { octets: *octets, most: file::MAX_FILE },
        Content::Unreadable { reason } => Problem::Unreadable { reason: reason.clone() },
    };
    vec![FileError { file: path.to_owned(), line: 1, column: 1, key: String::new(), problem }]
}
