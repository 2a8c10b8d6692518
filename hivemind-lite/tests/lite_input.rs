//! Wrong input: one clear message that says what to do, the right status, and nothing else disturbed.

mod lite;

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use lite::{BOUND, Hosts, Lite, binary, dig, dig_until, run, text};

fn hosts() -> Hosts {
    Hosts::new(&[("web1.toml", "addresses = ['10.0.0.11']\n")])
}

/// The smallest cluster.
const SMALL: [&str; 4] = ["--voters", "1", "--dns", "1"];

/// Runs a cluster that can not start.
fn refused(hosts: &Hosts, more: &[&str]) -> Output {
    run(&[&["--hosts", hosts.dir(), "--dns-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"], &SMALL[..], more].concat())
}

fn says(output: &Output, status: i32, message: &str) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert!(said.contains(message), "`{message}` in\n{said}");
    assert_eq!(text(&output.stdout), "", "data alone goes to standard output");
}

#[test]
fn help_and_version_are_printed() {
    let version = run(&["--version"]);
    assert_eq!(text(&version.stdout), format!("hivemind-lite {}\n", env!("CARGO_PKG_VERSION")));
    let help = text(&run(&["--help"]).stdout);
    for flag in [
        "--hosts",
        "--zone",
        "--voters",
        "--dns ",
        "--dns-listen",
        "--http-listen",
        "--data-dir",
        "--check",
        "--verbose",
        "--help",
        "--version",
        "sim",
    ] {
        assert!(help.contains(flag), "{flag} in\n{help}");
    }
}

#[test]
fn arguments_that_make_no_sense_are_usage_errors() {
    for (arguments, message) in [
        (&["--hots", "d"][..], "unexpected argument '--hots' found\n\n  tip: a similar argument exists: '--hosts'"),
        (&[], "the following required arguments were not provided:\n  --hosts <DIR>"),
        (&["--hosts", "d", "--voters", "0"], "invalid value '0' for '--voters <N>': 0 is not in 1..=9"),
        (&["--hosts", "d", "--dns-listen", "localhost"], "give an IP address, with or without a port: 127.0.0.1:5300, [::1]:5300 or ::1"),
        (&["--hosts", "d", "--zone", "a..b"], "error: --zone: the zone `a..b` is not a DNS name: "),
        (&["--check", "x.toml", "--zone", "."], "error: --zone: "),
        (&["smi"], "unrecognized subcommand 'smi'"),
    ] {
        says(&run(arguments), 2, message);
    }
}

#[test]
fn a_folder_of_hosts_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("hosts.d");
    let output = run(&["--hosts", missing.to_str().unwrap(), "--dns-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]);
    let message = format!("error: --hosts: the folder {} can not be read: ", missing.display());
    says(&output, 1, &message);
    says(&output, 1, "make it a readable folder, or name another one\n");
}

#[test]
fn a_dns_port_that_is_taken_is_named_with_what_to_do() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["--hosts", hosts().dir(), "--dns", "1", "--dns-listen", &address]);
    says(
        &output,
        1,
        &format!(
            "error: --dns-listen: {address}/udp is taken: another DNS server (systemd-resolved, dnsmasq, another hivemind?) listens there; \
             stop it or choose another address\n"
        ),
    );
}

#[test]
fn an_http_address_that_can_not_be_had_is_named_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let serve = |address: &str| run(&["--hosts", hosts().dir(), "--dns-listen", "127.0.0.1:0", "--http-listen", address]);
    let message = "is in use by another program; stop that one, or choose another port for HTTP";
    says(&serve(&address), 1, &format!("error: --http-listen: {address} {message}\n"));
    says(&serve("0.0.0.0:0"), 1, "error: --http-listen: plain HTTP is served on loopback addresses alone, and 0.0.0.0:0 is none");
}

