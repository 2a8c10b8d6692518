//! Host files: what a person writes about one machine, in TOML, checked before anything is published.
//!
//! The format is documented in `docs/host-files.md`. [`parse`] is pure: text in, a [`HostFile`] or every
//! mistake of the file out.

mod error;
mod names;
mod nearest;
mod reader;
mod records;
mod rules;
mod services;
mod whole;

use std::net::IpAddr;
use std::path::Path;

use hivemind_core::ids::NodeName;
use hivemind_core::wire::config::Section as ConfigSection;
use hivemind_sections::{DnsSection, HostSection, Section, ServiceSection};
use toml::de::DeTable;

pub use error::{FileError, Problem};
pub use rules::{Rules, ZoneError};

use reader::{Findings, Reader, place};
pub(crate) use whole::{Part, unite};

/// The largest host file, in octets: what it publishes then fits every limit of the wire.
pub const MAX_FILE: usize = 64 << 10;
/// The most errors that are reported of one file; the last one counts those that were left out.
pub const MAX_ERRORS: usize = 20;
/// The most addresses of one host.
pub const MAX_ADDRESSES: usize = 64;
/// The most services of one host.
pub const MAX_SERVICES: usize = 256;
/// The most tags of one service.
pub const MAX_TAGS: usize = 32;
/// The most records of one host.
pub const MAX_RECORDS: usize = 1024;

/// What one host file says: all of it right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFile {
    /// The host's name.
    pub name: NodeName,
    /// Its addresses.
    pub host: HostSection,
    /// Its services.
    pub service: ServiceSection,
    /// Its further records.
    pub dns: DnsSection,
}

impl HostFile {
    /// What is published: always one section of each kind, so that a kind which lost its last entry is
    /// told to those who consume only that kind.
    pub fn sections(&self) -> Vec<ConfigSection> {
        vec![section(&self.dns), section(&self.host), section(&self.service)]
    }
}

fn section<S: Section>(content: &S) -> ConfigSection {
    ConfigSection { kind: S::kind(), body: content.encode().into() }
}

/// Reads a host file. `file` is how it is named in errors, and its stem is the host's default name.
///
/// # Errors
/// Everything that is wrong with the file, in the order of its lines, at most [`MAX_ERRORS`]. Mistakes of
/// TOML itself hide the others: what stands behind them can not be read reliably.
pub fn parse(file: &Path, octets: &[u8], rules: &Rules) -> Result<HostFile, Vec<FileError>> {
    parse_placed(file, octets, Naming::ByFile, rules).map(|placed| placed.host)
}

/// Whom a host file speaks of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Naming<'a> {
    /// The host that it names, else the one of the file's own name.
    ByFile,
    /// This host. It may be named; no other one may.
    Of(&'a NodeName),
}

/// A host file and where things stand in it.
#[derive(Clone, Debug)]
pub(crate) struct PlacedHost {
    pub(crate) host: HostFile,
    /// Line and column of `name`; the file's beginning where its own name is the host's.
    pub(crate) name_place: (usize, usize),
    /// The octets at which its entries begin.
    pub(crate) at: Offsets,
}

/// Where the entries of a host file begin, in octets, in their order.
#[derive(Clone, Debug)]
pub(crate) struct Offsets {
    pub(crate) addresses: Vec<usize>,
    pub(crate) services: Vec<usize>,
    pub(crate) records: Vec<usize>,
}

/// As [`parse`], with the places, and with its own say on whose file it is.
pub(crate) fn parse_placed(file: &Path, octets: &[u8], naming: Naming<'_>, rules: &Rules) -> Result<PlacedHost, Vec<FileError>> {
    let whole = |line, problem| vec![FileError { file: file.to_owned(), line, column: 1, key: String::new(), problem }];
    if octets.len() > MAX_FILE {
        return Err(whole(1, Problem::TooLarge { octets: octets.len() as u64, most: MAX_FILE }));
    }
    let text = std::str::from_utf8(octets).map_err(|error| {
        let at = error.valid_up_to();
        let line = octets[..at].iter().filter(|&&octet| octet == b'\n').count() + 1;
        whole(line, Problem::NotUtf8 { at })
    })?;
    let mut findings = Findings::default();
    let (document, syntax) = DeTable::parse_recoverable(text);
    for error in syntax {
        let at = error.span().map_or(0, |span| span.start);
        findings.add(at, "", Problem::Syntax { message: error.message().to_owned() });
    }
    if !findings.is_empty() {
        return Err(findings.into_errors(file, text));
    }
    if document.get_ref().is_empty() {
        return Err(whole(1, Problem::Empty));
    }
    let known = &["name", "addresses", "service", "dns"];
    let reader = Reader::new(document.get_ref(), &(0..0), String::new(), known, &mut findings);
    let read = read_host(file, &reader, naming, rules, &mut findings);
    match read {
        Some((host, at)) if findings.is_empty() => {
            let name_place = place(text, reader.optional("name").map_or(0, |field| field.at));
            Ok(PlacedHost { host, name_place, at })
        }
        Some(_) | None => Err(findings.into_errors(file, text)),
    }
}

