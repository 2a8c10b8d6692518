//! The `[[dns]]` entries of a host file.

use std::collections::BTreeMap;

use hivemind_core::ids::NodeName;
use hivemind_sections::{DnsRecord, PRIVATE_REVERSE_ZONES, RecordData, Service};

use super::error::Problem;
use super::reader::{Field, Findings, Reader};
use super::rules::Rules;
use super::{MAX_RECORDS, names, services};

/// Seconds a resolver may keep a record that says nothing else.
pub(crate) const DEFAULT_TTL: u32 = 60;
/// The longest time to live (RFC 2181 section 8).
const MAX_TTL: i64 = (1 << 31) - 1;
/// The most octets of text in one record, so that an answer stays far below what a message can hold.
const MAX_TEXT: usize = 4096;
/// The most octets of one character string (RFC 1035 section 3.3).
const MAX_STRING: usize = 255;

const EXAMPLE: &str = "`[[dns]]` with `name`, `type` and `data` below it";
const NAME_EXAMPLE: &str = "`name = \"blog.example.org.\"`";
const TYPE_EXAMPLE: &str = "`type = \"CNAME\"`";
const DATA_EXAMPLE: &str = "`data = \"web1.node.hive.\"`";
const TTL_EXAMPLE: &str = "`ttl = 60`";

/// A record and where it stands.
pub(crate) struct Placed {
    pub(crate) record: DnsRecord,
    pub(crate) at: usize,
    key: String,
}

pub(crate) fn read(reader: &Reader<'_>, rules: &Rules, findings: &mut Findings) -> Vec<Placed> {
    let Some(field) = reader.optional("dns") else { return Vec::new() };
    let mut records = Vec::new();
    for entry in field.entries(MAX_RECORDS, EXAMPLE, findings) {
        let Some(table) = entry.table(&["name", "type", "data", "ttl"], EXAMPLE, findings) else { continue };
        let name = table.required("name", NAME_EXAMPLE, findings);
        let kind = kind(&table, findings);
        let data = table.required("data", DATA_EXAMPLE, findings);
        let ttl = ttl(&table, findings);
        let name = name.and_then(|field| owner(&field, kind, rules, findings));
        let data = kind.zip(data).and_then(|(kind, field)| kind.data(&field, findings));
        if let (Some(name), Some(data), Some(ttl)) = (name, data, ttl) {
            records.push(Placed { record: DnsRecord { name, ttl, data }, at: entry.at, key: entry.key });
        }
    }
    records
}

/// The types of record that a host file may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    A,
    Aaaa,
    Cname,
    Txt,
    Srv,
    Ptr,
}

fn kind(table: &Reader<'_>, findings: &mut Findings) -> Option<Kind> {
    let field = table.required("type", TYPE_EXAMPLE, findings)?;
    let written = field.string(TYPE_EXAMPLE, findings)?;
    match written.to_ascii_uppercase().as_str() {
        "A" => Some(Kind::A),
        "AAAA" => Some(Kind::Aaaa),
        "CNAME" => Some(Kind::Cname),
        "TXT" => Some(Kind::Txt),
        "SRV" => Some(Kind::Srv),
        "PTR" => Some(Kind::Ptr),
        _ => {
            field.wrong(Problem::UnknownType { found: written.to_owned() }, findings);
            None
        }
    }
}

fn owner(field: &Field<'_>, kind: Option<Kind>, rules: &Rules, findings: &mut Findings) -> Option<String> {
    let name = names::absolute(field.string(NAME_EXAMPLE, findings)?).map_err(|problem| field.wrong(problem, findings)).ok()?;
    let in_private_reverse = || PRIVATE_REVERSE_ZONES.iter().any(|zone| names::is_within(&name, zone));
    let allowed = rules.zones().any(|zone| names::is_within(&name, zone)) || (kind == Some(Kind::Ptr) && in_private_reverse());
    if !allowed {
        let zones: Vec<&str> = rules.zones().collect();
        field.wrong(Problem::OutsideZones { name, zones: zones.join(", ") }, findings);
        return None;
    }
    Some(name)
}

