//! Text scripts of the whole machine with their full expected output (as etcd's interaction tests). A script is
//! `testdata/machine/*.txt`: a line `> command`, and below it all that was said and done. `REWRITE=1` writes them anew;
//! the difference is to be read.

use std::path::PathBuf;
use std::time::Duration;

use hivemind_core::ids::RequestId;
use hivemind_core::machine::Input;
use hivemind_core::wire::access::AdmissionPolicy;
use hivemind_core::wire::command::Command;
use hivemind_core::wire::event::LeaveReason;

use super::enrollment::{create, enroll};
use super::net::{Net, Part};

struct Script {
    net: Net,
    requests: u64,
}

impl Script {
    fn execute(&mut self, command: &str) -> String {
        let words: Vec<&str> = command.split_whitespace().collect();
        self.requests += 1;
        self.net.lines = Some(Vec::new());
        match words.as_slice() {
            ["enrolled", "keys", "alone"] => self.net.settings.control.admission = AdmissionPolicy::Enrolled,
            ["birth", name, part] => self.net.birth(name, Part::named(part)),
            ["start", name, part, "via", seeds @ ..] => self.net.start(name, Part::named(part), seeds),
            ["run", ms] => drop(self.net.run(millis(ms))),
            ["run", ms, "quietly"] => {
                self.net.lines = None;
                self.net.run(millis(ms));
            }
            ["publish", name, body] => self.net.publish(name, self.requests, body),
            ["evict", name, "through", by] => self.leave(name, by, LeaveReason::Evicted),
            ["leave", name] => self.leave(name, name, LeaveReason::Asked),
            ["restarting", name] => {
                let command = Command::Restarting { node: self.net.node(name), grace: Duration::from_secs(30) };
                self.net.propose(name, self.requests, command);
            }
            ["token", token, "for", uses, "through", by] => {
                let command = create(token, uses.parse().expect("a number of uses"));
                self.net.propose(by, self.requests, command);
            }
            ["enroll", name, part, "by", token, "through", by] => {
                self.net.propose(by, self.requests, enroll(token, name, Part::named(part)));
            }
            ["read", name] => self.net.hand(name, Input::Read { request: RequestId(self.requests) }),
            ["kill", name] => self.net.kill(name),
            ["restart", name] => self.net.restart(name),
            ["cut", name] => self.net.cut(name, true),
            ["heal", name] => self.net.cut(name, false),
            ["status", names @ ..] => {
                let lines: Vec<String> = names.iter().map(|name| self.status(name)).collect();
                return lines.join("\n");
            }
            _ => panic!("no such command: {command}"),
        }
        self.net.lines.take().unwrap_or_default().join("\n")
    }

    fn leave(&mut self, name: &str, by: &str, reason: LeaveReason) {
        let node = self.net.node(name);
        self.net.propose(by, self.requests, Command::Leave { node, reason });
    }

    fn status(&self, name: &str) -> String {
        let Some(machine) = &self.net.places[name].machine else { return format!("{name}: does not run") };
        let status = machine.status();
        let position = status.position.map_or("nowhere".into(), |position| position.to_string());
        let (phase, voter, seq, configs) = (status.phase, status.voter, status.own_seq, status.configs);
        format!("{name}: {} {phase:?} at {position}, part {voter:?}, own seq {seq}, {configs} configs held", status.node)
    }
}

fn millis(word: &str) -> Duration {
    Duration::from_millis(word.parse().expect("a number of milliseconds"))
}

#[expect(clippy::disallowed_methods, reason = "a script is rewritten on demand")]
fn run(name: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/machine").join(name);
    let expected = std::fs::read_to_string(&path).expect("the script");
    let mut script = Script { net: Net::new(), requests: 0 };
    let mut found = String::new();
    for line in expected.lines().filter(|line| line.starts_with(['>', '#']) || line.is_empty()) {
        found += &format!("{line}\n");
        if let Some(command) = line.strip_prefix("> ") {
            let output = script.execute(command);
            if !output.is_empty() {
                found += &format!("{output}\n");
            }
        }
    }
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(&path, &found).expect("the script is writable");
    } else {
        assert_eq!(found, expected, "{name} differs; run with REWRITE=1 and read the difference");
    }
}

#[test]
fn script_birth_and_join() {
    run("birth_and_join.txt");
}

#[test]
fn script_voters() {
    run("voters.txt");
}

#[test]
fn script_publish() {
    run("publish.txt");
}

#[test]
fn script_restart() {
    run("restart.txt");
}

#[test]
fn script_evicted() {
    run("evicted.txt");
}

#[test]
fn script_enrolled() {
    run("enrolled.txt");
}

#[test]
fn script_failed() {
    run("failed.txt");
}

#[test]
fn every_script_is_run() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/machine");
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["birth_and_join.txt", "enrolled.txt", "evicted.txt", "failed.txt", "publish.txt", "restart.txt", "voters.txt"]);
}
