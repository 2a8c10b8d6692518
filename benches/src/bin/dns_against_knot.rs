//! Queries per second of our DNS server against Debian's knot, in one run on one machine.
//!
//! `dns_against_knot [--names N] [--repeats N] [--seconds N]` (defaults: 1000, 5, 4). Needs the Debian packages `knot`
//! and `dnsperf`, and two CPUs: the server has the first, the load the second. The two servers take turns. Prints a
//! table and one line of JSON with the medians.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hivemind_core::ids::{NodeId, NodeName, Seq};
use hivemind_dns_processor::server::Server;
use hivemind_dns_processor::zone::{HostFacts, Zone, ZoneSettings};
use hivemind_sections::{HostSection, Section};

const SERVER_CPU: &str = "0";
const LOAD_CPU: &str = "1";
/// How long a server may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(10);

struct Options {
    names: u32,
    repeats: usize,
    seconds: u32,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, names] = &arguments[..]
        && first == "serve"
    {
        return serve(names.parse()?);
    }
    let options = options(&arguments)?;
    let folder = tempfile::tempdir()?;
    write_zone(folder.path(), options.names)?;
    let mut runs = [Vec::new(), Vec::new()];
    for repeat in 0..options.repeats {
        for which in [repeat % 2, 1 - repeat % 2] {
            let (mut server, address) = if which == 0 { start_knot(folder.path())? } else { start_ours(options.names)? };
            wait_until_answering(&mut server.0, address)?;
            runs[which].push(load(folder.path(), server.0.id(), address, options.seconds)?);
        }
        let [knot, ours] = [&runs[0][repeat], &runs[1][repeat]];
        eprintln!("repeat {} of {}: knot {:.0}/s, hivemind {:.0}/s", repeat + 1, options.repeats, knot.per_second, ours.per_second);
    }
    report(&options, &runs)
}

fn options(arguments: &[String]) -> Result<Options> {
    let mut options = Options { names: 1000, repeats: 5, seconds: 4 };
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { bail!("{} needs a value", pair[0]) };
        match name.as_str() {
            "--names" => options.names = value.parse()?,
            "--repeats" => options.repeats = value.parse()?,
            "--seconds" => options.seconds = value.parse()?,
            other => bail!("unknown option {other}; known are --names, --repeats and --seconds"),
        }
    }
    ensure!(options.names > 0 && options.repeats > 0 && options.seconds > 0, "all numbers must be above 0");
    Ok(options)
}

fn host_name(number: u32) -> String {
    format!("h{number:05}")
}

fn host_address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from((10 << 24) + number)
}

fn write_zone(folder: &Path, names: u32) -> Result<()> {
    let mut zone = "$ORIGIN hive.\n$TTL 5\n@ SOA dns1.ns hostmaster 1 3600 600 86400 5\n@ NS dns1.ns\ndns1.ns A 127.0.0.1\n".to_owned();
    let mut queries = String::new();
    for number in 0..names {
        writeln!(zone, "{}.node A {}", host_name(number), host_address(number))?;
        // A stride that is prime to every number of names below it visits them all, out of order.
        let shuffled = (u64::from(number) * 7_919 % u64::from(names)) as u32;
        writeln!(queries, "{}.node.hive A", host_name(shuffled))?;
    }
    std::fs::write(folder.join("zone"), zone)?;
    std::fs::write(folder.join("queries"), queries)?;
    Ok(())
}

/// A process of ours, ended when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_knot(folder: &Path) -> Result<(Running, SocketAddr)> {
    let address = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    // A folder of its own for each start: the last one was ended without a chance to tidy up.
    let run = folder.join(format!("knot-{}", address.port()));
    std::fs::create_dir_all(&run)?;
    let config = format!(
        "server:\n    rundir: \"{run}\"\n    listen: {ip}@{port}\n    udp-workers: 1\n    tcp-workers: 1\n    background-workers: 1\n\
         database:\n    storage: \"{run}\"\nlog:\n  - target: stderr\n    any: warning\n\
         zone:\n  - domain: hive\n    file: \"{zone}\"\n    storage: \"{run}\"\n    zonefile-sync: -1\n    journal-content: none\n",
        run = run.display(),
        zone = folder.join("zone").display(),
        ip = address.ip(),
        port = address.port(),
    );
    std::fs::write(folder.join("knot.conf"), config)?;
    let child = Command::new("taskset")
        .args(["-c", SERVER_CPU, "knotd", "-c"])
        .arg(folder.join("knot.conf"))
        .stdout(Stdio::null())
        .spawn()
        .context("knotd does not start; install the Debian package knot")?;
    Ok((Running(child), address))
}

