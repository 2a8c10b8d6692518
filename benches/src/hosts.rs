//! Real hosts: the daemon and the tool of the release build, each host in a folder of its own, all over loopback.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::process;

use crate::report::beside;

/// What anything is waited for at most.
const BOUND: Duration = Duration::from_secs(60);
/// The two programs.
#[derive(Clone, Debug)]
pub struct Programs {
    daemon: PathBuf,
    tool: PathBuf,
}

impl Programs {
    /// Those beside this program.
    ///
    /// # Errors
    /// They were not built.
    pub fn find() -> Result<Self> {
        let package = "hivemind-node";
        Ok(Programs { daemon: beside("hivemind-node", package)?, tool: beside("hivemind", package)? })
    }
}

/// A host: a folder, its settings, and its daemon while that runs. Dropping it kills the daemon.
#[derive(Debug)]
pub struct Host {
    programs: Programs,
    folder: tempfile::TempDir,
    listen: SocketAddr,
    manager: UnixDatagram,
    daemon: Option<Child>,
}

impl Host {
    fn new(programs: &Programs) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let manager = UnixDatagram::bind(folder.path().join("notify"))?;
        manager.set_read_timeout(Some(BOUND))?;
        Ok(Host { programs: programs.clone(), folder, listen: free_address()?, manager, daemon: None })
    }

    /// Where it listens for peers.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// The first voter of a new cluster; its daemon does not run yet.
    ///
    /// # Errors
    /// The tool refused.
    pub fn first(programs: &Programs, name: &str) -> Result<Self> {
        let host = Host::new(programs)?;
        let listen = host.listen.to_string();
        host.ask(&["init", "--name", name, "--listen", &listen, "--http-listen", "127.0.0.1:0", "--data-dir", &host.data()])?;
        Ok(host)
    }

    /// A bare host that enrolls with a token; its daemon does not run yet.
    ///
    /// # Errors
    /// The tool refused.
    pub fn join(programs: &Programs, name: &str, token: &str, votes: bool) -> Result<Self> {
        let host = Host::new(programs)?;
        let (data, listen) = (host.data(), host.listen.to_string());
        let mut arguments = vec!["join", token, "--name", name, "--listen", &listen, "--http-listen", "127.0.0.1:0", "--data-dir", &data];
        arguments.extend(votes.then_some("--voter"));
        host.ask(&arguments)?;
        Ok(host)
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    /// Runs the tool with this host's settings, and returns what it prints.
    ///
    /// # Errors
    /// It did not end with 0.
    pub fn ask(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(&self.programs.tool).args(arguments).output()?;
        ensure!(output.status.success(), "hivemind {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.arg("--config").arg(self.folder.path().join("node.toml")).env("NOTIFY_SOCKET", self.folder.path().join("notify"));
        command.env_remove("HIVEMIND_ADDR").env_remove("HIVEMIND_TOKEN_FILE").stdin(Stdio::null());
        command
    }

    /// Starts the daemon; it may not be a member yet.
    ///
    /// # Errors
    /// It can not be started.
    pub fn start(&mut self) -> Result<()> {
        let log = fs::File::create(self.folder.path().join("log"))?;
        self.daemon = Some(self.command(&self.programs.daemon).stderr(log).spawn()?);
        Ok(())
    }

    /// Waits until the daemon says that it is a member.
    ///
    /// # Errors
    /// It does not within a minute.
    pub fn ready(&self) -> Result<()> {
        let mut octets = [0; 256];
        loop {
            let length = self.manager.recv(&mut octets).context("the daemon never said that it is ready")?;
            if octets[..length].split(|octet| *octet == b'\n').any(|line| line == b"READY=1") {
                return Ok(());
            }
        }
    }

    /// Kills the daemon without a word, and waits until the process is gone.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill()?;
            daemon.wait()?;
        }
        // What the last process said is not said by the next one.
        self.manager.set_nonblocking(true)?;
        while self.manager.recv(&mut [0; 256]).is_ok() {}
        self.manager.set_nonblocking(false)?;
        Ok(())
    }

    /// Asks for a command to be committed, at the host's own socket: true once it is.
    ///
    /// # Errors
    /// Nobody answers, or not at once.
    pub fn commits(&self) -> Result<bool> {
        commits(&self.socket())
    }

    /// Where its daemon listens for the tool.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("data/hivemind.sock")
    }

    /// Resident memory, in MB.
    ///
    /// # Errors
    /// The daemon does not run.
    pub fn resident_mb(&self) -> Result<f64> {
        process::resident_mb(self.process()?)
    }

    /// The processor time that it has used, in seconds.
    ///
    /// # Errors
    /// The daemon does not run.
    pub fn processor_seconds(&self) -> Result<f64> {
        process::processor_seconds(self.process()?)
    }

    fn process(&self) -> Result<u32> {
        self.daemon.as_ref().map(Child::id).context("the daemon does not run")
    }
}

/// An address that nobody has now. Two voters that come back elsewhere at the same time would have to be told of each other.
fn free_address() -> Result<SocketAddr> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?)
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.kill();
    }
}

/// Asks at a socket for a command to be committed (a join token for one host and a second): true once it is.
///
/// # Errors
/// Nobody answers, or what answers is no HTTP.
pub fn commits(socket: &Path) -> Result<bool> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(BOUND))?;
    let body = r#"{"label":"bench","roles":["host"],"ttl_s":1,"uses":1}"#;
    let head = "POST /api/v1/tokens HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json";
    write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).context("no status in the answer")?;
    match status {
        "200" | "201" => Ok(true),
        "503" | "504" => Ok(false),
        _ => bail!("unexpected answer: {answer}"),
    }
}
