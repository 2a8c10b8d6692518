//! Every way in which a host file can be wrong gives one clear message with file, line and key.

use std::path::Path;

use hivemind_host::file::{MAX_ADDRESSES, MAX_ERRORS, MAX_FILE, MAX_RECORDS, MAX_SERVICES, parse};
use hivemind_host::{HostFile, Rules};

fn rules() -> Rules {
    let rules = Rules::new("hive.").and_then(|rules| rules.with_zone("example.org."));
    rules.expect("both are zones").reserving("voter").reserving("dns")
}

fn read(text: &[u8]) -> Result<HostFile, String> {
    parse(Path::new("hosts.d/web1.toml"), text, &rules()).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })
}

#[track_caller]
fn assert_wrong(text: impl AsRef<[u8]>, message: &str) {
    assert_eq!(read(text.as_ref()).expect_err("the file is wrong"), message);
}

/// One `[[dns]]` entry at `blog.example.org.`, in one line.
fn record(kind: &str, data: &str) -> String {
    format!("dns = [{{ name = \"blog.example.org.\", type = \"{kind}\", data = {data} }}]")
}

#[test]
fn an_empty_file_says_what_to_write() {
    let message = "hosts.d/web1.toml:1: the file is empty; write at least `addresses = [\"10.0.0.11\"]`, or remove the file";
    assert_wrong("", message);
    assert_wrong("\n# only a comment\n", message);
}

#[test]
fn a_huge_file_is_refused_unread() {
    let huge = vec![b'#'; MAX_FILE + 1];
    assert_wrong(huge, "hosts.d/web1.toml:1: the file has 65537 octets; 65536 is the most: split the host or shorten the file");
}

#[test]
fn a_file_that_is_not_utf8_says_where() {
    assert_wrong(b"name = \"web1\"\n# caf\xe9\n", "hosts.d/web1.toml:2: the file is not UTF-8 at octet 19; save it as UTF-8");
}

#[test]
fn broken_toml_says_where() {
    assert_wrong("name = \"web1\"\naddresses = [\"10.0.0.1\"", "hosts.d/web1.toml:2: not valid TOML: unclosed array, expected `]`");
    assert_wrong("name = \"a\"\nname = \"b\"", "hosts.d/web1.toml:2: not valid TOML: duplicate key");
}

#[test]
fn control_characters_are_escaped_so_that_one_mistake_is_one_line() {
    let name = Path::new("hosts.d/we\u{1b}[31mb\n1.toml");
    for text in ["name = \"a\\u001b\\nb\"", "\"k\\u001b\\ny\" = 1", "addresses = [\"\\u009b1\\u202e\\r\\n\"]", "name = \"a\\nb\" = 1"] {
        for error in parse(name, text.as_bytes(), &rules()).expect_err("the file is wrong") {
            let shown = error.to_string();
            assert!(!shown.contains(|c: char| c.is_control() || c == '\u{202e}'), "{shown:?}");
            assert!(shown.starts_with("hosts.d/we\\u{1b}[31mb\\n1.toml:1: "), "{shown}");
        }
    }
}

#[test]
fn values_of_wrong_types_say_what_to_write_instead() {
    assert_wrong("name = 1", "hosts.d/web1.toml:1: name: expected a string, found an integer; write `name = \"web1\"`");
    let addresses = "write `addresses = [\"10.0.0.11\", \"fd00::11\"]`";
    assert_wrong("addresses = \"10.0.0.1\"", &format!("hosts.d/web1.toml:1: addresses: expected an array, found a string; {addresses}"));
    assert_wrong("addresses = [true]", &format!("hosts.d/web1.toml:1: addresses[0]: expected a string, found a boolean; {addresses}"));
    assert_wrong(
        "[service]\nname = \"web\"\nport = 80",
        "hosts.d/web1.toml:1: service: expected an array, found a table; write `[[service]]` with `name = \"web\"` and `port = 8080` below it",
    );
    assert_wrong(
        "[[service]]\nname = \"web\"\nport = \"80\"",
        "hosts.d/web1.toml:3: service[0].port: expected an integer, found a string; write `port = 8080`",
    );
}

