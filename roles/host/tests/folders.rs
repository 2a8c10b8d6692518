//! Which hosts are in force, whatever happens to the files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hivemind_host::Rules;
use hivemind_host::folder::{Content, Folder, FolderChange, is_host_file};
use proptest::prelude::*;

fn folder() -> Folder {
    Folder::new(Rules::new("hive.").expect("a zone"))
}

fn write(folder: &mut Folder, files: &[(&str, &str)]) -> FolderChange {
    let read = files.iter().map(|(path, text)| (PathBuf::from(path), Content::Octets(text.as_bytes().to_vec()))).collect();
    folder.update(read, &BTreeSet::new())
}

fn remove(folder: &mut Folder, path: &str) -> FolderChange {
    folder.update(BTreeMap::new(), &BTreeSet::from([PathBuf::from(path)]))
}

/// The names that changed, that are gone, and the errors as text.
fn said(change: &FolderChange) -> (Vec<&str>, Vec<&str>, Vec<String>) {
    let changed = change.changed.iter().map(|host| host.name.as_str()).collect();
    let removed = change.removed.iter().map(|name| name.as_str()).collect();
    (changed, removed, change.errors.iter().map(ToString::to_string).collect())
}

fn taken(file: &str, name: &str, other: &str) -> String {
    format!(
        "{file}:1: name: the host name `{name}` belongs to {other} already; give this host another name, or remove one of the two files"
    )
}

#[test]
fn what_editors_and_others_leave_behind_is_no_host_file() {
    for name in ["web1.toml", "hosts.d/Web 1.toml"] {
        assert!(is_host_file(Path::new(name)), "{name}");
    }
    for name in
        [".web1.toml", "web1.toml~", ".web1.toml.swp", "#web1.toml#", ".#web1.toml", "web1.toml.bak", "4913", "..data", ".toml", "web1"]
    {
        assert!(!is_host_file(Path::new(name)), "{name}");
    }
    assert!(write(&mut folder(), &[("web1.toml~", "addresses = []"), (".web1.toml", "x")]).is_empty());
}

#[test]
fn a_file_that_means_the_same_as_before_changes_nothing() {
    let mut folder = folder();
    assert_eq!(said(&write(&mut folder, &[("a.toml", "addresses = [\"10.0.0.1\"]")])), (vec!["a"], vec![], vec![]));
    assert!(write(&mut folder, &[("a.toml", "# said otherwise\nname='A'\naddresses = ['10.0.0.1']")]).is_empty());
}

#[test]
fn a_wrong_file_leaves_its_last_good_version_in_force_and_is_reported_once() {
    let mut folder = folder();
    write(&mut folder, &[("a.toml", "addresses = [\"10.0.0.1\"]")]);
    let wrong = "a.toml:1: adresses: unknown key `adresses`; did you mean `addresses`?".to_owned();
    assert_eq!(said(&write(&mut folder, &[("a.toml", "adresses = []")])), (vec![], vec![], vec![wrong]));
    assert_eq!(folder.hosts().len(), 1);
    assert!(write(&mut folder, &[("a.toml", "adresses = []")]).is_empty());
    let right = write(&mut folder, &[("a.toml", "addresses = [\"10.0.0.1\"]")]);
    assert_eq!(said(&right), (vec![], vec![], vec![]));
    assert_eq!(right.corrected, [PathBuf::from("a.toml")]);
}

#[test]
fn a_file_that_was_never_right_makes_no_host() {
    let mut folder = folder();
    assert_eq!(write(&mut folder, &[("a.toml", "")]).errors.len(), 1);
    assert!(folder.hosts().is_empty());
}

#[test]
fn a_removed_file_takes_its_host_away_even_when_it_was_wrong() {
    let mut folder = folder();
    write(&mut folder, &[("a.toml", "addresses = []")]);
    write(&mut folder, &[("a.toml", "wrong")]);
    let gone = remove(&mut folder, "a.toml");
    assert_eq!(said(&gone), (vec![], vec!["a"], vec![]));
    assert_eq!(gone.corrected, [PathBuf::from("a.toml")], "its mistakes are gone with it");
}

#[test]
fn a_renamed_host_is_a_new_one_and_the_old_one_is_gone() {
    let mut folder = folder();
    write(&mut folder, &[("a.toml", "addresses = []")]);
    assert_eq!(said(&write(&mut folder, &[("a.toml", "name = \"b\"")])), (vec!["b"], vec!["a"], vec![]));
}

