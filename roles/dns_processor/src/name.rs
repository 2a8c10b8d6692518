//! Domain names as the zone keeps them: absolute, lower case, in the wire format of RFC 1035 section 3.1.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use domain::base::Name;
use thiserror::Error;

/// The most octets that a name may have in the wire format, the root label included (RFC 1035 section 2.3.4).
pub const MAX_NAME: usize = 255;
/// The most octets that a label may have (RFC 1035 section 2.3.4).
pub const MAX_LABEL: usize = 63;

/// Why a text is not a name. Whoever wrote the text is at fault; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum NameFault {
    /// A label is too long.
    #[error("a label has more than 63 octets")]
    LongLabel,
    /// The whole name is too long.
    #[error("the name has more than 255 octets")]
    LongName,
    /// An empty label, a character that is not printable ASCII, or a broken escape.
    #[error("it is not a domain name: labels of printable ASCII, separated by single dots")]
    Malformed,
}

/// An absolute domain name in lower case. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(Arc<[u8]>);

impl DnsName {
    /// Reads a name in presentation format; it is absolute with or without the final dot.
    ///
    /// # Errors
    /// [`NameFault`] says which rule of RFC 1035 it breaks.
    pub fn parse(text: &str) -> Result<Self, NameFault> {
        if text == "." {
            return Ok(DnsName(Arc::from([0])));
        }
        match Name::<Vec<u8>>::from_str(text) {
            Ok(name) => Ok(DnsName(name.as_slice().to_ascii_lowercase().into())),
            Err(_) if text.split('.').any(|label| label.len() > MAX_LABEL) => Err(NameFault::LongLabel),
            Err(_) if text.len() >= MAX_NAME - 1 => Err(NameFault::LongName),
            Err(_) => Err(NameFault::Malformed),
        }
    }

    /// The name one label below this one.
    ///
    /// # Errors
    /// The label or the resulting name is too long, or the label is empty.
    pub fn child(&self, label: &str) -> Result<Self, NameFault> {
        if label.is_empty() {
            return Err(NameFault::Malformed);
        }
        if label.len() > MAX_LABEL {
            return Err(NameFault::LongLabel);
        }
        if label.len() + 1 + self.0.len() > MAX_NAME {
            return Err(NameFault::LongName);
        }
        let mut wire = Vec::with_capacity(label.len() + 1 + self.0.len());
        wire.push(label.len() as u8);
        wire.extend(label.bytes().map(|octet| octet.to_ascii_lowercase()));
        wire.extend_from_slice(&self.0);
        Ok(DnsName(wire.into()))
    }

    /// The name in the wire format, without compression, with the root label.
    pub fn wire(&self) -> &[u8] {
        &self.0
    }

    /// The key that the zone keeps this name under.
    pub(crate) fn key(&self) -> NameKey {
        NameKey(KeyBuf::of_wire(&self.0).as_slice().into())
    }

    /// The octets of the first label.
    pub(crate) fn first_label(&self) -> &[u8] {
        &self.0[1..1 + self.0[0] as usize]
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Name::from_octets(&self.0[..]) {
            Ok(name) => write!(f, "{}", name.fmt_with_dot()),
            Err(_) => f.write_str("(no name)"),
        }
    }
}

impl fmt::Debug for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A name with its labels in reverse and without the root: what is below a name starts with its key, so
/// that in an ordered map a name is followed by all that is below it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NameKey(Box<[u8]>);

impl NameKey {
    /// The name of this key.
    pub(crate) fn name(&self) -> DnsName {
        let mut wire = KeyBuf::default();
        for label in labels(&self.0).collect::<Vec<_>>().into_iter().rev() {
            wire.push(label);
        }
        DnsName([wire.as_slice(), &[0]].concat().into())
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for NameKey {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())
    }
}

/// A [`NameKey`] in place, for looking up without allocating.
#[derive(Clone)]
pub(crate) struct KeyBuf {
    octets: [u8; MAX_NAME],
    length: usize,
}

impl Default for KeyBuf {
    fn default() -> Self {
        KeyBuf { octets: [0; MAX_NAME], length: 0 }
    }
}

impl KeyBuf {
    /// The key of an uncompressed name that is known to be well formed, in any case.
    pub(crate) fn of_wire(wire: &[u8]) -> Self {
        let mut key = KeyBuf { octets: [0; MAX_NAME], length: wire.len() - 1 };
        let mut end = key.length;
        let mut rest = wire;
        while let Some((length, tail)) = rest.split_first().filter(|(length, _)| **length > 0) {
            let label = *length as usize;
            key.octets[end - label - 1] = *length;
            for (to, from) in key.octets[end - label..end].iter_mut().zip(tail) {
                *to = from.to_ascii_lowercase();
            }
            end -= label + 1;
            rest = &tail[label..];
        }
        key
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.octets[..self.length]
    }

    fn push(&mut self, label: &[u8]) {
        self.octets[self.length..self.length + label.len()].copy_from_slice(label);
        self.length += label.len();
    }
}

/// The labels of a run of them, each with its length octet; ends at the root label or at the end.
pub(crate) fn labels(run: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = run;
    std::iter::from_fn(move || match rest.first() {
        None | Some(0) => None,
        Some(length) => {
            let (label, tail) = rest.split_at(*length as usize + 1);
            rest = tail;
            Some(label)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_back_to_its_name_in_lower_case() {
        let name = DnsName::parse("Web1.Node.HIVE").expect("a name");
        assert_eq!(name.to_string(), "web1.node.hive.");
        assert_eq!(name.key().name(), name);
        assert_eq!(name.key().as_slice(), b"\x04hive\x04node\x04web1");
    }

    #[test]
    fn what_is_below_a_name_starts_with_its_key() {
        let zone = DnsName::parse("hive.").expect("a name").key();
        let below = DnsName::parse("a.b.hive.").expect("a name").key();
        let beside = DnsName::parse("a.hivee.").expect("a name").key();
        assert!(below.as_slice().starts_with(zone.as_slice()));
        assert!(!beside.as_slice().starts_with(zone.as_slice()));
    }

    #[test]
    fn a_name_that_breaks_a_rule_says_which() {
        assert_eq!(DnsName::parse(&format!("{}.hive.", "a".repeat(64))), Err(NameFault::LongLabel));
        assert_eq!(DnsName::parse(&format!("{}hive.", "abcdefg.".repeat(32))), Err(NameFault::LongName));
        assert_eq!(DnsName::parse("a..hive."), Err(NameFault::Malformed));
        assert_eq!(DnsName::parse(""), Err(NameFault::Malformed));
        assert_eq!(DnsName::parse("."), Ok(DnsName(Arc::from([0]))));
    }
}
