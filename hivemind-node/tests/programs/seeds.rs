//! Joining by the names of members.

use rustix::process::Signal;

use crate::host::Host;

/// The value of a setting that is a text.
fn setting(host: &Host, key: &str) -> String {
    let text = std::fs::read_to_string(host.path("node.toml")).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(&format!("{key} = "))).unwrap();
    value.trim_matches('"').to_owned()
}

/// Writes other seeds into the settings of a host that has joined.
fn reseed(host: &Host, seeds: &str) {
    let text = std::fs::read_to_string(host.path("node.toml")).unwrap();
    let line = text.lines().find(|line| line.starts_with("seeds = ")).unwrap();
    std::fs::write(host.path("node.toml"), text.replace(line, &format!("seeds = {seeds}"))).unwrap();
}

/// A host that the founder's cluster admitted, which has not run yet.
fn admitted(founder: &Host, name: &str) -> Host {
    let token = founder.ask(&["token", "create"]).done();
    let host = Host::new();
    host.join(&[token.trim()], name).done();
    host
}

fn port(founder: &Host) -> String {
    setting(founder, "listen").rsplit_once(':').unwrap().1.to_owned()
}

#[test]
fn a_node_joins_by_a_name_alone() {
    let (founder, _daemon) = Host::founder();
    let host = admitted(&founder, "web1");
    reseed(&host, &format!("[\"localhost:{}\"]", port(&founder)));
    let said = host.ask(&["doctor"]);
    assert!(said.out.contains(&format!("localhost:{0} is 127.0.0.1:{0}, which answers", port(&founder))), "{said:?}");
    let daemon = host.start();
    daemon.signal(Signal::TERM);
    let (status, log) = daemon.ended();
    assert!(status == 0 && !log.contains("is not resolved"), "{log}");
}

#[test]
fn a_name_that_is_not_resolved_is_told_and_the_others_are_used() {
    let (founder, daemon) = Host::founder();
    let host = admitted(&founder, "web1");
    drop(daemon);
    reseed(&host, &format!("[\"nowhere.invalid:7\", \"localhost:{}\"]", port(&founder)));
    let told = "the name of nowhere.invalid:7 is not resolved";
    let said = host.ask(&["doctor"]);
    assert!(said.out.lines().any(|line| line.starts_with("warn  seed") && line.contains(told)), "{said:?}");
    let mut joining = host.spawn(&[]);
    joining.says("the name of the seed nowhere.invalid:7 is not resolved");
    let said = host.ask(&["doctor"]);
    assert!(said.out.contains(told), "it runs, and is no member: {said:?}");
    let _daemon = founder.start();
    host.told("READY=1");
    joining.signal(Signal::TERM);
    let (status, log) = joining.ended();
    assert!(status == 0 && !log.contains("is not resolved"), "it is told once: {log}");
}
