//! What the tool says of what it is told, and of what it does.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use hivemind_node::http::model::{ActionResult, Event, LoggedEvent, Part, Tokens};
use rustix::process::Signal;
use serde_json::Value;

use crate::host::{Host, free_port, second_voter};

#[test]
fn tokens_are_made_for_roles_that_there_are_and_are_named_when_they_are_revoked() {
    let (founder, _daemon) = Host::founder();
    let unknown = founder.ask(&["token", "create", "--roles", "hots", "--label", "odd"]);
    assert!(unknown.err.contains("no member performs `hots`") && unknown.err.contains("did you mean `host`?"), "{unknown:?}");
    unknown.done();
    let usual = founder.ask(&["token", "create", "--roles", "host,observer"]);
    assert!(!usual.err.contains("no member performs"), "{usual:?}");
    for (wrong, words) in [
        (["--roles", "host,host"], "`host` is given twice"),
        (["--roles", "a b"], "invalid value"),
        (["--ttl", "400d"], "invalid value"),
        (["--ttl", "0s"], "invalid value"),
        (["--label", ""], "invalid value"),
    ] {
        let said = founder.ask(&[&["token", "create"], wrong.as_slice()].concat());
        assert!(said.status == 2 && said.err.contains(words), "{wrong:?}: {said:?}");
    }
    let table = founder.ask(&["token", "list"]).done();
    assert!(table.lines().next().is_some_and(|head| head.ends_with("EXPIRES               TIME LEFT")), "{table}");
    let listed: Value = founder.ask(&["token", "list", "--json"]).json();
    let expires = listed["tokens"][0]["expires"].as_str().unwrap();
    assert!(expires.ends_with('Z') && expires.contains('T'), "{expires}");
    let listed: Tokens = founder.ask(&["token", "list", "--json"]).json();
    let odd = listed.tokens.iter().find(|token| token.label == "odd").unwrap();
    let short: String = odd.id.chars().take(12).collect();
    assert_eq!(founder.ask(&["token", "revoke", &odd.id[..10]]).done(), format!("token {short} (odd) admits nobody any more\n"));
}

#[test]
fn a_refusal_is_1_names_members_and_says_what_to_do() {
    let (founder, _daemon) = Host::founder();
    let feature = founder.ask(&["features", "enable", "fast-joins"]);
    assert!(feature.status == 1 && feature.err.contains("there is no feature `fast-joins`"), "{feature:?}");
    let nobody = founder.ask(&["leave", "nobody"]);
    assert!(nobody.status == 1 && nobody.err.contains("knows no member `nobody`") && !nobody.err.contains("/api/"), "{nobody:?}");
    let token = founder.ask(&["token", "create"]).done();
    let web = Host::new();
    web.join(&[token.trim()], "web1").done();
    let daemon = web.start();
    for asked in [["token", "list"], ["evict", "eu1"], ["voters", "list"]] {
        let said = web.ask(&asked);
        assert_eq!(said.status, i32::from(asked[0] != "voters"), "{asked:?}: {said:?}");
    }
    let eligible = founder.ask(&["voters", "add", "web1"]);
    assert!(eligible.status == 1 && eligible.err.contains("web1 did not join as one that may vote"), "{eligible:?}");
    let last = founder.ask(&["voters", "remove", "eu1"]);
    assert!(last.status == 1 && last.err.contains("eu1 is the last member that may vote"), "{last:?}");

    // Put out while it is down, and looked at before it finds out by itself.
    daemon.signal(Signal::TERM);
    daemon.ended();
    let well = web.ask(&["doctor"]);
    assert!(well.status == 0 && well.out.contains("ok    membership"), "{well:?}");
    founder.ask(&["evict", "web1"]).done();
    let doctor = web.ask(&["doctor"]);
    assert!(doctor.status == 1 && doctor.out.contains("FAIL  membership") && doctor.out.contains("join with a new token"), "{doctor:?}");
}

#[test]
fn a_folder_that_is_a_nodes_is_nobody_elses() {
    let (founder, _daemon) = Host::founder();
    let token = founder.ask(&["token", "create", "--uses", "5"]).done();
    let web = Host::new();
    web.join(&[token.trim()], "web1").done();
    let settings = std::fs::read_to_string(web.path("node.toml")).unwrap();
    std::fs::remove_file(web.path("node.toml")).unwrap();
    web.join(&[token.trim()], "web1").done();
    assert_eq!(std::fs::read_to_string(web.path("node.toml")).unwrap(), settings, "it had not run: nothing is lost");
    let daemon = web.start();
    daemon.signal(Signal::TERM);
    daemon.ended();
    std::fs::remove_file(web.path("node.toml")).unwrap();
    let said = web.join(&[token.trim()], "web2");
    assert!(said.status == 1 && said.err.contains("holds the data of web1") && said.err.contains("--data-dir"), "{said:?}");
    assert!(!web.path("node.toml").exists());
}

