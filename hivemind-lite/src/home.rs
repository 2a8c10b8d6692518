//! The folder that a cluster is kept in: for good, or until the process ends.
//!
//! ```text
//! DIR/format      what this folder is
//! DIR/lock        held by the one process that uses it
//! DIR/authority/  the certificate authority
//! DIR/birth       there until the cluster is: what stands in nodes/ is the rest of a birth that was cut short
//! DIR/born        there from the moment that the cluster is
//! DIR/ports       where each node listened last: a hint
//! DIR/nodes/NAME/ the data of each node
//! ```

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use hivemind_core::ids::NodeName;
use hivemind_node::authority::AuthorityFolderError;
use tempfile::TempDir;
use thiserror::Error;

use crate::args::VOTER_STEM;

const FORMAT: &str = "hivemind-lite data folder, format 1\n";
const FORMAT_FILE: &str = "format";
const LOCK_FILE: &str = "lock";
const BORN_FILE: &str = "born";
const BIRTH_FILE: &str = "birth";
/// In the folder of each node that ever ran.
const IDENTITY_FILE: &str = "identity";
const PORTS_FILE: &str = "ports";
const NODES: &str = "nodes";
const TEMPORARY_PREFIX: &str = "hivemind-lite-";

/// Why a folder can not be the home of a cluster. Nothing in it was altered.
#[derive(Debug, Error)]
pub enum HomeError {
    /// This user may not write there.
    #[error("--data-dir: {} can not be written: {source}; make it writable for this user, or choose another folder", path.display())]
    NotWritable {
        /// What was tried.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file stands in its place.
    #[error("--data-dir: {} is not a folder; choose another path", path.display())]
    NotADirectory {
        /// What was found.
        path: PathBuf,
    },
    /// It is used for something else.
    #[error("--data-dir: {} is not a folder of hivemind-lite: it holds {found:?}; choose an empty folder or a new one", path.display())]
    Stranger {
        /// The folder.
        path: PathBuf,
        /// One of the files.
        found: String,
    },
    /// Another process has it.
    #[error("--data-dir: {} is in use{}; stop that process first, or choose another folder", path.display(), by_whom(*by))]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The process, where its number could be read.
        by: Option<u32>,
    },
    /// A later version wrote it, or it was damaged.
    #[error("--data-dir: {} does not say that this is a folder of hivemind-lite in format 1; \
        start the newer program that wrote it, restore the file from a copy, or choose another folder", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The authority in it can not be used.
    #[error("--data-dir: {0}")]
    Authority(#[from] AuthorityFolderError),
    /// The authority is gone, and the cluster is there.
    #[error("--data-dir: {} holds a cluster and no authority: restore {} from a copy, or choose another folder for a new cluster", path.display(), path.join("authority").display())]
    NoAuthority {
        /// The folder.
        path: PathBuf,
    },
    /// Nodes are kept, and what says of which cluster they are is gone.
    #[error("--data-dir: {} holds nodes, the first is {node}, but its file `born` is missing: \
        make an empty file {} to resume the cluster, or choose another folder for a new one", path.display(), path.join("born").display())]
    NotBorn {
        /// The folder.
        path: PathBuf,
        /// One of the nodes.
        node: String,
    },
    /// Too few of the voters that are kept would run.
    #[error("--data-dir: {} is of a cluster of {}, and --voters {run} is no quorum of them: give --voters {last}; \
        where {} left for good, remove {}", path.display(), crate::show::count(*kept, "voter"), spare.join(", "),
        spare.iter().map(|name| path.join("nodes").join(name).display().to_string()).collect::<Vec<_>>().join(", "))]
    TooFewVoters {
        /// The folder.
        path: PathBuf,
        /// How many were to run.
        run: u16,
        /// How many are kept.
        kept: usize,
        /// The highest number of one.
        last: u16,
        /// Those that would not run.
        spare: Vec<String>,
    },
    /// The disk failed.
    #[error("--data-dir: {}: {source}; repair that, or choose another folder", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn by_whom(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" by process {pid}"))
}

