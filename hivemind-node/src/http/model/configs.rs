//! What hosts publish, as far as a node holds it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::members::MemberState;

/// The configs that a node holds, by host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Configs {
    /// Of this page.
    pub configs: Vec<Config>,
    /// How many the node holds.
    pub total: u64,
    /// Whether the node holds all that there are: it is a consumer, and has caught up.
    pub complete: bool,
    /// The `after` of the next page, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The version of a host's config that is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Config {
    /// The host's name.
    pub host: String,
    /// The member that owns the name.
    pub node: String,
    /// The membership that published it: an earlier one of the same key where the host has not published since it joined again.
    pub published_by: String,
    /// The version. Only the host raises it.
    pub seq: u64,
    /// The hash over the whole config, in hexadecimal digits.
    pub hash: String,
    /// What it has.
    pub sections: Vec<SectionSummary>,
}

/// A section, without what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct SectionSummary {
    /// Its kind.
    pub kind: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A config with what its sections say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct ConfigDetail {
    /// Its version.
    #[serde(flatten)]
    pub config: Config,
    /// In the order of their kinds.
    pub contents: Vec<SectionContent>,
}

/// What a section says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
#[serde(tag = "encoding", rename_all = "snake_case")]
pub enum SectionContent {
    /// A host's addresses.
    Host {
        /// IPv4 and IPv6, in the order of its file.
        #[cfg_attr(feature = "http", schemars(with = "Vec<String>"))]
        addresses: Vec<IpAddr>,
    },
    /// The services that a host offers.
    Service {
        /// `NAME PORT TAG…`, one text for each.
        services: Vec<String>,
    },
    /// Further DNS records.
    Dns {
        /// In presentation format (RFC 1035 section 5.1).
        records: Vec<String>,
    },
    /// Of a kind that this program does not know, or that does not decode.
    Base64 {
        /// Its kind.
        kind: String,
        /// Its bytes, with the alphabet of RFC 4648 section 4.
        body: String,
    },
}

/// In the stream of configs: a host has no config any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct HostGone {
    /// The host's name.
    pub host: String,
}

/// In the stream of configs: all that is in force was sent; what follows are changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct StateSent {
    /// How many configs there were.
    pub configs: u64,
    /// As in [`Configs::complete`].
    pub complete: bool,
}

/// The services that hosts offer, by name and then by host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Services {
    /// Of this page.
    pub services: Vec<ServiceInstance>,
    /// How many instances the node knows.
    pub total: u64,
    /// As in [`Configs::complete`].
    pub complete: bool,
    /// The `after` of the next page, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A service on one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct ServiceInstance {
    /// The service's name.
    pub name: String,
    /// The host's name.
    pub host: String,
    /// The member that owns that name.
    pub node: String,
    /// 1 to 65535.
    pub port: u16,
    /// In the order of the file.
    pub tags: Vec<String>,
    /// The host's addresses.
    #[cfg_attr(feature = "http", schemars(with = "Vec<String>"))]
    pub addresses: Vec<IpAddr>,
    /// How the asked node sees the host.
    pub state: MemberState,
}
