//! What hosts publish, by section kind: the schema that `roles/host` writes and `roles/dns_processor`
//! (and other consumers) read. The cluster itself never looks inside a section.
//!
//! | kind | type | says |
//! |---|---|---|
//! | `host` | [`HostSection`] | the machine's addresses |
//! | `service` | [`ServiceSection`] | the services that it offers |
//! | `dns` | [`DnsSection`] | further DNS records |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hivemind_core::error::WireError;
use hivemind_core::ids::SectionKind;
use hivemind_core::wire::codec;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The reverse zones of addresses that never leave a site (RFC 6303 sections 4.1 to 4.6): a host may
/// publish pointers into these without any zone being named, and the DNS server answers for them by itself.
pub const PRIVATE_REVERSE_ZONES: &[&str] = &[
    "10.in-addr.arpa.",
    "16.172.in-addr.arpa.",
    "17.172.in-addr.arpa.",
    "18.172.in-addr.arpa.",
    "19.172.in-addr.arpa.",
    "20.172.in-addr.arpa.",
    "21.172.in-addr.arpa.",
    "22.172.in-addr.arpa.",
    "23.172.in-addr.arpa.",
    "24.172.in-addr.arpa.",
    "25.172.in-addr.arpa.",
    "26.172.in-addr.arpa.",
    "27.172.in-addr.arpa.",
    "28.172.in-addr.arpa.",
    "29.172.in-addr.arpa.",
    "30.172.in-addr.arpa.",
    "31.172.in-addr.arpa.",
    "168.192.in-addr.arpa.",
    "0.in-addr.arpa.",
    "127.in-addr.arpa.",
    "254.169.in-addr.arpa.",
    "2.0.192.in-addr.arpa.",
    "100.51.198.in-addr.arpa.",
    "113.0.203.in-addr.arpa.",
    "255.255.255.255.in-addr.arpa.",
    "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.",
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.",
    "d.f.ip6.arpa.",
    "8.e.f.ip6.arpa.",
    "9.e.f.ip6.arpa.",
    "a.e.f.ip6.arpa.",
    "b.e.f.ip6.arpa.",
    "8.b.d.0.1.0.0.2.ip6.arpa.",
];

/// A type that is the content of one kind of section.
pub trait Section: Serialize + DeserializeOwned {
    /// The kind's name.
    const KIND: &'static str;

    /// The kind.
    fn kind() -> SectionKind {
        SectionKind::new(Self::KIND).expect("the kinds named in this crate are valid")
    }

    /// The bytes that are published.
    fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads what another host published.
    ///
    /// # Errors
    /// The publisher's bytes are not a section of this kind.
    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        codec::decode_section(bytes)
    }
}

/// The machine's addresses, in the order of its file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSection {
    /// IPv4 and IPv6.
    pub addresses: Vec<IpAddr>,
}

/// The services that a host offers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSection {
    /// In the order of the file.
    pub services: Vec<Service>,
}

/// One service instance: `<name>.service.<zone>` resolves to the host's addresses, and SRV to `port`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// One DNS label, lower case.
    pub name: String,
    /// 1 to 65535.
    pub port: u16,
    /// DNS labels, lower case: each also answers as `<tag>.<name>.service.<zone>`.
    pub tags: Vec<String>,
}

/// Further DNS records of a host, in the cluster's zones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsSection {
    /// In the order of the file.
    pub records: Vec<DnsRecord>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsRecord {
    /// The owner: an absolute name in presentation format, lower case, with the final dot.
    pub name: String,
    /// Seconds a resolver may keep it.
    pub ttl: u32,
    /// The type and its data.
    pub data: RecordData,
}

/// The types of record that a host may publish. Names are absolute, in presentation format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordData {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// The canonical name; nothing else may stand at the same owner.
    Cname(String),
    /// Character strings of at most 255 octets each.
    Txt(Vec<Vec<u8>>),
    /// A service's place (RFC 2782).
    Srv {
        /// Lower is tried first.
        priority: u16,
        /// The share among equal priorities.
        weight: u16,
        /// The port.
        port: u16,
        /// The host.
        target: String,
    },
    /// A pointer, as in the reverse zones.
    Ptr(String),
}

impl RecordData {
    /// The type's name as it stands in zone files (RFC 1035, RFC 3596, RFC 2782).
    pub fn type_name(&self) -> &'static str {
        match self {
            RecordData::A(_) => "A",
            RecordData::Aaaa(_) => "AAAA",
            RecordData::Cname(_) => "CNAME",
            RecordData::Txt(_) => "TXT",
            RecordData::Srv { .. } => "SRV",
            RecordData::Ptr(_) => "PTR",
        }
    }
}

impl Section for HostSection {
    const KIND: &'static str = "host";
}

impl Section for ServiceSection {
    const KIND: &'static str = "service";
}

impl Section for DnsSection {
    const KIND: &'static str = "dns";
}
