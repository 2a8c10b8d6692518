//! Folders that are not a node's to use.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{open, refusal, reopen, voter};
use crate::storage::OpenError;

#[test]
fn the_folder_and_its_files_are_their_owners_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    drop(voter(dir.path()));
    for (name, expected) in [("", 0o700), ("identity", 0o600), ("lock", 0o600), ("snapshots", 0o700), ("raft", 0o700)] {
        let mode = fs::metadata(dir.path().join(name)).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode, expected, "{name:?}");
    }
}

#[test]
fn a_file_in_place_of_the_folder_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("data");
    fs::write(&file, b"mine").expect("it is written");
    assert!(matches!(refusal(&file), OpenError::NotADirectory { .. }));
    assert!(matches!(refusal(&file.join("below")), OpenError::NotADirectory { .. }));
    assert_eq!(fs::read(&file).expect("it is read"), b"mine");
}

#[test]
fn a_folder_that_can_not_be_made_is_refused_as_not_writable() {
    // Nobody makes folders there, root included.
    let refused = refusal(Path::new("/sys/hivemind-data"));
    assert!(matches!(refused, OpenError::NotWritable { .. }), "{refused}");
    let read_only = OpenError::io(Path::new("/data"), io::Error::from(io::ErrorKind::ReadOnlyFilesystem));
    assert!(matches!(read_only, OpenError::NotWritable { .. }));
}

#[test]
fn a_folder_of_other_files_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("thesis.tex"), b"years of work").expect("it is written");
    let refused = refusal(dir.path());
    assert!(matches!(&refused, OpenError::Stranger { found, .. } if found == "thesis.tex"), "{refused}");
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 1);
}

#[test]
fn a_newer_format_is_refused_and_an_unreadable_one_is_damage() {
    let dir = tempfile::tempdir().expect("a folder");
    drop(voter(dir.path()));
    let format = dir.path().join("format");
    fs::write(&format, "hivemind data folder, format 2\n").expect("it is written");
    assert!(matches!(refusal(dir.path()), OpenError::Newer { found: 2, speaks: 1 }));
    for content in ["", "hivemind data folder, format 0\n", "nonsense"] {
        fs::write(&format, content).expect("it is written");
        assert!(matches!(refusal(dir.path()), OpenError::Damaged { .. }), "{content:?}");
    }
    fs::remove_file(&format).expect("removed");
    assert!(matches!(refusal(dir.path()), OpenError::Damaged { .. }));
}

#[test]
fn a_folder_in_use_is_refused_and_names_who_uses_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (storage, _) = reopen(dir.path());
    let refused = refusal(dir.path());
    assert!(matches!(refused, OpenError::InUse { by: Some(pid), .. } if pid == std::process::id()), "{refused}");
    drop(storage);
    reopen(dir.path());
}

#[test]
fn a_folder_in_use_by_another_process_is_refused_until_it_ends() {
    let dir = tempfile::tempdir().expect("a folder");
    drop(voter(dir.path()));
    let mut other = Command::new("flock")
        .arg("--nonblock")
        .arg(dir.path().join("lock"))
        .args(["sh", "-c", "echo held; read line"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("flock is part of every Debian");
    let mut said = [0; 5];
    other.stdout.as_mut().expect("it is piped").read_exact(&mut said).expect("it says that it holds the lock");
    assert!(matches!(refusal(dir.path()), OpenError::InUse { .. }));
    drop(other.stdin.take());
    other.wait().expect("it ends");
    assert!(open(dir.path()).is_ok());
}
