//! A host publishes what the DNS server can not serve, and the server is started anew amid that.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::host::{Host, free_port};
use crate::said::Said;
use crate::wait;

const ADDRESS: &str = "addresses = [\"10.0.0.1\"]\n\n";

fn record(name: &str, text: &str) -> String {
    format!("[[dns]]\nname = \"{name}\"\ntype = \"TXT\"\ndata = \"{text}\"\n\n")
}

/// What the server says of a name: status and texts.
fn dig(port: u16, name: &str) -> (String, Vec<String>) {
    let mut dig = Command::new("dig");
    dig.args(["@127.0.0.1", "-p", &port.to_string(), name, "TXT", "+tries=1", "+norecurse"]);
    let said = Said::of(&dig.output().expect("dig is there: ./test installs it"));
    let status = said.out.split("status: ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_default().to_owned();
    let answers =
        said.out.lines().filter(|line| !line.starts_with(';')).filter_map(|line| Some(line.split_once("TXT")?.1.trim().to_owned()));
    (status, answers.collect())
}

fn until(what: &str, found: impl Fn() -> bool) {
    wait::until(|| what.to_owned(), || found().then_some(()));
}

#[test]
fn what_was_good_last_is_answered_after_a_restart_too() {
    let (founder, _daemon) = Host::founder();
    let token = founder.ask(&["token", "create", "--roles", "host,dns_processor", "--uses", "2"]).done();
    let (dns, port) = (Host::new(), free_port());
    let listen = format!("127.0.0.1:{port}");
    let roles = ["--roles", "dns_processor", "--dns-listen", &listen];
    dns.join(&[&[token.trim()], roles.as_slice()].concat(), "dns1").done();
    let mut server = dns.start();
    let web = Host::new();
    web.join(&[token.trim()], "web1").done();
    // The host may publish into a zone that the server is not for.
    let settings = std::fs::read_to_string(web.path("node.toml")).unwrap();
    let wider = settings.replacen("# zones = [\"hive.\"]", "zones = [\"hive.\", \"example.org.\"]", 1);
    assert_ne!(settings, wider);
    std::fs::write(web.path("node.toml"), wider).unwrap();
    let publish = |records: &str| std::fs::write(web.path("hosts.d/web1.toml"), format!("{ADDRESS}{records}")).unwrap();
    publish(&record("printer.hive", "good"));
    let _web = web.start();
    let answers = |text: &str| dig(port, "printer.hive").1 == [format!("\"{text}\"")];
    until("the record is answered", || answers("good"));

    let file = Path::new(&dns.data()).join("dns-last-good");
    assert!(!file.exists());
    publish(&(record("printer.hive", "bad") + &record("www.example.org", "outside")));
    until("the section is found wrong", || file.exists());
    assert!(answers("good"));
    for how in [Signal::TERM, Signal::KILL] {
        server.signal(how);
        server.wait();
        server = dns.start();
        until("the last good record is answered", || {
            let (status, texts) = dig(port, "printer.hive");
            assert_ne!(status, "NXDOMAIN", "it is there");
            texts == ["\"good\""]
        });
    }
    publish(&record("printer.hive", "mended"));
    until("the mended record is answered", || answers("mended"));
    until("nothing is kept any more", || !file.exists());
    server.signal(Signal::TERM);
    let (status, log) = server.ended();
    assert!(status == 0 && log.contains("a section is not in force: dns (config "), "it is said after a restart: {log}");
}
