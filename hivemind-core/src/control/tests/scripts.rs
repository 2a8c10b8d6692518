//! Text scripts of the protocol with their full expected output (as etcd's interaction tests). A script
//! is in `testdata/control/*.txt`: a line `> command`, and below it everything that was sent and came
//! out. `REWRITE=1` writes them anew; the difference is to be read.

use std::path::PathBuf;
use std::time::Duration;

use super::net::{Net, V1, raft, request, signed};
use crate::control::Output;
use crate::ids::NodeId;
use crate::settings::Settings;
use crate::storage::Write;
use crate::wire::command::{Command, Outcome};
use crate::wire::event::LeaveReason;
use crate::wire::message;

pub(super) fn describe_message(message: &message::Control) -> String {
    match message {
        message::Control::Raft(_) => {
            let raft = raft(message).expect("our own message");
            let mut text = format!("{:?} term {}", raft.get_msg_type(), raft.term);
            for (name, value) in [("index", raft.index), ("log-term", raft.log_term), ("commit", raft.commit), ("hint", raft.reject_hint)] {
                if value > 0 {
                    text += &format!(" {name} {value}");
                }
            }
            if let (Some(first), Some(last)) = (raft.entries.first(), raft.entries.last()) {
                text += &format!(" entries {}..{}", first.index, last.index);
            }
            if raft.has_snapshot() {
                let metadata = raft.get_snapshot().get_metadata();
                text += &format!(" snapshot {}@{}", metadata.index, metadata.term);
            }
            if raft.reject {
                text += " reject";
            }
            if !raft.context.is_empty() {
                text += " context";
            }
            text
        }
        message::Control::Forward(proposal) => format!("forward #{}", proposal.id.counter),
        message::Control::Outcome { id, outcome } => format!("outcome of {}#{}: {}", id.node, id.counter, describe_outcome(outcome)),
        message::Control::ReadIndex { id } => format!("read-index #{}", id.counter),
        message::Control::ReadIndexed { id, index, applied: _ } => format!("read {}#{} at {index:?}", id.node, id.counter),
        message::Control::Evidence { observer, suspect } => format!("evidence by {observer} of {suspect}"),
        message::Control::SnapshotPart(part) => {
            let metadata = raft(message).map(|head| head.get_snapshot().get_metadata().clone()).unwrap_or_default();
            format!(
                "part of snapshot {}@{}: {}..{} of {}",
                metadata.index,
                metadata.term,
                part.offset,
                part.offset + part.bytes.len() as u64,
                part.total
            )
        }
        message::Control::SnapshotWant(want) => format!("wants snapshot from {}", want.offset),
        message::Control::Probe { suspect } => format!("asks for a probe of {suspect}"),
    }
}

fn describe_outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Committed { position } => format!("committed at {position}"),
        Outcome::Refused(why) => format!("refused: {why}"),
        Outcome::OutcomeUnknown => "unknown".into(),
    }
}

pub(super) fn describe_output(output: &Output) -> String {
    match output {
        Output::Persist { number, writes } => {
            format!("persists {number}: {}", writes.iter().map(describe_write).collect::<Vec<_>>().join(", "))
        }
        Output::Committed { events } => {
            let events: Vec<String> = events.iter().map(|logged| format!("{} {:?}", logged.index, logged.event().unwrap())).collect();
            format!("commits {}", events.join("; "))
        }
        Output::Installed { facts, tail } => format!("installs {} with {} events", facts.position(), tail.len()),
        Output::Outcome { id, outcome } => format!("#{}: {}", id.counter, describe_outcome(outcome)),
        Output::Readable { id, index } => format!("#{} readable at {index:?}", id.counter),
        Output::Beat(beat) => format!("beat {}/{}", beat.term, beat.count),
        Output::Leader { leader, term } => match leader {
            Some(leader) => format!("sees leader {leader} in term {term}"),
            None => format!("sees no leader in term {term}"),
        },
        Output::Probe { suspect } => format!("probes {suspect}"),
        Output::Removed => "is removed".into(),
    }
}

fn describe_write(write: &Write) -> String {
    match write {
        Write::Log { hard_state, entries } => {
            let state = if hard_state.is_some() { "state" } else { "no state" };
            match (entries.first(), entries.last()) {
                (Some(first), Some(last)) => format!("{state} entries {}..{}", first.index, last.index),
                _ => state.into(),
            }
        }
        Write::Snapshot(snapshot) => format!("snapshot {}@{}", snapshot.index, snapshot.term),
        Write::Compact { below } => format!("compact below {below}"),
        Write::DropLog => "drop log".into(),
        Write::Identity(_) | Write::Own(_) | Write::Cache(_) | Write::ClearCache => "not ours".into(),
    }
}

