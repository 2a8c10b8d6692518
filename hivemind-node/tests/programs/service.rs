//! What the daemon says to the service manager that runs it: sd_notify(3).

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};

use crate::host::{BOUND, Host, told};

/// A period that a test need not wait for.
const SHORT: (&str, &str) = ("WATCHDOG_USEC", "100000");

fn microseconds() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

fn says(lines: &[String], line: &str) -> bool {
    lines.iter().any(|said| said == line)
}

#[test]
fn a_daemon_is_ready_once_it_is_a_member_and_lives_before() {
    let (founder, daemon) = Host::founder();
    let token = founder.ask(&["token", "create"]).done();
    let host = Host::new();
    host.join(&[token.trim()], "web1").done();
    drop(daemon);
    let mut joining = host.spawn(&[SHORT]);
    host.told("WATCHDOG=1");
    joining.signal(Signal::HUP);
    joining.says("the settings were reread");
    for _ in 0..5 {
        let lines = host.told("WATCHDOG=1");
        assert!(!says(&lines, "READY=1") && !says(&lines, "RELOADING=1"), "nobody took its join on: {lines:?}");
    }
    let _daemon = founder.start();
    host.told("READY=1");
    // A member that lost its cluster still lives.
    host.told("WATCHDOG=1");
    joining.signal(Signal::TERM);
    host.told("STOPPING=1");
    assert_eq!(joining.ended().0, 0);
}

#[test]
fn a_reload_says_when_it_began_and_that_it_ended() {
    let (founder, daemon) = Host::founder();
    let before = microseconds();
    daemon.signal(Signal::HUP);
    let lines = founder.told("READY=1");
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[0], "RELOADING=1");
    let began: i64 = lines[1].strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
    assert!((before..=microseconds()).contains(&began), "{lines:?}");
}

#[test]
fn a_reload_under_another_name_is_refused_and_changes_nothing() {
    let (founder, mut daemon) = Host::founder();
    let settings = std::fs::read_to_string(founder.path("node.toml")).unwrap();
    let renamed = settings.replace("name = \"eu1\"", "name = \"eu9\"").replace("# level = \"info\"", "level = \"error\"");
    std::fs::write(founder.path("node.toml"), renamed).unwrap();
    daemon.signal(Signal::HUP);
    founder.told("READY=1");
    let line = daemon.says("the settings stay as they were");
    for said in ["node.toml: name: this node is eu1, and the settings name eu9", "write eu1 again", "join with a new token under that name"]
    {
        assert!(line.contains(said), "{line}");
    }
    std::fs::write(founder.path("node.toml"), settings).unwrap();
    daemon.signal(Signal::HUP);
    founder.told("READY=1");
    // It would not be said at the level of the settings that were refused.
    daemon.says("the settings were reread");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().0, 0);
}

#[test]
fn a_watchdog_of_another_process_and_none_at_all_are_not_answered() {
    let (founder, daemon) = Host::founder();
    daemon.signal(Signal::TERM);
    founder.told("STOPPING=1");
    assert_eq!(daemon.ended().0, 0);
    for environment in
        [[SHORT, ("WATCHDOG_PID", "1")], [("WATCHDOG_USEC", "0"), ("WATCHDOG_PID", "")], [("WATCHDOG_USEC", "soon"), ("A", "b")]]
    {
        let daemon = founder.spawn(&environment);
        founder.told("READY=1");
        daemon.signal(Signal::TERM);
        assert_eq!(founder.told("STOPPING=1"), ["STOPPING=1"], "{environment:?}");
        assert_eq!(daemon.ended().0, 0);
    }
}

#[test]
fn a_manager_may_listen_at_an_abstract_socket_or_nowhere() {
    let (founder, daemon) = Host::founder();
    drop(daemon);
    let name = format!("hivemind-test-{}", std::process::id());
    let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    manager.set_read_timeout(Some(BOUND)).unwrap();
    let daemon = founder.spawn(&[("NOTIFY_SOCKET", &format!("@{name}"))]);
    told(&manager, "READY=1");
    drop(daemon);
    for place in ["", "relative", "/nowhere/notify"] {
        let daemon = founder.spawn(&[("NOTIFY_SOCKET", place)]);
        assert!((0..2_000).any(|_| founder.ask(&["status"]).status == 0), "it runs");
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.ended().0, 0, "{place}");
    }
}
