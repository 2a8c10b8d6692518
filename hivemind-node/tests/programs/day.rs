//! The operator's day.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use hivemind_node::http::model::{Configs, Credentials, Event, LoggedEvent, MemberState, Members, Part, Services, Status, Tokens, Voters};
use rustix::process::Signal;

use crate::host::{Host, second_voter};

fn state_of(members: &Members, name: &str) -> Option<MemberState> {
    members.members.iter().find(|member| member.name == name).map(|member| member.state)
}

#[test]
fn a_bare_host_becomes_a_member_restarts_and_is_put_out() {
    let (founder, _daemon) = Host::founder();
    let token = founder.ask(&["token", "create", "--roles", "host", "--ttl", "1h", "--uses", "2"]).done();
    let web = Host::new();
    std::fs::create_dir(web.path("hosts.d")).unwrap();
    std::fs::write(web.path("hosts.d/web1.toml"), "addresses = [\"10.0.0.1\"]\n\n[[service]]\nname = \"web\"\nport = 80\n").unwrap();
    web.join(&[token.trim()], "web1").done();
    let daemon = web.start();

    let members: Members = founder.ask(&["members", "--json"]).json();
    assert_eq!((state_of(&members, "eu1"), state_of(&members, "web1")), (Some(MemberState::Reachable), Some(MemberState::Reachable)));
    assert!(founder.ask(&["members"]).done().starts_with("NAME  ID   STATE"), "a table for people");
    let tokens: Tokens = founder.ask(&["token", "list", "--json"]).json();
    assert_eq!(tokens.tokens.iter().map(|token| token.uses).collect::<Vec<_>>(), [1]);
    let services = founder.ask_until(&["services", "--json"], |services: &Services| !services.services.is_empty());
    assert_eq!((services.services[0].name.as_str(), services.services[0].port), ("web", 80));
    assert_eq!(founder.ask(&["configs", "--json"]).json::<Configs>().configs[0].host, "web1");
    let status: Status = web.ask(&["status", "--json"]).json();
    assert_eq!((status.name.as_str(), status.members), ("web1", 2));
    let voters: Voters = founder.ask(&["voters", "--json"]).json();
    assert_eq!(voters.voters.iter().map(|voter| voter.part).collect::<Vec<_>>(), [Part::Voter]);

    daemon.signal(Signal::TERM);
    web.told("STOPPING=1");
    let (status, log) = daemon.ended();
    assert_eq!(status, 0, "{log}");
    let members: Members = founder.ask(&["members", "--json"]).json();
    assert_eq!(state_of(&members, "web1"), Some(MemberState::Restarting), "its place is kept");
    let daemon = web.start();
    founder.ask_until(&["members", "--json"], |members: &Members| state_of(members, "web1") == Some(MemberState::Reachable));

    assert_eq!(founder.ask(&["evict", "web1"]).done(), "web1 was put out, and its key is revoked\n");
    assert_eq!(founder.ask(&["evict", "web1"]).status, 1, "it is gone");
    let (status, log) = daemon.ended();
    assert!(status == 0 && log.contains("was put out"), "{log}");
}

#[test]
fn a_host_leaves_by_its_own_word_and_a_second_voter_votes() {
    let (founder, _daemon) = Host::founder();
    let token = founder.ask(&["token", "create", "--voter"]).done();
    let second = Host::new();
    std::fs::write(second.path("token"), &token).unwrap();
    let file = second.path("token").display().to_string();
    second.join(&["--token-file", &file, "--voter"], "eu2").done();
    let daemon = second.start();
    let both = |voters: &Voters| voters.voters.iter().filter(|voter| voter.part == Part::Voter).count() == 2;
    founder.ask_until(&["voters", "--json"], both);
    drop(daemon);

    let (founder, _daemon) = Host::founder();
    let token = founder.ask(&["token", "create"]).done();
    let web = Host::new();
    web.join(&[token.trim()], "web1").done();
    let daemon = web.start();
    // The host has no credential: its socket is enough.
    assert!(web.ask(&["leave"]).done().starts_with("web1 left: member "));
    assert_eq!(daemon.ended().0, 0);
    assert_eq!(founder.ask(&["members", "--json"]).json::<Members>().members.len(), 1);
}

