//! What sections say, as JSON. The only file of this crate that looks into one.

use std::fmt::Write as _;
use std::net::IpAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hivemind_core::wire::config::{HostConfig, Section};
use hivemind_sections::{DnsRecord, DnsSection, HostSection, RecordData, Section as _, Service, ServiceSection};

use super::model::SectionContent;

/// What a section says; its bytes, where this program can not read it.
pub(super) fn content(section: &Section) -> SectionContent {
    let body = &section.body;
    let known = match section.kind.as_str() {
        HostSection::KIND => HostSection::decode(body).ok().map(|host| SectionContent::Host { addresses: host.addresses }),
        ServiceSection::KIND => ServiceSection::decode(body)
            .ok()
            .map(|service| SectionContent::Service { services: service.services.iter().map(service_line).collect() }),
        DnsSection::KIND => {
            DnsSection::decode(body).ok().map(|dns| SectionContent::Dns { records: dns.records.iter().map(record_line).collect() })
        }
        _ => None,
    };
    known.unwrap_or_else(|| SectionContent::Base64 { kind: section.kind.to_string(), body: BASE64_STANDARD.encode(body) })
}

/// The addresses that a host publishes.
pub(super) fn addresses(config: &HostConfig) -> Vec<IpAddr> {
    let section = config.section(&HostSection::kind()).and_then(|section| HostSection::decode(&section.body).ok());
    section.map(|host| host.addresses).unwrap_or_default()
}

/// The services that a host publishes.
pub(super) fn services(config: &HostConfig) -> Vec<Service> {
    let section = config.section(&ServiceSection::kind()).and_then(|section| ServiceSection::decode(&section.body).ok());
    section.map(|service| service.services).unwrap_or_default()
}

fn service_line(service: &Service) -> String {
    let mut line = format!("{} {}", service.name, service.port);
    for tag in &service.tags {
        line.push(' ');
        line.push_str(tag);
    }
    line
}

fn record_line(record: &DnsRecord) -> String {
    let data = match &record.data {
        RecordData::A(address) => format!("A {address}"),
        RecordData::Aaaa(address) => format!("AAAA {address}"),
        RecordData::Cname(target) => format!("CNAME {target}"),
        RecordData::Txt(texts) => texts.iter().fold("TXT".to_owned(), |line, text| format!("{line} {}", quoted(text))),
        RecordData::Srv { priority, weight, port, target } => format!("SRV {priority} {weight} {port} {target}"),
        RecordData::Ptr(target) => format!("PTR {target}"),
    };
    format!("{} {} {data}", record.name, record.ttl)
}

/// A character string of RFC 1035 section 5.1.
fn quoted(text: &[u8]) -> String {
    let mut out = "\"".to_owned();
    for &octet in text {
        match octet {
            b'"' | b'\\' => out.extend(['\\', char::from(octet)]),
            b' '..=b'~' => out.push(char::from(octet)),
            // Writing to a String does not fail.
            _ => drop(write!(out, "\\{octet:03}")),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section<S: hivemind_sections::Section>(said: &S) -> Section {
        Section { kind: S::kind(), body: said.encode().into() }
    }

    #[test]
    fn known_kinds_are_read_and_everything_else_is_shown_as_it_is() {
        let service = Service { name: "web".to_owned(), port: 80, tags: vec!["v1".to_owned()] };
        let said = content(&section(&ServiceSection { services: vec![service] }));
        assert_eq!(said, SectionContent::Service { services: vec!["web 80 v1".to_owned()] });
        let record = DnsRecord { name: "a.hive.".to_owned(), ttl: 60, data: RecordData::Txt(vec![b"a\"\xff".to_vec(), vec![]]) };
        let said = content(&section(&DnsSection { records: vec![record] }));
        assert_eq!(said, SectionContent::Dns { records: vec![r#"a.hive. 60 TXT "a\"\255" """#.to_owned()] });
        let garbage = Section { kind: HostSection::kind(), body: vec![0xff; 3].into() };
        assert_eq!(content(&garbage), SectionContent::Base64 { kind: "host".to_owned(), body: "////".to_owned() });
    }
}
