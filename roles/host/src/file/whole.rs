//! Several host files as the parts of one host: what is right in each can still be wrong together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hivemind_core::ids::NodeName;
use hivemind_core::wire::codec::SECTION_LIMIT;
use hivemind_sections::{DnsRecord, DnsSection, HostSection, Section, ServiceSection};

use super::error::{FileError, Problem};
use super::reader::place;
use super::records::{Clash, OwnedNames};
use super::rules::Rules;
use super::{HostFile, MAX_ADDRESSES, MAX_ERRORS, MAX_RECORDS, MAX_SERVICES, Naming, PlacedHost, parse_placed, services};

/// One file of a host, right by itself.
#[derive(Debug)]
pub(crate) struct Part {
    file: PathBuf,
    /// For the lines of what is found later.
    text: String,
    placed: PlacedHost,
}

impl Part {
    /// Reads a part of the host `name`.
    ///
    /// # Errors
    /// As of [`parse`](super::parse); and the file names another host.
    pub(crate) fn parse(file: &Path, octets: &[u8], name: &NodeName, rules: &Rules) -> Result<Part, Vec<FileError>> {
        let placed = parse_placed(file, octets, Naming::Of(name), rules)?;
        let text = std::str::from_utf8(octets).expect("what was parsed is UTF-8");
        Ok(Part { file: file.to_owned(), text: text.to_owned(), placed })
    }

    fn error(&self, at: usize, key: String, problem: Problem) -> FileError {
        let (line, column) = place(&self.text, at);
        FileError { file: self.file.clone(), line, column, key, problem }
    }

    /// `file:line` of an octet.
    fn shown(&self, at: usize) -> String {
        format!("{}:{}", self.file.display(), place(&self.text, at).0)
    }
}

/// An entry of a part: which part, which of its kind there, and at which octet.
type Entry<'a> = (&'a Part, usize, usize);

/// Makes one host of its parts, in their order. An address may stand in several of them.
///
/// # Errors
/// What can not stand together, by file and line, at most [`MAX_ERRORS`] of a file. The later one of two parts is at fault.
pub(crate) fn unite(name: &NodeName, parts: &[&Part], rules: &Rules) -> Result<HostFile, Vec<FileError>> {
    let mut errors = Vec::new();
    let addresses = addresses(parts, &mut errors);
    let services = offered(parts, &mut errors);
    let (entries, records): (Vec<Entry<'_>>, Vec<&DnsRecord>) = records(parts, &mut errors).into_iter().unzip();
    let owned = OwnedNames::new(name, &addresses.addresses, &services.services, rules);
    for (number, clash) in owned.clashes(&records) {
        let (part, place, at) = entries[number];
        let name = records[number].name.clone();
        let stands_at = |other: usize| entries[other].0.shown(entries[other].2);
        let problem = match clash {
            Clash::Repeats(other) => Problem::RecordElsewhere { place: stands_at(other) },
            Clash::ToItself => Problem::CnameToItself { name },
            Clash::BesideOwned(what) => {
                let place = owner(parts, &name, &owned, rules).unwrap_or_else(|| part.shown(at));
                Problem::BesideElsewhere { name, beside: what.to_owned(), place }
            }
            Clash::BesideRecord(other) => {
                let beside = format!("a record of type {}", records[other].data.type_name());
                Problem::BesideElsewhere { name, beside, place: stands_at(other) }
            }
            Clash::BesideCname(cname) => {
                Problem::BesideElsewhere { name, beside: "a record of type CNAME".to_owned(), place: stands_at(cname) }
            }
        };
        errors.push(part.error(at, format!("dns[{place}]"), problem));
    }
    let dns = DnsSection { records: records.into_iter().cloned().collect() };
    too_large("addresses", &addresses, parts.iter().rfind(|part| !part.placed.at.addresses.is_empty()), &mut errors);
    too_large("services", &services, parts.iter().rfind(|part| !part.placed.at.services.is_empty()), &mut errors);
    too_large("records", &dns, parts.iter().rfind(|part| !part.placed.at.records.is_empty()), &mut errors);
    if errors.is_empty() {
        return Ok(HostFile { name: name.clone(), host: addresses, service: services, dns });
    }
    Err(bounded(errors))
}

fn addresses(parts: &[&Part], errors: &mut Vec<FileError>) -> HostSection {
    let mut addresses = Vec::new();
    for part in parts {
        for (number, (address, at)) in part.placed.host.host.addresses.iter().zip(&part.placed.at.addresses).enumerate() {
            if addresses.contains(address) {
                continue;
            }
            if addresses.len() == MAX_ADDRESSES {
                let problem = Problem::TooManyTogether { what: "addresses", most: MAX_ADDRESSES };
                errors.push(part.error(*at, format!("addresses[{number}]"), problem));
                return HostSection { addresses };
            }
            addresses.push(*address);
        }
    }
    HostSection { addresses }
}

fn offered(parts: &[&Part], errors: &mut Vec<FileError>) -> ServiceSection {
    let (mut services, mut seen) = (Vec::new(), BTreeMap::new());
    for part in parts {
        for (number, (service, at)) in part.placed.host.service.services.iter().zip(&part.placed.at.services).enumerate() {
            let key = format!("service[{number}]");
            if let Some((other, first)) = seen.insert((&service.name, service.port), (*part, *at)) {
                let other: &Part = other;
                let problem = Problem::ServiceElsewhere { name: service.name.clone(), port: service.port, place: other.shown(first) };
                errors.push(part.error(*at, key, problem));
                continue;
            }
            if services.len() == MAX_SERVICES {
                errors.push(part.error(*at, key, Problem::TooManyTogether { what: "services", most: MAX_SERVICES }));
                return ServiceSection { services };
            }
            services.push(service.clone());
        }
    }
    ServiceSection { services }
}

fn records<'a>(parts: &[&'a Part], errors: &mut Vec<FileError>) -> Vec<(Entry<'a>, &'a DnsRecord)> {
    let mut records = Vec::new();
    for part in parts {
        for (number, (record, at)) in part.placed.host.dns.records.iter().zip(&part.placed.at.records).enumerate() {
            if records.len() == MAX_RECORDS {
                let problem = Problem::TooManyTogether { what: "records", most: MAX_RECORDS };
                errors.push(part.error(*at, format!("dns[{number}]"), problem));
                return records;
            }
            records.push(((*part, number, *at), record));
        }
    }
    records
}

