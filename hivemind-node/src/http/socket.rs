//! The socket for operators: a file that is made, and removed again, without touching what belongs to others.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Type};
use thiserror::Error;
use tokio::net::UnixListener;

/// Why there is no socket for operators. Nothing listens.
#[derive(Debug, Error)]
pub enum SocketFailure {
    /// There is a file or folder of another kind. It stays as it is.
    #[error(
        "{} is no socket, and stays as it is; name a path where nothing is, or remove what is there if nobody needs it", path.display()
    )]
    NotSocket {
        /// Where it was to be.
        path: PathBuf,
    },
    /// A process listens there.
    #[error("{} is the socket of another program that runs; stop that one, or choose another path", path.display())]
    InUse {
        /// Where it was to be.
        path: PathBuf,
    },
    /// The system says no.
    #[error("the socket {} can not be made: {source}; make its folder, and writable for this user, or choose another path", path.display())]
    System {
        /// Where it was to be.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// The socket for operators; its file goes with it.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Device and number of its file.
    file: (u64, u64),
}

impl Socket {
    /// Makes it, in the place of one whose process is gone.
    pub(super) fn make(path: &Path) -> Result<Self, SocketFailure> {
        let failed = |source| SocketFailure::System { path: path.to_owned(), source };
        clear(path)?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        let file = file(path).map_err(failed)?;
        let socket = Socket { listener, path: path.to_owned(), file };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(failed)?;
        Ok(socket)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Another's may be there by now; where there is nothing any more, nothing is to be done.
        if file(&self.path).is_ok_and(|found| found == self.file) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes the socket of a process that is gone, and nothing else.
fn clear(path: &Path) -> Result<(), SocketFailure> {
    let failed = |source| SocketFailure::System { path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(SocketFailure::NotSocket { path: path.to_owned() }),
        Ok(_) => {}
    }
    match connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path).map_err(failed),
        // Its queue may be full.
        Ok(()) => Err(SocketFailure::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(SocketFailure::InUse { path: path.to_owned() }),
        Err(error) => Err(failed(error)),
    }
}

/// Whether somebody listens, without waiting.
fn connect(path: &Path) -> io::Result<()> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}

fn file(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_socket_of_a_process_that_is_gone_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hivemind.sock");
        std::fs::write(&path, "precious").unwrap();
        let failure = Socket::make(&path).unwrap_err();
        assert!(matches!(failure, SocketFailure::NotSocket { .. }), "{failure}");
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");

        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let failure = Socket::make(&link).unwrap_err();
        assert!(matches!(failure, SocketFailure::NotSocket { .. }), "{failure}");

        std::fs::remove_file(&path).unwrap();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let socket = Socket::make(&path).unwrap();
        let failure = Socket::make(&path).unwrap_err();
        assert!(matches!(failure, SocketFailure::InUse { .. }), "{failure}");
        assert!(connect(&path).is_ok(), "it is still served");
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_another_put_in_its_place_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hivemind.sock");
        let socket = Socket::make(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let other = Socket::make(&path).unwrap();
        drop(socket);
        assert!(path.exists());
        drop(other);
        assert!(!path.exists());
    }
}
