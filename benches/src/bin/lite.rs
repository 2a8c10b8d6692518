//! `hivemind-lite` as its user meets it: how long until it is ready, and from the edit of a host file to the
//! changed answer.
//!
//! `cargo build --release -p hivemind-lite && cargo run --release -p hivemind-benches --bin lite -- [--starts N] [--edits N]`
//!
//! The release build of `hivemind-lite` is expected beside this program. Everything is on loopback; the
//! processes are ended by their ids. One table for people, one JSON line per row.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hivemind_benches::process::{processor_seconds, resident_mb};
use hivemind_benches::report::{beside, print_readings, print_times};

/// How long one answer is waited for, at most.
const PATIENCE: Duration = Duration::from_secs(10);

/// Hosts in one process.
const MANY: usize = 200;
/// So long they settle, and so long they are measured.
const SETTLES: Duration = Duration::from_secs(20);
const MEASURED: Duration = Duration::from_secs(30);

fn main() -> Result<()> {
    let (starts, edits) = arguments()?;
    let program = beside("hivemind-lite", "hivemind-lite")?;
    for hosts in [10, 40] {
        let mut times = Vec::new();
        for _ in 0..starts {
            let folder = tempfile::tempdir()?;
            write_hosts(folder.path(), hosts)?;
            let lite = Lite::start(&program, folder.path())?;
            times.push(lite.ready);
        }
        print_times(&format!("ready, {hosts} hosts"), &mut times);
    }
    many(&program)?;
    let folder = tempfile::tempdir()?;
    write_hosts(folder.path(), 10)?;
    let lite = Lite::start(&program, folder.path())?;
    let mut times = (1..=edits).map(|edit| lite.edit(folder.path(), edit)).collect::<Result<Vec<_>>>()?;
    print_times("edit to answer", &mut times);
    Ok(())
}

/// Many hosts in one process: until it is ready, and what it costs then while nothing happens.
fn many(program: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    write_hosts(folder.path(), MANY)?;
    let lite = Lite::start(program, folder.path())?;
    print_times(&format!("ready, {MANY} hosts"), &mut [lite.ready]);
    std::thread::sleep(SETTLES);
    let before = processor_seconds(lite.process.id())?;
    std::thread::sleep(MEASURED);
    let used = (processor_seconds(lite.process.id())? - before) / MEASURED.as_secs_f64();
    print_readings(&format!("resident, {MANY} hosts"), "MB", &mut [resident_mb(lite.process.id())?]);
    print_readings(&format!("idle, {MANY} hosts"), "% of a core", &mut [used * 100.0]);
    Ok(())
}

fn arguments() -> Result<(usize, usize)> {
    let (mut starts, mut edits) = (10, 200);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{name} wants a number"))?.parse()?;
        match name.as_str() {
            "--starts" => starts = value,
            "--edits" => edits = value,
            _ => bail!("unknown argument {name}; there are --starts N and --edits N"),
        }
    }
    Ok((starts, edits))
}

fn write_hosts(folder: &Path, hosts: usize) -> Result<()> {
    (0..hosts).try_for_each(|host| write_host(folder, host, 0))
}

/// Writes as an editor does: beside, then over.
fn write_host(folder: &Path, host: usize, edit: usize) -> Result<()> {
    let text = format!("addresses = [\"10.{}.{}.{host}\"]\n[[service]]\nname = \"web\"\nport = 8080\n", edit / 256, edit % 256);
    let beside = folder.join(format!(".h{host}.new"));
    fs::write(&beside, text)?;
    fs::rename(beside, folder.join(format!("h{host}.toml")))?;
    Ok(())
}

/// A running process, ended when it is dropped.
struct Lite {
    process: Child,
    ready: Duration,
    server: SocketAddr,
}

impl Lite {
    fn start(program: &Path, hosts: &Path) -> Result<Lite> {
        let began = Instant::now();
        let mut process = Command::new(program)
            .args(["--dns-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--hosts"])
            .arg(hosts)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = process.stdout.take().context("its output is piped")?;
        let (mut ready, mut server) = (None, None);
        for line in BufReader::new(output).lines() {
            let line = line?;
            if line.starts_with("ready") {
                ready = Some(began.elapsed());
            }
            if let Some(rest) = line.strip_prefix("dns1 listens on ") {
                server = rest.split(',').next().map(str::parse).transpose()?;
                break;
            }
        }
        let (ready, server) = ready.zip(server).context("hivemind-lite did not say where it listens")?;
        Ok(Lite { process, ready, server })
    }

    fn edit(&self, folder: &Path, edit: usize) -> Result<Duration> {
        let wanted = [10, (edit / 256) as u8, (edit % 256) as u8, 3];
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(self.server)?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        let began = Instant::now();
        write_host(folder, 3, edit)?;
        while began.elapsed() < PATIENCE {
            socket.send(&query("h3"))?;
            let mut answer = [0; 512];
            let length = socket.recv(&mut answer)?;
            if answer[..length].ends_with(&wanted) || answer[..length].windows(4).any(|four| four == wanted) {
                return Ok(began.elapsed());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        bail!("edit {edit} did not show within {PATIENCE:?}")
    }
}

impl Drop for Lite {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `<name>.node.hive. A IN`.
fn query(name: &str) -> Vec<u8> {
    let mut bytes = vec![0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in [name, "node", "hive"] {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}