fn ttl(table: &Reader<'_>, findings: &mut Findings) -> Option<u32> {
    let Some(field) = table.optional("ttl") else { return Some(DEFAULT_TTL) };
    let written = field.integer(TTL_EXAMPLE, findings)?;
    let ttl = written.clone().ok().filter(|ttl| (0..=MAX_TTL).contains(ttl)).and_then(|ttl| u32::try_from(ttl).ok());
    if ttl.is_none() {
        let shown = written.map_or_else(|text| text, |number| number.to_string());
        field.wrong(Problem::Ttl { ttl: shown }, findings);
    }
    ttl
}

impl Kind {
    fn data(self, field: &Field<'_>, findings: &mut Findings) -> Option<RecordData> {
        let parse: fn(&str) -> Result<RecordData, Problem> = match self {
            Kind::A => |text| text.parse().map(RecordData::A).map_err(|_| not_data("A", text, "`data = \"10.0.0.11\"`")),
            Kind::Aaaa => |text| text.parse().map(RecordData::Aaaa).map_err(|_| not_data("AAAA", text, "`data = \"fd00::11\"`")),
            Kind::Cname => |text| names::absolute(text).map(RecordData::Cname),
            Kind::Ptr => |text| names::absolute(text).map(RecordData::Ptr),
            Kind::Srv => service_place,
            Kind::Txt => return text(field, findings),
        };
        let written = field.string(DATA_EXAMPLE, findings)?;
        parse(written).map_err(|problem| field.wrong(problem, findings)).ok()
    }
}

fn not_data(kind: &'static str, written: &str, example: &'static str) -> Problem {
    Problem::Data { kind, data: written.chars().take(80).collect(), example }
}

/// `PRIORITY WEIGHT PORT TARGET` (RFC 2782). The target `.` says that there is no such service, and only
/// then may the port be 0.
fn service_place(written: &str) -> Result<RecordData, Problem> {
    let wrong = || not_data("SRV", written, "`data = \"10 5 8080 web1.node.hive.\"` (priority, weight, port, target)");
    let number = |part: &str| part.parse::<u16>().map_err(|_| wrong());
    let parts: Vec<&str> = written.split_ascii_whitespace().collect();
    let [priority, weight, port, target] = parts.as_slice() else { return Err(wrong()) };
    let (priority, weight, port) = (number(priority)?, number(weight)?, number(port)?);
    let target = match *target {
        "." => ".".to_owned(),
        _ if port == 0 => return Err(Problem::Port { port: port.to_string() }),
        name => names::absolute(name)?,
    };
    Ok(RecordData::Srv { priority, weight, port, target })
}

/// One string, cut into pieces that DNS can carry, or an array of strings that are kept apart.
fn text(field: &Field<'_>, findings: &mut Findings) -> Option<RecordData> {
    const EXAMPLE: &str = "`data = \"v=spf1 -all\"`";
    let strings: Vec<Vec<u8>> = match field.value {
        toml::de::DeValue::Array(_) => {
            let before = findings.len();
            let entries = field.entries(MAX_TEXT, EXAMPLE, findings);
            let strings = entries.iter().filter_map(|entry| one_string(entry, EXAMPLE, findings)).collect();
            if findings.len() > before {
                return None;
            }
            strings
        }
        _ => {
            let octets = field.string(EXAMPLE, findings)?.as_bytes();
            octets.chunks(MAX_STRING).map(<[u8]>::to_vec).collect()
        }
    };
    let octets = strings.iter().map(|string| string.len() + 1).sum();
    if octets > MAX_TEXT {
        field.wrong(Problem::TextTooLong { octets, most: MAX_TEXT }, findings);
        return None;
    }
    // A TXT record has at least one string (RFC 1035 section 3.3.14), which may be empty.
    Some(RecordData::Txt(if strings.is_empty() { vec![Vec::new()] } else { strings }))
}

fn one_string(entry: &Field<'_>, example: &'static str, findings: &mut Findings) -> Option<Vec<u8>> {
    let octets = entry.string(example, findings)?.as_bytes();
    if octets.len() > MAX_STRING {
        entry.wrong(Problem::TextTooLong { octets: octets.len(), most: MAX_STRING }, findings);
        return None;
    }
    Some(octets.to_vec())
}

/// Whether a name that hivemind makes out of a file's words is one that DNS can carry.
pub(crate) fn check_derived(name: &str) -> Result<(), Problem> {
    let octets = name.len() + 1;
    if octets > names::MAX_NAME {
        return Err(Problem::DerivedNameTooLong { name: name.to_owned(), octets });
    }
    Ok(())
}

