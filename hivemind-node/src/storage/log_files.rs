//! raft-engine's view of the disk, through which its failures are seen.
//!
//! raft-engine panics where an fsync fails, and retries where the disk is full. Here the first failure
//! of a write or an fsync is kept, nothing is tried after it, and [`super::raft_log`] asks for it after
//! every call. Besides, a removed file's folder is synced at once, so that files vanish in the order in
//! which they are removed, and the files that raft-engine rewrites old records into are synced after
//! every record, as the log is, and every file's header before its first record: so each file has at most one
//! record that may be torn.

use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use raft_engine::env::{FileSystem, Handle, Permission, WriteExt};

use super::sealed;

/// The suffix of the files that raft-engine moves old records to.
pub(super) const REWRITE_SUFFIX: &str = ".rewrite";

/// The first failure of a file system, if any.
#[derive(Clone, Debug, Default)]
pub(super) struct Failure(Arc<Mutex<Option<io::Error>>>);

impl Failure {
    fn check(&self) -> io::Result<()> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            None => Ok(()),
            Some(first) => Err(copy(first)),
        }
    }

    fn note(&self, error: &io::Error) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| copy(error));
    }

    /// The first failure, if any.
    pub(super) fn seen(&self) -> Option<io::Error> {
        self.check().err()
    }
}

/// raft-engine looks for "nospace" in a message and then goes on in a new file: so no message is passed.
fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| io::Error::from(error.kind()), io::Error::from_raw_os_error)
}

/// A file system that stops at its first failure.
#[derive(Debug)]
pub(super) struct Watched<F> {
    inner: F,
    failure: Failure,
}

impl<F> Watched<F> {
    /// Watches `inner`.
    pub(super) fn new(inner: F) -> Self {
        Watched { inner, failure: Failure::default() }
    }

    /// What is asked after every call.
    pub(super) fn failure(&self) -> Failure {
        self.failure.clone()
    }
}

impl<F: FileSystem> Watched<F> {
    fn tried<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            self.failure.note(&error);
            copy(&error)
        })
    }

    fn watch(&self, path: &Path, inner: F::Handle) -> WatchedHandle<F::Handle> {
        let every_record = path.to_string_lossy().ends_with(REWRITE_SUFFIX);
        WatchedHandle { inner: Arc::new(inner), failure: self.failure.clone(), every_record }
    }
}

impl<F: FileSystem> FileSystem for Watched<F> {
    type Handle = WatchedHandle<F::Handle>;
    type Reader = F::Reader;
    type Writer = WatchedWriter<F>;

    fn create<P: AsRef<Path>>(&self, path: P) -> io::Result<Self::Handle> {
        self.failure.check()?;
        let created = self.tried(self.inner.create(&path))?;
        Ok(self.watch(path.as_ref(), created))
    }

    fn open<P: AsRef<Path>>(&self, path: P, permission: Permission) -> io::Result<Self::Handle> {
        let opened = self.tried(self.inner.open(&path, permission))?;
        Ok(self.watch(path.as_ref(), opened))
    }

    fn delete<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.failure.check()?;
        self.tried(self.inner.delete(&path))?;
        self.tried(sealed::sync_folder(path.as_ref().parent().expect("a file stands in a folder")))
    }

    fn rename<P: AsRef<Path>>(&self, from: P, to: P) -> io::Result<()> {
        self.failure.check()?;
        self.tried(self.inner.rename(from, to))
    }

    fn new_reader(&self, handle: Arc<Self::Handle>) -> io::Result<Self::Reader> {
        self.inner.new_reader(handle.inner.clone())
    }

    fn new_writer(&self, handle: Arc<Self::Handle>) -> io::Result<Self::Writer> {
        let inner = self.tried(self.inner.new_writer(handle.inner.clone()))?;
        Ok(WatchedWriter { inner, handle, at_start: false })
    }
}

/// An open file.
#[derive(Debug)]
pub(super) struct WatchedHandle<H> {
    inner: Arc<H>,
    failure: Failure,
    /// Whether every record is synced by itself.
    every_record: bool,
}

impl<H: Handle> WatchedHandle<H> {
    fn unless_failed(&self, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.failure.check()?;
        act().map_err(|error| {
            self.failure.note(&error);
            copy(&error)
        })
    }
}

impl<H: Handle> Handle for WatchedHandle<H> {
    fn truncate(&self, offset: usize) -> io::Result<()> {
        self.unless_failed(|| self.inner.truncate(offset))
    }

    fn file_size(&self) -> io::Result<usize> {
        self.inner.file_size()
    }

    /// Never fails: raft-engine would panic. The failure is found in [`Failure::seen`].
    fn sync(&self) -> io::Result<()> {
        if let Err(error) = self.unless_failed(|| self.inner.sync()) {
            self.failure.note(&error);
        }
        Ok(())
    }
}

/// A file that is written at its end.
pub(super) struct WatchedWriter<F: FileSystem> {
    inner: F::Writer,
    handle: Arc<WatchedHandle<F::Handle>>,
    /// Whether the file's header is written next.
    at_start: bool,
}

impl<F: FileSystem> Write for WatchedWriter<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let WatchedWriter { inner, handle, at_start } = self;
        // All of it or an error: so a record is synced once, as a whole.
        handle.unless_failed(|| inner.write_all(bytes))?;
        // raft-engine syncs the first file's header only with the first record.
        if std::mem::take(at_start) || handle.every_record {
            handle.sync()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<F: FileSystem> Seek for WatchedWriter<F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at_start = to == SeekFrom::Start(0);
        self.inner.seek(to)
    }
}

impl<F: FileSystem> WriteExt for WatchedWriter<F> {
    fn truncate(&mut self, offset: usize) -> io::Result<()> {
        let WatchedWriter { inner, handle, .. } = self;
        handle.unless_failed(|| inner.truncate(offset))
    }

    /// Space ahead of the log. Where there is none, the write itself finds out.
    fn allocate(&mut self, offset: usize, size: usize) -> io::Result<()> {
        self.handle.failure.check()?;
        self.inner.allocate(offset, size)
    }
}
