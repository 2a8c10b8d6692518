//! The command line of the tool.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use hivemind_core::ids::{NodeName, SectionKind};
use hivemind_core::wire::access::Label;
use hivemind_core::wire::command::MAX_TOKEN_TTL;
use hivemind_core::wire::feature::FeatureName;

use crate::http::DEFAULT_HTTP_PORT;
use crate::http::model::Right;
use crate::node::DEFAULT_PORT;
use crate::settings_file::{DEFAULT_CONFIG, parse_address, parse_duration};

/// Make hosts members of a hivemind cluster, and look after it.
#[derive(Clone, Debug, Parser)]
#[command(name = "hivemind", version)]
#[command(
    after_help = "Exit status: 0 done, 1 refused, 2 usage, 3 could not ask, 4 outcome unknown, 130 ended by Ctrl-C.\n\nExample:\n  hivemind init --name eu1"
)]
pub struct Cli {
    /// What is done.
    #[command(subcommand)]
    pub job: Job,
    /// Who is asked.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Write JSON for programs instead of tables for people
    #[arg(long, global = true)]
    pub json: bool,
}

/// Which node is asked, and with what credential.
#[derive(Clone, Debug, Args)]
pub struct ServerArgs {
    /// The node's settings file: written by `init` and `join`; else its socket is asked where there is one
    #[arg(long, global = true, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// Ask at this URL instead of the socket; the environment's HIVEMIND_ADDR does the same
    #[arg(long, global = true, value_name = "URL")]
    pub at: Option<String>,
    /// The file of the cluster's authority, for https; the environment's HIVEMIND_CA_FILE does the same. Else it is the one in the data folder
    #[arg(long, global = true, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The node that must answer over https. Unless given, it is named by the URL: by its first label, or by its address
    #[arg(long, global = true, value_name = "NAME", value_parser = node_name)]
    pub node: Option<NodeName>,
    /// The file of the credential for that; the environment's HIVEMIND_TOKEN_FILE does the same
    #[arg(long, global = true, value_name = "FILE")]
    pub credential_file: Option<PathBuf>,
}

