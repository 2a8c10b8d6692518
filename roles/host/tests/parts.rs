//! All files of a folder as parts of one host: what they say together, and what no mistake takes away.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use hivemind_host::file::{MAX_ADDRESSES, MAX_ERRORS, MAX_RECORDS, MAX_SERVICES};
use hivemind_host::folder::Content;
use hivemind_host::{FolderChange, HostFile, Parts, Rules};
use proptest::prelude::*;

fn parts() -> Parts {
    Parts::new("web1".to_owned().try_into().expect("a name"), Rules::new("hive.").expect("a zone"))
}

fn write(parts: &mut Parts, files: &[(&str, &str)]) -> FolderChange {
    let read = files.iter().map(|(path, text)| (PathBuf::from(path), Content::Octets(text.as_bytes().to_vec()))).collect();
    parts.update(read, &BTreeSet::new())
}

fn remove(parts: &mut Parts, path: &str) -> FolderChange {
    parts.update(BTreeMap::new(), &BTreeSet::from([PathBuf::from(path)]))
}

fn errors(change: &FolderChange) -> Vec<String> {
    change.errors.iter().map(ToString::to_string).collect()
}

/// What is wrong with parts that are right one by one. Nothing of them comes into force.
fn wrong_together(files: &[(&str, &str)]) -> Vec<String> {
    for (file, text) in files {
        assert_eq!(errors(&write(&mut parts(), &[(file, text)])), Vec::<String>::new());
    }
    let mut parts = parts();
    let change = write(&mut parts, files);
    assert!(change.changed.is_empty() && change.removed.is_empty() && parts.host().is_none(), "{change:?}");
    errors(&change)
}

fn addresses(host: &HostFile) -> Vec<String> {
    host.host.addresses.iter().map(ToString::to_string).collect()
}

const WEB: &str = "[[service]]\nname = \"web\"\nport = 80\n";
const BLOG: &str = "[[dns]]\nname = \"blog.hive\"\ntype = \"TXT\"\ndata = \"a\"\n";

#[test]
fn the_parts_are_one_host_in_the_order_of_their_names() {
    let change = write(
        &mut parts(),
        &[
            ("20-web.toml", &format!("addresses = [\"10.0.0.2\", \"10.0.0.1\"]\n{WEB}")),
            ("10 base.toml", "name = \"Web1\"\naddresses = [\"10.0.0.1\", \"fd00::1\"]\n"),
            ("30-dns.toml", &format!("{BLOG}[[service]]\nname = \"web\"\nport = 8080\n")),
            ("readme.txt", "not a part"),
        ],
    );
    assert_eq!(errors(&change), Vec::<String>::new());
    let [host] = change.changed.as_slice() else { panic!("{change:?}") };
    assert_eq!(host.name.as_str(), "web1");
    assert_eq!(addresses(host), ["10.0.0.1", "fd00::1", "10.0.0.2"], "each once, as the first part has it");
    assert_eq!(host.service.services.iter().map(|service| service.port).collect::<Vec<_>>(), [80, 8080]);
    assert_eq!(host.dns.records.len(), 1);
}