#[test]
fn unknown_keys_name_the_nearest_known_one() {
    assert_wrong("adresses = []", "hosts.d/web1.toml:1: adresses: unknown key `adresses`; did you mean `addresses`?");
    assert_wrong(
        "[[service]]\nname = \"web\"\nport = 80\nTags = []",
        "hosts.d/web1.toml:4: service[0].Tags: unknown key `Tags`; did you mean `tags`?",
    );
    assert_wrong(
        "colour = 1",
        "hosts.d/web1.toml:1: colour: unknown key `colour`; the keys here are `name`, `addresses`, `service`, `dns`",
    );
}

#[test]
fn host_names_are_one_label_and_not_reserved() {
    assert_wrong(
        "name = \"web1.hive\"",
        "hosts.d/web1.toml:1: name: `web1.hive` has the character '.'; it must be one DNS label of a-z, 0-9 and '-'",
    );
    assert_wrong("name = \"\"", "hosts.d/web1.toml:1: name: the label is empty; give 1 to 63 of a-z, 0-9 and '-'");
    assert_wrong(
        "name = \"Voter12\"",
        "hosts.d/web1.toml:1: name: `voter12` is reserved for the cluster's own nodes (`voterN`); choose another name",
    );
    assert!(read(b"name = \"voter\"").is_ok());
    let errors = parse(Path::new("my host.toml"), b"addresses = []", &rules()).expect_err("the stem is no label");
    assert_eq!(
        errors[0].to_string(),
        "my host.toml:1: name: the file's own name gives no host name: `my host` has the character ' '; it must be one DNS label of \
         a-z, 0-9 and '-'; rename the file, or write `name = \"…\"` in it"
    );
}

#[test]
fn addresses_that_no_host_can_have_are_refused() {
    assert_wrong(
        "addresses = [\"10.0.0.300\"]",
        "hosts.d/web1.toml:1: addresses[0]: `10.0.0.300` is not an IPv4 or IPv6 address; write it like \"10.0.0.11\" or \"fd00::11\", \
         without port or prefix length",
    );
    for (address, what) in [
        ("0.0.0.0", "the unspecified address"),
        ("::", "the unspecified address"),
        ("224.0.0.1", "a multicast address"),
        ("ff02::1", "a multicast address"),
        ("255.255.255.255", "the broadcast address"),
        ("::ffff:10.0.0.1", "an IPv4 address in IPv6 clothes"),
    ] {
        let message = format!("hosts.d/web1.toml:1: addresses[0]: `{address}` is {what}; give an address that this host alone has");
        assert_wrong(format!("addresses = [\"{address}\"]"), &message);
    }
    assert_wrong(
        "addresses = [\"fd00::1\",\n\"fd00:0::1\"]",
        "hosts.d/web1.toml:2: addresses[1]: `fd00::1` stands here twice; remove one of the two",
    );
}

#[test]
fn ports_are_from_1_to_65535() {
    for port in ["0", "65536", "-1", "99999999999999999999"] {
        let message = format!("hosts.d/web1.toml:3: service[0].port: port {port} is out of range; give 1 to 65535");
        assert_wrong(format!("[[service]]\nname = \"web\"\nport = {port}"), &message);
    }
}

#[test]
fn service_names_and_tags_are_labels_with_room_for_an_underscore() {
    let long = "a".repeat(63);
    assert_wrong(
        format!("[[service]]\nname = \"{long}\"\nport = 80\ntags = [\"v 2\", \"b\", \"B\"]"),
        &format!(
            "hosts.d/web1.toml:2: service[0].name: the label `{long}` has 63 octets; 62 is the most here\n\
             hosts.d/web1.toml:4: service[0].tags[0]: `v 2` has the character ' '; it must be one DNS label of a-z, 0-9 and '-'\n\
             hosts.d/web1.toml:4: service[0].tags[2]: the tag `b` stands here twice; remove one of the two"
        ),
    );
    assert_wrong(
        "[[service]]\nname = \"web\"\nport = 80\n[[service]]\nname = \"WEB\"\nport = 80",
        "hosts.d/web1.toml:4: service[1]: the service `web` on port 80 stands here twice; remove one of the two",
    );
    assert_wrong("[[service]]\nname = \"web\"", "hosts.d/web1.toml:1: service[0].port: the key is missing; write `port = 8080`");
}

