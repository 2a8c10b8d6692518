//! The settings of a daemon: `node.toml`, read strictly, and written with a comment at each setting.
//!
//! `keys.rs` is the one table of all settings; the reader refuses what is not in it, the written file and the manual are made
//! from it.

mod duration;
mod fault;
mod keys;
mod reader;
mod written;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::uri::Authority;
use hivemind_core::ids::NodeName;
use hivemind_core::wire::command::MAX_RESTART_GRACE;

use crate::daemon::roles::{Rules, ZoneSettings};
use crate::http::{Anonymous, is_beyond_this_machine};
use crate::seeds::Seed;
pub use duration::{DurationFault, parse as parse_duration, shown as shown_duration};
pub use fault::{SettingsFailure, SettingsFault};
pub(crate) use reader::parse_address;
use reader::{Document, Section};
pub use written::{reference, written};

/// Where the settings are unless told otherwise.
pub const DEFAULT_CONFIG: &str = "/etc/hivemind/node.toml";
/// Where the data is unless told otherwise.
pub const DEFAULT_DATA: &str = "/var/lib/hivemind";
/// The file of the socket for operators, in the data folder unless told otherwise.
pub const SOCKET: &str = "hivemind.sock";

/// All that a daemon is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSettings {
    /// Its name.
    pub name: NodeName,
    /// Where it keeps its data.
    pub data_dir: PathBuf,
    /// Where it listens for peers.
    pub listen: SocketAddr,
    /// Where others reach it, best first; none where that is `listen`.
    pub addresses: Vec<SocketAddr>,
    /// Whether it may become a voter.
    pub voter: bool,
    /// Where members may listen that can take its join on.
    pub seeds: Vec<Seed>,
    /// For how long its place is kept while it restarts. At most an hour.
    pub restart_grace: Duration,
    /// Its HTTP interface.
    pub http: HttpPart,
    /// Whether it holds all configs and members, so that its HTTP interface shows them.
    pub observer: bool,
    /// The role `host`, if it performs it.
    pub host: Option<HostPart>,
    /// The role `dns_processor`, if it performs it.
    pub dns_processor: Option<DnsPart>,
    /// Its log.
    pub log: LogPart,
}

/// How it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpPart {
    /// Where; beyond loopback it is HTTPS, and nobody is anonymous.
    pub listen: SocketAddr,
    /// What one without a credential may do.
    pub anonymous: Anonymous,
    /// Further names that programs on this machine may ask for.
    pub hosts: Vec<String>,
    /// The socket for operators.
    pub socket: PathBuf,
}

/// The role `host`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPart {
    /// The folder of host files.
    pub folder: PathBuf,
    /// What they may say.
    pub rules: Rules,
}

/// The role `dns_processor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsPart {
    /// Where it answers.
    pub listen: Vec<SocketAddr>,
    /// For which zones.
    pub zones: ZoneSettings,
}

/// What is logged, and how. The level is followed at a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPart {
    /// How much.
    pub level: LogLevel,
    /// In which form.
    pub format: LogFormat,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// What went wrong.
    Error,
    /// And what may go wrong.
    Warn,
    /// And what happens.
    Info,
    /// And every detail.
    Debug,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// An object a line.
    Json,
}

const ANONYMOUS: &[(&str, Anonymous)] = &[("none", Anonymous::None), ("read", Anonymous::Read), ("write", Anonymous::Write)];
const LEVELS: &[(&str, LogLevel)] =
    &[("error", LogLevel::Error), ("warn", LogLevel::Warn), ("info", LogLevel::Info), ("debug", LogLevel::Debug)];
const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];

impl NodeSettings {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`SettingsFailure`]: all that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, SettingsFailure> {
        let text = std::fs::read_to_string(path).map_err(|source| SettingsFailure::Unreadable { path: path.to_owned(), source })?;
        NodeSettings::parse(&text).map_err(|faults| SettingsFailure::Faults { path: path.to_owned(), faults })
    }

    /// Reads the text of a settings file.
    ///
    /// # Errors
    /// All that is wrong with it, by line.
    pub fn parse(text: &str) -> Result<Self, Vec<SettingsFault>> {
        let mut document = Document::parse(text)?;
        let settings = take(&mut document);
        document.finish(settings)
    }

    /// Where the socket of a daemon is whose settings file may have mistakes: as it says, where that can be read, else at the usual place.
    pub(crate) fn socket_of(path: &Path) -> PathBuf {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let Ok(mut document) = Document::parse(&text) else { return Path::new(DEFAULT_DATA).join(SOCKET) };
        let named = document.path("http.socket");
        named.unwrap_or_else(|| document.path("data_dir").unwrap_or_else(|| DEFAULT_DATA.into()).join(SOCKET))
    }

    /// The names of the roles that it performs.
    pub fn role_names(&self) -> Vec<&'static str> {
        let performed = [(self.host.is_some(), "host"), (self.dns_processor.is_some(), "dns_processor"), (self.observer, "observer")];
        performed.into_iter().filter(|(is_performed, _)| *is_performed).map(|(_, name)| name).collect()
    }

    /// Which settings differ in `new` and are followed by a restart alone. The name is not among them: with another one these are the
    /// settings of another node.
    pub fn needs_restart(&self, new: &NodeSettings) -> Vec<&'static str> {
        let differing = [
            ("data_dir", self.data_dir != new.data_dir),
            ("listen", self.listen != new.listen),
            ("addresses", self.addresses != new.addresses),
            ("voter", self.voter != new.voter),
            ("seeds", self.seeds != new.seeds),
            ("[http]", self.http != new.http),
            ("[roles]", self.observer != new.observer),
            ("[roles.host]", self.host != new.host),
            ("[roles.dns_processor]", self.dns_processor != new.dns_processor),
            ("log.format", self.log.format != new.log.format),
        ];
        differing.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }
}

