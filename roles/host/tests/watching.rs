//! Real folders under a real watch: whatever editors and deployments do, the right change comes out.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hivemind_host::watch::WatchError;
use hivemind_host::{FolderChange, FolderWatch, Rules};
use tempfile::TempDir;
use tokio::time::timeout;

/// No change takes longer; reached only where one never comes.
const BOUND: Duration = Duration::from_secs(30);

/// Less than the time to the next slow scan.
const HEARD: Duration = Duration::from_secs(4);

struct Watched {
    _root: TempDir,
    folder: PathBuf,
    watch: FolderWatch,
}

impl Watched {
    /// Watches a new folder that holds `web1.toml` with the address 10.0.0.1.
    async fn start() -> Watched {
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = root.path().join("hosts.d");
        fs::create_dir(&folder).expect("made");
        fs::write(folder.join("web1.toml"), host(1)).expect("written");
        let (watch, first) = FolderWatch::start(&folder, rules()).await.expect("watched");
        assert_eq!(addresses(&first), ["web1 10.0.0.1"]);
        Watched { _root: root, folder, watch }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    async fn next(&mut self) -> FolderChange {
        timeout(BOUND, self.watch.next()).await.expect("a change within the bound").expect("the watch goes on")
    }

    /// Waits for the change after which the host `web1` has `address`, over states in between that a
    /// slow machine may show.
    async fn web1_gets(&mut self, address: &str) {
        let wanted = format!("web1 {address}");
        while !addresses(&self.next().await).contains(&wanted) {}
    }
}

fn rules() -> Rules {
    Rules::new("hive.").expect("a zone")
}

fn host(number: u8) -> String {
    format!("addresses = [\"10.0.0.{number}\"]")
}

fn addresses(change: &FolderChange) -> Vec<String> {
    let listed = |host: &hivemind_host::HostFile| host.host.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    change.changed.iter().map(|host| format!("{} {}", host.name, listed(host))).collect()
}

#[tokio::test]
async fn a_file_that_is_edited_in_place_comes_out_changed() {
    let mut watched = Watched::start().await;
    watched.write("web1.toml", &host(2));
    watched.web1_gets("10.0.0.2").await;
}

#[tokio::test]
async fn a_file_that_is_added_or_removed_brings_or_takes_its_host() {
    let mut watched = Watched::start().await;
    fs::rename(new_file(&watched, &host(9)), watched.path("db1.toml")).expect("renamed");
    assert_eq!(addresses(&watched.next().await), ["db1 10.0.0.9"]);
    fs::remove_file(watched.path("db1.toml")).expect("removed");
    assert_eq!(watched.next().await.removed.len(), 1);
}

fn new_file(watched: &Watched, text: &str) -> PathBuf {
    let path = watched.path(".new");
    fs::write(&path, text).expect("written");
    path
}

#[tokio::test]
async fn a_file_that_an_editor_replaces_by_renaming_never_takes_its_host_away() {
    let mut watched = Watched::start().await;
    fs::rename(new_file(&watched, &host(3)), watched.path("web1.toml")).expect("renamed");
    let change = watched.next().await;
    assert_eq!((addresses(&change), change.removed.len()), (vec!["web1 10.0.0.3".to_owned()], 0));
}

#[tokio::test]
async fn the_backup_dance_of_vim_ends_with_the_new_content() {
    let mut watched = Watched::start().await;
    watched.write("4913", "");
    fs::remove_file(watched.path("4913")).expect("removed");
    fs::rename(watched.path("web1.toml"), watched.path("web1.toml~")).expect("renamed");
    watched.write("web1.toml", &host(4));
    fs::remove_file(watched.path("web1.toml~")).expect("removed");
    watched.web1_gets("10.0.0.4").await;
}

#[tokio::test]
async fn a_file_that_means_the_same_is_passed_over() {
    let mut watched = Watched::start().await;
    fs::rename(new_file(&watched, &format!("# the same\n{}", host(1))), watched.path("web1.toml")).expect("renamed");
    fs::rename(new_file(&watched, &host(9)), watched.path("db1.toml")).expect("renamed");
    let change = watched.next().await;
    assert_eq!((addresses(&change), change.errors.len()), (vec!["db1 10.0.0.9".to_owned()], 0));
}

#[tokio::test]
async fn a_wrong_file_is_reported_and_its_host_stays() {
    let mut watched = Watched::start().await;
    fs::rename(new_file(&watched, "addresses = [\"none\"]"), watched.path("web1.toml")).expect("renamed");
    let change = watched.next().await;
    assert_eq!((change.errors.len(), change.errors[0].line, change.removed.len()), (1, 1, 0));
    assert_eq!(change.errors[0].file, watched.path("web1.toml"));
}

#[tokio::test]
async fn symbolic_links_that_are_swapped_as_a_whole_bring_the_new_content() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| root.path().join(name);
    for (version, number) in [("..v1", 1), ("..v2", 2)] {
        fs::create_dir(at(version)).expect("made");
        fs::write(at(version).join("web1.toml"), host(number)).expect("written");
    }
    symlink("..v1", at("..data")).expect("linked");
    symlink("..data/web1.toml", at("web1.toml")).expect("linked");
    let (mut watch, first) = FolderWatch::start(root.path(), rules()).await.expect("watched");
    assert_eq!(addresses(&first), ["web1 10.0.0.1"]);
    symlink("..v2", at("..data_tmp")).expect("linked");
    fs::rename(at("..data_tmp"), at("..data")).expect("renamed");
    let change = timeout(BOUND, watch.next()).await.expect("within the bound").expect("goes on");
    assert_eq!((addresses(&change), change.removed.len()), (vec!["web1 10.0.0.2".to_owned()], 0));
}