fn node(text: &str) -> NodeId {
    NodeId::new(1, text.trim_start_matches('v').parse().expect("a node is written v1, v2, …"))
}

struct Script {
    net: Option<Net>,
    seen: usize,
}

impl Script {
    fn net(&mut self) -> &mut Net {
        self.net.as_mut().expect("a script begins with `voters N`")
    }

    fn execute(&mut self, command: &str) -> String {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words.as_slice() {
            ["voters", count, "quietly"] => {
                let net = Net::of_voters(1, count.parse().unwrap());
                self.seen = net.trace.len();
                self.net = Some(net);
            }
            ["birth", "wanted", count] => {
                let mut settings = Settings::default();
                settings.control.voters = count.parse().unwrap();
                self.net = Some(Net::with(1, settings));
            }
            ["voters", voters, "of", count, "quietly"] => {
                let mut settings = Settings::default();
                settings.control.voters = voters.parse().unwrap();
                let net = Net::of(1, count.parse().unwrap(), settings);
                self.seen = net.trace.len();
                self.net = Some(net);
            }
            ["miss", name] => {
                let net = self.net();
                let (gone, leader) = (node(name), net.leader().expect("somebody leads"));
                let up: Vec<NodeId> = net.hosts.iter().filter(|(one, host)| host.is_up && **one != gone).map(|(&one, _)| one).collect();
                up.into_iter().for_each(|observer| net.evidence(leader, observer, gone));
            }
            ["snapshot-entries", count] => self.net().settings.control.snapshot_entries = count.parse().unwrap(),
            ["run", ms] => self.net().run(Duration::from_millis(ms.parse().unwrap())),
            ["join", name] => {
                let nonce = self.net().nonce();
                self.net().propose(V1, signed(request(name, nonce)));
                let number: u64 = name.trim_start_matches('v').parse().unwrap();
                self.net().add_host(NodeId::new(1, number));
            }
            ["leave", name, "through", voter] => {
                self.net().propose(node(voter), Command::Leave { node: node(name), reason: LeaveReason::Asked });
            }
            ["crash", name] => self.net().crash(node(name)),
            ["restart", name] => self.net().restart(node(name)),
            ["cut", name, "from", others @ ..] => {
                let others: Vec<NodeId> = others.iter().map(|other| node(other)).collect();
                self.net().split(&[node(name)], &others);
            }
            ["heal"] => self.net().heal(),
            ["read", name] => {
                self.net().read(node(name));
            }
            _ => panic!("no such command: {command}"),
        }
        let seen = self.seen;
        let lines = self.net().trace[seen..].join("\n");
        self.seen = self.net().trace.len();
        lines
    }
}

#[expect(clippy::disallowed_methods, reason = "a script is rewritten on demand")]
fn run(name: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/control").join(name);
    let expected = std::fs::read_to_string(&path).expect("the script");
    let mut script = Script { net: None, seen: 0 };
    let mut found = String::new();
    for line in expected.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            found += &format!("{line}\n");
            let output = script.execute(command);
            if !output.is_empty() {
                found += &format!("{output}\n");
            }
        } else if line.starts_with('#') || line.is_empty() {
            found += &format!("{line}\n");
        }
    }
    if std::env::var("REWRITE").is_ok_and(|value| value == "1") {
        std::fs::write(&path, &found).expect("the script is writable");
    } else {
        assert_eq!(found, expected, "{name} differs; run with REWRITE=1 and read the difference");
    }
}

#[test]
fn script_election() {
    run("election.txt");
}

#[test]
fn script_prevote() {
    run("prevote.txt");
}

#[test]
fn script_join() {
    run("join.txt");
}

#[test]
fn script_demotion() {
    run("demotion.txt");
}

#[test]
fn script_replacement() {
    run("replacement.txt");
}

#[test]
fn script_joint() {
    run("joint.txt");
}

#[test]
fn script_transfer() {
    run("transfer.txt");
}

#[test]
fn script_snapshot() {
    run("snapshot.txt");
}

#[test]
fn every_script_is_run() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/control");
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let run = ["demotion.txt", "election.txt", "join.txt", "joint.txt", "prevote.txt", "replacement.txt", "snapshot.txt", "transfer.txt"];
    assert_eq!(names, run);
}
