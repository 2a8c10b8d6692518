//! The command line: as typed, and as resolved.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use hivemind_core::ids::NodeName;
use hivemind_dns_processor::zone::{DEFAULT_ZONE, SettingsError, ZoneSettings};
use hivemind_host::file::{Rules, ZoneError};
use hivemind_node::http::DEFAULT_HTTP_PORT;
use thiserror::Error;

use crate::sim::command::SimArgs;

/// The port of the first dns_processor where `--dns-listen` names none.
const DNS_PORT: u16 = 5300;
/// The stem of the voters' names.
pub const VOTER_STEM: &str = "voter";
/// The stem of the dns_processors' names.
pub const DNS_STEM: &str = "dns";

/// A whole hivemind cluster in one process.
///
/// Starts voters, DNS servers and one node per host file, over real QUIC on loopback, and answers DNS from
/// the host files. It then takes commands from standard input (`help` lists them).
#[derive(Clone, Debug, Parser)]
#[command(name = "hivemind-lite", version, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Example:\n  hivemind-lite --hosts examples/hosts.d --zone hive. --zone example.org.")]
pub struct Cli {
    /// Another job than running a cluster in real time.
    #[command(subcommand)]
    pub job: Option<Job>,
    /// How the cluster is run.
    #[command(flatten)]
    pub run: RunArgs,
}

/// The other jobs.
#[derive(Clone, Debug, Subcommand)]
pub enum Job {
    /// Simulate a cluster in virtual time, and check what must never happen
    Sim(SimArgs),
}

/// How a cluster is run, as typed.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Folder of host files: each *.toml file is one host, and its changes are published as they are saved
    #[arg(long, value_name = "DIR", required_unless_present = "check")]
    pub hosts: Option<PathBuf>,
    /// A zone to answer for; repeats. The first is the cluster's own, hosts may publish into the others
    #[arg(long = "zone", value_name = "NAME", default_value = DEFAULT_ZONE)]
    pub zones: Vec<String>,
    /// Number of voters
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub voters: u16,
    /// Number of DNS servers
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(0..=16))]
    pub dns: u16,
    /// Where dns1 listens, as ADDRESS or ADDRESS:PORT; dns2 takes the next port, and so on. Port 0: any free ones
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5300", value_parser = parse_listen)]
    pub dns_listen: SocketAddr,
    /// Where voter1 serves HTTP, as ADDRESS or ADDRESS:PORT, on loopback. Port 0: any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:6553", value_parser = parse_http)]
    pub http_listen: SocketAddr,
    /// Keep the cluster in this folder, and resume it from there. Without it nothing is left behind
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Check host files, or folders of them, against the zones, without running anything
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["hosts", "data_dir"])]
    pub check: Vec<PathBuf>,
    /// Log more to standard error; twice: everything
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

/// What was asked for, once it is known to make sense.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The folder of host files.
    pub hosts: PathBuf,
    /// What a host file may say.
    pub rules: Rules,
    /// What is answered.
    pub zones: ZoneSettings,
    /// How many voters.
    pub voters: u16,
    /// Where each dns_processor listens, dns1 first.
    pub dns: Vec<SocketAddr>,
    /// Where voter1 serves HTTP.
    pub http: SocketAddr,
    /// Where the cluster is kept, if it is.
    pub data_dir: Option<PathBuf>,
}

