//! A file system over real files that knows what was synced, and can crash.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use hivemind_core::rng::Rng;
use raft_engine::env::{FileSystem, Handle, Permission, WriteExt};

const SECTOR: usize = 512;

/// How the disks lie when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loss {
    /// Nothing that was not synced arrived.
    All,
    /// All of it arrived.
    Nothing,
    /// The last write arrived up to some byte.
    Tail,
    /// Each sector of what was not synced arrived or did not.
    Sectors,
}

/// What the files hold after a crash; `None` where a file is not there.
pub(super) type Image = BTreeMap<PathBuf, Option<Vec<u8>>>;

enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate { length: usize },
    Extend { length: usize },
}

#[derive(Default)]
struct Tracked {
    durable: Option<Vec<u8>>,
    pending: Vec<Change>,
}

struct World {
    files: BTreeMap<PathBuf, Tracked>,
    chance: Rng,
    /// Changes until the crash.
    left: Option<u64>,
    crashed: Option<(Loss, Image)>,
    /// Bytes that may still be written, and the number of the error that ends it.
    room: Option<(usize, i32)>,
    failing_syncs: bool,
    syncs: u64,
}

/// The file system.
#[derive(Clone)]
pub(super) struct CrashFiles(Arc<Mutex<World>>);

impl CrashFiles {
    pub(super) fn new(seed: u64) -> Self {
        let chance = Rng::new(seed ^ 0xc4a5);
        let world = World { files: BTreeMap::new(), chance, left: None, crashed: None, room: None, failing_syncs: false, syncs: 0 };
        CrashFiles(Arc::new(Mutex::new(world)))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("no test panicked in it")
    }

    /// Crashes at the `count`th change from here.
    pub(super) fn crash_after(&self, count: u64) {
        self.world().left = Some(count);
    }

    /// Lets `bytes` more be written, and refuses what comes then with this error of the system.
    pub(super) fn limit_writes(&self, bytes: usize, error: i32) {
        self.world().room = Some((bytes, error));
    }

    /// Lets every sync fail from here on.
    pub(super) fn fail_syncs(&self) {
        self.world().failing_syncs = true;
    }

    /// How often a sync was tried.
    pub(super) fn syncs(&self) -> u64 {
        self.world().syncs
    }

    /// Whether the crash came.
    pub(super) fn has_crashed(&self) -> bool {
        self.world().crashed.is_some()
    }

    /// What the crash left; it comes now where it did not come before.
    pub(super) fn crash(&self) -> (Loss, Image) {
        let mut world = self.world();
        world.crash();
        world.crashed.take().expect("it crashed")
    }
}

impl World {
    fn changed(&mut self) {
        match self.left {
            Some(0) => self.crash(),
            Some(left) => self.left = Some(left - 1),
            None => {}
        }
    }

    fn crash(&mut self) {
        if self.crashed.is_some() {
            return;
        }
        let World { files, chance, .. } = self;
        let loss = [Loss::All, Loss::Nothing, Loss::Tail, Loss::Sectors][chance.below(4) as usize];
        let image = files.iter().map(|(path, file)| (path.clone(), file.after(loss, chance))).collect();
        self.crashed = Some((loss, image));
    }
}

impl Tracked {
    fn after(&self, loss: Loss, chance: &mut Rng) -> Option<Vec<u8>> {
        if self.durable.is_none() && loss == Loss::All {
            return None;
        }
        let mut content = self.durable.clone().unwrap_or_default();
        let kept: &[Change] = if loss == Loss::All { &[] } else { &self.pending };
        for (place, change) in kept.iter().enumerate() {
            let is_last = place + 1 == kept.len();
            match change {
                Change::Truncate { length } => content.truncate(*length),
                Change::Extend { length } => content.resize(content.len().max(*length), 0),
                Change::Write { at, bytes } => match loss {
                    Loss::Tail if is_last => put(&mut content, *at, &bytes[..chance.below(bytes.len() as u64 + 1) as usize]),
                    Loss::Sectors => put_sectors(&mut content, *at, bytes, chance),
                    Loss::All | Loss::Nothing | Loss::Tail => put(&mut content, *at, bytes),
                },
            }
        }
        Some(content)
    }
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    content.resize(content.len().max(at + bytes.len()), 0);
    content[at..at + bytes.len()].copy_from_slice(bytes);
}

