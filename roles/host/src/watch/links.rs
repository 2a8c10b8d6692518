//! Where the symbolic links of a folder lead, so that what moves there is heard of.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::folder::is_host_file;

/// The most links that are followed from one file, as the kernel does.
const MAX_STEPS: usize = 40;
/// The most folders that are watched for the sake of links; the slow scan stands in for the others.
const MAX_FOLDERS: usize = 64;

/// The places that decide what the linked host files of one folder hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Links {
    /// Every link on the way and the file at its end, with the host files that come by.
    through: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
    /// The folders that these places stand in, without the host files' own folder and its parent.
    folders: BTreeSet<PathBuf>,
}

impl Links {
    /// Follows the links among the host files of `folder`.
    ///
    /// # Errors
    /// The folder can not be listed.
    pub(super) fn of(folder: &Path) -> io::Result<Links> {
        let mut links = Links::default();
        let names = Names { folder, real: fs::canonicalize(folder)? };
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let file = folder.join(entry.file_name());
            if !is_host_file(&file) || !entry.file_type()?.is_symlink() {
                continue;
            }
            for place in places(&names.real, entry.file_name()) {
                links.add(names.as_heard(place), &file, folder);
            }
        }
        Ok(links)
    }

    fn add(&mut self, place: PathBuf, file: &Path, folder: &Path) {
        let Some(parent) = place.parent().map(Path::to_owned) else { return };
        let is_watched_anyway = parent == folder || Some(parent.as_path()) == folder.parent();
        if !is_watched_anyway && !self.folders.contains(&parent) {
            if self.folders.len() == MAX_FOLDERS {
                return;
            }
            self.folders.insert(parent);
        }
        self.through.entry(place).or_default().insert(file.to_owned());
    }

    /// The folders to watch beside the host files' own.
    pub(super) fn folders(&self) -> &BTreeSet<PathBuf> {
        &self.folders
    }

    /// The host files that may hold something else when `path` moved.
    pub(super) fn files_through(&self, path: &Path) -> impl Iterator<Item = &PathBuf> {
        self.through.get(path).into_iter().flatten()
    }
}

/// The two names of the watched folder. A folder is watched under one name only, so that what stands in it
/// is heard of by that name, whichever way a link leads there.
struct Names<'a> {
    folder: &'a Path,
    real: PathBuf,
}

impl Names<'_> {
    fn as_heard(&self, place: PathBuf) -> PathBuf {
        let (Some(parent), Some(name)) = (place.parent(), place.file_name()) else { return place };
        if parent == self.real {
            return self.folder.join(name);
        }
        match self.folder.parent() {
            Some(above) if fs::canonicalize(above).is_ok_and(|real| real == parent) => above.join(name),
            Some(_) | None => place,
        }
    }
}

/// What the kernel would come by on its way from `name` in `folder`: each link, and the end, be it that
/// nothing is there. `folder` has no links in it.
fn places(folder: &Path, name: OsString) -> Vec<PathBuf> {
    let (mut at, mut ahead, mut places) = (folder.to_owned(), VecDeque::from([name]), Vec::new());
    let mut steps = 0;
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        match fs::read_link(&next) {
            Ok(target) => {
                steps += 1;
                places.push(next);
                if steps == MAX_STEPS {
                    return places;
                }
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                prepend(&mut ahead, &target);
            }
            // No link, but something that a way leads through.
            Err(_) if !ahead.is_empty() && next.is_dir() => at = next,
            Err(_) => {
                places.push(next);
                return places;
            }
        }
    }
    places
}

fn prepend(ahead: &mut VecDeque<OsString>, target: &Path) {
    for component in target.components().rev() {
        match component {
            Component::Normal(name) => ahead.push_front(name.to_owned()),
            Component::ParentDir => ahead.push_front("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_link_on_the_way_and_the_end_are_known_with_the_folders_they_stand_in() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let root = root.path().canonicalize().expect("it is there");
        let (folder, volume) = (root.join("etc/hosts.d"), root.join("volume"));
        fs::create_dir_all(&folder).expect("made");
        fs::create_dir_all(volume.join("..v1")).expect("made");
        fs::write(volume.join("..v1/web1.toml"), "").expect("written");
        symlink("..v1", volume.join("..data")).expect("linked");
        symlink("../../volume/..data/web1.toml", folder.join("web1.toml")).expect("linked");
        symlink("nowhere.toml", folder.join("lost.toml")).expect("linked");
        symlink("round.toml", folder.join("round.toml")).expect("linked");
        let links = Links::of(&folder).expect("it can be listed");
        assert_eq!(links.folders, BTreeSet::from([volume.clone(), volume.join("..v1")]));
        for place in [folder.join("web1.toml"), volume.join("..data"), volume.join("..v1/web1.toml")] {
            assert_eq!(links.files_through(&place).collect::<Vec<_>>(), [&folder.join("web1.toml")], "{place:?}");
        }
        assert_eq!(links.files_through(&folder.join("nowhere.toml")).count(), 1);
        assert_eq!(links.files_through(&volume.join("other")).count(), 0);
    }

    #[test]
    fn a_link_back_into_a_folder_that_has_two_names_is_heard_of_by_the_watched_one() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let root = root.path().canonicalize().expect("it is there");
        fs::create_dir(root.join("real")).expect("made");
        symlink("real", root.join("hosts.d")).expect("linked");
        symlink(root.join("real/data"), root.join("real/a.toml")).expect("linked");
        let links = Links::of(&root.join("hosts.d")).expect("it can be listed");
        assert_eq!((links.folders().len(), links.files_through(&root.join("hosts.d/data")).count()), (0, 1));
    }

    #[test]
    fn the_folders_that_are_watched_for_links_are_bounded() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let root = root.path().canonicalize().expect("it is there");
        fs::create_dir_all(root.join("a/hosts.d")).expect("made");
        for number in 0..MAX_FOLDERS + 5 {
            fs::create_dir(root.join(number.to_string())).expect("made");
            symlink(root.join(format!("{number}/x")), root.join(format!("a/hosts.d/{number}.toml"))).expect("linked");
        }
        assert_eq!(Links::of(&root.join("a/hosts.d")).expect("it can be listed").folders().len(), MAX_FOLDERS);
    }
}
