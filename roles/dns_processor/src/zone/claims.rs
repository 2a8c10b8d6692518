//! What one member says, name by name: pure functions from its sections to claims.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use domain::base::iana::Rtype;
use hivemind_core::ids::NodeName;
use hivemind_sections::{DnsRecord, DnsSection, HostSection, RecordData, Service, ServiceSection};

use super::facts::{NameServer, Reason};
use super::reverse::reverse_name;
use super::rrset::Record;
use super::settings::ZoneSettings;
use crate::name::{DnsName, NameFault, NameKey};

/// Where a claim comes from. The order decides between claims that contradict each other: what the cluster
/// itself says is never pushed aside by a record that a host wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// The member answers DNS.
    NameServer,
    /// The member's addresses.
    Host,
    /// A service instance.
    Service,
    /// An explicit record.
    Dns,
}

/// The records that a member has at one name from one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) key: NameKey,
    pub(crate) source: Source,
    pub(crate) records: Arc<[Record]>,
}

/// What one member claims, from the sections that are in force.
pub(crate) type Claims = BTreeMap<(NameKey, Source), Vec<Record>>;

/// Turns collected records into claims.
pub(crate) fn finish(claims: Claims) -> Vec<Claim> {
    claims.into_iter().map(|((key, source), records)| Claim { key, source, records: records.into() }).collect()
}

fn address_record(ttl: u32, address: IpAddr) -> Record {
    match address {
        IpAddr::V4(v4) => Record::new(Rtype::A, ttl, v4.octets()),
        IpAddr::V6(v6) => Record::new(Rtype::AAAA, ttl, v6.octets()),
    }
}

/// The name of a member: `<name>.node.<cluster zone>`.
pub(crate) fn node_name(settings: &ZoneSettings, name: &NodeName) -> DnsName {
    below(settings, &["node", name.as_str()]).expect("a member's name is a label, and the cluster's zone leaves room for it")
}

/// The name of a name server: `<name>.ns.<cluster zone>`.
pub(crate) fn server_name(settings: &ZoneSettings, name: &NodeName) -> DnsName {
    below(settings, &["ns", name.as_str()]).expect("a member's name is a label, and the cluster's zone leaves room for it")
}

fn below(settings: &ZoneSettings, path: &[&str]) -> Result<DnsName, NameFault> {
    path.iter().try_fold(settings.cluster().clone(), |name, label| name.child(label))
}

/// A name server: its addresses, and an NS record at the apex of every zone.
pub(crate) fn of_server(settings: &ZoneSettings, server: &NameServer) -> Vec<Claim> {
    let name = server_name(settings, &server.name);
    let mut claims = Claims::new();
    for address in &server.addresses {
        claims.entry((name.key(), Source::NameServer)).or_default().push(address_record(settings.ttl, *address));
    }
    for zone in settings.zones() {
        claims.entry((zone.key(), Source::NameServer)).or_default().push(Record::new(Rtype::NS, settings.ttl, name.wire()));
    }
    finish(claims)
}

/// A host's addresses: under its name, and back from each address whose reverse zone is served.
pub(crate) fn of_host(settings: &ZoneSettings, name: &NodeName, section: &HostSection, claims: &mut Claims) {
    let name = node_name(settings, name);
    for address in &section.addresses {
        claims.entry((name.key(), Source::Host)).or_default().push(address_record(settings.ttl, *address));
        let reverse = reverse_name(*address).key();
        if settings.zone_of(reverse.as_slice()).is_some() {
            claims.entry((reverse, Source::Host)).or_default().push(Record::new(Rtype::PTR, settings.ttl, name.wire()));
        }
    }
}