#[test]
fn record_names_are_names_of_the_allowed_zones() {
    let named = |name: &str| format!("[[dns]]\nname = \"{name}\"\ntype = \"A\"\ndata = \"10.0.0.1\"");
    let long = "a".repeat(64);
    assert_wrong(
        named(&format!("{long}.hive")),
        &format!("hosts.d/web1.toml:2: dns[0].name: the label `{long}` has 64 octets; 63 is the most here"),
    );
    let label = "a".repeat(62);
    assert_wrong(
        named(&format!("{label}.{label}.{label}.{label}.hive")),
        "hosts.d/web1.toml:2: dns[0].name: the name has 258 octets as DNS counts them; 255 is the most",
    );
    assert_wrong(
        named("blog.example.com"),
        "hosts.d/web1.toml:2: dns[0].name: `blog.example.com.` is outside the zones of this cluster (hive., example.org.); choose a name \
         in one of them, or allow its zone with --zone",
    );
    assert_wrong(
        named("1.0.0.10.in-addr.arpa"),
        "hosts.d/web1.toml:2: dns[0].name: `1.0.0.10.in-addr.arpa.` is outside the zones of this cluster (hive., example.org.); choose a \
         name in one of them, or allow its zone with --zone",
    );
    assert_wrong(
        named("*.hive"),
        "hosts.d/web1.toml:2: dns[0].name: the name has the character '*'; only a-z, 0-9, '-', '_' and dots are allowed",
    );
}

#[test]
fn records_have_a_known_type_and_its_data() {
    assert_wrong(
        record("MX", "\"10 mail\""),
        "hosts.d/web1.toml:1: dns[0].type: unknown type `MX`; use one of A, AAAA, CNAME, TXT, SRV and PTR",
    );
    assert_wrong(
        record("A", "\"fd00::1\""),
        "hosts.d/web1.toml:1: dns[0].data: `fd00::1` is not the data of A; write `data = \"10.0.0.11\"`",
    );
    assert_wrong(
        record("AAAA", "\"10.0.0.1\""),
        "hosts.d/web1.toml:1: dns[0].data: `10.0.0.1` is not the data of AAAA; write `data = \"fd00::11\"`",
    );
    assert_wrong(record("CNAME", "\"a..b\""), "hosts.d/web1.toml:1: dns[0].data: the label is empty; give 1 to 63 of a-z, 0-9 and '-'");
    assert_wrong(
        record("SRV", "\"10 5 8080\""),
        "hosts.d/web1.toml:1: dns[0].data: `10 5 8080` is not the data of SRV; write `data = \"10 5 8080 web1.node.hive.\"` (priority, \
         weight, port, target)",
    );
    assert_wrong(record("SRV", "\"10 5 0 a.hive.\""), "hosts.d/web1.toml:1: dns[0].data: port 0 is out of range; give 1 to 65535");
    let long = "x".repeat(256);
    assert_wrong(
        record("TXT", &format!("[\"{long}\"]")),
        "hosts.d/web1.toml:1: dns[0].data[0]: a text of 256 octets; 255 is the most for one record",
    );
    assert_wrong(
        record("TXT", "7"),
        "hosts.d/web1.toml:1: dns[0].data: expected a string, found an integer; write `data = \"v=spf1 -all\"`",
    );
}

#[test]
fn a_ttl_is_at_most_what_31_bits_hold() {
    for ttl in ["-1", "2147483648"] {
        let message = format!("hosts.d/web1.toml:5: dns[0].ttl: ttl {ttl} is out of range; give 0 to 2147483647 seconds");
        assert_wrong(format!("[[dns]]\nname = \"a.hive\"\ntype = \"A\"\ndata = \"10.0.0.1\"\nttl = {ttl}"), &message);
    }
}