impl HomeError {
    fn new(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => HomeError::NotWritable { path, source },
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => HomeError::NotADirectory { path },
            _ => HomeError::Io { path, source },
        }
    }
}

/// The folder of a cluster, held by this process.
#[derive(Debug)]
pub struct Home {
    path: PathBuf,
    /// The lock goes with the file.
    _lock: File,
    /// Removed when this is dropped.
    _temporary: Option<TempDir>,
}

impl Home {
    /// Takes `path` for a cluster that stays; it is made where it is missing.
    ///
    /// # Errors
    /// [`HomeError`].
    pub fn keep(path: &Path) -> Result<Self, HomeError> {
        let failed = |error| HomeError::new(path, error);
        let path = &std::path::absolute(path).map_err(failed)?;
        create_private(path).map_err(failed)?;
        let mut found: Vec<String> = Vec::new();
        for entry in fs::read_dir(path).map_err(failed)? {
            found.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
        }
        let ours = found.iter().any(|name| name == FORMAT_FILE);
        found.sort_unstable();
        if let Some(found) = found.into_iter().find(|name| !ours && name != LOCK_FILE) {
            return Err(HomeError::Stranger { path: path.clone(), found });
        }
        let lock = lock(path)?;
        let format = path.join(FORMAT_FILE);
        if !ours {
            write_whole(&format, FORMAT).map_err(|error| HomeError::new(&format, error))?;
        } else if fs::read(&format).map_err(|error| HomeError::new(&format, error))? != FORMAT.as_bytes() {
            return Err(HomeError::Format { path: format });
        }
        Ok(Home { path: path.clone(), _lock: lock, _temporary: None })
    }