/// What is done.
#[derive(Clone, Debug, Subcommand)]
pub enum Job {
    /// Make a cluster, with this host as its first voter
    #[command(after_help = "Example:\n  hivemind init --name eu1 --address 192.0.2.1")]
    Init(InitArgs),
    /// Make this host a member of a cluster, by a join token
    #[command(after_help = "Example:\n  hivemind join --token-file token --name web1")]
    Join(JoinArgs),
    /// Make, list and revoke join tokens
    Token {
        /// What is done to them.
        #[command(subcommand)]
        job: TokenJob,
    },
    /// List the hosts that were admitted by a token and are no members; `evict` puts them out
    #[command(after_help = "Example:\n  hivemind admitted")]
    Admitted,
    /// Make, list and revoke credentials of the HTTP interface
    Credential {
        /// What is done to them.
        #[command(subcommand)]
        job: CredentialJob,
    },
    /// The members, and how they fare
    #[command(after_help = "Example:\n  hivemind members --json")]
    Members,
    /// How the node that is asked fares
    #[command(after_help = "Example:\n  hivemind status")]
    Status,
    /// What happened to the cluster
    #[command(after_help = "Example:\n  hivemind events --follow")]
    Events {
        /// Go on with what happens from now on, also after a restart of the node that is asked, until Ctrl-C
        #[arg(long, short)]
        follow: bool,
    },
    /// What hosts publish, as far as the node that is asked holds it
    #[command(after_help = "Example:\n  hivemind configs")]
    Configs,
    /// The services that hosts offer, as far as the node that is asked knows
    #[command(after_help = "Example:\n  hivemind services")]
    Services,
    /// The Raft group: who votes, and who shall
    Voters {
        /// What is done; unless given, they are listed.
        #[command(subcommand)]
        job: Option<VotersJob>,
    },
    /// Let another voter lead
    Leader {
        /// What is done.
        #[command(subcommand)]
        job: LeaderJob,
    },
    /// What happened to a member, or to one that is gone: who missed it, what it said, what was committed
    #[command(after_help = "Example:\n  hivemind why web1")]
    Why {
        /// Its name, or its id
        name: String,
    },
    /// End a membership; the host may join again with a new token and an empty data folder
    #[command(after_help = "Example:\n  hivemind leave")]
    Leave {
        /// Whose; without it, of the node that is asked
        #[arg(value_parser = node_name)]
        name: Option<NodeName>,
    },
    /// End a membership, and revoke the host's key
    #[command(after_help = "Example:\n  hivemind evict web1")]
    Evict {
        /// Whose
        #[arg(value_parser = node_name)]
        name: NodeName,
    },
    /// List optional features, and switch one on
    Features {
        /// What is done to them.
        #[command(subcommand)]
        job: FeatureJob,
    },
    /// Write the certificate of the cluster's authority, by which programs elsewhere know its nodes over https; rotate its key
    #[command(
        after_help = "Examples:\n  hivemind authority > hivemind-ca.pem\n  hivemind authority rotate",
        args_conflicts_with_subcommands = true
    )]
    Authority {
        /// What is done to it.
        #[command(subcommand)]
        job: Option<AuthorityJob>,
    },
    /// Look whether this host is fit to run its node: settings, data, certificate, clock, ports, daemon
    #[command(after_help = "Example:\n  hivemind doctor")]
    Doctor,
    /// Check host files, or folders of them, without asking anybody
    ///
    /// Where the settings file of this machine has a table [roles.host], they are checked as its daemon reads them: as the parts
    /// of one host of the node's name, under its zones. Elsewhere each file is a host of its own.
    #[command(after_help = "Example:\n  hivemind check /etc/hivemind/hosts.d\n  hivemind check --host eu2 --zone hive. hosts/eu2")]
    Check(CheckArgs),
    /// Write what a shell needs to complete commands
    #[command(after_help = "Example:\n  hivemind completions bash > /etc/bash_completion.d/hivemind")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    #[command(after_help = "Example:\n  hivemind man --dir /usr/local/share/man")]
    Man {
        /// The folder that man1 and man8 are made in
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
}

/// How host files are checked.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// The files and folders
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// They are the parts of this one host, whatever the settings file says
    #[arg(long, value_name = "NAME", value_parser = node_name, conflicts_with = "each")]
    pub host: Option<NodeName>,
    /// Each is a host of its own, as hivemind-lite has it, whatever the settings file says
    #[arg(long)]
    pub each: bool,
    /// A zone that they may publish into; repeats, the cluster's own first. Unless given: those of the settings file, else hive.
    #[arg(long = "zone", value_name = "NAME")]
    pub zones: Vec<String>,
}

/// What is done to the cluster's authority.
#[derive(Clone, Debug, Subcommand)]
pub enum AuthorityJob {
    /// List the authorities that are trusted
    #[command(after_help = "Example:\n  hivemind authority show")]
    Show,
    /// Let another authority, with a new key, follow the present one; both are trusted until the former one is retired
    #[command(after_help = "Example:\n  hivemind authority rotate")]
    Rotate,
    /// Trust the former authority no more
    #[command(after_help = "Example:\n  hivemind authority retire")]
    Retire {
        /// Also before a day has passed: its key was stolen
        #[arg(long)]
        now: bool,
    },
}

/// What is done to optional features.
#[derive(Clone, Debug, Subcommand)]
pub enum FeatureJob {
    /// What there is, what is on, and which members lack it
    #[command(after_help = "Example:\n  hivemind features list")]
    List,
    /// Switch a feature on, for good; every member must support it
    #[command(after_help = "Example:\n  hivemind features enable NAME")]
    Enable {
        /// Which
        #[arg(value_parser = feature_name)]
        name: FeatureName,
    },
}

