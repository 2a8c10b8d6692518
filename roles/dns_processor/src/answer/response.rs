//! Writing a response: whole record sets or nothing, owners and targets compressed against the question.

use domain::base::header::{Header, HeaderSection};
use domain::base::iana::{Class, Rcode, Rtype};

use super::query::{Edns, HEADER, Query, Remains};
use crate::name::labels;
use crate::zone::{FIXED, RrSet};

/// What this server accepts over UDP and sends at most (RFC 9715, DNS flag day 2020).
pub(super) const UDP_PAYLOAD: u16 = 1232;
/// The octets of an OPT record without options.
const OPT: usize = 11;
/// Where the question's name stands.
pub(super) const QUESTION_NAME: usize = HEADER;
/// The furthest that a compression pointer reaches: it has 14 bits.
const MAX_POINTER: usize = 0x3fff;

/// Which section a record goes to. They are filled in this order.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Answer,
    Authority,
    Additional,
}

/// The owner of a set: a name that stands in the response already.
#[derive(Clone, Copy)]
pub(super) struct Owner<'n> {
    /// Where it stands.
    pub(super) at: usize,
    /// The name.
    pub(super) name: &'n [u8],
}

/// An SOA record's content (RFC 1035 section 3.3.13).
pub(super) struct Soa<'z> {
    pub(super) zone: &'z [u8],
    pub(super) primary: &'z [u8],
    pub(super) ttl: u32,
    pub(super) serial: u32,
    pub(super) minimum: u32,
}

/// A response under way, behind whatever `out` holds already.
pub(super) struct Response<'q, 'o> {
    query: &'q Query<'q>,
    out: &'o mut Vec<u8>,
    base: usize,
    limit: usize,
    counts: [u16; 3],
    truncated: bool,
}

impl<'q, 'o> Response<'q, 'o> {
    /// Starts the response to `query`, of at most `limit` octets, its OPT record included.
    pub(super) fn new(query: &'q Query<'q>, out: &'o mut Vec<u8>, limit: usize) -> Self {
        let base = out.len();
        out.extend_from_slice(&[0; HEADER]);
        out.extend_from_slice(query.question.wire);
        let limit = limit - query.edns.map_or(0, |_| OPT);
        Response { query, out, base, limit, counts: [0; 3], truncated: false }
    }

    /// Forgets all records.
    pub(super) fn clear(&mut self) {
        self.out.truncate(self.base + HEADER + self.query.question.wire.len());
        self.counts = [0; 3];
        self.truncated = false;
    }

    /// Appends a set as a whole, or not at all (`None`) where it does not fit. In answer and authority that truncates
    /// the response; additional records are sent only where there is room. `told` hears of each record without its
    /// owner, and of the place of its data.
    pub(super) fn push_set<'s>(
        &mut self,
        part: Part,
        owner: Owner<'_>,
        set: &'s RrSet,
        mut told: impl FnMut(&'s [u8], usize),
    ) -> Option<()> {
        let before = self.out.len();
        let compressed = matches!(set.rtype(), Rtype::CNAME | Rtype::PTR | Rtype::NS);
        for record in set.records() {
            match owner.at {
                at @ ..=MAX_POINTER => self.out.extend_from_slice(&(0xc000 | at as u16).to_be_bytes()),
                _ => self.push_name(owner.name),
            }
            told(record, self.out.len() - self.base + FIXED);
            if compressed {
                let (fixed, target) = record.split_at(FIXED);
                self.out.extend_from_slice(&fixed[..FIXED - 2]);
                self.sized(|response| response.push_name(target));
            } else {
                self.out.extend_from_slice(record);
            }
            if !self.fits(part, before) {
                return None;
            }
        }
        self.counts[part as usize] += set.len();
        Some(())
    }

    /// Appends an SOA record.
    pub(super) fn push_soa(&mut self, part: Part, soa: &Soa<'_>) {
        let before = self.out.len();
        self.push_name(soa.zone);
        self.out.extend_from_slice(&Rtype::SOA.to_int().to_be_bytes());
        self.out.extend_from_slice(&Class::IN.to_int().to_be_bytes());
        self.out.extend_from_slice(&soa.ttl.to_be_bytes());
        self.sized(|response| {
            response.push_name(soa.primary);
            response.out.extend_from_slice(b"\x0ahostmaster");
            response.push_name(soa.zone);
            // Refresh, retry and expire are for servers that transfer the zone.
            for number in [soa.serial, 3600, 600, 86_400, soa.minimum] {
                response.out.extend_from_slice(&number.to_be_bytes());
            }
        });
        if self.fits(part, before) {
            self.counts[part as usize] += 1;
        }
    }