fn put_sectors(content: &mut Vec<u8>, at: usize, bytes: &[u8], chance: &mut Rng) {
    let mut from = 0;
    while from < bytes.len() {
        let to = bytes.len().min(from + SECTOR - (at + from) % SECTOR);
        if chance.below(2) == 0 {
            put(content, at + from, &bytes[from..to]);
        }
        from = to;
    }
}

/// Puts `image` on the disk, in place of all that is in `dir`.
pub(super) fn restore(dir: &Path, image: &Image) {
    fs::remove_dir_all(dir).expect("the log made it");
    fs::create_dir(dir).expect("it is made");
    for (path, content) in image {
        if let Some(content) = content {
            fs::write(path, content).expect("it is written");
        }
    }
}

/// An open file.
pub(super) struct CrashHandle {
    path: PathBuf,
    file: File,
    files: CrashFiles,
}

impl CrashHandle {
    fn change(&self, change: Change) {
        let mut world = self.files.world();
        world.files.entry(self.path.clone()).or_default().pending.push(change);
        world.changed();
    }

    fn take_room(&self, bytes: usize) -> io::Result<()> {
        let mut world = self.files.world();
        match &mut world.room {
            Some((room, error)) if *room < bytes => Err(io::Error::from_raw_os_error(*error)),
            Some((room, _)) => {
                *room -= bytes;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl FileSystem for CrashFiles {
    type Handle = CrashHandle;
    type Reader = CrashFile;
    type Writer = CrashFile;

    fn create<P: AsRef<Path>>(&self, path: P) -> io::Result<CrashHandle> {
        let path = path.as_ref().to_path_buf();
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        let mut world = self.world();
        world.files.entry(path.clone()).or_default();
        world.changed();
        drop(world);
        Ok(CrashHandle { path, file, files: self.clone() })
    }

    fn open<P: AsRef<Path>>(&self, path: P, _: Permission) -> io::Result<CrashHandle> {
        let path = path.as_ref().to_path_buf();
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let durable = Some(fs::read(&path)?);
        self.world().files.insert(path.clone(), Tracked { durable, pending: Vec::new() });
        Ok(CrashHandle { path, file, files: self.clone() })
    }

    fn delete<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        let mut world = self.world();
        world.changed();
        world.files.remove(path.as_ref());
        fs::remove_file(path)
    }

    fn rename<P: AsRef<Path>>(&self, _: P, _: P) -> io::Result<()> {
        unreachable!("no file is used again")
    }

    fn new_reader(&self, handle: Arc<CrashHandle>) -> io::Result<CrashFile> {
        Ok(CrashFile { handle, at: 0 })
    }

    fn new_writer(&self, handle: Arc<CrashHandle>) -> io::Result<CrashFile> {
        Ok(CrashFile { handle, at: 0 })
    }
}

impl Handle for CrashHandle {
    fn truncate(&self, length: usize) -> io::Result<()> {
        self.change(Change::Truncate { length });
        self.file.set_len(length as u64)
    }

    fn file_size(&self) -> io::Result<usize> {
        Ok(self.file.metadata()?.len() as usize)
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = self.files.world();
        world.changed();
        world.syncs += 1;
        if world.failing_syncs {
            return Err(io::Error::from_raw_os_error(5));
        }
        let durable = Some(fs::read(&self.path)?);
        world.files.insert(self.path.clone(), Tracked { durable, pending: Vec::new() });
        Ok(())
    }
}

/// A place in an open file.
pub(super) struct CrashFile {
    handle: Arc<CrashHandle>,
    at: usize,
}

impl Read for CrashFile {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.handle.file.read_at(bytes, self.at as u64)?;
        self.at += count;
        Ok(count)
    }
}

impl Write for CrashFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.handle.take_room(bytes.len())?;
        self.handle.change(Change::Write { at: self.at, bytes: bytes.to_vec() });
        self.handle.file.write_all_at(bytes, self.at as u64)?;
        self.at += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for CrashFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(at) = to else {
            unreachable!("raft-engine seeks from the start");
        };
        self.at = at as usize;
        Ok(at)
    }
}

impl WriteExt for CrashFile {
    fn truncate(&mut self, length: usize) -> io::Result<()> {
        self.at = length;
        self.handle.truncate(length)
    }

    fn allocate(&mut self, at: usize, size: usize) -> io::Result<()> {
        let length = at + size;
        self.handle.change(Change::Extend { length });
        let old = self.handle.file.metadata()?.len();
        self.handle.file.set_len(old.max(length as u64))
    }
}
