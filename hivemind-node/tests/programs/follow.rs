//! Following what happens, for longer than the daemon lives.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use hivemind_node::http::model::{Event, LoggedEvent};
use serde_json::Value;

use crate::host::Host;

/// The tool that follows, and what it writes.
struct Following {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    notes: Lines<BufReader<ChildStderr>>,
}

impl Following {
    fn new(mut tool: Command) -> Self {
        tool.args(["events", "--follow", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = tool.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let notes = BufReader::new(child.stderr.take().unwrap()).lines();
        Following { child, lines, notes }
    }

    /// Reads on until the credential of this label is made: the positions until then, with that.
    fn until_made(&mut self, label: &str) -> Vec<String> {
        let mut positions = Vec::new();
        for line in self.lines.by_ref() {
            let logged: LoggedEvent = serde_json::from_str(&line.unwrap()).unwrap();
            positions.push(logged.position);
            if matches!(logged.event, Event::CredentialCreated { label: made, .. } if made == label) {
                return positions;
            }
        }
        let notes: Vec<String> = self.notes.by_ref().map(Result::unwrap).collect();
        panic!("it ended after {positions:?} with {:?}: {notes:?}", self.child.wait());
    }

    /// Reads on until this is said to people.
    fn said(&mut self, words: &str) {
        assert!(self.notes.by_ref().map(Result::unwrap).any(|note| note.contains(words)), "never: {words}");
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn make(host: &Host, label: &str) {
    host.ask(&["credential", "create", "--right", "read", "--label", label]).done();
}

fn positions(host: &Host) -> Vec<String> {
    let events = host.ask(&["events", "--json"]).done();
    events.lines().map(|line| serde_json::from_str::<LoggedEvent>(line).unwrap().position).collect()
}

#[test]
fn what_follows_a_restart_is_told_once_and_nothing_before_it_again() {
    let (founder, daemon) = Host::founder();
    let mut following = Following::new(founder.tool());
    make(&founder, "before");
    let mut told = following.until_made("before");
    drop(daemon);
    following.said("; asking again");
    let daemon = founder.start();
    make(&founder, "between");
    told.extend(following.until_made("between"));
    drop(daemon);
    following.said("; asking again");
    let _daemon = founder.start();
    make(&founder, "after");
    told.extend(following.until_made("after"));
    assert_eq!(told, positions(&founder));
}

#[test]
fn a_gap_stands_in_the_data_too() {
    let (founder, daemon) = Host::founder();
    let mut following = Following::new(founder.tool());
    make(&founder, "first");
    following.until_made("first");
    drop(daemon);
    following.said("; asking again");
    // Another cluster answers at the same place: it never came so far.
    std::fs::remove_dir_all(founder.path("data")).unwrap();
    std::fs::remove_file(founder.path("node.toml")).unwrap();
    founder.init().done();
    let _daemon = founder.start();
    let line = following.lines.next().unwrap().unwrap();
    let gap: Value = serde_json::from_str(&line).unwrap();
    assert!(gap["gap"]["after"].is_string() && gap["gap"]["until"].is_string() && gap["gap"]["why"].is_string(), "{line}");
    following.said("are missing");
    make(&founder, "second");
    assert_eq!(following.until_made("second"), positions(&founder), "all that is kept follows");
}

#[test]
fn it_ends_where_nobody_reads_and_where_nobody_was_ever_there() {
    let (founder, daemon) = Host::founder();
    let mut tool = founder.tool();
    let mut following = tool.args(["events", "--follow"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().is_ok());
    drop(lines);
    assert_eq!(following.wait().unwrap().code(), Some(0));
    drop(daemon);
    assert_eq!(founder.ask(&["events", "--follow"]).status, 3);
}