/// `None` where something is missing or wrong; the document knows what.
fn take(document: &mut Document) -> Option<NodeSettings> {
    let name = document.required("name", |text| NodeName::new(text).map_err(|error| error.to_string()));
    let data_dir = document.path("data_dir").unwrap_or_else(|| DEFAULT_DATA.into());
    let listen = document.address("listen");
    let addresses = document.addresses("addresses");
    let seeds = document.seeds("seeds");
    let voter = document.flag("voter");
    let restart_grace = document.duration("restart_grace", Duration::ZERO..=MAX_RESTART_GRACE);
    if let (Some(listen), Some(addresses)) = (listen, &addresses)
        && listen.ip().is_unspecified()
        && addresses.is_empty()
    {
        document.fault("addresses", "`listen` is every address, so say here where others reach this node, as [\"192.0.2.1:6550\"]");
    }
    let http_listen = document.address("http.listen");
    let anonymous = document.one_of("http.anonymous", ANONYMOUS);
    if let Some(address) = http_listen.filter(|address| is_beyond_this_machine(*address))
        && anonymous.is_some_and(|anonymous| anonymous != Anonymous::None)
    {
        let what = format!("others than this machine can come to {address}; write anonymous = \"none\", or listen on 127.0.0.1");
        document.fault("http.anonymous", &what);
    }
    let hosts = document.texts("http.hosts");
    if let Some(wrong) = hosts.iter().flatten().find(|host| !is_host(host)) {
        let what = format!("`{wrong}` is no host name; write names alone, without ports, as [\"node1.example\"]");
        document.fault("http.hosts", &what);
    }
    let http = HttpPart {
        listen: http_listen?,
        anonymous: anonymous?,
        hosts: hosts?,
        socket: document.path("http.socket").unwrap_or_else(|| data_dir.join(SOCKET)),
    };
    let log = LogPart { level: document.one_of("log.level", LEVELS)?, format: document.one_of("log.format", FORMATS)? };
    let observer = document.flag("roles.observer");
    let host = host(document);
    let dns_processor = dns_processor(document);
    Some(NodeSettings {
        name: name?,
        data_dir,
        listen: listen?,
        addresses: addresses?,
        voter: voter?,
        seeds: seeds?,
        restart_grace: restart_grace?,
        http,
        observer: observer?,
        host,
        dns_processor,
        log,
    })
}

fn is_host(text: &str) -> bool {
    text.len() <= 253 && text.parse::<Authority>().is_ok_and(|authority| authority.host() == text && authority.as_str() == text)
}

fn host(document: &mut Document) -> Option<HostPart> {
    document.has(Section::Host).then_some(())?;
    let folder = document.path("roles.host.folder").unwrap_or_else(|| "/etc/hivemind/hosts.d".into());
    let zones = document.texts("roles.host.zones")?;
    match rules(&zones) {
        Ok(rules) => Some(HostPart { folder, rules }),
        Err(why) => {
            document.fault("roles.host.zones", &why);
            None
        }
    }
}

/// What host files may say under these zones, the cluster's first.
///
/// # Errors
/// What is wrong with the zones, and what to do.
pub fn rules(zones: &[String]) -> Result<Rules, String> {
    let (first, others) = zones.split_first().ok_or("no zone is given; the first one is the cluster's, as [\"hive.\"]")?;
    let rules = Rules::new(first).map_err(|error| error.to_string())?;
    others.iter().try_fold(rules, |rules, zone| rules.with_zone(zone)).map_err(|error| error.to_string())
}

fn dns_processor(document: &mut Document) -> Option<DnsPart> {
    document.has(Section::DnsProcessor).then_some(())?;
    let listen = document.addresses("roles.dns_processor.listen")?;
    if listen.is_empty() {
        document.fault("roles.dns_processor.listen", "no address is given; name those where queries come in, as [\"192.0.2.1:53\"]");
    }
    let zones = document.texts("roles.dns_processor.zones")?;
    match ZoneSettings::new(&zones) {
        Ok(zones) => Some(DnsPart { listen, zones }),
        Err(error) => {
            document.fault("roles.dns_processor.zones", &error.to_string());
            None
        }
    }
}

#[cfg(test)]
mod tests;