#[test]
fn a_cname_stands_alone_at_its_name() {
    let cname = "[[dns]]\nname = \"blog.hive\"\ntype = \"CNAME\"\ndata = \"web1.node.hive.\"\n";
    let text = "[[dns]]\nname = \"blog.hive\"\ntype = \"TXT\"\ndata = \"hello\"\n";
    assert_wrong(
        format!("{cname}{text}"),
        "hosts.d/web1.toml:5: dns[1]: a CNAME stands alone at its name, but `blog.hive.` also has a record of type TXT; remove one of the two",
    );
    assert_wrong(
        format!("{text}{cname}"),
        "hosts.d/web1.toml:5: dns[1]: a CNAME stands alone at its name, but `blog.hive.` also has a record of type TXT; remove one of the two",
    );
    assert_wrong(
        "addresses = [\"10.0.0.1\"]\n[[dns]]\nname = \"web1.node.hive\"\ntype = \"CNAME\"\ndata = \"a.hive.\"",
        "hosts.d/web1.toml:2: dns[0]: a CNAME stands alone at its name, but `web1.node.hive.` also has the host's addresses; remove one of \
         the two",
    );
    assert_wrong(
        "[[dns]]\nname = \"hive\"\ntype = \"CNAME\"\ndata = \"a.hive.\"",
        "hosts.d/web1.toml:1: dns[0]: a CNAME stands alone at its name, but `hive.` also has the zone's own SOA and NS; remove one of the two",
    );
    assert_wrong(
        "[[dns]]\nname = \"a.hive\"\ntype = \"CNAME\"\ndata = \"A.hive.\"",
        "hosts.d/web1.toml:1: dns[0]: the CNAME `a.hive.` points to itself; give the name that it stands for",
    );
}

#[test]
fn a_record_stands_in_a_file_once() {
    let text = "[[dns]]\nname = \"blog.hive\"\ntype = \"TXT\"\ndata = \"hello\"\n";
    assert_wrong(format!("{text}{text}"), "hosts.d/web1.toml:5: dns[1]: the same record stands at line 1 already; remove one of the two");
}

#[test]
fn counts_are_limited() {
    let addresses: Vec<String> = (0..=MAX_ADDRESSES).map(|n| format!("\"10.0.0.{n}\"")).collect();
    assert_wrong(
        format!("addresses = [{}]", addresses.join(",")),
        "hosts.d/web1.toml:1: addresses: 65 entries; 64 is the most for one host",
    );
    let services = "{},".repeat(MAX_SERVICES + 1);
    assert_wrong(format!("service = [{services}]"), "hosts.d/web1.toml:1: service: 257 entries; 256 is the most for one host");
    let records = "{},".repeat(MAX_RECORDS + 1);
    assert_wrong(format!("dns = [{records}]"), "hosts.d/web1.toml:1: dns: 1025 entries; 1024 is the most for one host");
}

#[test]
fn all_mistakes_of_a_file_come_together_in_the_order_of_its_lines() {
    let text = "nmae = \"web1\"\naddresses = [\"none\"]\n[[service]]\nname = \"web\"\nport = 0\n";
    let lines: Vec<usize> = parse(Path::new("web1.toml"), text.as_bytes(), &rules()).expect_err("wrong").iter().map(|e| e.line).collect();
    assert_eq!(lines, [1, 2, 5]);
}

#[test]
fn mistakes_beyond_the_limit_are_counted() {
    let many: String = (0..MAX_ERRORS + 5).map(|n| format!("wrong{n} = 1\n")).collect();
    let errors = parse(Path::new("web1.toml"), many.as_bytes(), &rules()).expect_err("wrong");
    assert_eq!(errors.len(), MAX_ERRORS);
    assert_eq!(errors[MAX_ERRORS - 1].to_string(), "web1.toml:20: 6 more errors in this file; correct these first");
}
