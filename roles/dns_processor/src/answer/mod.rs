//! Answering: a pure function from a zone and the bytes of a query to the bytes of a response.

mod query;
mod response;

use std::collections::BTreeMap;

use domain::base::iana::{Class, Rcode, Rtype};

use crate::name::KeyBuf;
use crate::zone::{FIXED, NameEntry, RrSet, Zone};
use query::{Fault, Query};
use response::{Owner, Part, QUESTION_NAME, Response, Soa, UDP_PAYLOAD};

/// The most octets of a UDP response to a sender without EDNS (RFC 1035 section 4.2.1), and the least that EDNS can ask for.
const PLAIN_UDP: u16 = 512;
/// How many CNAMEs are followed for one query.
const MAX_CHAIN: usize = 8;
/// Seconds; the TTL of the SOA record. In a negative answer its minimum is lower and counts (RFC 2308 section 3).
const SOA_TTL: u32 = 3600;

/// How the query came: it decides how large the response may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// 512 octets, or what EDNS says, up to 1232.
    Udp,
    /// 65,535 octets.
    Tcp,
}

/// What became of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No response: it was shorter than a header.
    Short,
    /// No response: it was a response itself.
    NotAQuery,
    /// A response was written.
    Responded {
        /// Its code.
        code: Code,
        /// Not all of the answer fitted: the sender asks again over TCP.
        truncated: bool,
    },
}

/// The code of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Records.
    Answer,
    /// The name exists, and has no records of the type.
    NoData,
    /// The name does not exist.
    NxDomain,
    /// The zone is not complete yet, and does not know the name or type.
    ServFail,
    /// The name is outside the zones, or the class or type is not answered.
    Refused,
    /// The message is malformed.
    FormErr,
    /// The operation or the type of query is not implemented.
    NotImp,
    /// The version of EDNS is not known.
    BadVers,
}

impl Code {
    fn rcode(self) -> Rcode {
        match self {
            Code::Answer | Code::NoData | Code::BadVers => Rcode::NOERROR,
            Code::NxDomain => Rcode::NXDOMAIN,
            Code::ServFail => Rcode::SERVFAIL,
            Code::Refused => Rcode::REFUSED,
            Code::FormErr => Rcode::FORMERR,
            Code::NotImp => Rcode::NOTIMP,
        }
    }

    /// Whether the zone itself says so.
    fn is_authoritative(self) -> bool {
        matches!(self, Code::Answer | Code::NoData | Code::NxDomain)
    }
}

/// Answers `message` from `zone`, appending the response to `out`. Where the outcome is silence, nothing is appended.
pub fn answer(zone: &Zone, message: &[u8], transport: Transport, out: &mut Vec<u8>) -> Outcome {
    let query = match query::parse(message) {
        Ok(query) => query,
        Err(Fault::Short) => return Outcome::Short,
        Err(Fault::Response) => return Outcome::NotAQuery,
        Err(Fault::Opcode(remains)) => {
            response::refuse(&remains, Rcode::NOTIMP, out);
            return Outcome::Responded { code: Code::NotImp, truncated: false };
        }
        Err(Fault::Form(remains)) => {
            response::refuse(&remains, Rcode::FORMERR, out);
            return Outcome::Responded { code: Code::FormErr, truncated: false };
        }
    };
    let limit = match (transport, query.edns) {
        (Transport::Tcp, _) => u16::MAX,
        (Transport::Udp, Some(edns)) => edns.payload.clamp(PLAIN_UDP, UDP_PAYLOAD),
        (Transport::Udp, None) => PLAIN_UDP,
    };
    let mut response = Response::new(&query, out, limit.into());
    if let Some(edns) = query.edns.filter(|edns| edns.version != 0) {
        response.finish_bad_version(edns);
        return Outcome::Responded { code: Code::BadVers, truncated: false };
    }
    let code = refusal(&query).unwrap_or_else(|| resolve(zone, &query, &mut response));
    // With class ANY an answer that covers one class alone can not be authoritative (RFC 1034 section 3.7.1).
    let authoritative = code.is_authoritative() && query.question.qclass == Class::IN;
    let truncated = response.finish(code.rcode(), authoritative);
    Outcome::Responded { code, truncated }
}

/// Queries that no zone is needed for.
fn refusal(query: &Query<'_>) -> Option<Code> {
    match (query.question.qclass, query.question.qtype) {
        (_, Rtype::OPT) => Some(Code::FormErr),
        (_, Rtype::AXFR | Rtype::IXFR) => Some(Code::Refused),
        (_, Rtype::MAILA | Rtype::MAILB | Rtype::TKEY | Rtype::TSIG) => Some(Code::NotImp),
        (Class::IN | Class::ANY, _) => None,
        (_, _) => Some(Code::Refused),
    }
}