#[test]
fn a_part_that_comes_changes_or_goes_changes_the_host() {
    let mut parts = parts();
    write(&mut parts, &[("a.toml", "addresses = [\"10.0.0.1\"]")]);
    assert_eq!(addresses(&write(&mut parts, &[("b.toml", "addresses = [\"10.0.0.2\"]")]).changed[0]), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(addresses(&write(&mut parts, &[("a.toml", "addresses = [\"10.0.0.3\"]")]).changed[0]), ["10.0.0.3", "10.0.0.2"]);
    assert!(write(&mut parts, &[("a.toml", "# the same\naddresses = ['10.0.0.3']")]).is_empty());
    assert_eq!(addresses(&remove(&mut parts, "a.toml").changed[0]), ["10.0.0.2"]);
    let change = remove(&mut parts, "b.toml");
    assert_eq!((change.changed.len(), change.removed.len()), (0, 1), "the last part takes the host with it");
    assert!(remove(&mut parts, "b.toml").is_empty());
}

#[test]
fn a_wrong_part_leaves_all_as_it_was_until_it_is_right_or_gone() {
    let mut parts = parts();
    write(&mut parts, &[("a.toml", "addresses = [\"10.0.0.1\"]"), ("b.toml", WEB)]);
    let change = write(&mut parts, &[("a.toml", "addresses = [\"10.0.0.9\"]"), ("b.toml", "\nadresses = []")]);
    assert_eq!(errors(&change), ["b.toml:2: adresses: unknown key `adresses`; did you mean `addresses`?"]);
    assert!(change.changed.is_empty() && parts.host().is_some_and(|host| addresses(host) == ["10.0.0.1"]));
    assert!(write(&mut parts, &[("b.toml", "\nadresses = []")]).is_empty(), "it is told once");
    assert!(remove(&mut parts, "a.toml").is_empty(), "nothing goes while a part is wrong");
    let change = write(&mut parts, &[("b.toml", WEB)]);
    assert_eq!((change.changed.len(), change.corrected.as_slice()), (1, [PathBuf::from("b.toml")].as_slice()));
    assert!(addresses(&change.changed[0]).is_empty() && change.changed[0].service.services.len() == 1);
    write(&mut parts, &[("b.toml", "wrong")]);
    assert_eq!(remove(&mut parts, "b.toml").removed.len(), 1);
}

#[test]
fn a_start_with_a_wrong_part_takes_nothing_back_and_one_without_parts_does() {
    let mut parts = parts();
    let change = write(&mut parts, &[("a.toml", "wrong"), ("b.toml", WEB)]);
    assert!(change.changed.is_empty() && change.removed.is_empty() && change.errors.len() == 1, "{change:?}");
    let change = parts.update(BTreeMap::new(), &BTreeSet::from([PathBuf::from("a.toml"), PathBuf::from("b.toml")]));
    assert_eq!(change.removed.len(), 1, "what an earlier run published goes with the last part");
    let mut parts = self::parts();
    assert_eq!(write(&mut parts, &[]).removed.len(), 1);
    assert!(write(&mut parts, &[]).is_empty());
}

#[test]
fn a_part_that_names_another_host_is_wrong() {
    let change = write(&mut parts(), &[("a.toml", WEB), ("b.toml", "# a comment\nname = \"web2\"")]);
    let said = "b.toml:2: name: the files here are parts of the host `web1`, and this one says that it is of `web2`; move it to that host, \
                or remove its `name`";
    assert_eq!((errors(&change), change.changed.len()), (vec![said.to_owned()], 0));
}

#[test]
fn what_stands_in_two_parts_is_told_with_both() {
    let said = wrong_together(&[("a.toml", &format!("# first\n{WEB}{BLOG}")), ("b.toml", &format!("{BLOG}{WEB}"))]);
    let expected = [
        "b.toml:1: dns[0]: the same record stands at a.toml:5 already; remove one of the two",
        "b.toml:5: service[0]: the service `web` on port 80 stands at a.toml:2 already; remove one of the two",
    ];
    assert_eq!(said, expected);
}

#[test]
fn a_cname_stands_alone_over_all_parts() {
    let cname = |name: &str| format!("[[dns]]\nname = \"{name}\"\ntype = \"CNAME\"\ndata = \"x.hive\"\n");
    let beside = |told: &str, name: &str, what: &str, at: &str| {
        vec![format!("{told}: dns[0]: a CNAME stands alone at its name, but `{name}` also has {what} at {at}; remove one of the two")]
    };
    let blog = cname("blog.hive");
    assert_eq!(
        wrong_together(&[("a.toml", BLOG), ("b.toml", &blog)]),
        beside("b.toml:1", "blog.hive.", "a record of type TXT", "a.toml:1")
    );
    assert_eq!(
        wrong_together(&[("a.toml", &blog), ("b.toml", BLOG)]),
        beside("b.toml:1", "blog.hive.", "a record of type CNAME", "a.toml:1")
    );
    assert_eq!(
        wrong_together(&[("a.toml", &cname("web.service.hive")), ("b.toml", &format!("\n{WEB}"))]),
        beside("a.toml:1", "web.service.hive.", "a service of this host", "b.toml:2")
    );
    assert_eq!(
        wrong_together(&[("a.toml", &cname("web1.node.hive")), ("b.toml", "\n\naddresses = [\"10.0.0.1\"]")]),
        beside("a.toml:1", "web1.node.hive.", "the host's addresses", "b.toml:3")
    );
}

#[test]
fn the_limits_of_a_host_hold_over_all_its_parts() {
    let addresses = |net: usize, count: usize| {
        let all: Vec<String> = (0..count).map(|number| format!("\"10.0.{net}.{number}\"")).collect();
        format!("addresses = [{}]", all.join(", "))
    };
    let services = |name: &str, count: usize| (1..=count).map(|port| format!("[[service]]\nname = \"{name}\"\nport = {port}\n")).collect();
    let records = |name: &str, count: usize| {
        let all: Vec<String> = (0..count).map(|number| format!("{{name='{name}{number}.hive',type='A',data='10.0.0.1'}}")).collect();
        format!("dns = [{}]", all.join(","))
    };
    let many = |what: &str, most: usize| format!("with this entry the host has more than {most} {what} in all its files; remove some");
    let files = [("a.toml", addresses(0, MAX_ADDRESSES - 1)), ("b.toml", format!("\n{}", addresses(1, 3)))];
    let said = wrong_together(&[(files[0].0, &files[0].1), (files[1].0, &files[1].1)]);
    assert_eq!(said, [format!("b.toml:2: addresses[1]: {}", many("addresses", MAX_ADDRESSES))]);
    let (first, second): (String, String) = (services("a", MAX_SERVICES), services("b", 1));
    let said = wrong_together(&[("a.toml", &first), ("b.toml", &second)]);
    assert_eq!(said, [format!("b.toml:1: service[0]: {}", many("services", MAX_SERVICES))]);
    let said = wrong_together(&[("a.toml", &records("a", MAX_RECORDS)), ("b.toml", &records("b", 1))]);
    assert_eq!(said, [format!("b.toml:1: dns[0]: {}", many("records", MAX_RECORDS))]);
}

#[test]
fn more_than_a_config_can_hold_is_told_at_the_last_part() {
    let texts = |name: &str| {
        let text = |number: usize| format!("[[dns]]\nname = \"{name}{number}.hive\"\ntype = \"TXT\"\ndata = \"{}\"\n", "x".repeat(4000));
        (0..12).map(text).collect::<String>()
    };
    let said = wrong_together(&[("a.toml", &texts("a")), ("b.toml", &texts("b")), ("c.toml", WEB)]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("b.toml:1: the records in all files of the host have 9") && said[0].contains("65536 is the most"),
        "{said:?}"
    );
}

#[test]
fn so_many_mistakes_are_told_of_a_part_and_the_others_counted() {
    let services: String = (1..=100).map(|port| format!("[[service]]\nname = \"web\"\nport = {port}\n")).collect();
    let said = wrong_together(&[("a.toml", &services), ("b.toml", &services)]);
    assert_eq!(said.len(), MAX_ERRORS);
    assert_eq!(said[MAX_ERRORS - 1], "b.toml:58: 81 more errors in this file; correct these first");
}

proptest! {
    #[test]
    fn what_is_in_force_is_what_a_start_over_the_same_files_gives_wherever_they_are_right(
        edits in proptest::collection::vec((0_u8..3, proptest::option::of(proptest::option::of(1_u8..4))), 1..30)
    ) {
        let (mut parts, mut files) = (parts(), BTreeMap::new());
        let mut followed: Option<HostFile> = None;
        // Nothing, something wrong, or a service on one of a few ports, in one of three files.
        for (file, what) in edits {
            let path = format!("{file}.toml");
            let change = match what {
                None => {
                    files.remove(&path);
                    remove(&mut parts, &path)
                }
                Some(port) => {
                    let text = port.map_or("wrong".to_owned(), |port| format!("[[service]]\nname = \"web\"\nport = {port}\n"));
                    files.insert(path.clone(), text.clone());
                    write(&mut parts, &[(&path, &text)])
                }
            };
            if !change.removed.is_empty() {
                followed = None;
            }
            followed = change.changed.into_iter().next().or(followed);
            prop_assert_eq!(parts.host(), followed.as_ref());
            let all: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
            let mut fresh = self::parts();
            let anew = write(&mut fresh, &all);
            if anew.errors.is_empty() {
                prop_assert_eq!(fresh.host(), parts.host());
            }
        }
    }
}