/// Why the arguments make no sense together. The user is at fault; nothing was started.
#[derive(Debug, Error)]
pub enum ArgsError {
    /// A zone that host files can not be checked against.
    #[error("--zone: {0}")]
    Rules(#[from] ZoneError),
    /// A zone that can not be served.
    #[error("--zone: {0}")]
    Zone(#[from] SettingsError),
    /// There is no port that high.
    #[error("--dns-listen {first}: {servers} servers need the ports from {port} on, and {most} is the last; choose a lower port", port = first.port(), most = u16::MAX)]
    Ports {
        /// Where the first one was to listen.
        first: SocketAddr,
        /// How many there are.
        servers: u16,
    },
    /// `--hosts` is missing.
    #[error("--hosts DIR is missing; name the folder of host files")]
    NoHosts,
}

impl RunArgs {
    /// What a host file may say, under these zones.
    ///
    /// # Errors
    /// [`ArgsError::Rules`].
    pub fn rules(&self) -> Result<Rules, ArgsError> {
        let (first, others) = self.zones.split_first().expect("clap gives at least the default");
        let rules = Rules::new(first)?.reserving(VOTER_STEM).reserving(DNS_STEM);
        others.iter().try_fold(rules, |rules, zone| Ok(rules.with_zone(zone)?))
    }

    /// Resolves what was typed.
    ///
    /// # Errors
    /// [`ArgsError`].
    pub fn resolve(&self) -> Result<RunOptions, ArgsError> {
        Ok(RunOptions {
            hosts: self.hosts.clone().ok_or(ArgsError::NoHosts)?,
            rules: self.rules()?,
            zones: ZoneSettings::new(&self.zones)?,
            voters: self.voters,
            dns: self.dns_addresses()?,
            http: self.http_listen,
            data_dir: self.data_dir.clone(),
        })
    }

    fn dns_addresses(&self) -> Result<Vec<SocketAddr>, ArgsError> {
        let first = self.dns_listen;
        let at = |number| match first.port() {
            0 => Some(first),
            port => port.checked_add(number).map(|port| SocketAddr::new(first.ip(), port)),
        };
        (0..self.dns).map(at).collect::<Option<_>>().ok_or(ArgsError::Ports { first, servers: self.dns })
    }
}

/// The name of the `number`th voter, from 1.
pub fn voter_name(number: u16) -> NodeName {
    reserved_name(VOTER_STEM, number)
}

/// The name of the `number`th dns_processor, from 1.
pub fn dns_name(number: u16) -> NodeName {
    reserved_name(DNS_STEM, number)
}

fn reserved_name(stem: &str, number: u16) -> NodeName {
    NodeName::new(&format!("{stem}{number}")).expect("a stem and a number make a name")
}

fn parse_listen(written: &str) -> Result<SocketAddr, String> {
    parse_address(written, DNS_PORT)
}

fn parse_http(written: &str) -> Result<SocketAddr, String> {
    parse_address(written, DEFAULT_HTTP_PORT)
}

fn parse_address(written: &str, port: u16) -> Result<SocketAddr, String> {
    let address = written.parse::<SocketAddr>();
    let bare = || written.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, port));
    let wrong = |_| format!("give an IP address, with or without a port: 127.0.0.1:{port}, [::1]:{port} or ::1");
    address.or_else(|_| bare()).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<RunOptions, String> {
        let cli = Cli::try_parse_from([&["hivemind-lite"], arguments].concat()).map_err(|error| error.to_string())?;
        cli.run.resolve().map_err(|error| error.to_string())
    }

    #[test]
    fn the_servers_take_one_port_after_the_other() {
        let options = parse(&["--hosts", "d", "--dns", "3", "--dns-listen", "[::1]:600"]).unwrap();
        let shown: Vec<String> = options.dns.iter().map(SocketAddr::to_string).collect();
        assert_eq!(shown, ["[::1]:600", "[::1]:601", "[::1]:602"]);
        let free = parse(&["--hosts", "d", "--dns-listen", "127.0.0.1:0"]).unwrap();
        assert!(free.dns.iter().all(|address| address.port() == 0));
        assert_eq!(parse(&["--hosts", "d", "--dns-listen", "::1"]).unwrap().dns[0].to_string(), "[::1]:5300");
    }

    #[test]
    fn ports_that_there_are_not_are_refused() {
        let error = parse(&["--hosts", "d", "--dns-listen", "127.0.0.1:65535"]).unwrap_err();
        assert_eq!(
            error,
            "--dns-listen 127.0.0.1:65535: 2 servers need the ports from 65535 on, and 65535 is the last; choose a lower port"
        );
    }

    #[test]
    fn the_first_zone_is_the_clusters_and_hive_by_default() {
        assert_eq!(parse(&["--hosts", "d"]).unwrap().rules.cluster_zone(), "hive.");
        let options = parse(&["--hosts", "d", "--zone", "Home.Arpa", "--zone", "example.org."]).unwrap();
        assert_eq!(options.rules.zones().collect::<Vec<_>>(), ["home.arpa.", "example.org."]);
        assert!(parse(&["--hosts", "d", "--zone", "a..b"]).unwrap_err().starts_with("--zone: the zone `a..b` is not a DNS name"));
    }

    #[test]
    fn a_folder_is_needed_to_run_and_not_to_check() {
        assert!(parse(&[]).unwrap_err().contains("--hosts <DIR>"));
        assert!(Cli::try_parse_from(["hivemind-lite", "--check", "a.toml", "b.toml"]).is_ok());
    }
}