fn read_host(file: &Path, reader: &Reader<'_>, naming: Naming<'_>, rules: &Rules, findings: &mut Findings) -> Option<(HostFile, Offsets)> {
    let name = host_name(file, reader, naming, rules, findings);
    let (address_places, addresses): (Vec<usize>, Vec<_>) = addresses(reader, findings).into_iter().unzip();
    let (service_places, services): (Vec<usize>, Vec<_>) = services::read(reader, rules, findings).into_iter().unzip();
    let records = records::read(reader, rules, findings);
    let name = name?;
    let owned = records::OwnedNames::new(&name, &addresses, &services, rules);
    owned.check(reader, &records, findings);
    let at = Offsets { addresses: address_places, services: service_places, records: records.iter().map(|placed| placed.at).collect() };
    let records = records.into_iter().map(|placed| placed.record).collect();
    let host = HostFile { name, host: HostSection { addresses }, service: ServiceSection { services }, dns: DnsSection { records } };
    Some((host, at))
}

fn host_name(file: &Path, reader: &Reader<'_>, naming: Naming<'_>, rules: &Rules, findings: &mut Findings) -> Option<NodeName> {
    let (at, label) = match (reader.optional("name"), naming) {
        (Some(field), _) => (field.at, names::label(field.string("`name = \"web1\"`", findings)?, names::MAX_LABEL)),
        (None, Naming::Of(own)) => return Some(own.clone()),
        (None, Naming::ByFile) => {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            let label = names::label(&stem, names::MAX_LABEL);
            (0, label.map_err(|problem| Problem::Stem { reason: problem.to_string() }))
        }
    };
    let checked = label.and_then(|name| match (rules.reserved_pattern(&name), naming) {
        (_, Naming::Of(own)) if *own != name => Err(Problem::OtherHost { name: name.to_string(), own: own.to_string() }),
        (Some(pattern), _) => Err(Problem::Reserved { name: name.to_string(), pattern }),
        (None, _) => Ok(name),
    });
    checked.map_err(|problem| findings.add(at, "name", problem)).ok()
}

fn addresses(reader: &Reader<'_>, findings: &mut Findings) -> Vec<(usize, IpAddr)> {
    let example = "`addresses = [\"10.0.0.11\", \"fd00::11\"]`";
    let Some(field) = reader.optional("addresses") else { return Vec::new() };
    let mut addresses: Vec<(usize, IpAddr)> = Vec::new();
    for entry in field.entries(MAX_ADDRESSES, example, findings) {
        let Some(text) = entry.string(example, findings) else { continue };
        match address(text) {
            Ok(address) if addresses.iter().any(|(_, known)| *known == address) => {
                entry.wrong(Problem::DuplicateAddress { address: address.to_string() }, findings);
            }
            Ok(address) => addresses.push((entry.at, address)),
            Err(problem) => entry.wrong(problem, findings),
        }
    }
    addresses
}

/// An address that one host can have.
fn address(text: &str) -> Result<IpAddr, Problem> {
    let address: IpAddr = text.parse().map_err(|_| Problem::NotAnAddress { text: text.to_owned() })?;
    let what = match address {
        _ if address.is_unspecified() => "the unspecified address",
        _ if address.is_multicast() => "a multicast address",
        IpAddr::V4(v4) if v4.is_broadcast() => "the broadcast address",
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => "an IPv4 address in IPv6 clothes",
        IpAddr::V4(_) | IpAddr::V6(_) => return Ok(address),
    };
    Err(Problem::NotAHostAddress { address: address.to_string(), what })
}
