//! A folder of host files as the parts of one host: pure, over whatever lists and reads the files.
//!
//! A part that is wrong, by itself or beside the others, changes nothing: what was last published stays in force as a whole
//! until all parts are right, so that neither a mistake nor a restart in the midst of it takes anything away.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use hivemind_core::ids::NodeName;

use crate::file::{FileError, HostFile, Part, Rules, unite};
use crate::folder::{Content, FolderChange, content_errors, is_host_file};
use crate::reported::Reported;

/// The parts of one host, in the order of their file names.
#[derive(Debug)]
pub struct Parts {
    name: NodeName,
    rules: Rules,
    files: BTreeMap<PathBuf, Result<Part, Vec<FileError>>>,
    in_force: InForce,
    reported: Reported,
}

/// What the host says.
#[derive(Debug, PartialEq, Eq)]
enum InForce {
    /// What it said before this began, whatever that is: not all parts were right yet.
    AsBefore,
    /// Nothing: there is no part.
    Nothing,
    /// This.
    Host(Box<HostFile>),
}

impl Parts {
    /// The host `name`, of which nothing is known yet.
    pub fn new(name: NodeName, rules: Rules) -> Self {
        Parts { name, rules, files: BTreeMap::new(), in_force: InForce::AsBefore, reported: Reported::default() }
    }

    /// What is in force, where that came of these parts.
    pub fn host(&self) -> Option<&HostFile> {
        match &self.in_force {
            InForce::Host(host) => Some(host),
            InForce::AsBefore | InForce::Nothing => None,
        }
    }

    /// Takes in what was read anew and what is gone. Files that are named in neither stay as they are, and names that are
    /// not of host files are passed over. [`FolderChange::removed`] names the host where there is no part, also at the
    /// first call: what an earlier run published is to be taken back then.
    pub fn update(&mut self, mut read: BTreeMap<PathBuf, Content>, gone: &BTreeSet<PathBuf>) -> FolderChange {
        read.retain(|path, _| is_host_file(path));
        self.update_all(read, gone)
    }

    /// As [`update`](Self::update), whatever the files are called.
    pub(crate) fn update_all(&mut self, read: BTreeMap<PathBuf, Content>, gone: &BTreeSet<PathBuf>) -> FolderChange {
        self.files.retain(|path, _| !gone.contains(path));
        for (path, content) in read {
            let part = match &content {
                Content::Octets(octets) => Part::parse(&path, octets, &self.name, &self.rules),
                Content::TooLarge { .. } | Content::Unreadable { .. } => Err(content_errors(&path, &content)),
            };
            self.files.insert(path, part);
        }
        let right: Vec<&Part> = self.files.values().filter_map(|part| part.as_ref().ok()).collect();
        let united = unite(&self.name, &right, &self.rules);
        let mut errors: Vec<FileError> = self.files.values().filter_map(|part| part.as_ref().err()).flatten().cloned().collect();
        let mut change = FolderChange::default();
        match united {
            Ok(host) if errors.is_empty() => {
                let now = if self.files.is_empty() { InForce::Nothing } else { InForce::Host(Box::new(host)) };
                if now != self.in_force {
                    self.in_force = now;
                    match &self.in_force {
                        InForce::Host(host) => change.changed.push(HostFile::clone(host)),
                        InForce::Nothing | InForce::AsBefore => change.removed.push(self.name.clone()),
                    }
                }
            }
            Ok(_) => {}
            Err(together) => errors.extend(together),
        }
        self.reported.update(errors, &mut change);
        change
    }
}
