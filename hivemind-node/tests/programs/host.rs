//! A host: a folder, its settings, and its daemon.

use std::io::Read as _;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use hivemind_node::http::model::{Part, Voters};
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use crate::said::Said;

/// What anything is waited for at most. Far above what is expected: it only bounds a failure.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// A host of its own.
pub(crate) struct Host {
    folder: TempDir,
    manager: UnixDatagram,
}

impl Host {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let manager = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        manager.set_read_timeout(Some(BOUND)).unwrap();
        Host { folder, manager }
    }

    /// A voter that gave birth to a cluster, and runs.
    pub(crate) fn founder() -> (Self, Daemon) {
        let host = Host::new();
        host.init().done();
        let daemon = host.start();
        (host, daemon)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn init(&self) -> Said {
        self.init_with_http("127.0.0.1:0")
    }

    /// As [`init`](Self::init), with HTTP at this address.
    pub(crate) fn init_with_http(&self, http: &str) -> Said {
        let listen = format!("127.0.0.1:{}", free_port());
        self.ask(&["init", "--name", "eu1", "--listen", &listen, "--http-listen", http, "--data-dir", &self.data()])
    }

    /// Joins under a name, by what is said of the token.
    pub(crate) fn join(&self, token: &[&str], name: &str) -> Said {
        let data = self.data();
        let place = ["--name", name, "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--data-dir", &data];
        self.ask(&[&["join"], token, &place].concat())
    }

    pub(crate) fn data(&self) -> String {
        self.path("data").display().to_string()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("--config").arg(self.path("node.toml")).env("NOTIFY_SOCKET", self.path("notify"));
        command.env_remove("HIVEMIND_ADDR").env_remove("HIVEMIND_TOKEN_FILE").env_remove("HIVEMIND_CA_FILE").stdin(Stdio::null());
        command
    }

    /// Runs the tool with the settings of this host.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Said {
        Said::of(&self.tool().args(arguments).output().unwrap())
    }

    /// The tool, to be run otherwise.
    pub(crate) fn tool(&self) -> Command {
        self.command(env!("CARGO_BIN_EXE_hivemind"))
    }

    /// Runs the tool until it says what is looked for.
    pub(crate) fn ask_until<T: DeserializeOwned>(&self, arguments: &[&str], found: impl Fn(&T) -> bool) -> T {
        for _ in 0..2_000 {
            let said: T = self.ask(arguments).json();
            if found(&said) {
                return said;
            }
        }
        panic!("never: {:?}", self.ask(arguments));
    }

    /// Runs the daemon to its own end.
    pub(crate) fn run(&self) -> Said {
        Said::of(&self.command(env!("CARGO_BIN_EXE_hivemind-node")).output().unwrap())
    }

    /// Starts the daemon, and waits until it is ready.
    pub(crate) fn start(&self) -> Daemon {
        let daemon = self.spawn(&[]);
        self.told("READY=1");
        daemon
    }

    /// Starts the daemon as a service manager does that says this in the environment, and does not wait.
    pub(crate) fn spawn(&self, environment: &[(&str, &str)]) -> Daemon {
        let mut command = self.command(env!("CARGO_BIN_EXE_hivemind-node"));
        Daemon { child: command.envs(environment.iter().copied()).stderr(Stdio::piped()).spawn().unwrap() }
    }

    /// Waits until the service manager is told this, and returns all that it is told until then, with that.
    pub(crate) fn told(&self, expected: &str) -> Vec<String> {
        told(&self.manager, expected)
    }
}

/// Waits until this is told to a service manager, and returns all lines that it is told until then, with that.
pub(crate) fn told(manager: &UnixDatagram, expected: &str) -> Vec<String> {
    let mut octets = [0; 256];
    let mut lines = Vec::new();
    loop {
        let length = manager.recv(&mut octets).unwrap_or_else(|error| panic!("never told {expected}, but {lines:?}: {error}"));
        lines.extend(String::from_utf8_lossy(&octets[..length]).lines().map(str::to_owned));
        if lines.iter().any(|line| line == expected) {
            return lines;
        }
    }
}

/// A port that nobody has, and that nobody gets before it is used: below those that the system hands out, and handed out once here.
/// A first voter is found again where it was born, so it can not take any.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 12_000 + u16::try_from(std::process::id() % 8_000).expect("below 8,000");
    let is_free = |port: &u16| UdpSocket::bind(("0.0.0.0", *port)).is_ok() && TcpListener::bind(("0.0.0.0", *port)).is_ok();
    let mut next = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed)).take(8_000);
    next.find(is_free).expect("one of thousands of ports is free")
}

/// A daemon that runs. Dropping it kills it.
pub(crate) struct Daemon {
    child: Child,
}

impl Daemon {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end, whatever it is.
    pub(crate) fn wait(mut self) {
        self.child.wait().unwrap();
    }

    /// Waits until a line of its log has this in it, and returns the line. What stands before it is not in [`ended`](Self::ended) any more.
    pub(crate) fn says(&mut self, expected: &str) -> String {
        let log = self.child.stderr.as_mut().unwrap();
        let mut line = Vec::new();
        loop {
            // Octet by octet: what follows is for the next reader.
            let mut octet = [0];
            log.read_exact(&mut octet).unwrap_or_else(|error| panic!("never said {expected}: {error}"));
            match octet[0] {
                b'\n' if String::from_utf8_lossy(&line).contains(expected) => return String::from_utf8(line).unwrap(),
                b'\n' => line.clear(),
                other => line.push(other),
            }
        }
    }

    /// Waits for its end: its status, and its log.
    pub(crate) fn ended(mut self) -> (i32, String) {
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code().unwrap(), log)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A second voter of the founder's cluster, which runs and votes.
pub(crate) fn second_voter(founder: &Host) -> (Host, Daemon) {
    let token = founder.ask(&["token", "create", "--voter"]).done();
    let second = Host::new();
    second.join(&[token.trim(), "--voter"], "eu2").done();
    let daemon = second.start();
    let both = |voters: &Voters| voters.voters.iter().filter(|voter| voter.part == Part::Voter).count() == 2;
    founder.ask_until(&["voters", "--json"], both);
    (second, daemon)
}
