//! Looking at a host.

use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;
use serde_json::Value;

use crate::host::Host;
use crate::said::Said;

/// The verdicts, by what was looked at.
fn verdicts(said: &Said) -> Vec<(String, String)> {
    let found: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    found["findings"].as_array().unwrap().iter().map(|finding| (text(finding, "check"), text(finding, "verdict"))).collect()
}

fn of<'a>(verdicts: &'a [(String, String)], check: &str) -> &'a str {
    verdicts.iter().find(|(found, _)| found == check).map_or("", |(_, verdict)| verdict)
}

#[test]
fn a_host_is_looked_at_while_its_daemon_runs_and_when_it_does_not() {
    let (host, daemon) = Host::founder();
    let running = host.ask(&["doctor", "--json"]);
    let found = verdicts(&running);
    assert_eq!(running.status, 0, "{running:?}");
    for check in ["settings", "data", "identity", "key", "certificate", "clock", "peers", "socket", "daemon", "members"] {
        assert_eq!(of(&found, check), "ok", "{check}: {running:?}");
    }
    assert!(!of(&found, "disk").is_empty() && !of(&found, "room").is_empty());
    let people = host.ask(&["doctor"]).done();
    assert!(people.starts_with("ok    settings     ") && people.lines().all(|line| !line.starts_with("FAIL")), "{people}");

    daemon.signal(Signal::TERM);
    daemon.ended();
    let stopped = host.ask(&["doctor", "--json"]);
    let found = verdicts(&stopped);
    assert_eq!((stopped.status, of(&found, "peers"), of(&found, "socket"), of(&found, "daemon")), (0, "ok", "warn", ""), "{stopped:?}");
}

#[test]
fn what_is_broken_is_named_with_what_to_do() {
    let bare = Host::new();
    let none = bare.ask(&["doctor", "--json"]);
    assert_eq!((none.status, verdicts(&none)), (1, vec![("settings".to_owned(), "fail".to_owned())]), "{none:?}");

    let host = Host::new();
    host.init().done();
    let data = host.path("data");
    let settings = std::fs::read_to_string(host.path("node.toml")).unwrap();
    std::fs::write(host.path("node.toml"), settings.replace("name = \"eu1\"", "name = \"eu9\"")).unwrap();
    let renamed = host.ask(&["doctor"]);
    assert!(renamed.status == 1 && renamed.out.contains("it is eu1, and the settings are of eu9"), "{renamed:?}");
    std::fs::write(host.path("node.toml"), settings).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(data.join("certificate.pem"), "nonsense").unwrap();
    let broken = host.ask(&["doctor", "--json"]);
    let found = verdicts(&broken);
    assert_eq!((broken.status, of(&found, "data"), of(&found, "certificate")), (1, "warn", "fail"), "{broken:?}");

    std::fs::write(data.join("format"), "hivemind data folder, format 99\n").unwrap();
    let newer = host.ask(&["doctor"]);
    assert!(newer.status == 1 && newer.out.contains("FAIL  identity     the data folder is of format 99"), "{newer:?}");
    std::fs::remove_dir_all(&data).unwrap();
    let gone = host.ask(&["doctor"]);
    assert!(gone.status == 1 && gone.out.contains("is not there"), "{gone:?}");
}

#[test]
fn a_port_that_another_program_holds_is_found() {
    let host = Host::new();
    host.init().done();
    let text = std::fs::read_to_string(host.path("node.toml")).unwrap();
    let listen = text.lines().find_map(|line| line.strip_prefix("listen = ")).unwrap().trim_matches('"');
    let _other = std::net::UdpSocket::bind(listen).unwrap();
    let held = host.ask(&["doctor", "--json"]);
    assert_eq!((held.status, of(&verdicts(&held), "peers")), (1, "fail"), "{held:?}");
}

#[test]
fn the_manual_pages_and_the_completions_know_every_command() {
    let host = Host::new();
    let folder = host.path("man");
    host.ask(&["man", "--dir", &folder.display().to_string()]).done();
    for page in [
        "man1/hivemind.1",
        "man1/hivemind-man.1",
        "man1/hivemind-voters-add.1",
        "man1/hivemind-leader-transfer.1",
        "man1/hivemind-why.1",
        "man8/hivemind-node.8",
    ] {
        let text = std::fs::read_to_string(folder.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.contains(".TH hivemind"), "{page}: {text}");
    }
    assert!(host.ask(&["--help"]).done().contains("\n  man "));
    for shell in ["bash", "zsh", "fish"] {
        let script = host.ask(&["completions", shell]).done();
        assert!(["doctor", "why", "transfer"].iter().all(|command| script.contains(command)), "{shell}");
    }
}