/// What a new node is told, however it comes in.
#[derive(Clone, Debug, Args)]
pub struct PlaceArgs {
    /// The folder of its data
    #[arg(long, value_name = "DIR", default_value = crate::settings_file::DEFAULT_DATA)]
    pub data_dir: PathBuf,
    /// Where it listens for other nodes, by UDP
    #[arg(long, value_name = "ADDR", default_value = "[::]:6550", value_parser = peer_address)]
    pub listen: SocketAddr,
    /// Where others reach it; repeats, best first. Unless given: where it listens, or the address that this host speaks from
    #[arg(long = "address", value_name = "ADDR", value_parser = peer_address)]
    pub addresses: Vec<SocketAddr>,
    /// Where it serves HTTP; beyond loopback HTTPS, to those with a credential
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:6553", value_parser = http_address)]
    pub http_listen: SocketAddr,
    /// What it performs
    #[arg(long, value_name = "ROLE", value_delimiter = ',')]
    pub roles: Vec<RoleName>,
    /// Where it answers DNS, with the role dns_processor; repeats
    #[arg(long, value_name = "ADDR", value_parser = dns_address)]
    pub dns_listen: Vec<SocketAddr>,
    /// Run the node now, in the foreground
    #[arg(long)]
    pub foreground: bool,
}

/// A role that a node can perform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum RoleName {
    /// Publishes what its host file says
    Host,
    /// Answers DNS
    DnsProcessor,
    /// Holds all members and configs, for its HTTP interface
    Observer,
}

impl RoleName {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            RoleName::Host => "host",
            RoleName::DnsProcessor => "dns_processor",
            RoleName::Observer => "observer",
        }
    }
}

