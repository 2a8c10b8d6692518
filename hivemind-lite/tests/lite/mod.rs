//! A real `hivemind-lite` process, and a real `dig`.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod http;

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

/// What a condition is waited for at most. Far above what is expected: it only bounds a failure.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hivemind-lite"));
    command.env_remove("NO_COLOR");
    command
}

/// Runs the program to its end, without input.
pub(crate) fn run(arguments: &[&str]) -> Output {
    binary().args(arguments).stdin(Stdio::null()).output().expect("the program runs")
}

pub(crate) fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).expect("UTF-8")
}

/// The host files that come with the program.
pub(crate) fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/hosts.d")
}

/// A folder of host files.
pub(crate) struct Hosts(TempDir);

impl Hosts {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let hosts = Hosts(tempfile::tempdir().expect("a temporary folder"));
        for (name, content) in files {
            hosts.write(name, content);
        }
        hosts
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).expect("a file in a temporary folder");
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("a file in a temporary folder");
    }

    pub(crate) fn dir(&self) -> &str {
        self.0.path().to_str().expect("a UTF-8 path")
    }
}

const NOBODY_PANICS: &str = "nobody panics while the text is locked";

/// What came out of a pipe so far, and whether that is all.
#[derive(Default)]
struct Heard {
    text: Mutex<(String, bool)>,
    more: Condvar,
}

impl Heard {
    fn listen(pipe: impl Read + Send + 'static) -> Arc<Self> {
        let heard = Arc::new(Heard::default());
        let told = heard.clone();
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = String::new();
            while let Ok(1..) = pipe.read_line(&mut line) {
                told.lock().0.push_str(&line);
                told.more.notify_all();
                line.clear();
            }
            told.lock().1 = true;
            told.more.notify_all();
        });
        heard
    }

    /// Waits until what came after `from` octets is as `found` says, which gives what is wanted of it.
    fn wait<T>(&self, from: usize, what: &str, found: impl Fn(&str) -> Option<T>) -> T {
        let text = self.lock();
        let waits = |(text, ended): &mut (String, bool)| found(&text[from..]).is_none() && !*ended;
        let (text, _) = self.more.wait_timeout_while(text, BOUND, waits).expect(NOBODY_PANICS);
        found(&text.0[from..]).unwrap_or_else(|| panic!("{what} did not come; there was:\n{}", text.0))
    }

    fn lock(&self) -> MutexGuard<'_, (String, bool)> {
        self.text.lock().expect(NOBODY_PANICS)
    }

    /// All that came, once nothing more can come.
    fn whole(&self) -> String {
        let text = self.lock();
        let (text, timeout) = self.more.wait_timeout_while(text, BOUND, |(_, ended)| !*ended).expect(NOBODY_PANICS);
        assert!(!timeout.timed_out(), "the pipe stays open");
        text.0.clone()
    }

    fn length(&self) -> usize {
        self.lock().0.len()
    }
}

/// A running cluster. Killed where the test does not stop it.
pub(crate) struct Lite {
    child: Child,
    input: Option<ChildStdin>,
    out: Arc<Heard>,
    err: Arc<Heard>,
}

