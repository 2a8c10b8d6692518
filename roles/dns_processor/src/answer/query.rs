//! Reading a query: a header, one question, and perhaps an OPT record.

use domain::base::header::{Header, HeaderSection};
use domain::base::iana::{Class, Opcode, Rtype};

use crate::name::MAX_NAME;

/// The octets of a message's header (RFC 1035 section 4.1.1).
pub(super) const HEADER: usize = 12;
/// The most labels that a name of 255 octets can have.
const MAX_LABELS: usize = 127;

/// What is asked.
pub(super) struct Query<'q> {
    pub(super) header: Header,
    pub(super) question: Question<'q>,
    pub(super) edns: Option<Edns>,
}

/// A question, with the places of its labels.
pub(super) struct Question<'q> {
    /// Name, type and class as they came, in the case that was asked.
    pub(super) wire: &'q [u8],
    /// Octets of the name, the root label included.
    name: usize,
    offsets: [u8; MAX_LABELS],
    count: usize,
    pub(super) qtype: Rtype,
    pub(super) qclass: Class,
}

impl Question<'_> {
    /// The name in the wire format.
    pub(super) fn name(&self) -> &[u8] {
        &self.wire[..self.name]
    }

    /// Where the labels begin within the name, the root label left out.
    pub(super) fn offsets(&self) -> &[u8] {
        &self.offsets[..self.count]
    }
}

/// What the sender's OPT record says (RFC 6891).
#[derive(Clone, Copy)]
pub(super) struct Edns {
    pub(super) payload: u16,
    pub(super) version: u8,
    /// DNSSEC OK: copied into the response (RFC 3225).
    pub(super) dnssec_ok: bool,
}

/// Why bytes are not a query that can be answered.
pub(super) enum Fault {
    /// Shorter than a header: nothing can be said to anybody.
    Short,
    /// A response: answering it could go on for ever.
    Response,
    /// An operation that is not QUERY.
    Opcode(Header),
    /// A header that can be read, and something behind it that can not.
    Form(Header),
}

/// Reads a query.
pub(super) fn parse(message: &[u8]) -> Result<Query<'_>, Fault> {
    if message.len() < HEADER {
        return Err(Fault::Short);
    }
    let section = HeaderSection::for_message_slice(message);
    let (header, counts) = (*section.header(), *section.counts());
    if header.qr() {
        return Err(Fault::Response);
    }
    if header.opcode() != Opcode::QUERY {
        return Err(Fault::Opcode(header));
    }
    let body = &message[HEADER..];
    let parsed = || {
        let question = question(body).filter(|_| counts.qdcount() == 1)?;
        let mut rest = &body[question.wire.len()..];
        for _ in 0..u32::from(counts.ancount()) + u32::from(counts.nscount()) {
            rest = record(rest)?.rest;
        }
        let mut edns = None;
        for _ in 0..counts.arcount() {
            let record = record(rest)?;
            rest = record.rest;
            if record.rtype == Rtype::OPT && edns.replace(opt(&record)?).is_some() {
                return None;
            }
        }
        rest.is_empty().then_some((question, edns))
    };
    match parsed() {
        Some((question, edns)) => Ok(Query { header, question, edns }),
        None => Err(Fault::Form(header)),
    }
}

/// A question's name is the first name of a message: a compression pointer in it has nothing to point at.
fn question(body: &[u8]) -> Option<Question<'_>> {
    let mut offsets = [0; MAX_LABELS];
    let mut count = 0;
    let mut at = 0;
    loop {
        match *body.get(at)? {
            0 => break,
            length @ 1..=63 => {
                *offsets.get_mut(count)? = at as u8;
                count += 1;
                at += length as usize + 1;
                if at >= MAX_NAME {
                    return None;
                }
            }
            64.. => return None,
        }
    }
    let name = at + 1;
    let &[t0, t1, c0, c1] = body.get(name..name + 4)?.first_chunk()?;
    Some(Question {
        wire: &body[..name + 4],
        name,
        offsets,
        count,
        qtype: Rtype::from_int(u16::from_be_bytes([t0, t1])),
        qclass: Class::from_int(u16::from_be_bytes([c0, c1])),
    })
}

/// A record of which only the frame is of interest.
struct Framed<'q> {
    at_root: bool,
    rtype: Rtype,
    class: u16,
    ttl: [u8; 4],
    data: &'q [u8],
    rest: &'q [u8],
}

fn record(mut bytes: &[u8]) -> Option<Framed<'_>> {
    let at_root = bytes.first() == Some(&0);
    loop {
        match *bytes.first()? {
            0 => {
                bytes = &bytes[1..];
                break;
            }
            length @ 1..=63 => bytes = bytes.get(length as usize + 1..)?,
            64..=191 => return None,
            192.. => {
                bytes = bytes.get(2..)?;
                break;
            }
        }
    }
    let (&[t0, t1, c0, c1, l0, l1, l2, l3, d0, d1], rest) = bytes.split_first_chunk()?;
    let (data, rest) = rest.split_at_checked(u16::from_be_bytes([d0, d1]) as usize)?;
    Some(Framed {
        at_root,
        rtype: Rtype::from_int(u16::from_be_bytes([t0, t1])),
        class: u16::from_be_bytes([c0, c1]),
        ttl: [l0, l1, l2, l3],
        data,
        rest,
    })
}

/// The fields of an OPT record stand where other records have class and TTL (RFC 6891 section 6.1.3).
fn opt(record: &Framed<'_>) -> Option<Edns> {
    let mut options = record.data;
    while !options.is_empty() {
        let (&[_, _, l0, l1], rest) = options.split_first_chunk()?;
        options = rest.get(u16::from_be_bytes([l0, l1]) as usize..)?;
    }
    let [_, version, flags, _] = record.ttl;
    record.at_root.then_some(Edns { payload: record.class, version, dnssec_ok: flags & 0x80 != 0 })
}