/// Looks the question up, following CNAMEs inside the zones.
fn resolve<'z>(zone: &'z Zone, query: &Query<'_>, response: &mut Response<'_, '_>) -> Code {
    let mut key = KeyBuf::of_wire(query.question.name());
    let Some(first) = zone.lookup(key.as_slice()) else {
        return match zone.settings().zone_of(key.as_slice()) {
            Some(_) => missing(zone, &key, None, query, response),
            None => Code::Refused,
        };
    };
    let mut entry = first;
    let mut owner = Owner { at: QUESTION_NAME, name: query.question.name() };
    let mut seen: [Option<&'z NameEntry>; MAX_CHAIN] = [None; MAX_CHAIN];
    for step in 0..MAX_CHAIN {
        let Some(found) = select(entry, query.question.qtype) else {
            return missing(zone, &key, Some(entry), query, response);
        };
        let set = match found {
            Found::Records(set) => {
                push_answer(zone, owner, set, response);
                return Code::Answer;
            }
            Found::Alias(set) => set,
        };
        let mut target = None;
        let pushed = response.push_set(Part::Answer, owner, set, |record, at| target = Some(Owner { at, name: &record[FIXED..] }));
        let Some(target) = pushed.and(target) else { return Code::Answer };
        seen[step] = Some(entry);
        key = KeyBuf::of_wire(target.name);
        owner = target;
        entry = match zone.lookup(key.as_slice()) {
            Some(next) => next,
            None if zone.settings().zone_of(key.as_slice()).is_some() => return missing(zone, &key, None, query, response),
            // A chain that leaves the zones is for the resolver to follow.
            None => return Code::Answer,
        };
        if seen_before(&seen, entry) {
            return Code::Answer;
        }
    }
    Code::Answer
}

/// What a name has for a type.
enum Found<'z> {
    /// The records asked for.
    Records(&'z RrSet),
    /// A CNAME, which was not asked for: the records stand at its target.
    Alias(&'z RrSet),
}

fn select(entry: &NameEntry, qtype: Rtype) -> Option<Found<'_>> {
    if qtype == Rtype::ANY {
        // One set is an answer to ANY (RFC 8482 section 4.1).
        return entry.sets().first().map(Found::Records);
    }
    entry.set(qtype).map(Found::Records).or_else(|| entry.set(Rtype::CNAME).map(Found::Alias))
}

/// The name has no such records: does it exist at all, and whose zone says so?
fn missing(zone: &Zone, key: &KeyBuf, entry: Option<&NameEntry>, query: &Query<'_>, response: &mut Response<'_, '_>) -> Code {
    let settings = zone.settings();
    let Some((closest, is_apex)) = settings.zone_of(key.as_slice()) else { return Code::Refused };
    let minimum = settings.negative_ttl;
    let soa = |ttl| Soa { zone: closest.wire(), primary: zone.primary().wire(), ttl, serial: zone.serial(), minimum };
    if is_apex && matches!(query.question.qtype, Rtype::SOA | Rtype::ANY) {
        response.push_soa(Part::Answer, &soa(SOA_TTL));
        return Code::Answer;
    }
    if !zone.is_complete() {
        response.clear();
        return Code::ServFail;
    }
    response.push_soa(Part::Authority, &soa(SOA_TTL.min(minimum)));
    match entry.is_some() || is_apex || zone.has_below(key.as_slice()) {
        true => Code::NoData,
        false => Code::NxDomain,
    }
}

/// Writes the records, and the addresses of the hosts that SRV and NS records name (RFC 2782, RFC 1035 section 3.3.11).
fn push_answer(zone: &Zone, owner: Owner<'_>, set: &RrSet, response: &mut Response<'_, '_>) {
    let before_target = match set.rtype() {
        Rtype::SRV => 6,
        Rtype::NS => 0,
        _ => {
            response.push_set(Part::Answer, owner, set, |_, _| ());
            return;
        }
    };
    let mut targets = BTreeMap::new();
    let pushed = response.push_set(Part::Answer, owner, set, |record, at| {
        targets.entry(&record[FIXED + before_target..]).or_insert(at + before_target);
    });
    if pushed.is_none() {
        return;
    }
    for (name, at) in targets {
        let Some(entry) = zone.lookup(KeyBuf::of_wire(name).as_slice()) else { continue };
        for set in [Rtype::A, Rtype::AAAA].iter().filter_map(|rtype| entry.set(*rtype)) {
            response.push_set(Part::Additional, Owner { at, name }, set, |_, _| ());
        }
    }
}

fn seen_before(seen: &[Option<&NameEntry>], entry: &NameEntry) -> bool {
    seen.iter().flatten().any(|before| std::ptr::eq(*before, entry))
}