impl Lite {
    /// Starts a cluster on free ports, and waits until it is ready.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = binary();
        command.args(["--dns-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]).args(arguments);
        Lite::spawn(command)
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let out = Heard::listen(child.stdout.take().expect("piped"));
        let err = Heard::listen(child.stderr.take().expect("piped"));
        let mut lite = Lite { input: child.stdin.take(), child, out, err };
        lite.out.wait(0, "the greeting", |text| text.contains("ready in ").then_some(()));
        // What is said after this does not mix with the rest of the greeting.
        lite.say("help", "  quit ");
        lite
    }

    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Where a server listens, as the greeting says.
    pub(crate) fn dns(&self, name: &str) -> SocketAddr {
        let head = format!("{name} listens on ");
        self.out.wait(0, "the address", |text| {
            text.lines().find_map(|line| line.strip_prefix(&head)?.strip_suffix(", UDP and TCP")?.parse().ok())
        })
    }

    /// Where voter1 serves HTTP, as the greeting says.
    pub(crate) fn http(&self) -> SocketAddr {
        self.out.wait(0, "the address", |text| {
            text.lines().find_map(|line| line.strip_prefix("voter1 serves http://")?.strip_suffix('/')?.parse().ok())
        })
    }

    fn type_line(&mut self, line: &str) {
        let input = self.input.as_mut().expect("the input is open");
        writeln!(input, "{line}").expect("the program reads its input");
    }

    /// Types a line, and waits for `answer` on standard output.
    pub(crate) fn say(&mut self, line: &str, answer: &str) {
        let from = self.out.length();
        self.type_line(line);
        self.out.wait(from, &format!("`{answer}` after `{line}`"), |text| text.contains(answer).then_some(()));
    }

    /// Types a line, and waits for `answer` on standard error.
    pub(crate) fn say_wrong(&mut self, line: &str, answer: &str) {
        let from = self.err.length();
        self.type_line(line);
        self.hears_error(from, answer);
    }

    /// Waits for `answer` on standard error, after `from` octets of it.
    fn hears_error(&self, from: usize, answer: &str) {
        self.err.wait(from, &format!("`{answer}`"), |text| text.contains(answer).then_some(()));
    }

    /// Waits for a message on standard error.
    pub(crate) fn complains(&self, message: &str) {
        self.hears_error(0, message);
    }

    /// The whole table or text that a command prints.
    pub(crate) fn ask(&mut self, command: &str) -> String {
        let from = self.out.length();
        self.type_line(command);
        // The help ends with `quit`: what stands before it is what was asked for.
        self.type_line("help");
        self.out.wait(from, command, |text| {
            let end = text.find("Commands:\n")?;
            text[end..].contains("  quit ").then(|| text[..end].to_owned())
        })
    }

    /// Asks again until the answer is as `found` says.
    pub(crate) fn ask_until<T>(&mut self, command: &str, found: impl Fn(&str) -> Option<T>) -> T {
        let end = Instant::now() + BOUND;
        loop {
            let answer = self.ask(command);
            match found(&answer) {
                Some(found) => return found,
                None => assert!(Instant::now() < end, "`{command}` went on saying:\n{answer}"),
            }
        }
    }

    /// The cells of a node's line in a table.
    pub(crate) fn row(&mut self, table: &str, name: &str) -> Vec<String> {
        let text = self.ask(table);
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}")).split_whitespace().map(str::to_owned).collect()
    }

    /// Ends the input; the program runs on.
    pub(crate) fn end_input(&mut self) {
        self.input = None;
    }

    /// Sends a signal, by name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid()]).status().expect("kill is there");
        assert!(sent.success());
    }

    /// Waits until it ended; its status, and what it said on standard error.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().expect("a child").code();
        (status, self.err.whole())
    }

    /// Types `quit`, and waits until it ended well.
    pub(crate) fn quit(mut self) {
        self.type_line("quit");
        assert_eq!(self.child.wait().expect("a child").code(), Some(0));
    }
}

impl Drop for Lite {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `dig +short` says, its lines sorted.
pub(crate) fn dig(server: SocketAddr, query: &str) -> Vec<String> {
    let mut command = Command::new("dig");
    command.arg(format!("@{}", server.ip())).args(["-p", &server.port().to_string(), "+short", "+tries=1", "+time=2"]);
    let output = command.args(query.split_whitespace()).output().expect("dig is installed (bind9-dnsutils)");
    let mut lines: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Digs until the answer is this.
pub(crate) fn dig_until(server: SocketAddr, query: &str, answer: &[&str]) {
    let end = Instant::now() + BOUND;
    loop {
        let said = dig(server, query);
        if said == answer {
            return;
        }
        assert!(Instant::now() < end, "`dig {query}` went on saying {said:?}, not {answer:?}");
    }
}
