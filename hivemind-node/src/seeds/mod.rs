//! Where members may listen that can take a join on: addresses, and names of DNS that are looked up when they are needed.

mod look_ups;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;
use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub(crate) use look_ups::LookUps;

use crate::node::DEFAULT_PORT;

/// The system's resolver is given up after this; what it says later is not heard.
const LOOK_UP: Duration = Duration::from_secs(5);
/// So many addresses of one name are used.
const MAX_ADDRESSES: usize = 16;

/// Where a member may listen: an address, or a name of DNS, with its UDP port. Written as `192.0.2.1:6550`, `[2001:db8::1]:6550` or
/// `eu1.example.org:6550`; without a port it is [`DEFAULT_PORT`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed(Place);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Address(SocketAddr),
    Name { host: String, port: u16 },
}

/// Why a text is no [`Seed`]. Whoever wrote it is at fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SeedError {
    /// It is nothing that can be called.
    #[error(
        "`{text}` is neither an IP address nor a name of DNS; write one, with or without a port: 192.0.2.1:{DEFAULT_PORT}, \
         [2001:db8::1]:{DEFAULT_PORT} or eu1.example.org:{DEFAULT_PORT}"
    )]
    Neither {
        /// As it is written, cut short.
        text: String,
    },
    /// Nobody can listen there.
    #[error("`{text}` has a port that nobody can listen at; write 1 to 65535 behind the colon, or leave it out for {DEFAULT_PORT}")]
    Port {
        /// As it is written, cut short.
        text: String,
    },
}

impl Seed {
    /// The address, where it is one and no name.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Place::Address(address) => Some(*address),
            Place::Name { .. } => None,
        }
    }

    /// The addresses that it stands for now; at least one.
    ///
    /// # Errors
    /// What the system's resolver says of the name, or that it says nothing.
    pub(crate) async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let (host, port) = match &self.0 {
            Place::Address(address) => return Ok(vec![*address]),
            Place::Name { host, port } => (host.as_str(), *port),
        };
        let looked_up = timeout(LOOK_UP, lookup_host((host, port))).await;
        let mut found = Vec::new();
        for address in looked_up.map_err(|_elapsed| io::Error::other("the resolver of this machine does not answer"))?? {
            if !found.contains(&address) && found.len() < MAX_ADDRESSES {
                found.push(address);
            }
        }
        if found.is_empty() { Err(io::Error::other("the name has no address")) } else { Ok(found) }
    }
}

/// All addresses that these stand for now. Names that are not resolved are left out.
pub(crate) async fn resolved(seeds: &[Seed]) -> Vec<SocketAddr> {
    let mut found: Vec<(usize, Vec<SocketAddr>)> =
        asked(seeds).join_all().await.into_iter().filter_map(|(number, found)| Some((number, found.ok()?))).collect();
    found.sort_unstable_by_key(|(number, _)| *number);
    found.into_iter().flat_map(|(_, addresses)| addresses).collect()
}

/// Asks for all of them at once; with their numbers.
fn asked(seeds: &[Seed]) -> JoinSet<(usize, io::Result<Vec<SocketAddr>>)> {
    seeds.iter().cloned().enumerate().map(|(number, seed)| async move { (number, seed.resolve().await) }).collect()
}

impl From<SocketAddr> for Seed {
    fn from(address: SocketAddr) -> Self {
        Seed(Place::Address(address))
    }
}

impl FromStr for Seed {
    type Err = SeedError;

    fn from_str(text: &str) -> Result<Self, SeedError> {
        let shown = || text.chars().take(64).collect::<String>();
        let port_of = |digits: &str| match digits.parse() {
            Ok(0) | Err(_) => Err(SeedError::Port { text: shown() }),
            Ok(port) => Ok(port),
        };
        if let Ok(address) = text.parse::<SocketAddr>() {
            return if address.port() == 0 { Err(SeedError::Port { text: shown() }) } else { Ok(address.into()) };
        }
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(SocketAddr::new(ip, DEFAULT_PORT).into());
        }
        let (host, digits) = text.split_once(':').map_or((text, None), |(host, digits)| (host, Some(digits)));
        let are_digits = digits.is_none_or(|digits| !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit()));
        if !is_name(host) || !are_digits {
            return Err(SeedError::Neither { text: shown() });
        }
        let port = digits.map_or(Ok(DEFAULT_PORT), port_of)?;
        Ok(Seed(Place::Name { host: host.to_ascii_lowercase(), port }))
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Address(address) => write!(f, "{address}"),
            Place::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// Whether this is a host name (RFC 1123 section 2.1), or one that people use as such, with `_`. A last label of digits alone is none: it would be
/// a mistyped address.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_sound = label.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'));
        (1..=63).contains(&label.len()) && is_sound && !label.starts_with('-') && !label.ends_with('-')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && name.split('.').all(is_label) && !last.bytes().all(|octet| octet.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_read_with_a_port_or_without() {
        let long = format!("{0}.{0}.{0}.example", "a".repeat(63));
        for (text, shown, is_address) in [
            ("192.0.2.1:7", "192.0.2.1:7", true),
            ("192.0.2.1", "192.0.2.1:6550", true),
            ("[2001:db8::1]:7", "[2001:db8::1]:7", true),
            ("[2001:db8::1]", "[2001:db8::1]:6550", true),
            ("2001:db8::1", "[2001:db8::1]:6550", true),
            ("EU1.example.org:7", "eu1.example.org:7", false),
            ("eu1.example.org", "eu1.example.org:6550", false),
            ("eu1.example.org.:7", "eu1.example.org.:7", false),
            ("localhost", "localhost:6550", false),
            ("node_1.x-y", "node_1.x-y:6550", false),
            (&long, &format!("{long}:6550"), false),
        ] {
            let seed: Seed = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((seed.to_string().as_str(), seed.address().is_some()), (shown, is_address));
            assert_eq!(seed.to_string().parse(), Ok(seed), "what is shown reads back");
        }
    }

    #[test]
    fn what_is_neither_is_refused_with_what_to_write() {
        let long = "a.".repeat(128);
        for text in [
            "",
            ".",
            ":6550",
            "eu1..org",
            "-eu1",
            "eu1-.org",
            "eu 1",
            "192.0.2.300",
            "192.0.2",
            "eu1:",
            "eu1:port",
            "eu1:7:7",
            "https://eu1",
            "[eu1]:7",
            "eu1/",
            "a\u{e9}",
            &"a".repeat(64),
            &long,
        ] {
            assert!(matches!(text.parse::<Seed>(), Err(SeedError::Neither { .. })), "{text}: {:?}", text.parse::<Seed>());
        }
        for text in ["eu1:0", "eu1:65536", "192.0.2.1:0", "eu1:99999999999999999999"] {
            assert_eq!(text.parse::<Seed>(), Err(SeedError::Port { text: text.to_owned() }));
        }
    }

    #[tokio::test]
    async fn names_are_resolved_and_those_that_are_not_are_left_out() {
        let seeds: Vec<Seed> = ["nowhere.invalid:7", "192.0.2.1:7", "localhost:7"].map(|text| text.parse().unwrap()).into();
        assert!(seeds[0].resolve().await.is_err());
        let found = resolved(&seeds).await;
        assert_eq!(found[0], "192.0.2.1:7".parse().unwrap());
        assert!(found.len() > 1 && found[1..].iter().all(|address| address.ip().is_loopback() && address.port() == 7), "{found:?}");
    }
}
