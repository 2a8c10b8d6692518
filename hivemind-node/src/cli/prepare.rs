//! What `init` and `join` have in common: the settings of a new node, and what is said when it is ready.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

use hivemind_core::ids::NodeName;

use super::args::{PlaceArgs, RoleName};
use super::failure::Failure;
use super::service::Service;
use super::show::Screen;
use crate::daemon;
use crate::http::is_beyond_this_machine;
use crate::settings_file::{NodeSettings, written};

/// A node that is about to be made.
pub(super) struct Prepared {
    pub(super) settings: NodeSettings,
    config: PathBuf,
    text: String,
    /// Who runs it, where this host has the service for that and it is to.
    service: Option<Service>,
}

/// What is decided of a node before it is made.
pub(super) struct Wish<'a> {
    pub(super) name: &'a NodeName,
    pub(super) voter: bool,
    pub(super) roles: Vec<RoleName>,
    pub(super) seeds: &'a [SocketAddr],
}

impl Prepared {
    /// Makes the settings. Nothing is written but the folder of host files.
    pub(super) fn new(config: &Path, place: &PlaceArgs, wish: &Wish<'_>, screen: &Screen) -> Result<Self, Failure> {
        if fs::exists(config).unwrap_or(false) {
            let message = format!(
                "{} is there already: this host is a node; start it, or remove the file and the data folder to begin anew",
                config.display()
            );
            return Err(Failure::Refused(message));
        }
        let absolute = |path: &Path| std::path::absolute(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())));
        let config = absolute(config)?;
        let service = Service::of(&config, &place.data_dir).filter(|_| !place.foreground);
        let mut addresses = place.addresses.clone();
        if addresses.is_empty() && place.listen.ip().is_unspecified() {
            let own = own_address()
                .ok_or_else(|| Failure::Usage("this host has no route to anywhere; say with --address where others reach it".to_owned()))?;
            let own = SocketAddr::new(own, place.listen.port());
            screen.note(&format!("others reach this node at {own}; if that is wrong, say --address"));
            addresses.push(own);
        }
        // The escapes of JSON are TOML's too.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let list =
            |addresses: &[SocketAddr]| format!("[{}]", addresses.iter().map(|one| quoted(&one.to_string())).collect::<Vec<_>>().join(", "));
        let path = |path: &Path| quoted(&path.to_string_lossy());
        let mut given = vec![
            ("name", quoted(wish.name.as_str())),
            ("data_dir", path(&absolute(&place.data_dir)?)),
            ("listen", quoted(&place.listen.to_string())),
            ("addresses", list(&addresses)),
            ("voter", wish.voter.to_string()),
            ("seeds", list(wish.seeds)),
            ("http.listen", quoted(&place.http_listen.to_string())),
        ];
        if is_beyond_this_machine(place.http_listen) {
            given.push(("http.anonymous", quoted("none")));
        }
        if let Some(socket) = service.as_ref().and_then(Service::socket) {
            given.push(("http.socket", path(&socket)));
        }
        for role in &wish.roles {
            match role {
                RoleName::Observer => given.push(("roles.observer", "true".to_owned())),
                RoleName::Host => {
                    let folder = config.parent().unwrap_or(Path::new("/")).join("hosts.d");
                    fs::create_dir_all(&folder).map_err(|error| Failure::Refused(format!("{}: {error}", folder.display())))?;
                    given.push(("roles.host.folder", path(&folder)));
                }
                RoleName::DnsProcessor if place.dns_listen.is_empty() => {
                    return Err(Failure::Usage("a dns_processor needs addresses to answer at; name them with --dns-listen".to_owned()));
                }
                RoleName::DnsProcessor => given.push(("roles.dns_processor.listen", list(&place.dns_listen))),
            }
        }
        let text = written(&given);
        let settings = NodeSettings::parse(&text).map_err(|faults| {
            let faults: Vec<String> = faults.iter().map(|fault| format!("{}: {}", fault.key, fault.what)).collect();
            Failure::Usage(faults.join("\n"))
        })?;
        Ok(Prepared { settings, config, text, service })
    }

    /// Writes the settings.
    pub(super) fn write(&self) -> Result<(), Failure> {
        let path = &self.config;
        let failed = |error: std::io::Error| {
            Failure::Refused(format!("{}: {error}; make room and its folder writable for this user, or choose --config", path.display()))
        };
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        match file.and_then(|mut file| file.write_all(self.text.as_bytes()).and_then(|()| file.sync_all())) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(failed(error)),
            Err(error) => {
                // Half a file would be in the way of the next try.
                let _ = fs::remove_file(path);
                Err(failed(error))
            }
            Ok(()) => Ok(()),
        }
    }

    /// Runs the node: here, by the service, or says how to.
    pub(super) async fn launch(self, foreground: bool, screen: &Screen) -> Result<(), Failure> {
        if foreground {
            return Ok(daemon::run(&self.config).await?);
        }
        match self.service {
            Some(service) => service.take_over(screen),
            None => {
                screen.note(&format!("start it: hivemind-node --config {}", self.config.display()));
                Ok(())
            }
        }
    }
}

/// The address that this host speaks from to elsewhere. Nothing is sent: the addresses asked for are of documentation.
fn own_address() -> Option<std::net::IpAddr> {
    let towards = |from: &str, to: &str| {
        let socket = UdpSocket::bind(from).ok()?;
        socket.connect(to).ok()?;
        socket.local_addr().ok().map(|address| address.ip())
    };
    towards("0.0.0.0:0", "192.0.2.1:9").or_else(|| towards("[::]:0", "[2001:db8::1]:9"))
}