/// Where the entry stands that makes a name.
fn owner(parts: &[&Part], name: &str, owned: &OwnedNames, rules: &Rules) -> Option<String> {
    let of_part = |part: &&Part| {
        let PlacedHost { host, at, .. } = &part.placed;
        if name == owned.host() {
            return Some(part.shown(*at.addresses.first()?));
        }
        let mut services = host.service.services.iter().zip(&at.services);
        let (_, at) = services.find(|(service, _)| services::derived_names(service, rules).iter().any(|derived| derived == name))?;
        Some(part.shown(*at))
    };
    parts.iter().find_map(of_part)
}

/// Reports a section that no config can hold, at the last part that has to do with it.
fn too_large<S: Section>(what: &'static str, content: &S, last: Option<&&Part>, errors: &mut Vec<FileError>) {
    let octets = content.encode().len();
    if let Some(part) = last.filter(|_| octets > SECTION_LIMIT) {
        errors.push(part.error(0, String::new(), Problem::TooLargeTogether { what, octets, most: SECTION_LIMIT }));
    }
}

/// By file and line, with at most [`MAX_ERRORS`] of each file; the last one counts those that were left out.
fn bounded(errors: Vec<FileError>) -> Vec<FileError> {
    let mut by_file: BTreeMap<PathBuf, Vec<FileError>> = BTreeMap::new();
    for error in errors {
        by_file.entry(error.file.clone()).or_default().push(error);
    }
    for errors in by_file.values_mut() {
        errors.sort_by_key(|error| (error.line, error.column));
        if errors.len() > MAX_ERRORS {
            let more = errors.len() - (MAX_ERRORS - 1);
            errors.truncate(MAX_ERRORS);
            if let Some(last) = errors.last_mut() {
                (last.key, last.problem) = (String::new(), Problem::More { more });
            }
        }
    }
    by_file.into_values().flatten().collect()
}
