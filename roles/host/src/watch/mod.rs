//! Watching a folder of host files: what moved comes out of a channel within a fraction of a second.
//!
//! inotify says that something moved, never what is true: after each burst the folder is listed, and what
//! may have moved is read. That makes renames, backups of editors and swapped symbolic links all alike. A
//! slow scan catches what inotify can not see. Where symbolic links lead is followed before each look, and the
//! folders on the way are watched too.

mod heard;
mod links;
pub(crate) mod scan;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hivemind_core::ids::NodeName;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout, timeout_at};

use self::heard::{Heard, News};
use self::links::Links;
use self::scan::{Reread, Scan, Scanner};
use crate::file::Rules;
use crate::folder::{Folder, FolderChange};
use crate::parts::Parts;

/// A burst of changes is over when nothing was heard for this long …
const QUIET: Duration = Duration::from_millis(20);
/// … and is looked at after this long in any case.
const LONGEST_BURST: Duration = Duration::from_millis(100);
/// How often the folder is listed without anything being heard.
const SLOW_SCAN: Duration = Duration::from_secs(5);
/// Changes that wait for the reader; when full, the folder is not looked at until there is room.
const WAITING_CHANGES: usize = 16;

/// Why a folder can not be watched. The caller's settings or the machine's limits are at fault.
#[derive(Debug, Error)]
pub enum WatchError {
    /// The folder can not be listed.
    #[error("the folder {} can not be read: {source}; make it a readable folder, or name another one", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// inotify gives no watch.
    #[error("the folder {} can not be watched: {source}; where a limit is reached, raise fs.inotify.max_user_watches or max_user_instances", folder.display())]
    Watch {
        /// Which.
        folder: PathBuf,
        /// What the watcher says.
        source: notify::Error,
    },
}

/// A folder that is being watched, until this is dropped or [`stop`](Self::stop)ped.
#[derive(Debug)]
pub struct FolderWatch {
    changes: mpsc::Receiver<FolderChange>,
    task: JoinHandle<()>,
}

impl FolderWatch {
    /// Watches `folder`, in which each file is a host, and gives what it holds now. Needs a tokio runtime with time enabled.
    ///
    /// Wrong files do not fail the start: they are among [`FolderChange::errors`].
    ///
    /// # Errors
    /// [`WatchError`]: nothing was started.
    pub async fn start(folder: &Path, rules: Rules) -> Result<(FolderWatch, FolderChange), WatchError> {
        Self::start_with(folder, Hosts::Each(Folder::new(rules))).await
    }

    /// As [`start`](Self::start), where all files are parts of the one host `name`.
    ///
    /// # Errors
    /// [`WatchError`]: nothing was started.
    pub async fn start_parts(folder: &Path, name: NodeName, rules: Rules) -> Result<(FolderWatch, FolderChange), WatchError> {
        Self::start_with(folder, Hosts::Parts(Parts::new(name, rules))).await
    }

    async fn start_with(folder: &Path, hosts: Hosts) -> Result<(FolderWatch, FolderChange), WatchError> {
        let failed = |source| WatchError::Folder { folder: folder.to_owned(), source };
        let folder = std::path::absolute(folder).map_err(failed)?;
        std::fs::read_dir(&folder).map_err(failed)?;
        let heard = Heard::new();
        let watcher = watcher(&folder, heard.clone()).map_err(|source| WatchError::Watch { folder: folder.clone(), source })?;
        let mut watched = Watched { folder: folder.clone(), heard, watcher, is_lost: false };
        let mut look = Look { scanner: Scanner::new(folder.clone()), hosts };
        // Watched before it is listed, so that nothing falls between the two.
        watch_anew(&mut watched.watcher, &folder).map_err(|source| WatchError::Watch { folder: folder.clone(), source })?;
        watched.follow_links(false).await;
        let first;
        (look, first) = look.again(Reread::All).await;
        let first = first.map_err(|source| WatchError::Folder { folder: folder.clone(), source })?;
        let (sender, changes) = mpsc::channel(WAITING_CHANGES);
        let task = tokio::spawn(run(watched, look, sender));
        Ok((FolderWatch { changes, task }, first))
    }

    /// The next change; never an empty one. Nothing where the watching ended, which it only does when
    /// its own task failed. Safe to drop and call again.
    pub async fn next(&mut self) -> Option<FolderChange> {
        self.changes.recv().await
    }

    /// Ends the watching and waits until it has.
    pub async fn stop(self) {
        drop(self.changes);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the task that watched the host files failed");
        }
    }
}

/// The folder's watch, as the task keeps it.
struct Watched {
    folder: PathBuf,
    heard: Heard,
    watcher: RecommendedWatcher,
    /// Whether the folder could not be listed last time; said once.
    is_lost: bool,
}