#[test]
fn at_the_start_the_first_file_gets_a_name_that_two_want() {
    let change = write(&mut folder(), &[("b.toml", "name = \"x\"\naddresses = [\"10.0.0.2\"]"), ("a.toml", "name = \"x\"")]);
    assert_eq!(said(&change), (vec!["x"], vec![], vec![taken("b.toml", "x", "a.toml")]));
    assert!(change.changed[0].host.addresses.is_empty());
}

#[test]
fn a_name_that_is_taken_is_reported_at_the_line_of_its_key() {
    let change = write(&mut folder(), &[("a.toml", "name = \"x\""), ("b.toml", "# a comment\nname = \"x\"")]);
    assert_eq!((change.errors[0].line, change.errors[0].column), (2, 8));
    assert!(change.errors[0].to_string().starts_with("b.toml:2: name: "), "{}", change.errors[0]);
}

#[test]
fn a_file_that_has_a_name_keeps_it_against_a_new_one_and_leaves_it_when_it_goes() {
    let mut folder = folder();
    write(&mut folder, &[("b.toml", "name = \"x\"")]);
    assert_eq!(said(&write(&mut folder, &[("a.toml", "name = \"x\"\naddresses = [\"10.0.0.2\"]")])).2, [taken("a.toml", "x", "b.toml")]);
    let change = remove(&mut folder, "b.toml");
    assert_eq!(said(&change), (vec!["x"], vec![], vec![]));
    assert_eq!(change.corrected, [PathBuf::from("a.toml")]);
}

#[test]
fn a_file_that_wants_anothers_name_keeps_its_own_against_a_third() {
    let mut folder = folder();
    write(&mut folder, &[("a.toml", "name = \"a\""), ("b.toml", "name = \"b\"")]);
    let change = write(&mut folder, &[("a.toml", "name = \"b\""), ("0.toml", "name = \"a\"\naddresses = [\"10.0.0.1\"]")]);
    assert_eq!(said(&change), (vec![], vec![], vec![taken("0.toml", "a", "a.toml"), taken("a.toml", "b", "b.toml")]));
}

#[test]
fn two_files_may_swap_their_names_at_once() {
    let mut folder = folder();
    write(&mut folder, &[("a.toml", "name = \"x\"\naddresses = [\"10.0.0.1\"]"), ("b.toml", "name = \"y\"")]);
    let change = write(&mut folder, &[("a.toml", "name = \"y\"\naddresses = [\"10.0.0.1\"]"), ("b.toml", "name = \"x\"")]);
    assert_eq!(said(&change), (vec!["x", "y"], vec![], vec![]));
}

#[test]
fn files_that_can_not_be_read_are_wrong_files() {
    let unreadable = Content::Unreadable { reason: "Permission denied".to_owned() };
    let files = BTreeMap::from([(PathBuf::from("a.toml"), unreadable), (PathBuf::from("b.toml"), Content::TooLarge { octets: 1 << 30 })]);
    let errors = said(&folder().update(files, &BTreeSet::new())).2;
    assert_eq!(
        errors,
        [
            "a.toml:1: the file can not be read: Permission denied; make it a readable file",
            "b.toml:1: the file has 1073741824 octets; 65536 is the most: split the host or shorten the file",
        ]
    );
}

/// One edit of one of four files: removed, wrong, or right under one of four names.
#[derive(Clone, Debug)]
struct Edit(u8, Option<Option<u8>>);

fn apply(folder: &mut Folder, Edit(file, what): &Edit) -> FolderChange {
    let path = format!("{file}.toml");
    match what {
        None => remove(folder, &path),
        Some(None) => write(folder, &[(&path, "wrong")]),
        Some(Some(name)) => write(folder, &[(&path, &format!("name = \"h{name}\"\naddresses = [\"10.0.0.{file}\"]"))]),
    }
}

proptest! {
    #[test]
    fn whoever_follows_the_changes_has_the_hosts_in_force(
        edits in proptest::collection::vec((0_u8..4, proptest::option::of(proptest::option::of(0_u8..4))), 1..40)
    ) {
        let mut folder = folder();
        let mut followed = BTreeMap::new();
        for (file, what) in edits {
            let change = apply(&mut folder, &Edit(file, what));
            for name in change.removed {
                prop_assert!(followed.remove(&name).is_some());
            }
            for host in change.changed {
                prop_assert_ne!(followed.insert(host.name.clone(), host.clone()), Some(host));
            }
            let in_force: BTreeMap<_, _> = folder.hosts().into_iter().map(|(name, host)| (name.clone(), host.clone())).collect();
            prop_assert_eq!(&in_force, &followed);
        }
    }
}
