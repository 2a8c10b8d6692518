//! What the zone is made from, and what it could not accept.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bytes::Bytes;
use hivemind_core::error::WireError;
use hivemind_core::ids::{NodeId, NodeName, SectionKind, Seq};
use thiserror::Error;

use crate::name::{DnsName, NameFault};

/// What is known of one member that publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// The member's name.
    pub name: NodeName,
    /// The place of its join in the order of all joins: among two that contradict each other, the earlier is right.
    pub joined: u64,
    /// The version of its config.
    pub seq: Seq,
    /// The sections of its config, as published. Kinds that this role does not consume are not looked at.
    pub sections: BTreeMap<SectionKind, Bytes>,
    /// Whether SWIM reaches it, or it said that it restarts. Evidence only: it orders answers, it never takes the last one away.
    pub reachable: bool,
}

/// A member that answers DNS: it becomes `<name>.ns.<cluster zone>` and a name server of every zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameServer {
    /// The member's name.
    pub name: NodeName,
    /// The place of its join in the order of all joins: the earliest is the primary of the SOA record.
    pub joined: u64,
    /// Where it can be asked.
    pub addresses: Vec<IpAddr>,
}

/// Something that a host published and that is not in force.
///
/// Where the section itself is wrong, the host's last good section of that kind stays in force as a whole. Where it
/// contradicts another host at a name, only what it says of that name is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Whose config it is.
    pub host: NodeId,
    /// That member's name.
    pub name: NodeName,
    /// The version of the config that holds it.
    pub seq: Seq,
    /// Which section of it.
    pub kind: SectionKind,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong with a section. The host that published it is at fault, and has to publish another.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Reason {
    /// The bytes are not a section of that kind.
    #[error("it does not decode: {0}")]
    Undecodable(WireError),
    /// A text that should be a domain name is none.
    #[error("{text:?} can not be used as a name: {fault}")]
    Name {
        /// The text.
        text: String,
        /// The rule that it breaks.
        fault: NameFault,
    },
    /// A service's name or tag is not a label of `a-z`, `0-9`, `-` and `_`.
    #[error("{text:?} can not be a service's name or tag; use a-z, 0-9, '-' and '_'")]
    Label {
        /// The text.
        text: String,
    },
    /// A record is in no zone of this cluster.
    #[error("{name} is in none of the cluster's zones; name its zone with --zone, or change the record")]
    OutsideZones {
        /// The owner of the record.
        name: DnsName,
    },
    /// A wildcard: names are answered only where a host publishes them.
    #[error("{name} is a wildcard, which is not supported; publish each name")]
    Wildcard {
        /// The owner of the record.
        name: DnsName,
    },
    /// A CNAME and something else at one name within the section (RFC 1034 section 3.6.2).
    #[error("{name} has a CNAME beside other data; a CNAME stands alone")]
    CnameBesideData {
        /// The owner of the records.
        name: DnsName,
    },
    /// A port that nothing can listen on.
    #[error("the port of {name:?} is 0; use 1 to 65535")]
    PortZero {
        /// The service, or the owner of the SRV record.
        name: String,
    },
    /// A TXT record without a string, or with one over 255 octets (RFC 1035 section 3.3.14).
    #[error("the TXT record of {name} needs one or more strings of at most 255 octets, 65535 in all")]
    Text {
        /// The owner of the record.
        name: DnsName,
    },
    /// Another member's data stands at the name, and one of the two is a CNAME (or both, and they differ).
    #[error("at {name} it contradicts {winner}, which was there first; a CNAME stands alone")]
    Conflict {
        /// The owner of the records.
        name: DnsName,
        /// The member whose data is in force.
        winner: NodeId,
    },
}