/// What stands at each name that the host's other keys make, so that no CNAME is put beside it.
pub(crate) struct OwnedNames {
    host: String,
    names: BTreeMap<String, &'static str>,
}

/// What a record can not stand beside. Records are named by their number.
pub(crate) enum Clash {
    /// The same record.
    Repeats(usize),
    /// The CNAME's target is its own name.
    ToItself,
    /// The CNAME stands beside what another key makes.
    BesideOwned(&'static str),
    /// The CNAME stands beside a record.
    BesideRecord(usize),
    /// The record stands beside a CNAME.
    BesideCname(usize),
}

impl OwnedNames {
    pub(crate) fn new(name: &NodeName, addresses: &[std::net::IpAddr], offered: &[Service], rules: &Rules) -> Self {
        let host = format!("{name}.node.{}", rules.cluster_zone());
        let mut owned = BTreeMap::new();
        if !addresses.is_empty() {
            owned.insert(host.clone(), "the host's addresses");
        }
        for derived in offered.iter().flat_map(|service| services::derived_names(service, rules)) {
            owned.insert(derived, "a service of this host");
        }
        for zone in rules.zones() {
            owned.insert(zone.to_owned(), "the zone's own SOA and NS");
        }
        OwnedNames { host, names: owned }
    }

    /// The name that has the host's addresses.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Reports what is wrong among the records of one file.
    pub(crate) fn check(&self, reader: &Reader<'_>, records: &[Placed], findings: &mut Findings) {
        if let Err(problem) = check_derived(&self.host) {
            findings.add(reader.at(), "name", problem);
        }
        let bare: Vec<&DnsRecord> = records.iter().map(|placed| &placed.record).collect();
        for (number, clash) in self.clashes(&bare) {
            let Placed { record, at, key } = &records[number];
            let beside = match clash {
                Clash::Repeats(first) => {
                    findings.add_repeat(*at, key, records[first].at);
                    continue;
                }
                Clash::ToItself => {
                    findings.add(*at, key, Problem::CnameToItself { name: record.name.clone() });
                    continue;
                }
                Clash::BesideOwned(owned) => owned.to_owned(),
                Clash::BesideRecord(other) => format!("a record of type {}", bare[other].data.type_name()),
                Clash::BesideCname(_) => format!("a record of type {}", record.data.type_name()),
            };
            findings.add(*at, key, Problem::CnameBeside { name: record.name.clone(), beside });
        }
    }

    /// What can not stand together: a CNAME beside other data (RFC 1034 section 3.6.2), and the same record twice. Of
    /// two records, the later one is named first.
    pub(crate) fn clashes(&self, records: &[&DnsRecord]) -> Vec<(usize, Clash)> {
        let mut at_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (number, record) in records.iter().enumerate() {
            at_name.entry(&record.name).or_default().push(number);
        }
        let of_name = |(name, here): (&&str, &Vec<usize>)| {
            let found = (0..here.len()).filter_map(|place| Some((here[place], self.clash(name, here[place], &here[..place], records)?)));
            found.collect::<Vec<_>>()
        };
        at_name.iter().flat_map(of_name).collect()
    }

    /// Whether a record clashes with the `earlier` ones of its name, or with what the host's other keys make there.
    fn clash(&self, name: &str, number: usize, earlier: &[usize], records: &[&DnsRecord]) -> Option<Clash> {
        let data = &records[number].data;
        if let Some(same) = earlier.iter().find(|other| records[**other].data == *data) {
            return Some(Clash::Repeats(*same));
        }
        match data {
            RecordData::Cname(target) if target == name => Some(Clash::ToItself),
            RecordData::Cname(_) => match (self.names.get(name), earlier.first()) {
                (Some(owned), _) => Some(Clash::BesideOwned(owned)),
                (None, Some(other)) => Some(Clash::BesideRecord(*other)),
                (None, None) => None,
            },
            RecordData::A(_) | RecordData::Aaaa(_) | RecordData::Txt(_) | RecordData::Srv { .. } | RecordData::Ptr(_) => {
                let cname = earlier.iter().find(|other| matches!(records[**other].data, RecordData::Cname(_)));
                cname.map(|cname| Clash::BesideCname(*cname))
            }
        }
    }
}
