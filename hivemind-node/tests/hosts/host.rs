//! A host: a network namespace, a folder, its settings, and its daemon.

use std::fs::{self, OpenOptions};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use crate::said::Said;
use crate::wait::{BOUND, until};
use crate::world::{Holder, World};

/// Which addresses a cluster speaks over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// A host of a world.
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) namespace: Holder,
    address: IpAddr,
    folder: TempDir,
    manager: UnixDatagram,
    /// How libfaketime is to set the wall clock of all that runs here from now on; none: it is right.
    clock: Mutex<Option<&'static str>>,
}

/// Sets the wall clock of a command and of what it runs; the clock that measures time stays as it is.
fn set_clock(command: &mut Command, clock: Option<&str>) {
    if let Some(clock) = clock {
        command.env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketimeMT.so.1").env("FAKETIME", clock).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
}

impl Host {
    pub(crate) fn new(world: &World, number: usize, family: Family) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let manager = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        manager.set_read_timeout(Some(BOUND)).unwrap();
        let address = match family {
            Family::V4 => format!("10.0.0.{number}"),
            Family::V6 => format!("fd00::{number}"),
        };
        fs::create_dir(folder.path().join("data")).unwrap();
        Host {
            name: format!("h{number}"),
            namespace: world.namespace(number),
            address: address.parse().unwrap(),
            folder,
            manager,
            clock: Mutex::new(None),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Where it keeps its data.
    pub(crate) fn data(&self) -> String {
        self.text("data")
    }

    fn place(&self) -> Vec<String> {
        let address = SocketAddr::new(self.address, 6550).to_string();
        let any = if self.address.is_ipv4() { "0.0.0.0:6550" } else { "[::]:6550" };
        let place = ["--name", &self.name, "--listen", any, "--address", &address, "--data-dir", &self.data()];
        place.map(str::to_owned).to_vec()
    }

    pub(crate) fn init(&self) -> Said {
        let arguments = ["init", "--roles", "observer,host"].map(str::to_owned).to_vec();
        self.ask_all(arguments, self.place())
    }

    /// Begins to make a cluster, and does not wait.
    pub(crate) fn founding(&self) -> Child {
        let mut command = self.command(env!("CARGO_BIN_EXE_hivemind"));
        command.arg("init").args(self.place()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    pub(crate) fn join(&self, token: &str, more: &[&str]) -> Said {
        let arguments = ["join", token].iter().chain(more).map(|text| (*text).to_owned()).collect();
        self.ask_all(arguments, self.place())
    }

    fn ask_all(&self, arguments: Vec<String>, more: Vec<String>) -> Said {
        let all = [arguments, more].concat();
        self.ask(&all.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = self.namespace.enter(program);
        command.args(["--config", &self.text("node.toml")]).env("NOTIFY_SOCKET", self.path("notify"));
        command.env_remove("HIVEMIND_ADDR").env_remove("HIVEMIND_TOKEN_FILE");
        set_clock(&mut command, *self.clock.lock().unwrap());
        command
    }

    /// Sets the wall clock, as libfaketime reads it, for all that is run here from now on.
    pub(crate) fn set_clock(&self, clock: &'static str) {
        *self.clock.lock().unwrap() = Some(clock);
    }

    /// The year, as programs here see it.
    pub(crate) fn date(&self) -> String {
        let mut date = self.namespace.enter("date");
        set_clock(&mut date, *self.clock.lock().unwrap());
        Said::of(&date.arg("+%Y-%m").output().unwrap()).done().trim().to_owned()
    }

    /// Runs the tool here.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Said {
        Said::of(&self.command(env!("CARGO_BIN_EXE_hivemind")).args(arguments).output().unwrap())
    }

    /// What the tool says, where it is asked with success.
    pub(crate) fn tells<T: DeserializeOwned>(&self, arguments: &[&str]) -> Option<T> {
        let said = self.ask(&[arguments, &["--json"]].concat());
        (said.status == 0).then(|| said.json())
    }

    /// Runs the tool until it says what is looked for.
    pub(crate) fn ask_until<T: DeserializeOwned>(&self, arguments: &[&str], found: impl Fn(&T) -> bool) -> T {
        let what = || format!("{} at {}; it says now {:?}\n{}", arguments.join(" "), self.name, self.ask(arguments), self.log());
        until(what, || self.tells(arguments).filter(&found))
    }

    /// Starts the daemon, and does not wait. Whoever starts it lives longer than it.
    pub(crate) fn spawn(&self) -> Daemon {
        let log = OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = self.command(env!("CARGO_BIN_EXE_hivemind-node"));
        let child = command.stderr(log).spawn().unwrap();
        Daemon { child }
    }

    /// Starts the daemon, and waits until it is ready.
    pub(crate) fn start(&self) -> Daemon {
        let daemon = self.spawn();
        self.ready();
        daemon
    }

    /// Waits until the daemon is a member.
    pub(crate) fn ready(&self) {
        let mut octets = [0; 256];
        loop {
            let length = self.manager.recv(&mut octets);
            let length = length.unwrap_or_else(|error| panic!("{} is never ready: {error}\n{}", self.name, self.log()));
            if String::from_utf8_lossy(&octets[..length]).lines().any(|line| line == "READY=1") {
                return;
            }
        }
    }

    /// What the daemon logged, in all its runs, without the requests that it answered.
    pub(crate) fn log(&self) -> String {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        log.lines().filter(|line| !line.contains("hivemind_node::http::gate")).map(|line| format!("{line}\n")).collect()
    }
}

/// A daemon that runs. Dropping it kills it.
pub(crate) struct Daemon {
    child: Child,
}

impl Daemon {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end: its status.
    pub(crate) fn ended(mut self) -> Option<i32> {
        until(|| "the daemon's end".to_owned(), || self.child.try_wait().unwrap()).code()
    }

    /// Its status, where it has ended.
    pub(crate) fn has_ended(&mut self) -> Option<i32> {
        self.child.try_wait().unwrap().map(|status| status.code().unwrap())
    }

    /// Kills it.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
