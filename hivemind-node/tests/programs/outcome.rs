//! Commands whose answer is lost: what may have been done is never called undone.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;

use hivemind_node::http::model::{Credentials, Status};
use rustix::process::Signal;

use crate::host::{Daemon, Host, second_voter};
use crate::said::Said;

/// Each of these changes something; the command beside it shows what became of it.
const CHANGES: [(&[&str], &str); 9] = [
    (&["credential", "create", "--right", "read"], "hivemind credential list"),
    (&["token", "create"], "hivemind token list"),
    (&["leave", "web1"], "hivemind members"),
    (&["evict", "web1"], "hivemind members"),
    (&["voters", "add", "web1"], "hivemind voters list"),
    (&["voters", "remove", "web1"], "hivemind voters list"),
    (&["leader", "transfer", "web1"], "hivemind voters list"),
    (&["authority", "rotate"], "hivemind authority show"),
    (&["features", "enable", "fast-joins"], "hivemind features list"),
];
const LOOKS: [&[&str]; 4] = [&["status"], &["members"], &["events", "--follow"], &["token", "list"]];

/// Reads a request to its end.
fn whole_request(stream: &mut TcpStream) -> String {
    let mut heard = String::new();
    let mut octets = [0; 4096];
    loop {
        let length = stream.read(&mut octets).unwrap();
        heard.push_str(str::from_utf8(&octets[..length]).unwrap());
        let Some((head, body)) = heard.split_once("\r\n\r\n") else { continue };
        let expected = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
        if length == 0 || body.len() >= expected.map_or(0, |length| length.parse().unwrap()) {
            return heard;
        }
    }
}

/// Asks a server that takes a request, says `answer` and closes.
fn asked_in_vain(arguments: &[&str], answer: &str) -> Said {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let mut tool = Host::new().tool();
    tool.env("HIVEMIND_ADDR", at).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let asking = tool.spawn().unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    whole_request(&mut stream);
    stream.write_all(answer.as_bytes()).unwrap();
    drop((stream, listener));
    Said::of(&asking.wait_with_output().unwrap())
}

#[test]
fn an_answer_that_is_lost_is_4_where_something_may_have_changed_and_3_where_not() {
    let begun = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    let failed = "HTTP/1.1 504 Gateway Timeout\r\nContent-Type: application/problem+json\r\nContent-Length: 100\r\n\r\n{";
    let foreign = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
    for answer in ["", begun, failed, foreign] {
        for (change, shown_by) in CHANGES {
            let said = asked_in_vain(change, answer);
            assert_eq!((said.status, said.out.as_str()), (4, ""), "{change:?} after {answer:?}: {said:?}");
            let words = format!("it may have been done: look with `{shown_by}` before you ask again");
            assert!(said.err.contains(&words), "{change:?} after {answer:?}: {said:?}");
        }
        for look in LOOKS {
            let said = asked_in_vain(look, answer);
            assert_eq!((said.status, said.out.as_str()), (3, ""), "{look:?} after {answer:?}: {said:?}");
            assert!(!said.err.contains("may have been done"), "{look:?} after {answer:?}: {said:?}");
        }
    }
    // What no node says did not happen at one.
    let said = asked_in_vain(CHANGES[0].0, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    assert!(said.status == 3 && said.err.contains("is no hivemind node"), "{said:?}");
}

#[test]
fn what_was_done_is_0_though_nobody_answers_what_is_asked_after_it() {
    let member = r#"{"node":"1.2","name":"web1"}"#;
    let answers = [
        (
            ["voters", "add", "web1"],
            format!(r#"{{"action":"add_voter","member":{member},"stage":"committed","position":"1.1-9"}}"#),
            "web1 votes",
        ),
        (
            ["voters", "remove", "web1"],
            format!(r#"{{"action":"remove_voter","member":{member},"stage":"committed","position":"1.1-9"}}"#),
            "no more",
        ),
        (["authority", "rotate", "--json"], r#"{"fingerprint":"ab","stage":"committed","position":"1.1-9"}"#.to_owned(), "committed"),
    ];
    for (change, body, words) in answers {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
        let said = asked_in_vain(&change, &format!("{head}\r\n\r\n{body}"));
        assert!(said.status == 0 && said.out.contains(words) && said.err.contains(" says "), "{change:?}: {said:?}");
    }
}

#[test]
fn where_nobody_listens_nothing_was_done() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for arguments in CHANGES.iter().map(|(change, _)| *change).chain(LOOKS) {
        let said = Said::of(&Host::new().tool().env("HIVEMIND_ADDR", &at).args(arguments).output().unwrap());
        assert_eq!((said.status, said.out.as_str()), (3, ""), "{arguments:?}: {said:?}");
        assert!(said.err.contains("refused") && said.err.contains("check that hivemind-node runs there"), "{arguments:?}: {said:?}");
    }
}

/// How many connections the daemon has taken, with that of this question.
fn connections(host: &Host) -> u64 {
    let mut stream = UnixStream::connect(Path::new(&host.data()).join("hivemind.sock")).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    let count = said.lines().find_map(|line| line.strip_prefix("hivemind_http_connections_total "));
    count.unwrap_or_else(|| panic!("{said}")).parse().unwrap()
}

fn has_quorum(status: &Status) -> bool {
    !status.condition.degraded && status.leader.is_some()
}

/// Begins to make a credential while the other voter sleeps, so that nothing is committed, and returns while that waits.
fn waiting_in_vain(founder: &Host, second: &Daemon) -> Child {
    for _ in 0..50 {
        founder.ask_until(&["status", "--json"], has_quorum);
        second.signal(Signal::STOP);
        let mut before = connections(founder);
        let mut tool = founder.tool();
        tool.args(["credential", "create", "--right", "read", "--label", "open"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut asking = tool.spawn().unwrap();
        let ended = loop {
            let now = connections(founder);
            if now > before + 1 {
                break asking.try_wait().unwrap();
            }
            before = now;
            thread::yield_now();
        };
        match ended {
            None => return asking,
            // The lack of a quorum was noticed first.
            Some(status) => assert_eq!(status.code(), Some(3)),
        }
        second.signal(Signal::CONT);
    }
    panic!("it never waits");
}

#[test]
fn a_daemon_that_is_killed_while_a_command_waits_for_a_quorum_leaves_its_outcome_open() {
    let (founder, daemon) = Host::founder();
    let (_second, second) = second_voter(&founder);
    founder.ask(&["credential", "create", "--right", "read", "--label", "kept"]).done();
    let asking = waiting_in_vain(&founder, &second);
    drop(daemon);
    let said = Said::of(&asking.wait_with_output().unwrap());
    assert_eq!((said.status, said.out.as_str()), (4, ""), "{said:?}");
    assert!(said.err.contains("look with `hivemind credential list` before you ask again"), "{said:?}");
    second.signal(Signal::CONT);
    let _daemon = founder.start();
    founder.ask_until(&["status", "--json"], has_quorum);
    founder.ask(&["credential", "create", "--right", "read", "--label", "after"]).done();
    let listed: Credentials = founder.ask(&["credential", "list", "--json"]).json();
    let count = |label: &str| listed.credentials.iter().filter(|credential| credential.label == label).count();
    assert_eq!((count("kept"), count("after")), (1, 1), "{listed:?}");
    assert!(count("open") <= 1, "it was done, or not: {listed:?}");
}