fn start_ours(names: u32) -> Result<(Running, SocketAddr)> {
    let mut child = Command::new("taskset")
        .args(["-c", SERVER_CPU])
        .arg(std::env::current_exe()?)
        .args(["serve", &names.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .context("taskset does not start; install the Debian package util-linux")?;
    let output = child.stdout.take().context("its output is piped")?;
    let running = Running(child);
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    Ok((running, line.trim().parse().context("our server says where it answers")?))
}

/// Our server as a process of its own.
fn serve(names: u32) -> Result<()> {
    let mut edit = Zone::new(ZoneSettings::new(&["hive."])?).edit();
    for number in 0..names {
        let section = HostSection { addresses: vec![IpAddr::V4(host_address(number))] };
        let facts = HostFacts {
            name: NodeName::new(&host_name(number))?,
            joined: number.into(),
            seq: Seq(1),
            sections: [(HostSection::kind(), section.encode().into())].into(),
            reachable: true,
        };
        edit.set_host(NodeId::new(1, u64::from(number) + 1), Some(facts));
    }
    edit.set_complete(true);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::bind(&[SocketAddr::from((Ipv4Addr::LOCALHOST, 0))], edit.finish())?;
        println!("{}", server.addresses()[0]);
        std::io::stdout().flush()?;
        std::future::pending().await
    })
}

fn wait_until_answering(server: &mut Child, address: SocketAddr) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    socket.connect(address)?;
    let query = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x06h00000\x04node\x04hive\0\0\x01\0\x01";
    let start = Instant::now();
    while start.elapsed() < START_LIMIT {
        if let Some(status) = server.try_wait()? {
            bail!("the server at {address} ended: {status}");
        }
        let mut response = [0; 512];
        // Refused while nobody listens yet, silent while the zone loads.
        let answered = socket.send(query).and_then(|_| socket.recv(&mut response));
        if answered.is_ok_and(|length| length > query.len() && response[3] & 0xf == 0) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    bail!("the server at {address} does not answer after {START_LIMIT:?}")
}

/// One run of the load.
struct Run {
    per_second: f64,
    /// Of the server's CPU, for one query: what other processes do at the time shows less in it.
    cpu_us: f64,
}

/// Runs dnsperf against the server of process `pid`.
fn load(folder: &Path, pid: u32, address: SocketAddr, seconds: u32) -> Result<Run> {
    let before = cpu_ns(pid)?;
    let output = Command::new("taskset")
        .args(["-c", LOAD_CPU, "dnsperf", "-s", &address.ip().to_string(), "-p", &address.port().to_string(), "-d"])
        .arg(folder.join("queries"))
        .args(["-c", "8", "-q", "200", "-T", "1", "-l", &seconds.to_string()])
        .output()
        .context("dnsperf does not start; install the Debian package dnsperf")?;
    let used = cpu_ns(pid)? - before;
    let text = String::from_utf8_lossy(&output.stdout);
    let value = |name: &str| {
        let found = text.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
        found.with_context(|| format!("dnsperf does not say {name:?}: {text}"))
    };
    let codes = value("Response codes:")?;
    ensure!(codes.contains("(100.00%)") && codes.starts_with("NOERROR"), "not every answer was good: {codes}");
    let completed: f64 = value("Queries completed:")?.split_whitespace().next().context("a number")?.parse()?;
    Ok(Run { per_second: value("Queries per second:")?.parse()?, cpu_us: used as f64 / 1000.0 / completed })
}

/// The CPU time that all threads of a process have used.
fn cpu_ns(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        sum += text.split_whitespace().next().context("schedstat begins with nanoseconds")?.parse::<u64>()?;
    }
    Ok(sum)
}

fn median(runs: &[Run], of: impl Fn(&Run) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn report(options: &Options, runs: &[Vec<Run>; 2]) -> Result<()> {
    let rates = runs.each_ref().map(|runs| median(runs, |run| run.per_second));
    let costs = runs.each_ref().map(|runs| median(runs, |run| run.cpu_us));
    println!("{:<10} {:>20} {:>24}", "server", "median queries/s", "median CPU us a query");
    for (at, name) in ["knot", "hivemind"].into_iter().enumerate() {
        println!("{name:<10} {:>20.0} {:>24.2}", rates[at], costs[at]);
    }
    let ratio = rates[1] / rates[0];
    println!("hivemind reaches {ratio:.2} of knot's rate ({} A names, {} repeats)", options.names, options.repeats);
    let line = serde_json::json!({
        "bench": "dns_against_knot", "names": options.names, "repeats": options.repeats,
        "knot_per_s": rates[0].round(), "hivemind_per_s": rates[1].round(), "ratio": ratio,
        "knot_cpu_us": costs[0], "hivemind_cpu_us": costs[1],
    });
    println!("{line}");
    Ok(())
}