#[test]
fn events_are_followed_as_they_happen() {
    let (founder, _daemon) = Host::founder();
    let mut following = founder.tool().args(["events", "--follow", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let credential = founder.ask(&["credential", "create", "--right", "read", "--label", "ci"]).done();
    assert!(credential.starts_with("hmc1-"));
    let made = lines.find_map(|line| match serde_json::from_str::<LoggedEvent>(&line.unwrap()).unwrap().event {
        Event::CredentialCreated { label, .. } if label == "ci" => Some(label),
        _ => None,
    });
    following.kill().unwrap();
    following.wait().unwrap();
    assert_eq!(made.as_deref(), Some("ci"));

    let listed: Credentials = founder.ask(&["credential", "list", "--json"]).json();
    let made = listed.credentials.iter().find(|credential| credential.label == "ci").unwrap();
    founder.ask(&["credential", "revoke", &made.id[..8]]).done();
    let gone = |listed: &Credentials| listed.credentials.iter().all(|credential| credential.label != "ci");
    founder.ask_until(&["credential", "list", "--json"], gone);
}

#[test]
fn a_daemon_warns_where_the_cluster_knows_it_otherwise() {
    let (founder, daemon) = Host::founder();
    daemon.signal(Signal::TERM);
    let (_, log) = daemon.ended();
    assert!(!log.contains("this node joined with"), "{log}");
    let path = founder.path("node.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("observer = true", "observer = false")).unwrap();
    let daemon = founder.start();
    daemon.signal(Signal::TERM);
    let (_, log) = daemon.ended();
    assert!(log.contains("this node joined with the roles [\"observer\"] and voter = true, and its settings say []"), "{log}");
}

#[test]
fn a_reload_follows_what_it_can_and_names_the_rest() {
    let (founder, daemon) = Host::founder();
    let path = founder.path("node.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("voter = true", "voter = false").replace("# level = \"info\"", "level = \"warn\"")).unwrap();
    daemon.signal(Signal::HUP);
    founder.told("RELOADING=1");
    founder.told("READY=1");
    std::fs::write(&path, "nonsense").unwrap();
    daemon.signal(Signal::HUP);
    founder.told("RELOADING=1");
    founder.told("READY=1");
    daemon.signal(Signal::TERM);
    let (status, log) = daemon.ended();
    assert_eq!(status, 0, "{log}");
    assert!(log.contains("these are followed when the daemon is restarted: voter"), "{log}");
    assert!(log.contains("the settings stay as they were") && !log.contains("INFO hivemind_node::daemon: stopped"), "{log}");
}

fn leader(voters: &Voters) -> Option<&str> {
    voters.leader.as_ref()?.name.as_deref()
}

#[test]
fn voters_come_and_go_by_an_operators_word_and_a_leader_that_stops_hands_over() {
    let (founder, daemon) = Host::founder();
    let (second, _second) = second_voter(&founder);
    let table = founder.ask(&["voters", "list"]).done();
    assert!(table.starts_with("NAME  ID   PART   STATE      LEADER  BY HAND\n"), "{table}");
    assert_eq!(founder.ask(&["leader", "transfer", "eu1"]).status, 1, "it leads");
    assert_eq!(founder.ask(&["leader", "transfer", "eu2"]).done(), "eu2 leads now\n");
    assert_eq!(founder.ask(&["voters", "remove", "nobody"]).status, 1);
    assert_eq!(founder.ask(&["voters", "remove", ".."]).status, 2);

    // It leads, so it hands over first.
    let removed = founder.ask(&["voters", "remove", "eu2"]);
    assert!(removed.err.contains("1 vote: 0 of them may fail"), "{removed:?}");
    assert!(removed.done().starts_with("eu2 votes no more, from 1.1-"));
    let last = founder.ask(&["voters", "remove", "eu1"]);
    assert!(last.status == 1 && last.err.contains("the last member that may vote"), "{last:?}");
    assert!(founder.ask(&["voters", "add", "eu2"]).done().starts_with("eu2 votes from 1.1-"));
    founder.ask_until(&["voters", "--json"], |voters: &Voters| leader(voters) == Some("eu1"));

    daemon.signal(Signal::TERM);
    let (status, log) = daemon.ended();
    assert!(status == 0 && log.contains("another voter leads now"), "{log}");
    second.ask_until(&["voters", "--json"], |voters: &Voters| leader(voters) == Some("eu2"));
}

#[test]
fn the_fate_of_one_that_is_gone_is_told_in_its_order() {
    let (founder, founder_daemon) = Host::founder();
    let token = founder.ask(&["token", "create"]).done();
    let web = Host::new();
    web.join(&[token.trim()], "web1").done();
    let daemon = web.start();
    assert_eq!(founder.ask(&["evict", "web1"]).done(), "web1 was put out, and its key is revoked\n");
    daemon.ended();
    let told = founder.ask(&["why", "web1"]).done();
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].contains("it joined as host: member 1.2"), "{told}");
    assert!(lines.iter().any(|line| line.contains("an operator evicted member 1.2")), "{told}");
    assert!(lines.last().is_some_and(|line| line.starts_with("now ") && line.ends_with("web1 is no member")), "{told}");
    let nobody = founder.ask(&["why", "nobody"]);
    assert!(nobody.status == 1 && nobody.err.contains("nothing is known of `nobody`"), "{nobody:?}");
    assert_eq!(founder.ask(&["why", "a/b"]).status, 2);
    founder_daemon.signal(Signal::TERM);
    let (_, log) = founder_daemon.ended();
    let who = format!("user {}, process ", rustix::process::geteuid().as_raw());
    assert!(log.lines().any(|line| line.contains("/members/web1/evict") && line.contains(&who)), "the log says who did it: {log}");
}
