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

impl RrSet {
    /// The set of `data`, and whether some had to be left out.
    pub(crate) fn new(rtype: Rtype, ttl: u32, data: impl Iterator<Item = impl AsRef<[u8]>>) -> (Self, bool) {
        let mut taken = Vec::new();
        let mut octets = 0;
        let mut overfull = false;
        for item in data {
            octets += item.as_ref().len() + FIXED + 2;
            if octets > SET_LIMIT {
                overfull = true;
                break;
            }
            taken.push(item);
        }
        taken.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
        taken.dedup_by(|a, b| a.as_ref() == b.as_ref());
        let mut wire = Vec::with_capacity(octets.min(SET_LIMIT));
        for item in &taken {
            let data = item.as_ref();
            wire.extend_from_slice(&rtype.to_int().to_be_bytes());
            wire.extend_from_slice(&Class::IN.to_int().to_be_bytes());
            wire.extend_from_slice(&ttl.to_be_bytes());
            wire.extend_from_slice(&(data.len() as u16).to_be_bytes());
            wire.extend_from_slice(data);
        }
        (RrSet { rtype, count: taken.len() as u16, wire: wire.into() }, overfull)
    }

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
