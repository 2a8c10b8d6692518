//! What the operating system says has moved, gathered until the watching task takes it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind};
use tokio::sync::Notify;

use super::links::Links;
use super::scan::Reread;

/// The most paths that are told apart; beyond it everything is read again.
const MAX_PATHS: usize = 1024;

/// Gathered news.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct News {
    /// What to read again.
    pub(super) reread: Reread,
    /// The folder itself was made, moved or removed: it must be watched anew.
    pub(super) is_folder_new: bool,
}

impl News {
    fn none() -> Self {
        News { reread: Reread::Named(BTreeSet::new()), is_folder_new: false }
    }
}

/// Where the watcher's thread leaves its news. It never blocks and never grows beyond its limit.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    news: Arc<Mutex<News>>,
    arrived: Arc<Notify>,
    links: Arc<Mutex<Links>>,
}

impl Heard {
    pub(super) fn new() -> Self {
        Heard { news: Arc::new(Mutex::new(News::none())), arrived: Arc::new(Notify::new()), links: Arc::default() }
    }

    /// Waits until something is heard, or was since the last wait.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Takes what was gathered.
    pub(super) fn take(&self) -> News {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut news, News::none())
    }

    /// Hears of what moves where these links lead, and not where those before them led. Gives the former ones.
    pub(super) fn follow(&self, links: Links) -> Links {
        std::mem::replace(&mut self.links.lock().unwrap_or_else(PoisonError::into_inner), links)
    }

    /// Takes in what the watcher says about `folder`, its parent or where its links lead.
    pub(super) fn hear(&self, event: notify::Result<Event>, folder: &Path) {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = match event {
            // Something may have been missed: an error, or the kernel's queue was full.
            Err(_) => news.lose_track(),
            Ok(event) if event.need_rescan() => news.lose_track(),
            Ok(event) if is_only_reading(&event.kind) => false,
            Ok(event) => event.paths.into_iter().fold(false, |is_news, path| news.touch(path, folder, &links) | is_news),
        };
        drop((news, links));
        if is_news {
            self.arrived.notify_one();
        }
    }
}

impl News {
    fn lose_track(&mut self) -> bool {
        *self = News { reread: Reread::All, is_folder_new: true };
        true
    }

    fn touch(&mut self, path: PathBuf, folder: &Path, links: &Links) -> bool {
        let linked: Vec<PathBuf> = links.files_through(&path).cloned().collect();
        let is_linked = !linked.is_empty() || links.folders().contains(&path);
        linked.into_iter().for_each(|file| self.reread(file));
        if path == folder {
            self.is_folder_new = true;
            return true;
        }
        if path.parent() != Some(folder) {
            return is_linked;
        }
        self.reread(path);
        true
    }

    fn reread(&mut self, path: PathBuf) {
        if let Reread::Named(paths) = &mut self.reread {
            paths.insert(path);
            if paths.len() > MAX_PATHS {
                self.reread = Reread::All;
            }
        }
    }
}

/// Our own scans open and close files: hearing of that would make the next scan.
fn is_only_reading(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if *access != AccessKind::Close(AccessMode::Write))
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, Flag};

    use super::*;

    const FOLDER: &str = "/srv/hosts.d";

    fn created(path: &str) -> notify::Result<Event> {
        Ok(Event::new(EventKind::Create(CreateKind::File)).add_path(path.into()))
    }

    #[test]
    fn an_overflow_of_the_kernels_queue_makes_everything_be_read_again() {
        let heard = Heard::new();
        heard.hear(created("/srv/hosts.d/web1.toml"), Path::new(FOLDER));
        heard.hear(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)), Path::new(FOLDER));
        heard.hear(created("/srv/hosts.d/web2.toml"), Path::new(FOLDER));
        assert_eq!(heard.take(), News { reread: Reread::All, is_folder_new: true });
        assert_eq!(heard.take(), News::none());
    }

    #[test]
    fn more_paths_than_are_told_apart_make_everything_be_read_again() {
        let heard = Heard::new();
        (0..=MAX_PATHS).for_each(|number| heard.hear(created(&format!("{FOLDER}/{number}.toml")), Path::new(FOLDER)));
        assert_eq!(heard.take(), News { reread: Reread::All, is_folder_new: false });
    }

    #[test]
    fn neighbors_of_the_folder_and_reading_are_no_news() {
        let heard = Heard::new();
        heard.hear(created("/srv/other.toml"), Path::new(FOLDER));
        let opened = Event::new(EventKind::Access(AccessKind::Open(AccessMode::Any))).add_path("/srv/hosts.d/web1.toml".into());
        heard.hear(Ok(opened), Path::new(FOLDER));
        assert_eq!(heard.take(), News::none());
    }

    #[test]
    fn the_folder_itself_is_told_from_its_files() {
        let heard = Heard::new();
        heard.hear(created(FOLDER), Path::new(FOLDER));
        assert_eq!(heard.take(), News { reread: Reread::Named(BTreeSet::new()), is_folder_new: true });
    }
}
