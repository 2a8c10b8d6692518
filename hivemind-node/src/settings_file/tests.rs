use super::*;

fn faults(text: &str) -> String {
    let faults = NodeSettings::parse(text).expect_err("it must be refused");
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_name_and_an_address_are_enough() {
    let settings = NodeSettings::parse("name = \"eu1\"\nlisten = \"192.0.2.1\"\n").unwrap();
    assert_eq!((settings.name.as_str(), settings.listen.to_string().as_str()), ("eu1", "192.0.2.1:6550"));
    assert_eq!(settings.http.socket, Path::new("/var/lib/hivemind/hivemind.sock"));
    assert_eq!(settings.restart_grace, Duration::from_secs(60));
    assert!(settings.host.is_none() && settings.dns_processor.is_none() && !settings.voter);
}

#[test]
fn unknown_settings_are_told_with_their_line_and_the_nearest_one() {
    let said = faults("name = \"eu1\"\nlisten = \"127.0.0.1\"\nvotre = true\n\n[http]\nannonymous = \"read\"\n[rolls.host]\n");
    assert!(said.contains("3: votre: there is no such setting; did you mean `voter`?"), "{said}");
    assert!(said.contains("6: http.annonymous: there is no such setting; did you mean `anonymous`?"), "{said}");
    assert!(said.contains("7: rolls: there is no such setting; did you mean `roles`?"), "{said}");
}

#[test]
fn wrong_values_are_told_with_what_to_write() {
    let base = "name = \"eu1\"\nlisten = \"127.0.0.1\"\n";
    for (line, expected) in [
        ("restart_grace = \"60\"", "`60` has no unit"),
        ("restart_grace = 60", "a number where a text is expected"),
        ("restart_grace = \"2 h\"", "`2 h` is out of range; write something from 0 s to 1 h"),
        ("voter = \"yes\"", "a text where true or false is expected"),
        ("addresses = [\"example.org\"]", "`example.org` is no IP address"),
        ("seeds = [\"eu 1\"]", "`eu 1` is neither an IP address nor a name of DNS; write one, with or without a port: 192.0.2.1:6550,"),
        ("seeds = [\"eu1.example.org:0\"]", "`eu1.example.org:0` has a port that nobody can listen at; write 1 to 65535"),
        ("seeds = [6550]", "each entry of the list is a text"),
        ("http = 1", "this is a table; write [http] above its settings"),
        ("http.hosts = [\"node1.example:80\"]", "`node1.example:80` is no host name"),
        ("http.anonymous = \"admin\"", "`admin` is none of none, read, write"),
        ("roles.host.zones = []", "no zone is given"),
        ("roles.dns_processor.listen = []", "no address is given"),
        ("log.level = \"loud\"", "`loud` is none of error, warn, info, debug"),
    ] {
        let said = faults(&format!("{base}{line}\n"));
        assert!(said.starts_with("3: ") && said.contains(expected), "{line}: {said}");
    }
    assert!(faults("listen = \"127.0.0.1\"").contains("name: this setting is missing"));
    assert!(faults("name = \"eu1\"").contains("addresses: `listen` is every address"));
    assert!(faults("name = \"eu1\"\nlisten = ").contains("2: this is not TOML"));
}

#[test]
fn seeds_are_addresses_or_names_with_a_port_or_without() {
    let written = "seeds = [\"192.0.2.1\", \"eu1.example.org\", \"eu2.example.org:7\", \"[2001:db8::1]:7\"]";
    let settings = NodeSettings::parse(&format!("name = \"eu1\"\nlisten = \"127.0.0.1\"\n{written}\n")).unwrap();
    let seeds: Vec<String> = settings.seeds.iter().map(ToString::to_string).collect();
    assert_eq!(seeds, ["192.0.2.1:6550", "eu1.example.org:6550", "eu2.example.org:7", "[2001:db8::1]:7"]);
}

#[test]
fn what_is_written_reads_back() {
    let text = written(&[("name", "\"eu1\"".to_owned()), ("listen", "\"127.0.0.1:7\"".to_owned())]);
    let settings = NodeSettings::parse(&text).unwrap();
    assert_eq!(settings, NodeSettings::parse("name = \"eu1\"\nlisten = \"127.0.0.1:7\"").unwrap());
    let whole = written(&[
        ("name", "\"eu1\"".to_owned()),
        ("listen", "\"127.0.0.1:7\"".to_owned()),
        ("roles.host.folder", "\"/tmp/hosts\"".to_owned()),
    ]);
    assert_eq!(NodeSettings::parse(&whole).unwrap().host.unwrap().folder, Path::new("/tmp/hosts"));
    let uncommented: String = text
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|line| line.contains(" = ") || line.starts_with('[')).unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .collect();
    let uncommented = uncommented.replace("socket = \"\"\n", "");
    assert!(NodeSettings::parse(&uncommented).is_ok(), "every default is valid: {uncommented}");
}

#[test]
fn what_needs_a_restart_is_named() {
    let settings = NodeSettings::parse("name = \"eu1\"\nlisten = \"127.0.0.1:7\"").unwrap();
    let mut new = settings.clone();
    new.log.level = LogLevel::Debug;
    new.restart_grace = Duration::from_secs(1);
    assert!(settings.needs_restart(&new).is_empty());
    new.voter = true;
    new.http.anonymous = Anonymous::None;
    assert_eq!(settings.needs_restart(&new), ["voter", "[http]"]);
}

#[test]
fn beyond_this_machine_nobody_is_anonymous() {
    let base = "name = \"eu1\"\nlisten = \"127.0.0.1\"\n[http]\n";
    for listen in ["0.0.0.0:6553", "[::]", "192.0.2.1", "[::ffff:192.0.2.1]:1"] {
        for anonymous in ["", "anonymous = \"read\"", "anonymous = \"write\""] {
            let said = faults(&format!("{base}listen = \"{listen}\"\n{anonymous}\n"));
            assert!(
                said.contains("http.anonymous: others than this machine can come to") && said.contains("anonymous = \"none\""),
                "{said}"
            );
        }
        assert!(NodeSettings::parse(&format!("{base}listen = \"{listen}\"\nanonymous = \"none\"\n")).is_ok(), "{listen}");
    }
    assert!(NodeSettings::parse(&format!("{base}listen = \"127.9.9.9\"\n")).is_ok());
}