#[test]
fn a_data_folder_that_can_not_be_used_is_named_and_left_alone() {
    let hosts = hosts();
    let parent = tempfile::tempdir().unwrap();
    let with = |name: &str| parent.path().join(name).to_str().unwrap().to_owned();
    let refused = |path: &str, message: &str| says(&refused(&hosts, &["--data-dir", path]), 1, message);

    fs::write(with("file"), "").unwrap();
    refused(&with("file"), "is not a folder; choose another path\n");
    refused("/proc/hivemind", "error: --data-dir: /proc/hivemind: ");
    fs::create_dir(with("photos")).unwrap();
    fs::write(with("photos/cat.jpg"), "").unwrap();
    refused(&with("photos"), "is not a folder of hivemind-lite: it holds \"cat.jpg\"; choose an empty folder or a new one\n");
    assert_eq!(fs::read_dir(with("photos")).unwrap().count(), 1);

    let home = with("home");
    let arguments = [&["--hosts", hosts.dir(), "--data-dir", &home], &SMALL[..]].concat();
    let lite = Lite::start(&arguments);
    let message =
        format!("error: --data-dir: {home} is in use by process {}; stop that process first, or choose another folder\n", lite.pid());
    refused(&home, &message);
    assert_eq!(dig(lite.dns("dns1"), "web1.node.hive A"), ["10.0.0.11"], "the other one did not notice");
    lite.quit();

    let key = Path::new(&home).join("authority/authority.key");
    let kept = fs::read(&key).unwrap();
    fs::write(&key, "nonsense").unwrap();
    refused(&home, "authority.key: no private key; restore the file from a copy, or choose another folder for a new cluster\n");
    fs::write(&key, kept).unwrap();
    fs::remove_file(Path::new(&home).join("authority/authority.pem")).unwrap();
    refused(&home, "holds a cluster and no authority: restore ");
}

#[test]
fn a_node_whose_data_is_another_clusters_or_damaged_is_named_and_the_others_run() {
    let hosts = Hosts::new(&[("web1.toml", "addresses = ['10.0.0.11']\n"), ("web2.toml", "addresses = ['10.0.0.12']\n")]);
    let parent = tempfile::tempdir().unwrap();
    let home = |name: &str| parent.path().join(name);
    for name in ["ours", "theirs"] {
        let home = home(name);
        Lite::start(&[&["--hosts", hosts.dir(), "--data-dir", home.to_str().unwrap()], &SMALL[..]].concat()).quit();
    }
    let node = |home_name: &str, node: &str| home(home_name).join("nodes").join(node);
    fs::remove_dir_all(node("ours", "web1")).unwrap();
    fs::rename(node("theirs", "web1"), node("ours", "web1")).unwrap();
    fs::write(node("ours", "web2").join("identity"), "nonsense").unwrap();

    let ours = home("ours");
    let mut lite = Lite::start(&[&["--hosts", hosts.dir(), "--data-dir", ours.to_str().unwrap()], &SMALL[..]].concat());
    lite.complains("error: web1 did not start: the data folder is of cluster ");
    lite.complains("error: web2 did not start: ");
    let status = lite.ask("status");
    assert!(status.starts_with("cluster    ok\n"), "{status}");
    assert!(status.contains("problem    web1 does not run: web1 did not start: the data folder is of cluster "), "{status}");
    assert_eq!(lite.row("members", "web2")[4], "failed");
    // The repair that the message names: remove that node's folder, and start it. It is another node then,
    // and the name is its own once the old one has left.
    fs::remove_dir_all(node("ours", "web2")).unwrap();
    lite.say("leave web2", "web2 left: ");
    lite.say("start web2", "started web2, member ");
    dig_until(lite.dns("dns1"), "web2.node.hive A", &["10.0.0.12"]);
    lite.quit();
}