    /// Writes what `write` appends, with its length before it.
    fn sized(&mut self, write: impl FnOnce(&mut Self)) {
        let at = self.out.len();
        self.out.extend_from_slice(&[0; 2]);
        write(self);
        let length = (self.out.len() - at - 2) as u16;
        self.out[at..at + 2].copy_from_slice(&length.to_be_bytes());
    }

    /// Takes back what does not fit.
    fn fits(&mut self, part: Part, before: usize) -> bool {
        let fits = self.out.len() - self.base <= self.limit;
        if !fits {
            self.out.truncate(before);
            self.truncated |= !matches!(part, Part::Additional);
        }
        fits
    }

    /// Appends a name; the labels that end the question's name too become a pointer (RFC 1035 section 4.1.4).
    pub(super) fn push_name(&mut self, name: &[u8]) {
        let question = self.query.question.name();
        let mut offsets = [0u8; 128];
        let mut count = 0;
        let mut at = 0;
        for label in labels(name) {
            offsets[count] = at;
            count += 1;
            at += label.len() as u8;
        }
        let mut shared = None;
        for (ours, theirs) in offsets[..count].iter().rev().zip(self.query.question.offsets().iter().rev()) {
            let (mine, asked) = (&name[*ours as usize..], &question[*theirs as usize..]);
            let length = mine[0] as usize + 1;
            if asked[0] != mine[0] || !asked[1..length].eq_ignore_ascii_case(&mine[1..length]) {
                break;
            }
            shared = Some((*ours, *theirs));
        }
        match shared {
            Some((ours, theirs)) => {
                self.out.extend_from_slice(&name[..ours as usize]);
                self.out.extend_from_slice(&(0xc000 | (QUESTION_NAME as u16 + u16::from(theirs))).to_be_bytes());
            }
            None => self.out.extend_from_slice(name),
        }
    }

    /// Completes the response, and says whether it is truncated.
    pub(super) fn finish(mut self, rcode: Rcode, authoritative: bool) -> bool {
        if let Some(edns) = self.query.edns {
            self.push_opt(edns, 0);
        }
        self.put_header(rcode, authoritative);
        self.truncated
    }

    /// Completes a response that says that the sender's version of EDNS is not known (RFC 6891 section 6.1.3).
    pub(super) fn finish_bad_version(mut self, edns: Edns) {
        self.clear();
        self.push_opt(edns, 1);
        self.put_header(Rcode::NOERROR, false);
    }

    fn push_opt(&mut self, edns: Edns, extended_rcode: u8) {
        self.out.extend_from_slice(&opt_record(edns, extended_rcode));
        self.counts[Part::Additional as usize] += 1;
    }

    fn put_header(&mut self, rcode: Rcode, authoritative: bool) {
        let mut header = respond_to(self.query.header, rcode);
        header.set_aa(authoritative);
        header.set_tc(self.truncated);
        let mut section = HeaderSection::new();
        *section.header_mut() = header;
        let counts = section.counts_mut();
        counts.set_qdcount(1);
        counts.set_ancount(self.counts[Part::Answer as usize]);
        counts.set_nscount(self.counts[Part::Authority as usize]);
        counts.set_arcount(self.counts[Part::Additional as usize]);
        self.out[self.base..self.base + HEADER].copy_from_slice(section.as_slice());
    }
}

/// The header of a response: the id, the operation and RD are the query's; recursion is not available.
fn respond_to(query: Header, rcode: Rcode) -> Header {
    let mut header = Header::new();
    header.set_id(query.id());
    header.set_qr(true);
    header.set_opcode(query.opcode());
    header.set_rd(query.rd());
    header.set_rcode(rcode);
    header
}

/// This server's OPT record, as an answer to the sender's.
fn opt_record(edns: Edns, extended_rcode: u8) -> [u8; OPT] {
    let flags = if edns.dnssec_ok { 0x80 } else { 0 };
    let [payload_high, payload_low] = UDP_PAYLOAD.to_be_bytes();
    let [type_high, type_low] = Rtype::OPT.to_int().to_be_bytes();
    [0, type_high, type_low, payload_high, payload_low, extended_rcode, 0, flags, 0, 0, 0]
}

/// A response without records, to what is not a query that can be answered: it repeats the question where that
/// could be read, and has an OPT record where the sender's could. It fits into any packet.
pub(super) fn refuse(remains: &Remains<'_>, rcode: Rcode, out: &mut Vec<u8>) {
    let mut section = HeaderSection::new();
    *section.header_mut() = respond_to(remains.header, rcode);
    section.counts_mut().set_qdcount(remains.question.map_or(0, |_| 1));
    section.counts_mut().set_arcount(remains.edns.map_or(0, |_| 1));
    out.extend_from_slice(section.as_slice());
    out.extend_from_slice(remains.question.unwrap_or_default());
    if let Some(edns) = remains.edns {
        out.extend_from_slice(&opt_record(edns, 0));
    }
}