/// How a cluster is made.
#[derive(Clone, Debug, Args)]
pub struct InitArgs {
    /// The name of this host
    #[arg(long, value_parser = node_name)]
    pub name: NodeName,
    /// The rest.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// How a host joins.
#[derive(Clone, Debug, Args)]
pub struct JoinArgs {
    /// The token; `-` reads it from standard input. Others see it in the list of processes: a file or `-` is better
    #[arg(required_unless_present = "token_file")]
    pub token: Option<String>,
    /// The file of the token
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    pub token_file: Option<PathBuf>,
    /// The name of this host; unless given, its host name
    #[arg(long, value_parser = node_name)]
    pub name: Option<NodeName>,
    /// Whether it may become a voter; the token must allow it
    #[arg(long)]
    pub voter: bool,
    /// The rest. Without `--roles` it is a host, and a voter performs none.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// What is done to join tokens.
#[derive(Clone, Debug, Subcommand)]
pub enum TokenJob {
    /// Make one, and print its line, which nobody can show again
    #[command(after_help = "Example:\n  hivemind token create --roles host --ttl 1h --uses 10")]
    Create(TokenArgs),
    /// List them, without their secrets
    #[command(after_help = "Example:\n  hivemind token list")]
    List,
    /// Let one admit nobody any more
    #[command(after_help = "Example:\n  hivemind token revoke 3f2a91")]
    Revoke {
        /// Its id, or the beginning of it
        id: String,
    },
}

/// What a new token admits.
#[derive(Clone, Debug, Args)]
pub struct TokenArgs {
    /// What the nodes may perform; without it hosts, and with --voter nothing
    #[arg(long, value_name = "ROLE", value_delimiter = ',', value_parser = role)]
    pub roles: Vec<SectionKind>,
    /// How long it admits nodes: from 1s to 366d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = ttl)]
    pub ttl: Duration,
    /// How many nodes it admits
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub uses: u32,
    /// Whether the nodes may become voters
    #[arg(long)]
    pub voter: bool,
    /// What people call it
    #[arg(long, default_value = "join", value_parser = label)]
    pub label: Label,
}

/// What is done to credentials.
#[derive(Clone, Debug, Subcommand)]
pub enum CredentialJob {
    /// Make one, and print its secret, which nobody can show again
    #[command(after_help = "Example:\n  hivemind credential create --right read --label prometheus > credential")]
    Create {
        /// What its bearer may do
        #[arg(long, value_parser = right)]
        right: Right,
        /// What people call it
        #[arg(long, value_parser = label)]
        label: Option<Label>,
    },
    /// List them, without their secrets
    #[command(after_help = "Example:\n  hivemind credential list")]
    List,
    /// Make one worth nothing
    #[command(after_help = "Example:\n  hivemind credential revoke 3f2a91")]
    Revoke {
        /// Its id, or the beginning of it
        id: String,
    },
}

/// What is done to voters.
#[derive(Clone, Debug, Subcommand)]
pub enum VotersJob {
    /// List them, and whom an operator has added or taken away
    #[command(after_help = "Example:\n  hivemind voters list")]
    List,
    /// Let a member vote, and stay a voter, also where there are voters enough; ask a voter
    #[command(after_help = "Example:\n  hivemind voters add eu4")]
    Add {
        /// Who; it must have joined with --voter
        #[arg(value_parser = node_name)]
        name: NodeName,
    },
    /// Let a member not vote until it is added again; ask a voter
    #[command(after_help = "Example:\n  hivemind voters remove eu2")]
    Remove {
        /// Who
        #[arg(value_parser = node_name)]
        name: NodeName,
    },
}

/// What is done to leadership.
#[derive(Clone, Debug, Subcommand)]
pub enum LeaderJob {
    /// Let another voter lead
    #[command(after_help = "Example:\n  hivemind leader transfer eu2")]
    Transfer {
        /// Who; unless given, the voter that has the most of the log
        #[arg(value_parser = node_name)]
        name: Option<NodeName>,
    },
}

fn role(text: &str) -> Result<SectionKind, String> {
    SectionKind::new(text).map_err(|error| error.to_string())
}

fn label(text: &str) -> Result<Label, String> {
    Label::new(text).map_err(|error| error.to_string())
}

fn ttl(text: &str) -> Result<Duration, String> {
    let ttl = parse_duration(text).map_err(|error| error.to_string())?;
    let least = Duration::from_secs(1);
    if (least..=MAX_TOKEN_TTL).contains(&ttl) { Ok(ttl) } else { Err("a token is good for 1s to 366d".to_owned()) }
}

fn right(text: &str) -> Result<Right, String> {
    match text {
        "read" => Ok(Right::Read),
        "write" => Ok(Right::Write),
        "admin" => Ok(Right::Admin),
        _ => Err("the rights are read, write and admin".to_owned()),
    }
}

fn feature_name(written: &str) -> Result<FeatureName, String> {
    FeatureName::new(written).map_err(|error| error.to_string())
}

fn node_name(text: &str) -> Result<NodeName, String> {
    NodeName::new(text).map_err(|error| error.to_string())
}

fn peer_address(text: &str) -> Result<SocketAddr, String> {
    parse_address(text, DEFAULT_PORT)
}

fn http_address(text: &str) -> Result<SocketAddr, String> {
    parse_address(text, DEFAULT_HTTP_PORT)
}

fn dns_address(text: &str) -> Result<SocketAddr, String> {
    parse_address(text, 53)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_holds_together_and_every_command_has_an_example() {
        let mut command = Cli::command();
        command.clone().debug_assert();
        let mut stack: Vec<_> = command.get_subcommands_mut().map(|command| command.clone()).collect();
        while let Some(mut command) = stack.pop() {
            if command.has_subcommands() {
                stack.extend(command.get_subcommands_mut().map(|command| command.clone()));
                continue;
            }
            assert!(command.render_help().to_string().contains("Example:\n  hivemind "), "{}", command.get_name());
        }
    }
}