#[test]
fn check_tells_every_mistake_and_runs_nothing() {
    let hosts = hosts();
    let good = hosts.path("web1.toml");
    let clean = run(&["--check", good.to_str().unwrap()]);
    assert_eq!(
        (clean.status.code(), text(&clean.stdout), text(&clean.stderr)),
        (Some(0), String::new(), "checked 1 host file: no mistakes\n".to_owned())
    );

    hosts.write("web2.toml", "addresses = ['10.0.0.300']\n[[service]]\nname = 'web'\nport = 0\n");
    hosts.write("voter1.toml", "addresses = ['10.0.0.1']\n");
    let wrong = run(&["--check", hosts.dir()]);
    assert_eq!(wrong.status.code(), Some(1));
    let said = text(&wrong.stdout);
    let lines: Vec<&str> = said.lines().map(|line| line.strip_prefix(&format!("{}/", hosts.dir())).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(
        lines[0].starts_with("voter1.toml:1: ") && lines[0].contains("`voter1` is reserved for the cluster's own nodes (`voterN`)"),
        "{said}"
    );
    assert!(lines[1].starts_with("web2.toml:1: addresses[0]: `10.0.0.300` is not an IPv4 or IPv6 address"), "{said}");
    assert!(lines[2].starts_with("web2.toml:4: service[0].port: port 0 is out of range; give 1 to 65535"), "{said}");
    assert_eq!(text(&wrong.stderr), "checked 3 host files: 3 mistakes\n");

    hosts.write("web3.toml", "[[dns]]\nname = 'blog.example.org'\ntype = 'A'\ndata = '10.0.0.1'\n");
    let file = hosts.path("web3.toml");
    let outside = run(&["--check", file.to_str().unwrap()]);
    assert!(text(&outside.stdout).contains("`blog.example.org.` is outside the zones of this cluster (hive.)"));
    assert_eq!(run(&["--check", file.to_str().unwrap(), "--zone", "hive.", "--zone", "example.org"]).status.code(), Some(0));
}

#[test]
fn files_that_are_wrong_at_the_start_are_told_and_the_others_are_served() {
    let hosts = hosts();
    hosts.write("empty.toml", "");
    hosts.write("twin.toml", "name = 'web1'\naddresses = ['10.0.0.66']\n");
    fs::write(hosts.path("binary.toml"), b"name = '\xff\xfe'\n").unwrap();
    let lite = Lite::start(&[&["--hosts", hosts.dir()], &SMALL[..]].concat());
    lite.complains("empty.toml:1: the file is empty; write at least ");
    lite.complains("binary.toml:1: the file is not UTF-8 at octet 8; save it as UTF-8\n");
    let server = lite.dns("dns1");
    hosts.remove("twin.toml");
    dig_until(server, "web1.node.hive A", &["10.0.0.11"]);
    hosts.write("empty.toml", "addresses = ['10.0.0.77']\n");
    dig_until(server, "empty.node.hive A", &["10.0.0.77"]);
    lite.quit();
}

#[test]
fn a_host_whose_file_is_wrong_at_a_restart_goes_on_with_what_it_published() {
    let hosts = hosts();
    let data = tempfile::tempdir().unwrap();
    let home = data.path().join("home");
    let start = || Lite::start(&[&["--hosts", hosts.dir(), "--data-dir", home.to_str().unwrap()], &SMALL[..]].concat());
    start().quit();
    hosts.write("web1.toml", "addresses = ['10.0.0.300']\n");
    let mut lite = start();
    lite.complains("what a wrong file last said rightly stays in force until it is corrected or removed\n");
    let server = lite.dns("dns1");
    assert_eq!(lite.row("members", "web1")[4], "alive");
    dig_until(server, "web1.node.hive A", &["10.0.0.11"]);
    hosts.write("web1.toml", "addresses = ['10.0.0.12']\n");
    dig_until(server, "web1.node.hive A", &["10.0.0.12"]);
    lite.quit();

    hosts.write("web1.toml", "");
    let lite = start();
    let server = lite.dns("dns1");
    dig_until(server, "web1.node.hive A", &["10.0.0.12"]);
    hosts.remove("web1.toml");
    dig_until(server, "web1.node.hive A", &[]);
    lite.quit();
}

#[test]
fn lines_that_are_no_commands_are_answered_with_the_nearest_one() {
    let hosts = hosts();
    let mut lite = Lite::start(&[&["--hosts", hosts.dir()], &SMALL[..]].concat());
    for (line, answer) in [
        ("stauts", "error: there is no command `stauts`; did you mean `status`?\n"),
        ("frobnicate", "error: there is no command `frobnicate`; `help` lists all\n"),
        ("kill wbe1", "error: there is no node `wbe1`; did you mean `web1`?\n"),
        ("kill database", "error: there is no node `database`; `members` lists them\n"),
        ("isolate web1 nobody", "error: there is no node `nobody`; `members` lists them\n"),
        ("kill", "error: `kill` needs the name of a node: kill NAME; `members` lists them\n"),
        ("start web1", "error: web1 runs already\n"),
        ("leave voter1", "error: voter1 did not leave: "),
    ] {
        lite.say_wrong(line, answer);
    }
    assert!(lite.ask("status").starts_with("cluster    ok\n"));
    lite.quit();
}

#[test]
fn a_reader_that_goes_away_stops_nothing() {
    let hosts = hosts();
    let mut command = binary();
    command.args(["--hosts", hosts.dir(), "--dns-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]).args(SMALL);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Both readers are gone before the first word.
    drop((child.stdout.take(), child.stderr.take()));
    let mut input = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, b"status\nmembers\nquit\n").unwrap();
    let pid = child.id().to_string();
    let (sender, ended) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || sender.send(child.wait().unwrap().code()));
    let status = ended.recv_timeout(BOUND).unwrap_or_else(|_| {
        let _ = Command::new("kill").args(["-s", "KILL", &pid]).status();
        panic!("it did not end")
    });
    assert_eq!(status, Some(0));
}

#[test]
fn a_reader_that_does_not_read_keeps_nobody_from_stopping_it() {
    let hosts = hosts();
    let mut command = binary();
    command.args(["--hosts", hosts.dir(), "--dns-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]).args(SMALL);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // Far more than a pipe holds: it comes back here only because the commands are taken all the same.
    let mut input = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, format!("help{}\n", " ".repeat(1 << 10)).repeat(300).as_bytes()).unwrap();
    assert!(Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
