//! The data folder itself: made where it is missing, held by one process, of a known format.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::error::OpenError;
use super::sealed;

/// The format that this program writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;
const FORMAT_PREFIX: &str = "hivemind data folder, format ";
const FORMAT_FILE: &str = "format";
const LOCK_FILE: &str = "lock";
/// The mark of a folder that is being made for a new cluster. Who makes it holds a lock on it.
pub(super) const UNFINISHED: &str = "unfinished";
/// What a folder holds that once was a data folder.
const CONTENT: [&str; 5] = ["identity", "raft", "snapshots", "own", "cache"];

/// A data folder, held as long as this lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// The lock goes with the file.
    _lock: File,
}

impl Folder {
    /// Makes the folder where it is missing, locks it and checks its format.
    ///
    /// # Errors
    /// [`OpenError`]. A folder that is somebody else's is left untouched.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        create(path)?;
        let held = names(path)?;
        if !held.iter().any(|name| name == FORMAT_FILE) {
            refuse_content(path, &held)?;
        }
        let lock = lock(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(|error| OpenError::io(path, error))?;
        check_format(path)?;
        Ok(Folder { path: path.to_path_buf(), _lock: lock })
    }

    /// The place of `name` in the folder.
    pub(super) fn place(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes a folder of a node's data, for its owner alone.
///
/// # Errors
/// What the system said.
pub(super) fn create_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes the folder where it is missing.
pub(super) fn create(path: &Path) -> Result<(), OpenError> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => return Err(OpenError::NotADirectory { path: path.to_path_buf() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(OpenError::io(path, error)),
    }
    create_private(path).map_err(|error| OpenError::io(path, error))?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    sealed::sync_folder(parent).map_err(|error| OpenError::io(parent, error))
}

/// What is in the folder.
pub(super) fn names(path: &Path) -> Result<Vec<String>, OpenError> {
    let failed = |error| OpenError::io(path, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// A folder without a format is a new one, or one whose making was cut short before its second file.
fn refuse_content(path: &Path, held: &[String]) -> Result<(), OpenError> {
    if held.iter().any(|name| CONTENT.contains(&name.as_str())) {
        return Err(OpenError::damaged(&path.join(FORMAT_FILE), path, "it is missing while the node's data is there"));
    }
    let unfinished = format!("{FORMAT_FILE}{}", sealed::TEMPORARY);
    let is_ours = |name: &str| [LOCK_FILE, UNFINISHED, &unfinished].contains(&name);
    match held.iter().find(|name| !is_ours(name)) {
        None => Ok(()),
        Some(found) => Err(OpenError::Stranger { path: path.to_path_buf(), found: found.clone() }),
    }
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let place = path.join(LOCK_FILE);
    let failed = |error| OpenError::io(&place, error);
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&place).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // Who holds it is a courtesy: the file may be unreadable, or not be written yet.
            let by = file.read_to_string(&mut pid).ok().and_then(|_| pid.trim().parse().ok());
            return Err(OpenError::InUse { path: path.to_path_buf(), by });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    file.set_len(0).map_err(failed)?;
    file.rewind().map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

fn check_format(path: &Path) -> Result<(), OpenError> {
    if has_format(path)? {
        return Ok(());
    }
    let place = path.join(FORMAT_FILE);
    sealed::replace(&place, format!("{FORMAT_PREFIX}{FORMAT}\n").as_bytes()).map_err(|error| OpenError::io(&place, error))
}

/// Whether a folder is of the format that this program writes; not, where it says nothing of its format yet.
///
/// # Errors
/// [`OpenError`]: it is of another format, or does not say so in words that are understood.
pub(super) fn has_format(path: &Path) -> Result<bool, OpenError> {
    let place = path.join(FORMAT_FILE);
    let Some(content) = sealed::read(&place).map_err(|error| OpenError::io(&place, error))? else { return Ok(false) };
    let number =
        std::str::from_utf8(&content).ok().and_then(|text| text.strip_prefix(FORMAT_PREFIX)).and_then(|text| text.strip_suffix('\n'));
    match number.and_then(|number| number.parse::<u32>().ok()) {
        Some(FORMAT) => Ok(true),
        Some(found) if found > FORMAT => Err(OpenError::Newer { found, speaks: FORMAT }),
        Some(_) | None => Err(OpenError::damaged(&place, path, "it does not say which format the folder has")),
    }
}