#[test]
fn a_second_daemon_is_told_of_the_folder_before_any_port() {
    let host = Host::new();
    let (peers, dns) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
    let data = host.data();
    let place = ["--listen", &peers, "--http-listen", "127.0.0.1:0", "--data-dir", &data];
    host.ask(&[&["init", "--name", "eu1", "--roles", "dns_processor", "--dns-listen", &dns], place.as_slice()].concat()).done();
    let daemon = host.start();
    let said = host.run();
    assert!(said.status == 1 && said.err.contains(&format!("is in use by process {}", daemon.id())), "{said:?}");
    drop(daemon);
    let _other = std::net::UdpSocket::bind(&dns).unwrap();
    let said = host.run();
    assert!(said.status == 1 && said.err.contains("roles.dns_processor.listen") && !said.err.contains("--dns-listen"), "{said:?}");
}

#[test]
fn settings_with_a_mistake_do_not_keep_operators_from_a_daemon() {
    let (founder, _daemon) = Host::founder();
    let path = founder.path("node.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("sed = []\n{text}")).unwrap();
    let said = founder.ask(&["members"]);
    assert_eq!(said.err.matches("did you mean `seeds`?").count(), 1, "{said:?}");
    assert!(said.err.contains("hivemind.sock is asked all the same"), "{said:?}");
    said.done();
    assert_eq!(founder.ask(&["doctor"]).status, 1);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(founder.ask(&["members"]).status, 2, "no such file");
}

#[test]
fn a_vote_is_told_with_the_position_from_which_it_counts() {
    let (founder, _daemon) = Host::founder();
    let (_second, _running) = second_voter(&founder);
    for (verb, part) in [("remove", Part::None), ("add", Part::Voter)] {
        let done: ActionResult = founder.ask(&["voters", verb, "eu2", "--json"]).json();
        let events = founder.ask(&["events", "--json"]).done();
        let mut events = events.lines().map(|line| serde_json::from_str::<LoggedEvent>(line).unwrap());
        let of_eu2 =
            |event: &Event| matches!(event, Event::Voter { member, part: given } if member.node == done.member.node && *given == part);
        let last = events.rfind(|logged| of_eu2(&logged.event)).unwrap();
        assert_eq!(done.position, last.position, "{verb}");
    }
    let said = founder.ask(&["voters", "remove", "eu2"]).done();
    assert!(said.starts_with("eu2 votes no more, from 1.1-"), "{said}");
}

#[test]
fn one_that_waits_for_dead_addresses_says_which() {
    let (founder, daemon) = Host::founder();
    let token = founder.ask(&["token", "create"]).done();
    drop(daemon);
    let web = Host::new();
    let data = web.data();
    let mut joining = web.tool();
    joining.args(["join", token.trim(), "--name", "web1", "--listen", "127.0.0.1:0", "--data-dir", &data]).stderr(Stdio::piped());
    let mut joining = joining.spawn().unwrap();
    let mut lines = BufReader::new(joining.stderr.take().unwrap()).lines().map(Result::unwrap);
    let asked = lines.find(|line| line.contains("asked to admit web1")).unwrap();
    let why = lines.find(|line| line.contains("nobody there has decided in ")).unwrap();
    assert!(asked.starts_with("127.0.0.1:") && why.starts_with("127.0.0.1:"), "{asked}\n{why}");
    joining.kill().unwrap();
    joining.wait().unwrap();
}

#[test]
fn output_that_can_not_be_written_is_told_by_what_was_asked() {
    let (founder, _daemon) = Host::founder();
    let full = |arguments: &[&str]| {
        let sink = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran = founder.tool().args(arguments).stdout(sink).output().unwrap();
        (ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned())
    };
    let (status, said) = full(&["members"]);
    assert!(status == Some(1) && said.contains("nothing was changed"), "{said}");
    let (status, said) = full(&["token", "create"]);
    assert!(status == Some(4) && said.contains("is done all the same") && said.contains("revoke"), "{said}");
}
