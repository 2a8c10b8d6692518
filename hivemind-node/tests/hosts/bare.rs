//! A machine that is no node yet.

use serde_json::Value;

use crate::said::Said;
use crate::world::{Holder, World};

/// A folder that is as large as this, where the data would be made; and no settings, whatever this machine has.
fn machine(room: &str) -> (World, Holder) {
    let world = World::new();
    let host = world.namespace(1);
    host.sh(&format!("mount -t tmpfs -o size={room} none /var/lib; if [ -d /etc/hivemind ]; then mount -t tmpfs none /etc/hivemind; fi"));
    (world, host)
}

fn doctor(host: &Holder, clock: Option<&str>) -> Said {
    let mut command = host.enter(env!("CARGO_BIN_EXE_hivemind"));
    if let Some(clock) = clock {
        command.env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketimeMT.so.1").env("FAKETIME", clock).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
    Said::of(&command.args(["doctor", "--json"]).output().unwrap())
}

/// What was looked at, and how it stands.
fn verdicts(said: &Said) -> Vec<(String, String)> {
    let found: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    found["findings"].as_array().unwrap().iter().map(|finding| (text(finding, "check"), text(finding, "verdict"))).collect()
}

fn failed(said: &Said) -> Vec<String> {
    verdicts(said).into_iter().filter(|(_, verdict)| verdict == "fail").map(|(check, _)| check).collect()
}

#[test]
fn a_machine_without_settings_is_looked_at_by_the_defaults() {
    let (_world, host) = machine("2g");
    let said = doctor(&host, None);
    assert_eq!((said.status, failed(&said)), (0, vec![]), "{said:?}");
    let found = verdicts(&said);
    let checks: Vec<&str> = found.iter().map(|(check, _)| check.as_str()).collect();
    assert_eq!(checks, ["settings", "data", "room", "disk", "clock", "peers", "http"], "{said:?}");
    assert_eq!(found[0].1, "warn");
    assert_eq!(host.sh("ls -A /var/lib"), "", "nothing is left behind");
}

#[test]
fn a_machine_without_room_and_with_a_wrong_clock_is_told_so() {
    let (_world, host) = machine("1m");
    let said = doctor(&host, Some("@1970-01-01 00:01:00"));
    assert_eq!((said.status, failed(&said)), (1, vec!["room".to_owned(), "clock".to_owned()]), "{said:?}");
}