#[tokio::test]
async fn a_folder_that_is_moved_away_keeps_its_hosts_until_a_new_one_says_otherwise() {
    let mut watched = Watched::start().await;
    fs::rename(&watched.folder, watched.folder.with_extension("old")).expect("moved");
    fs::create_dir(&watched.folder).expect("made");
    watched.write("web1.toml", &host(5));
    watched.web1_gets("10.0.0.5").await;
    watched.write("web1.toml", &host(6));
    watched.web1_gets("10.0.0.6").await;
}

/// A file elsewhere with the address 10.0.0.7, and a link to it in the watched folder that was seen.
async fn linked(watched: &mut Watched) -> (TempDir, PathBuf) {
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    let target = elsewhere.path().join("db1");
    fs::write(&target, host(7)).expect("written");
    symlink(&target, watched.path("db1.toml")).expect("linked");
    assert_eq!(addresses(&watched.next().await), ["db1 10.0.0.7"]);
    (elsewhere, target)
}

/// Within less than the slow scan, which would find it as well.
async fn db1_is_heard_to_get(watched: &mut Watched, address: &str) {
    let heard = async { while addresses(&watched.next().await) != [format!("db1 {address}")] {} };
    timeout(HEARD, heard).await.expect("heard, not found by the slow scan");
}

#[tokio::test]
async fn a_file_behind_a_link_that_is_written_in_place_is_heard_of() {
    let mut watched = Watched::start().await;
    let (_elsewhere, target) = linked(&mut watched).await;
    fs::write(&target, host(77)).expect("written");
    db1_is_heard_to_get(&mut watched, "10.0.0.77").await;
}

#[tokio::test]
async fn a_file_behind_a_link_that_is_replaced_by_renaming_is_heard_of_each_time() {
    let mut watched = Watched::start().await;
    let (elsewhere, target) = linked(&mut watched).await;
    for number in [8, 9] {
        fs::write(elsewhere.path().join("new"), host(number)).expect("written");
        fs::rename(elsewhere.path().join("new"), &target).expect("renamed");
        db1_is_heard_to_get(&mut watched, &format!("10.0.0.{number}")).await;
    }
}

#[tokio::test]
async fn links_through_a_folder_elsewhere_that_is_swapped_as_a_whole_are_heard_of_each_time() {
    let mut watched = Watched::start().await;
    let volume = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| volume.path().join(name);
    for (version, number) in [("..v1", 7), ("..v2", 8), ("..v3", 9)] {
        fs::create_dir(at(version)).expect("made");
        fs::write(at(version).join("db1.toml"), host(number)).expect("written");
    }
    symlink("..v1", at("..data")).expect("linked");
    symlink(at("..data/db1.toml"), watched.path("db1.toml")).expect("linked");
    db1_is_heard_to_get(&mut watched, "10.0.0.7").await;
    for (version, address) in [("..v2", "10.0.0.8"), ("..v3", "10.0.0.9")] {
        symlink(version, at("..tmp")).expect("linked");
        fs::rename(at("..tmp"), at("..data")).expect("renamed");
        db1_is_heard_to_get(&mut watched, address).await;
    }
}

#[tokio::test]
async fn parts_that_are_added_changed_or_removed_change_their_one_host() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, number: u8| {
        fs::write(root.path().join(".new"), host(number)).expect("written");
        fs::rename(root.path().join(".new"), root.path().join(name)).expect("renamed");
    };
    let name = "web1".to_owned().try_into().expect("a name");
    let (mut watch, first) = FolderWatch::start_parts(root.path(), name, rules()).await.expect("watched");
    assert_eq!((first.changed.len(), first.removed.len()), (0, 1), "there is nothing");
    let mut next = async || timeout(BOUND, watch.next()).await.expect("within the bound").expect("goes on");
    write("b.toml", 1);
    assert_eq!(addresses(&next().await), ["web1 10.0.0.1"]);
    write("a.toml", 2);
    assert_eq!(addresses(&next().await), ["web1 10.0.0.2 10.0.0.1"]);
    write("b.toml", 3);
    assert_eq!(addresses(&next().await), ["web1 10.0.0.2 10.0.0.3"]);
    fs::remove_file(root.path().join("a.toml")).expect("removed");
    assert_eq!(addresses(&next().await), ["web1 10.0.0.3"]);
    fs::remove_file(root.path().join("b.toml")).expect("removed");
    assert_eq!(next().await.removed.len(), 1);
}

#[tokio::test]
async fn a_pipe_in_the_folder_does_not_hold_up_the_others() {
    let mut watched = Watched::start().await;
    symlink("/dev/zero", watched.path("pipe.toml")).expect("linked");
    let change = watched.next().await;
    assert_eq!(
        change.errors[0].to_string(),
        format!("{}:1: the file can not be read: it is not a regular file; make it a readable file", watched.path("pipe.toml").display())
    );
}

#[tokio::test]
async fn a_folder_that_is_not_there_can_not_be_watched() {
    let missing = Path::new("/nowhere/hosts.d");
    let error = FolderWatch::start(missing, rules()).await.expect_err("there is none");
    assert!(matches!(error, WatchError::Folder { .. }), "{error}");
    assert!(error.to_string().starts_with("the folder /nowhere/hosts.d can not be read: No such file or directory"), "{error}");
}

#[tokio::test]
async fn a_watch_that_is_stopped_ends() {
    let watched = Watched::start().await;
    timeout(BOUND, watched.watch.stop()).await.expect("ended within the bound");
}
