//! A real `dig` against a real `hivemind-lite`: what the program is for.

mod lite;

use std::fs;

use lite::{Hosts, Lite, binary, dig, dig_until, examples};

const ZONES: [&str; 4] = ["--zone", "hive.", "--zone", "example.org."];

fn start(hosts: &Hosts, more: &[&str]) -> Lite {
    Lite::start(&[&["--hosts", hosts.dir()], &ZONES[..], more].concat())
}

fn small() -> Hosts {
    Hosts::new(&[
        ("web1.toml", "addresses = ['10.0.0.11']\n[[service]]\nname = 'web'\nport = 8080\n"),
        ("web2.toml", "addresses = ['10.0.0.12']\n[[service]]\nname = 'web'\nport = 8080\n"),
    ])
}

#[test]
fn both_servers_answer_from_the_example_files() {
    let folder = examples();
    let lite = Lite::start(&[&["--hosts", folder.to_str().unwrap()], &ZONES[..]].concat());
    for server in [lite.dns("dns1"), lite.dns("dns2")] {
        assert_eq!(dig(server, "web1.node.hive A"), ["10.0.0.11"]);
        assert_eq!(dig(server, "web.service.hive A"), ["10.0.0.11", "10.0.0.12", "10.0.0.13"]);
        let services = ["1 1 8080 web1.node.hive.", "1 1 8080 web2.node.hive.", "1 1 8080 web3.node.hive."];
        assert_eq!(dig(server, "_web._tcp.service.hive SRV"), services);
        assert_eq!(dig(server, "+tcp blog.example.org CNAME"), ["web1.node.hive."]);
        assert_eq!(dig(server, "nobody.node.hive A"), [""; 0]);
    }
    lite.quit();
}

#[test]
fn files_that_are_edited_added_and_removed_change_the_answers() {
    let hosts = small();
    let mut lite = start(&hosts, &["--voters", "1", "--dns", "1"]);
    let server = lite.dns("dns1");
    hosts.write("web1.toml", "addresses = ['10.0.0.99']\n");
    dig_until(server, "web1.node.hive A", &["10.0.0.99"]);
    assert_eq!(dig(server, "web.service.hive A"), ["10.0.0.12"]);
    hosts.write("db1.toml", "addresses = ['10.0.0.21']\n");
    dig_until(server, "db1.node.hive A", &["10.0.0.21"]);
    hosts.remove("db1.toml");
    dig_until(server, "db1.node.hive A", &[]);
    lite.complains("db1: its host file is gone, and it left");

    hosts.write("web2.toml", "addresses = ['10.0.0.12']\nadress = 1\n");
    lite.complains("web2.toml:2: adress: unknown key `adress`; did you mean `addresses`?");
    lite.ask_until("status", |text| text.contains("web2.toml:2: adress: unknown key").then_some(()));
    assert_eq!(dig(server, "web2.node.hive A"), ["10.0.0.12"], "the last good version stays in force");
    hosts.write("web2.toml", "addresses = ['10.0.0.13']\n");
    dig_until(server, "web2.node.hive A", &["10.0.0.13"]);
    lite.ask_until("status", |text| text.contains("problems   none").then_some(()));
    lite.quit();
}

#[test]
fn a_killed_host_goes_away_and_a_started_one_comes_back() {
    let hosts = small();
    let mut lite = start(&hosts, &[]);
    let server = lite.dns("dns1");
    let first = lite.row("members", "web1")[1].clone();
    lite.say("kill web1", "killed web1\n");
    lite.say_wrong("kill web1", "error: web1 does not run\n");
    dig_until(server, "web1.node.hive A", &[]);
    dig_until(server, "web.service.hive A", &["10.0.0.12"]);
    lite.ask_until("members", |text| text.contains("killed").then_some(()));
    lite.say("start web1", "started web1, member ");
    dig_until(server, "web1.node.hive A", &["10.0.0.11"]);
    let second = lite.row("members", "web1")[1].clone();
    assert_ne!(first, second, "its leave was committed, so it is another member");
    lite.say_wrong("start web1", "error: web1 runs already\n");

    lite.say("leave web1", &format!("web1 left: member {second} is none any more; `start web1` makes it a new one\n"));
    dig_until(server, "web1.node.hive A", &[]);
    assert_eq!(lite.row("members", "web1")[1..], ["-", "host", &lite.row("members", "web1")[3], "left", "-"]);
    lite.say("start web1", "started web1, member ");
    dig_until(server, "web1.node.hive A", &["10.0.0.11"]);
    let events = lite.ask("events");
    for event in [format!("web1 ({first}) left: it failed, as seen by "), format!("web1 ({second}) left: it was asked for")] {
        assert!(events.contains(&event), "{event} in\n{events}");
    }
    lite.quit();
}