/// The services of a host, at the addresses of its host section.
pub(crate) fn of_services(
    settings: &ZoneSettings,
    name: &NodeName,
    addresses: &HostSection,
    section: &ServiceSection,
    claims: &mut Claims,
) -> Result<(), Reason> {
    let target = node_name(settings, name);
    for service in &section.services {
        check_service(service)?;
        let srv = Record::srv(settings.ttl, 1, 1, service.port, &target);
        let plain = below(settings, &["service", &service.name]).map_err(|fault| name_fault(&service.name, fault))?;
        let underscored = format!("_{}", service.name);
        for tag in &service.tags {
            let tagged = plain.child(tag).map_err(|fault| name_fault(tag, fault))?;
            with_addresses(settings, &tagged, addresses, &srv, claims);
            let srv_name = below(settings, &["service", &format!("_{tag}"), &underscored]).map_err(|fault| name_fault(tag, fault))?;
            claims.entry((srv_name.key(), Source::Service)).or_default().push(srv.clone());
        }
        with_addresses(settings, &plain, addresses, &srv, claims);
        let srv_name = below(settings, &["service", "_tcp", &underscored]).map_err(|fault| name_fault(&service.name, fault))?;
        claims.entry((srv_name.key(), Source::Service)).or_default().push(srv);
    }
    Ok(())
}

fn with_addresses(settings: &ZoneSettings, name: &DnsName, addresses: &HostSection, srv: &Record, claims: &mut Claims) {
    let records = claims.entry((name.key(), Source::Service)).or_default();
    records.push(srv.clone());
    records.extend(addresses.addresses.iter().map(|address| address_record(settings.ttl, *address)));
}

fn check_service(service: &Service) -> Result<(), Reason> {
    for text in std::iter::once(&service.name).chain(&service.tags) {
        if text.is_empty() || !text.bytes().all(|octet| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')) {
            return Err(Reason::Label { text: text.clone() });
        }
    }
    match service.port {
        0 => Err(Reason::PortZero { name: service.name.clone() }),
        _ => Ok(()),
    }
}

/// The explicit records of a host.
pub(crate) fn of_dns(settings: &ZoneSettings, section: &DnsSection, claims: &mut Claims) -> Result<(), Reason> {
    for record in &section.records {
        let name = parse(&record.name)?;
        let key = name.key();
        let Some((_, apex)) = settings.zone_of(key.as_slice()) else {
            return Err(Reason::OutsideZones { name });
        };
        if name.first_label() == b"*" {
            return Err(Reason::Wildcard { name });
        }
        let record = explicit(record, &name)?;
        let records = claims.entry((key, Source::Dns)).or_default();
        records.push(record);
        // At an apex the SOA is the other data.
        let aliased = records.iter().find(|record| record.rtype == Rtype::CNAME);
        if aliased.is_some_and(|alias| apex || records.iter().any(|other| other.rtype != alias.rtype || other.data != alias.data)) {
            return Err(Reason::CnameBesideData { name });
        }
    }
    Ok(())
}

fn parse(text: &str) -> Result<DnsName, Reason> {
    DnsName::parse(text).map_err(|fault| name_fault(text, fault))
}

fn name_fault(text: &str, fault: NameFault) -> Reason {
    Reason::Name { text: text.to_owned(), fault }
}

/// TTLs have 31 bits (RFC 2181 section 8).
const MAX_TTL: u32 = i32::MAX as u32;

fn explicit(record: &DnsRecord, owner: &DnsName) -> Result<Record, Reason> {
    let ttl = record.ttl.min(MAX_TTL);
    Ok(match &record.data {
        RecordData::A(address) => Record::new(Rtype::A, ttl, address.octets()),
        RecordData::Aaaa(address) => Record::new(Rtype::AAAA, ttl, address.octets()),
        RecordData::Cname(target) => Record::new(Rtype::CNAME, ttl, parse(target)?.wire()),
        RecordData::Ptr(target) => Record::new(Rtype::PTR, ttl, parse(target)?.wire()),
        RecordData::Srv { port: 0, .. } => return Err(Reason::PortZero { name: owner.to_string() }),
        RecordData::Srv { priority, weight, port, target } => Record::srv(ttl, *priority, *weight, *port, &parse(target)?),
        RecordData::Txt(strings) => Record::new(Rtype::TXT, ttl, text(strings, owner)?),
    })
}

fn text(strings: &[Vec<u8>], owner: &DnsName) -> Result<Vec<u8>, Reason> {
    let mut data = Vec::new();
    for string in strings {
        let length = u8::try_from(string.len()).map_err(|_| Reason::Text { name: owner.clone() })?;
        data.push(length);
        data.extend_from_slice(string);
    }
    // A set that is larger than a message could never be answered.
    match data.is_empty() || data.len() > super::rrset::SET_LIMIT - 64 {
        true => Err(Reason::Text { name: owner.clone() }),
        false => Ok(data),
    }
}
