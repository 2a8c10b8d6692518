//! The tool on a terminal, and beside one.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use tempfile::tempfile;

use crate::host::Host;

const ESCAPE: char = '\u{1b}';

/// A terminal: what is written to its far end is read here.
struct Terminal {
    near: File,
    far: OwnedFd,
}

impl Terminal {
    fn new() -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let near = openpt(flags).unwrap();
        grantpt(&near).unwrap();
        unlockpt(&near).unwrap();
        let far = ioctl_tiocgptpeer(&near, flags).unwrap();
        Terminal { near: near.into(), far }
    }

    /// For a program to write to.
    fn end(&self) -> Stdio {
        self.far.try_clone().unwrap().into()
    }

    /// Reads on until this was written; all that was until then.
    fn until(&mut self, words: &str) -> String {
        let (mut heard, mut octets) = (Vec::new(), [0; 4096]);
        loop {
            let length = self.near.read(&mut octets).unwrap();
            heard.extend_from_slice(&octets[..length]);
            let text = String::from_utf8_lossy(&heard);
            if text.contains(words) {
                return text.into_owned();
            }
        }
    }

    /// What a program wrote that has ended.
    fn rest(self) -> String {
        let Terminal { mut near, far } = self;
        drop(far);
        let (mut heard, mut octets) = (Vec::new(), [0; 4096]);
        // It fails where nobody has the far end any more.
        while let Ok(length @ 1..) = near.read(&mut octets) {
            heard.extend_from_slice(&octets[..length]);
        }
        String::from_utf8(heard).unwrap()
    }
}

/// The tool, for whom nothing is said about colours.
fn tool(host: &Host, arguments: &[&str]) -> Command {
    let mut tool = host.tool();
    tool.args(arguments).env_remove("NO_COLOR").env("TERM", "xterm");
    tool
}

#[test]
fn colours_are_for_terminals_and_for_who_wants_them() {
    let (founder, _daemon) = Host::founder();
    let shown = |arguments: &[&str], no_color: Option<&str>| {
        let terminal = Terminal::new();
        let mut tool = tool(&founder, arguments);
        no_color.map(|value| tool.env("NO_COLOR", value));
        let status = tool.stdout(terminal.end()).stderr(Stdio::null()).status().unwrap();
        drop(tool);
        assert!(status.success(), "{arguments:?}");
        terminal.rest()
    };
    let coloured = "\u{1b}[32mreachable\u{1b}[0m";
    for (no_color, is_coloured) in [(None, true), (Some(""), true), (Some("1"), false)] {
        let said = shown(&["members"], no_color);
        assert!(said.contains("reachable") && said.contains(coloured) == is_coloured && said.contains(ESCAPE) == is_coloured, "{said:?}");
    }
    assert!(!shown(&["members", "--json"], None).contains(ESCAPE), "programs read it");
    assert!(!shown(&["--help"], Some("1")).contains(ESCAPE));
    // Where standard error alone is a terminal.
    for arguments in [&["members"][..], &["voters", "list"], &["--help"]] {
        let terminal = Terminal::new();
        let mut tool = tool(&founder, arguments);
        let said = tool.stdin(terminal.end()).stderr(terminal.end()).output().unwrap();
        let out = String::from_utf8(said.stdout).unwrap();
        assert!(said.status.success() && !out.is_empty() && !out.contains(ESCAPE), "{arguments:?}: {out:?}");
    }
}

/// A node that takes its time.
struct Slow(TcpListener);

impl Slow {
    fn asks(&self, arguments: &[&str], out: Stdio, err: Stdio) -> (Child, TcpStream) {
        let at = format!("http://{}", self.0.local_addr().unwrap());
        let child = tool(&Host::new(), arguments).env("HIVEMIND_ADDR", at).stdout(out).stderr(err).spawn().unwrap();
        (child, self.0.accept().unwrap().0)
    }
}

/// Takes the request, and answers that it was done.
fn answer(mut stream: TcpStream) {
    let mut octets = [0; 4096];
    // The request is a few hundred octets, and came long ago.
    assert_ne!(stream.read(&mut octets).unwrap(), 0);
    let body = r#"{"action":"leave","member":{"node":"1.2","name":"web1"},"stage":"committed","position":"1.1-9"}"#;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
    write!(stream, "{head}\r\n\r\n{body}").unwrap();
}

#[test]
fn what_is_waited_for_is_said_on_a_terminal_alone_and_taken_away() {
    let node = Slow(TcpListener::bind("127.0.0.1:0").unwrap());
    let mut aside = tempfile().unwrap();
    let leave = ["leave", "web1"];
    let (mut quiet, first) = node.asks(&leave, Stdio::null(), aside.try_clone().unwrap().into());
    let mut terminal = Terminal::new();
    let (spoken, second) = node.asks(&leave, Stdio::piped(), terminal.end());
    let said = terminal.until("… 2 s");
    assert!(said.contains("\r\u{1b}[Kweb1 leaves … 1 s\r\u{1b}[Kweb1 leaves … 2 s"), "{said:?}");
    let (evicting, third) = node.asks(&["evict", "web1"], Stdio::piped(), terminal.end());
    let said = terminal.until("is asked … 1 s");
    assert!(said.contains("\r\u{1b}[Khttp://127.0.0.1:"), "{said:?}");
    [first, second, third].into_iter().for_each(answer);
    for (child, words) in [(spoken, "web1 left: member 1.2 is none any more\n"), (evicting, "web1 was put out, and its key is revoked\n")] {
        let done = child.wait_with_output().unwrap();
        assert_eq!((done.status.code(), String::from_utf8(done.stdout).unwrap().as_str()), (Some(0), words), "the data is clean");
    }
    assert!(terminal.rest().ends_with("\r\u{1b}[K"), "the line is taken away");
    assert_eq!(quiet.wait().unwrap().code(), Some(0));
    let mut said = String::new();
    aside.rewind().unwrap();
    aside.read_to_string(&mut said).unwrap();
    assert_eq!(said, "", "it waited for longer, and no terminal was there");
}
