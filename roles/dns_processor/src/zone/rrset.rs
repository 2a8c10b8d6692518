//! A record, and the set of records of one type at one name, ready to be copied into an answer.

use domain::base::iana::{Class, Rtype};

use crate::name::DnsName;

/// Type, class, TTL and length of the data: what stands before the data in a record (RFC 1035 section 4.1.3).
pub(crate) const FIXED: usize = 10;

/// The most octets of one set, owners included. An answer can have 65,535 at most (RFC 1035 section
/// 4.2.2), and a set can not be split: so what does not fit is left out of the set, by the order of its claims.
pub(crate) const SET_LIMIT: usize = 60 << 10;

/// One record without its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) rtype: Rtype,
    pub(crate) ttl: u32,
    pub(crate) data: Box<[u8]>,
}

impl Record {
    pub(crate) fn new(rtype: Rtype, ttl: u32, data: impl Into<Box<[u8]>>) -> Self {
        Record { rtype, ttl, data: data.into() }
    }

    /// An SRV record's data (RFC 2782).
    pub(crate) fn srv(ttl: u32, priority: u16, weight: u16, port: u16, target: &DnsName) -> Self {
        let mut data = Vec::with_capacity(6 + target.wire().len());
        for number in [priority, weight, port] {
            data.extend_from_slice(&number.to_be_bytes());
        }
        data.extend_from_slice(target.wire());
        Record::new(Rtype::SRV, ttl, data)
    }
}

/// The records of one type at one name, each once, ordered by their data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RrSet {
    rtype: Rtype,
    count: u16,
    /// Per record: type, class, TTL, length, data.
    wire: Box<[u8]>,
}

/// A set that is being gathered, from the earliest claim on.
pub(crate) struct Gathered<'r> {
    rtype: Rtype,
    ttl: u32,
    is_full: bool,
    data: Vec<&'r [u8]>,
    /// How many of `data`, from its start, are in order and different.
    sorted: usize,
    /// What the records would take in a message.
    octets: usize,
}

impl<'r> Gathered<'r> {
    /// No records yet.
    pub(crate) fn new(rtype: Rtype) -> Self {
        Gathered { rtype, ttl: u32::MAX, is_full: false, data: Vec::new(), sorted: 0, octets: 0 }
    }

    pub(crate) fn rtype(&self) -> Rtype {
        self.rtype
    }

    /// Whether a record had to be left out.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Adds a record, unless the set is full. The same data counts once.
    pub(crate) fn add(&mut self, record: &'r Record) {
        if self.is_full {
            return;
        }
        let ttl = self.ttl;
        // Records of one set have one TTL (RFC 2181 section 5.2): the least that anybody wants.
        self.ttl = ttl.min(record.ttl);
        if self.data[..self.sorted].binary_search(&&record.data[..]).is_ok() {
            return;
        }
        self.data.push(&record.data);
        self.octets += octets(&record.data);
        if self.octets <= SET_LIMIT {
            return;
        }
        self.squeeze();
        if self.octets > SET_LIMIT {
            // It fitted before, so this record is new, and the one too many.
            self.is_full = true;
            self.ttl = ttl;
            self.data.retain(|data| **data != record.data[..]);
        }
    }

    /// Puts the data in order, each once.
    fn squeeze(&mut self) {
        self.data.sort_unstable();
        self.data.dedup();
        self.sorted = self.data.len();
        self.octets = self.data.iter().map(|data| octets(data)).sum();
    }

    /// The set.
    pub(crate) fn finish(mut self) -> RrSet {
        self.squeeze();
        let mut wire = Vec::with_capacity(self.octets);
        for data in &self.data {
            wire.extend_from_slice(&self.rtype.to_int().to_be_bytes());
            wire.extend_from_slice(&Class::IN.to_int().to_be_bytes());
            wire.extend_from_slice(&self.ttl.to_be_bytes());
            wire.extend_from_slice(&(data.len() as u16).to_be_bytes());
            wire.extend_from_slice(data);
        }
        RrSet { rtype: self.rtype, count: self.data.len() as u16, wire: wire.into() }
    }
}

/// What a record with this data takes in a message, its owner being a pointer.
fn octets(data: &[u8]) -> usize {
    data.len() + FIXED + 2
}

impl RrSet {
    pub(crate) fn rtype(&self) -> Rtype {
        self.rtype
    }

    pub(crate) fn len(&self) -> u16 {
        self.count
    }

    /// The records in wire format without their owners: the fixed part with the data behind it.
    pub(crate) fn records(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.wire[..];
        std::iter::from_fn(move || {
            let fixed = rest.get(..FIXED)?;
            let length = u16::from_be_bytes([fixed[8], fixed[9]]) as usize;
            let (record, tail) = rest.split_at(FIXED + length);
            rest = tail;
            Some(record)
        })
    }
}
