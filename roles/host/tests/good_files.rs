//! What right host files mean, the documentation's and the examples' among them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hivemind_core::wire::codec::SECTION_LIMIT;
use hivemind_host::file::parse;
use hivemind_host::{HostFile, Rules, check};
use hivemind_sections::{DnsRecord, DnsSection, HostSection, RecordData, Section, Service, ServiceSection};
use proptest::prelude::*;

fn rules() -> Rules {
    let rules = Rules::new("hive.").and_then(|rules| rules.with_zone("example.org."));
    rules.expect("both are zones").reserving("voter").reserving("dns")
}

fn read(text: &str) -> HostFile {
    parse(Path::new("web1.toml"), text.as_bytes(), &rules()).unwrap_or_else(|errors| panic!("{errors:?} in\n{text}"))
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_example_of_the_documentation_means_what_it_says() {
    let host = parse(Path::new("web1.toml"), &fs::read(repository().join("examples/hosts.d/web1.toml")).expect("it is there"), &rules());
    let expected = HostFile {
        name: "web1".to_owned().try_into().expect("a name"),
        host: HostSection { addresses: vec!["10.0.0.11".parse().expect("v4"), "fd00::11".parse().expect("v6")] },
        service: ServiceSection { services: vec![Service { name: "web".into(), port: 8080, tags: vec!["v2".into()] }] },
        dns: DnsSection {
            records: vec![DnsRecord { name: "blog.example.org.".into(), ttl: 60, data: RecordData::Cname("web1.node.hive.".into()) }],
        },
    };
    assert_eq!(host, Ok(expected));
}

#[test]
fn every_example_of_the_documentation_is_right() {
    let text = fs::read_to_string(repository().join("docs/host-files.md")).expect("the documentation is there");
    let examples: Vec<&str> = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 5, "found only {}", examples.len());
    for example in examples {
        read(example);
    }
}

#[test]
fn the_ten_example_hosts_are_right_together() {
    let report = check(&[repository().join("examples/hosts.d")], &rules());
    assert_eq!((report.files, report.to_string().as_str()), (10, ""));
}

#[test]
fn a_name_that_is_left_out_is_the_files_and_upper_case_is_folded() {
    let host = parse(Path::new("hosts.d/Mail1.toml"), b"addresses = []", &rules()).expect("right");
    assert_eq!(host.name.as_str(), "mail1");
    assert_eq!(read("name = \"DB1\"").name.as_str(), "db1");
}

#[test]
fn records_of_every_type_are_read() {
    let entry = |kind: &str, data: &str| format!("{{ name = \"X.hive\", type = \"{kind}\", data = {data} }}");
    let data = |text: String| read(&format!("dns = [{text}]")).dns.records.remove(0).data;
    assert_eq!(data(entry("a", "\"10.0.0.1\"")), RecordData::A("10.0.0.1".parse().expect("v4")));
    assert_eq!(data(entry("AAAA", "\"fd00::1\"")), RecordData::Aaaa("fd00::1".parse().expect("v6")));
    assert_eq!(data(entry("CNAME", "\"Other.example.com\"")), RecordData::Cname("other.example.com.".into()));
    assert_eq!(data(entry("TXT", "\"Ä b\"")), RecordData::Txt(vec!["Ä b".into()]));
    assert_eq!(data(entry("TXT", "[\"a\", \"b\"]")), RecordData::Txt(vec!["a".into(), "b".into()]));
    assert_eq!(data(entry("TXT", "\"\"")), RecordData::Txt(vec![Vec::new()]));
    let long = "x".repeat(300);
    assert_eq!(data(entry("TXT", &format!("\"{long}\""))), RecordData::Txt(vec![vec![b'x'; 255], vec![b'x'; 45]]));
    let srv = RecordData::Srv { priority: 10, weight: 5, port: 80, target: "a.hive.".into() };
    assert_eq!(data(entry("SRV", "\"10 5 80 A.hive\"")), srv);
    let no_service = RecordData::Srv { priority: 0, weight: 0, port: 0, target: ".".into() };
    assert_eq!(data(entry("SRV", "\"0 0 0 .\"")), no_service);
    let pointer = "{ name = \"11.0.0.10.in-addr.arpa\", type = \"PTR\", data = \"web1.node.hive.\" }";
    assert_eq!(data(pointer.to_owned()), RecordData::Ptr("web1.node.hive.".into()));
}

#[test]
fn the_largest_file_publishes_sections_within_the_limit_of_the_wire() {
    let mut records = String::new();
    for number in 0..600 {
        records += &format!("{{name=\"{number}.hive\",type=\"TXT\",data=\"{}\"}},\n", "x".repeat(60));
    }
    for section in read(&format!("dns = [{records}]")).sections() {
        assert!(section.body.len() <= SECTION_LIMIT);
    }
}

#[test]
fn what_is_published_decodes_to_what_was_written() {
    let host = read("addresses = [\"10.0.0.1\"]\n[[service]]\nname = \"web\"\nport = 80");
    let kinds: BTreeSet<String> = host.sections().iter().map(|section| section.kind.to_string()).collect();
    assert_eq!(kinds, ["dns", "host", "service"].map(String::from).into());
    for section in host.sections() {
        match section.kind.as_str() {
            "host" => assert_eq!(HostSection::decode(&section.body), Ok(host.host.clone())),
            "service" => assert_eq!(ServiceSection::decode(&section.body), Ok(host.service.clone())),
            _ => assert_eq!(DnsSection::decode(&section.body), Ok(host.dns.clone())),
        }
    }
}

const SEED: &str = r#"name = "web1"
addresses = ["10.0.0.11", "fd00::11"]
[[service]]
name = "web"
port = 8080
tags = ["v2"]
[[dns]]
name = "blog.example.org"
type = "SRV"
data = "10 5 8080 web1.node.hive."
ttl = 60
"#;

proptest! {
    #[test]
    fn no_octets_make_the_reader_panic(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(Path::new("web1.toml"), &octets, &rules());
    }

    #[test]
    fn no_mutation_of_a_right_file_makes_the_reader_panic(
        edits in proptest::collection::vec((0..SEED.len(), 0_usize..8, "[ -~\n\u{e9}]{0,6}"), 1..6)
    ) {
        let mut text: Vec<char> = SEED.chars().collect();
        for (at, length, with) in edits {
            let start = at.min(text.len());
            let end = (start + length).min(text.len());
            text.splice(start..end, with.chars());
        }
        let text: String = text.into_iter().collect();
        match parse(Path::new("web1.toml"), text.as_bytes(), &rules()) {
            Ok(host) => prop_assert!(host.sections().iter().all(|section| section.body.len() <= SECTION_LIMIT)),
            Err(errors) => {
                let lines = text.matches('\n').count() + 1;
                prop_assert!(!errors.is_empty() && errors.iter().all(|error| (1..=lines).contains(&error.line)));
            }
        }
    }
}

#[test]
fn a_named_folder_without_host_files_is_a_mistake_beside_the_others() {
    let root = tempfile::tempdir().expect("a temporary folder");
    fs::write(root.path().join(".hidden.toml"), "").expect("written");
    let report = check(&[root.path().to_owned(), repository().join("examples/hosts.d")], &rules());
    assert!(report.files > 0 && !report.is_clean());
    let told = "there is no host file to check here; host files are called `NAME.toml`, and not hidden";
    assert_eq!(report.to_string(), format!("{}:1: {told}\n", root.path().display()));
}