    /// Takes a new folder that is removed at the end. What a killed process left behind is removed now.
    ///
    /// # Errors
    /// [`HomeError`]: the system's temporary folder can not be used.
    pub fn temporary() -> Result<Self, HomeError> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        let made = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempdir_in(&parent).map_err(|error| HomeError::new(&parent, error))?;
        let lock = lock(made.path())?;
        Ok(Home { path: made.path().to_owned(), _lock: lock, _temporary: Some(made) })
    }

    /// Where the authority is kept.
    pub fn authority(&self) -> PathBuf {
        self.path.join("authority")
    }

    /// Where a node keeps its data.
    pub fn node(&self, name: &NodeName) -> PathBuf {
        self.path.join(NODES).join(name.as_str())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the cluster that is kept here was ever complete.
    pub fn is_born(&self) -> bool {
        self.path.join(BORN_FILE).exists()
    }

    /// Notes that the cluster is there from now on: it is never born here again.
    ///
    /// # Errors
    /// [`HomeError`].
    pub fn set_born(&self) -> Result<(), HomeError> {
        let path = self.path.join(BORN_FILE);
        write_whole(&path, "").map_err(|error| HomeError::new(&path, error))?;
        let birth = self.path.join(BIRTH_FILE);
        match fs::remove_file(&birth) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(HomeError::new(&birth, error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Makes room for a birth: removes what one that was cut short left of nodes.
    ///
    /// # Errors
    /// [`HomeError`]. Nodes that are not known to be of an unfinished birth are left alone.
    pub fn begin_birth(&self) -> Result<(), HomeError> {
        let birth = self.path.join(BIRTH_FILE);
        if !birth.exists()
            && let Some(node) = self.kept_nodes()?.into_iter().next()
        {
            return Err(HomeError::NotBorn { path: self.path.clone(), node });
        }
        write_whole(&birth, "").map_err(|error| HomeError::new(&birth, error))?;
        let nodes = self.path.join(NODES);
        match fs::remove_dir_all(&nodes) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(HomeError::new(&nodes, error)),
            Ok(()) | Err(_) => {}
        }
        create_private(&nodes).map_err(|error| HomeError::new(&nodes, error))
    }

    /// Makes sure that `run` voters can be a quorum of those that are kept; tells which are kept and not run.
    ///
    /// # Errors
    /// [`HomeError::TooFewVoters`], and what the disk says.
    pub fn spare_voters(&self, run: u16) -> Result<Vec<String>, HomeError> {
        let number = |name: &String| name.strip_prefix(VOTER_STEM)?.parse::<u16>().ok();
        let kept: Vec<(u16, String)> = self.kept_nodes()?.into_iter().filter_map(|name| Some((number(&name)?, name))).collect();
        let spare: Vec<String> = kept.iter().filter(|(number, _)| *number > run).map(|(_, name)| name.clone()).collect();
        let run_here = kept.len() - spare.len();
        match kept.iter().map(|(number, _)| *number).max() {
            Some(last) if !spare.is_empty() && run_here < kept.len() / 2 + 1 => {
                Err(HomeError::TooFewVoters { path: self.path.clone(), run, kept: kept.len(), last, spare })
            }
            Some(_) | None => Ok(spare),
        }
    }

    /// Whether data of this node is kept.
    pub fn keeps(&self, name: &NodeName) -> bool {
        self.node(name).join(IDENTITY_FILE).exists()
    }

    /// The nodes that ever ran here, by name.
    fn kept_nodes(&self) -> Result<Vec<String>, HomeError> {
        let nodes = self.path.join(NODES);
        let failed = |error| HomeError::new(&nodes, error);
        let entries = match fs::read_dir(&nodes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(failed)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            if entry.path().join(IDENTITY_FILE).exists() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Where each node listened last. A line that is none is passed over: these are hints.
    pub fn ports(&self) -> BTreeMap<NodeName, SocketAddr> {
        let text = fs::read(self.path.join(PORTS_FILE)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let entry = |line: &str| {
            let (name, address) = line.split_once(' ')?;
            Some((NodeName::new(name).ok()?, address.parse().ok()?))
        };
        text.lines().filter_map(entry).collect()
    }

    /// Notes where each node listens.
    ///
    /// # Errors
    /// [`HomeError`].
    pub fn set_ports(&self, ports: &BTreeMap<NodeName, SocketAddr>) -> Result<(), HomeError> {
        let path = self.path.join(PORTS_FILE);
        let text: String = ports.iter().map(|(name, address)| format!("{name} {address}\n")).collect();
        write_whole(&path, &text).map_err(|error| HomeError::new(&path, error))
    }
}

fn create_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn lock(folder: &Path) -> Result<File, HomeError> {
    let path = folder.join(LOCK_FILE);
    let failed = |error| HomeError::new(&path, error);
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // Who holds it is a courtesy: it may not be written yet.
            let by = file.read_to_string(&mut pid).ok().and_then(|_| pid.trim().parse().ok());
            return Err(HomeError::InUse { path: folder.to_owned(), by });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    file.set_len(0).map_err(failed)?;
    file.rewind().map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

/// Removes the temporary homes of processes that were killed: those whose lock nobody holds. What can not
/// be looked at or removed is another user's.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX) {
            continue;
        }
        let Ok(mut lock) = OpenOptions::new().read(true).open(entry.path().join(LOCK_FILE)) else { continue };
        let mut pid = String::new();
        // A lock without a number is one that is being taken.
        let is_old = lock.try_lock().is_ok() && lock.read_to_string(&mut pid).is_ok_and(|_| !pid.is_empty());
        if is_old && let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::debug!(%error, folder = %entry.path().display(), "an old temporary folder can not be removed");
        }
    }
}

/// Written beside, synced, renamed: after a crash there is the whole file or the one before it.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(path.parent().expect("the path of a file in a folder"))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(result: Result<Home, HomeError>) -> String {
        result.expect_err("it must be refused").to_string()
    }

    #[test]
    fn a_folder_is_used_by_one_process_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("home");
        let home = Home::keep(&path).unwrap();
        let expected = format!(
            "--data-dir: {} is in use by process {}; stop that process first, or choose another folder",
            path.display(),
            std::process::id()
        );
        assert_eq!(said(Home::keep(&path)), expected);
        drop(home);
        assert!(Home::keep(&path).is_ok());
    }

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.txt"), "").unwrap();
        let said = said(Home::keep(folder.path()));
        assert!(said.ends_with("is not a folder of hivemind-lite: it holds \"thesis.txt\"; choose an empty folder or a new one"), "{said}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_and_another_format_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(said(Home::keep(&file)).contains("is not a folder; choose another path"));
        let path = folder.path().join("home");
        drop(Home::keep(&path).unwrap());
        fs::write(path.join(FORMAT_FILE), "hivemind-lite data folder, format 2\n").unwrap();
        assert!(said(Home::keep(&path)).contains("does not say that this is a folder of hivemind-lite in format 1"));
    }

    #[test]
    fn nodes_are_removed_only_where_their_birth_was_cut_short() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::keep(&folder.path().join("home")).unwrap();
        let keep = |name: &str| {
            let node = home.node(&NodeName::new(name).unwrap());
            fs::create_dir_all(&node).unwrap();
            fs::write(node.join(IDENTITY_FILE), "").unwrap();
            node
        };
        home.begin_birth().unwrap();
        let node = keep("voter1");
        home.begin_birth().unwrap();
        assert!(!node.exists(), "the birth was cut short");
        let node = keep("voter1");
        home.set_born().unwrap();
        fs::remove_file(home.path().join(BORN_FILE)).unwrap();
        let said = home.begin_birth().expect_err("it must be refused").to_string();
        assert!(said.contains("holds nodes, the first is voter1, but its file `born` is missing: make an empty file "), "{said}");
        assert!(node.exists());
    }

    #[test]
    fn a_minority_of_the_voters_that_are_kept_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::keep(&folder.path().join("home")).unwrap();
        for name in ["voter1", "voter2", "voter3", "web1"] {
            let node = home.node(&NodeName::new(name).unwrap());
            fs::create_dir_all(&node).unwrap();
            fs::write(node.join(IDENTITY_FILE), "").unwrap();
        }
        let said = home.spare_voters(1).expect_err("it must be refused").to_string();
        assert!(
            said.contains("is of a cluster of 3 voters, and --voters 1 is no quorum of them: give --voters 3; where voter2, voter3 left"),
            "{said}"
        );
        assert_eq!(home.spare_voters(2).unwrap(), ["voter3"]);
        assert!(home.spare_voters(3).unwrap().is_empty() && home.spare_voters(5).unwrap().is_empty());
    }

    #[test]
    fn ports_are_kept_and_damaged_lines_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::keep(&folder.path().join("home")).unwrap();
        let ports = BTreeMap::from([(NodeName::new("web1").unwrap(), "127.0.0.1:4000".parse().unwrap())]);
        home.set_ports(&ports).unwrap();
        assert_eq!(home.ports(), ports);
        fs::write(home.path().join(PORTS_FILE), b"web1 127.0.0.1:4000\nweb2\n\xff\xff x\n").unwrap();
        assert_eq!(home.ports(), ports);
    }

    #[test]
    fn a_temporary_home_goes_with_its_owner() {
        let home = Home::temporary().unwrap();
        let path = home.path().to_owned();
        assert!(path.is_dir());
        drop(home);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_killed_process_left_is_swept_and_what_a_live_one_uses_is_not() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["hivemind-lite-dead", "hivemind-lite-live", "hivemind-lite-new", "other"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        fs::write(parent.path().join("hivemind-lite-dead/lock"), "1\n").unwrap();
        let _held = lock(&parent.path().join("hivemind-lite-live")).unwrap();
        sweep(parent.path());
        let mut left: Vec<_> = fs::read_dir(parent.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["hivemind-lite-live", "hivemind-lite-new", "other"]);
    }
}
