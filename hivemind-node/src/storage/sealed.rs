//! Small files that are replaced as a whole, each with a magic, a version and a checksum.
//!
//! `magic (8) | version (4, LE) | length of the body (8, LE) | SHA-256 of all the others (32) | body`

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hivemind_core::keys;
use thiserror::Error;

/// The suffix of a file that is being written. One that is found was never finished.
pub(super) const TEMPORARY: &str = ".tmp";
const HEAD: usize = 8 + 4 + 8;
const BODY: usize = HEAD + 32;
const VERSION: u32 = 1;

/// Which file it is: one kind is never taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The identity and the key.
    Identity,
    /// The host's own config.
    Own,
    /// A snapshot of the control plane.
    Snapshot,
}

impl Kind {
    fn magic(self) -> &'static [u8; 8] {
        match self {
            Kind::Identity => b"hm:ident",
            Kind::Own => b"hm:owncf",
            Kind::Snapshot => b"hm:snaps",
        }
    }
}

/// Why a file is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum SealError {
    /// Too short, or longer than it says.
    #[error("it has {found} bytes where {expected} were written")]
    Length {
        /// Its length.
        found: u64,
        /// What it should be.
        expected: u64,
    },
    /// Another kind of file.
    #[error("it does not begin as such a file does")]
    Magic,
    /// Of a version that this program does not know.
    #[error("it is of version {0}, which this program does not know")]
    Version(u32),
    /// Altered.
    #[error("its checksum does not match")]
    Checksum,
    /// The checksum holds, and the content is not what this program writes.
    #[error("its content can not be read")]
    Content,
}

/// `parts`, one after another, as a file of `kind`.
pub(super) fn seal(kind: Kind, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut file = Vec::with_capacity(BODY + length);
    file.extend_from_slice(kind.magic());
    file.extend_from_slice(&VERSION.to_le_bytes());
    file.extend_from_slice(&(length as u64).to_le_bytes());
    file.resize(BODY, 0);
    for part in parts {
        file.extend_from_slice(part);
    }
    let checksum = keys::hash(&[&file[..HEAD], &file[BODY..]]);
    file[HEAD..BODY].copy_from_slice(&checksum.0);
    file
}

/// The body of a file of `kind`.
///
/// # Errors
/// [`SealError`]: the file is damaged, or is none.
pub(super) fn unseal(kind: Kind, file: &[u8]) -> Result<&[u8], SealError> {
    let found = file.len() as u64;
    let Some((head, rest)) = file.split_at_checked(HEAD) else {
        return Err(SealError::Length { found, expected: BODY as u64 });
    };
    if !head.starts_with(kind.magic()) {
        return Err(SealError::Magic);
    }
    let length = u64::from_le_bytes(head[12..HEAD].try_into().expect("eight bytes"));
    let expected = length.saturating_add(BODY as u64);
    if found != expected {
        return Err(SealError::Length { found, expected });
    }
    let (checksum, body) = rest.split_at(BODY - HEAD);
    if keys::hash(&[head, body]).0 != checksum {
        return Err(SealError::Checksum);
    }
    match u32::from_le_bytes(head[8..12].try_into().expect("four bytes")) {
        VERSION => Ok(body),
        other => Err(SealError::Version(other)),
    }
}

/// Where `path` is written before it takes its place.
pub(super) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY);
    PathBuf::from(name)
}

/// Puts `content` in the place of the file at `path`: at every moment there is the old one or the new
/// one, and when this returns the new one is durable. Readable by its owner alone.
///
/// # Errors
/// What the system said. The old file or the new one is in place.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let unfinished = temporary(path);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&unfinished, path)?;
    sync_folder(path.parent().expect("a file stands in a folder"))
}

/// Removes the file at `path`, where there is one, durably.
///
/// # Errors
/// What the system said.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(path.parent().expect("a file stands in a folder")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The content of the file at `path`; `None` where there is none.
///
/// # Errors
/// What the system said.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes durable what was created, renamed or removed in a folder.
///
/// # Errors
/// What the system said.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
