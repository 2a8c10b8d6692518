//! Reading a query: a header, one question, and perhaps an OPT record.

use domain::base::header::{Header, HeaderCounts, HeaderSection};
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
pub(super) enum Fault<'q> {
    /// Shorter than a header: nothing can be said to anybody.
    Short,
    /// A response: answering it could go on for ever.
    Response,
    /// An operation that is not QUERY.
    Opcode(Remains<'q>),
    /// A header that can be read, and something behind it that can not.
    Form(Remains<'q>),
}

/// What could be read of a message that is not answered: it is told why in the terms that it came in.
pub(super) struct Remains<'q> {
    pub(super) header: Header,
    /// The question as it came, where there is one alone.
    pub(super) question: Option<&'q [u8]>,
    /// What the OPT record says, where it was reached (RFC 6891 section 6.1.1).
    pub(super) edns: Option<Edns>,
}

/// Reads a query.
pub(super) fn parse(message: &[u8]) -> Result<Query<'_>, Fault<'_>> {
    if message.len() < HEADER {
        return Err(Fault::Short);
    }
    let section = HeaderSection::for_message_slice(message);
    let (header, counts) = (*section.header(), *section.counts());
    if header.qr() {
        return Err(Fault::Response);
    }
    let (mut only_question, mut edns) = (None, None);
    let is_whole = walk(&message[HEADER..], counts, &mut only_question, &mut edns).is_some();
    if header.opcode() == Opcode::QUERY
        && is_whole
        && let Some(question) = only_question
    {
        return Ok(Query { header, question, edns });
    }
    let remains = Remains { header, question: only_question.map(|question| question.wire), edns };
    match header.opcode() {
        Opcode::QUERY => Err(Fault::Form(remains)),
        _ => Err(Fault::Opcode(remains)),
    }
}

/// Goes through all sections as far as they can be read, and gives something where that is to the message's end.
fn walk<'q>(mut rest: &'q [u8], counts: HeaderCounts, only_question: &mut Option<Question<'q>>, edns: &mut Option<Edns>) -> Option<()> {
    for _ in 0..counts.qdcount() {
        let question = question(rest)?;
        rest = &rest[question.wire.len()..];
        *only_question = (counts.qdcount() == 1).then_some(question);
    }
    for _ in 0..u32::from(counts.ancount()) + u32::from(counts.nscount()) {
        rest = record(rest)?.rest;
    }
    for _ in 0..counts.arcount() {
        let record = record(rest)?;
        rest = record.rest;
        if record.rtype == Rtype::OPT && edns.replace(opt(&record)?).is_some() {
            return None;
        }
    }
    rest.is_empty().then_some(())
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