#[test]
fn a_dns_server_that_was_killed_answers_again_where_it_did() {
    let hosts = small();
    let mut lite = start(&hosts, &[]);
    let server = lite.dns("dns1");
    let member = lite.row("members", "dns1")[1].clone();
    lite.say("kill dns1", "killed dns1\n");
    assert_ne!(dig(server, "web1.node.hive A"), ["10.0.0.11"]);
    assert_eq!(dig(lite.dns("dns2"), "web1.node.hive A"), ["10.0.0.11"]);
    lite.say("start dns1", &format!("started dns1, member {member}\n"));
    dig_until(server, "web1.node.hive A", &["10.0.0.11"]);
    lite.quit();
}

#[test]
fn without_a_majority_of_voters_dns_goes_on_and_says_degraded() {
    let hosts = small();
    let mut lite = start(&hosts, &[]);
    let server = lite.dns("dns1");
    assert!(lite.ask("status").starts_with("cluster    ok\n"));
    lite.say("isolate voter1 voter2", "isolated voter1, voter2; `heal` ends it\n");
    lite.ask_until("status", |text| text.starts_with("cluster    degraded (no quorum as seen by ").then_some(()));
    assert_eq!(dig(server, "web.service.hive A"), ["10.0.0.11", "10.0.0.12"]);
    hosts.write("web1.toml", "addresses = ['10.0.0.99']\n");
    dig_until(server, "web1.node.hive A", &["10.0.0.99"]);
    // Who is asked to pass it on may not know yet that it is in vain.
    lite.say_wrong("leave web1", "error: web1 did not leave: the control plane ");
    lite.ask_until("members", |text| text.lines().any(|line| line.starts_with("voter1") && line.contains("isolated")).then_some(()));
    lite.say("heal", "healed: all nodes reach each other\n");
    lite.ask_until("status", |text| text.starts_with("cluster    ok").then_some(()));
    assert_eq!(dig(server, "web1.node.hive A"), ["10.0.0.99"]);
    lite.quit();
}

#[test]
fn a_restart_with_its_folder_resumes_the_same_members_and_versions_go_on() {
    let hosts = small();
    let data = tempfile::tempdir().unwrap();
    let home = data.path().join("home");
    let with_data = ["--data-dir", home.to_str().unwrap()];
    let ids = |lite: &mut Lite| -> Vec<String> {
        ["voter1", "voter2", "voter3", "dns1", "dns2", "web1", "web2"].map(|name| lite.row("members", name)[1].clone()).into()
    };
    let seq = |lite: &mut Lite| -> u64 { lite.row("configs", "web1")[2].parse().unwrap() };
    let mut lite = start(&hosts, &with_data);
    hosts.write("web1.toml", "addresses = ['10.0.0.50']\n");
    dig_until(lite.dns("dns1"), "web1.node.hive A", &["10.0.0.50"]);
    let (members, version) = (ids(&mut lite), seq(&mut lite));
    lite.quit();

    hosts.write("web2.toml", "addresses = ['10.0.0.60']\n");
    let mut lite = start(&hosts, &with_data);
    assert_eq!(ids(&mut lite), members);
    assert_eq!(dig(lite.dns("dns1"), "web1.node.hive A"), ["10.0.0.50"]);
    dig_until(lite.dns("dns1"), "web2.node.hive A", &["10.0.0.60"]);
    hosts.write("web1.toml", "addresses = ['10.0.0.51']\n");
    dig_until(lite.dns("dns1"), "web1.node.hive A", &["10.0.0.51"]);
    assert!(seq(&mut lite) > version);
    // As after a power failure: nothing is told to stop.
    lite.signal("KILL");
    lite.ended();
    let mut lite = start(&hosts, &with_data);
    assert_eq!(ids(&mut lite), members);
    lite.quit();
}

#[test]
fn without_a_data_folder_nothing_is_left_behind() {
    let hosts = small();
    let temporary = tempfile::tempdir().unwrap();
    let left = || fs::read_dir(temporary.path()).unwrap().count();
    let spawn = || {
        let mut command = binary();
        command.env("TMPDIR", temporary.path());
        command.args([
            "--hosts",
            hosts.dir(),
            "--voters",
            "1",
            "--dns",
            "1",
            "--dns-listen",
            "127.0.0.1:0",
            "--http-listen",
            "127.0.0.1:0",
        ]);
        Lite::spawn(command)
    };
    let mut lite = spawn();
    assert_eq!(left(), 1);
    lite.end_input();
    // The end of input ends nothing: it still answers.
    dig_until(lite.dns("dns1"), "web1.node.hive A", &["10.0.0.11"]);
    lite.signal("TERM");
    assert_eq!(lite.ended().0, Some(0));
    assert_eq!(left(), 0);

    let lite = spawn();
    lite.signal("KILL");
    lite.ended();
    assert_eq!(left(), 1, "killed, it can not clean up");
    let lite = spawn();
    assert_eq!(left(), 1, "the next one does");
    lite.signal("INT");
    assert_eq!(lite.ended().0, Some(0));
    assert_eq!(left(), 0);

    let lite = spawn();
    lite.signal("HUP");
    assert_eq!(lite.ended().0, Some(0), "a terminal that was closed");
    assert_eq!(left(), 0);
}