/// What is known of the files, moved to a blocking thread for each look.
struct Look {
    scanner: Scanner,
    hosts: Hosts,
}

/// What the files of the folder are.
enum Hosts {
    /// Each is a host.
    Each(Folder),
    /// All are one.
    Parts(Parts),
}

impl Hosts {
    fn update(&mut self, scan: Scan) -> FolderChange {
        match self {
            Hosts::Each(folder) => folder.update(scan.read, &scan.gone),
            Hosts::Parts(parts) => parts.update(scan.read, &scan.gone),
        }
    }
}

impl Look {
    async fn again(mut self, reread: Reread) -> (Look, io::Result<FolderChange>) {
        let looked = spawn_blocking(move || {
            let scan = self.scanner.scan(&reread);
            let change = scan.map(|scan| self.hosts.update(scan));
            (self, change)
        });
        looked.await.expect("a look at the folder does not panic, and is never cancelled")
    }
}

async fn run(mut watched: Watched, mut look: Look, changes: mpsc::Sender<FolderChange>) {
    let mut slow = interval_at(Instant::now() + SLOW_SCAN, SLOW_SCAN);
    slow.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_slow = tokio::select! {
            () = changes.closed() => return,
            () = watched.heard.arrived() => false,
            _ = slow.tick() => true,
        };
        if !is_slow {
            burst_over(&watched.heard).await;
        }
        let News { reread, is_folder_new } = watched.heard.take();
        // The slow scan renews the watch as well: it costs one system call, and finds a folder that came
        // back in a way that its parent's watch did not show.
        if (is_folder_new || is_slow)
            && let Err(error) = watch_anew(&mut watched.watcher, &watched.folder)
        {
            tracing::debug!(%error, "the folder of host files can not be watched now");
        }
        watched.follow_links(is_slow).await;
        let change;
        (look, change) = look.again(reread).await;
        let Some(change) = watched.judge(change) else { continue };
        if changes.send(change).await.is_err() {
            return;
        }
    }
}

/// Waits until nothing is heard any more, or for the longest time that a burst may last.
async fn burst_over(heard: &Heard) {
    let end = Instant::now() + LONGEST_BURST;
    // The inner timeout ends the loop when it is quiet, the outer one when it never is.
    let _ = timeout_at(end, async { while timeout(QUIET, heard.arrived()).await.is_ok() {} }).await;
}

impl Watched {
    /// Watches where the links lead now, and no longer where they led before; with `is_anew` also what was
    /// watched already, for a folder that was made again has lost its watch.
    async fn follow_links(&mut self, is_anew: bool) {
        let folder = self.folder.clone();
        let links = spawn_blocking(move || Links::of(&folder)).await.expect("following links does not panic, and is never cancelled");
        // A folder that can not be listed keeps its hosts, and so its links.
        let Ok(links) = links else { return };
        let before = self.heard.follow(links.clone());
        for gone in before.folders().difference(links.folders()) {
            if let Err(error) = self.watcher.unwatch(gone) {
                tracing::debug!(folder = %gone.display(), %error, "the folder behind a link had lost its watch");
            }
        }
        for place in links.folders().iter().filter(|place| is_anew || !before.folders().contains(*place)) {
            if let Err(error) = self.watcher.watch(place, RecursiveMode::NonRecursive) {
                tracing::debug!(folder = %place.display(), %error, "the folder behind a link is not watched; the slow scan stands in for it");
            }
        }
    }

    /// What is worth passing on. A folder that is gone is not an empty one: its hosts stay in force.
    fn judge(&mut self, change: io::Result<FolderChange>) -> Option<FolderChange> {
        match change {
            Ok(change) => {
                if std::mem::take(&mut self.is_lost) {
                    tracing::info!(folder = %self.folder.display(), "the folder of host files is back");
                }
                (!change.is_empty()).then_some(change)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_lost, true) {
                    tracing::warn!(
                        folder = %self.folder.display(), %error,
                        "the folder of host files can not be read: its hosts stay as they are; make it readable again"
                    );
                }
                None
            }
        }
    }
}

fn watcher(folder: &Path, heard: Heard) -> notify::Result<RecommendedWatcher> {
    let folder = folder.to_owned();
    notify::recommended_watcher(move |event| heard.hear(event, &folder))
}

/// Watches the folder, and its parent where that is allowed: there it shows that the folder was made anew.
fn watch_anew(watcher: &mut RecommendedWatcher, folder: &Path) -> notify::Result<()> {
    if let Some(parent) = folder.parent()
        && let Err(error) = watcher.watch(parent, RecursiveMode::NonRecursive)
    {
        tracing::debug!(%error, "the parent of the folder of host files is not watched; the slow scan stands in for it");
    }
    watcher.watch(folder, RecursiveMode::NonRecursive)
}
