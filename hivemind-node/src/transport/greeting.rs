//! What two transports tell each other first: which start each is, which versions of the wire it speaks, what it supports.
//!
//! ```text
//! 8 octets   a random number, one per start
//! 1 octet    the oldest version of the wire that it speaks
//! 1 octet    the newest
//! 2 octets   how long the rest is, at most 4096
//! …          the optional features that it supports: names with commas between them, sorted
//! ```

use std::collections::BTreeSet;
use std::fmt;

use hivemind_core::wire::feature::FeatureName;
use hivemind_core::wire::frame;
use quinn::{ReadExactError, RecvStream};

/// The longest list of features that is read.
const MAX_LIST: usize = 4096;
const HEAD: usize = 12;

/// The versions of the wire that a node speaks, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireVersions {
    /// The oldest.
    pub oldest: u8,
    /// The newest.
    pub newest: u8,
}

impl WireVersions {
    /// Those of this build.
    pub const OWN: WireVersions = WireVersions { oldest: frame::VERSION, newest: frame::VERSION };

    /// The newest version that both speak.
    pub fn common(self, other: WireVersions) -> Option<u8> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }

    /// Which of two that have none in common is to be upgraded, for the people of the one that is `self`.
    pub(super) fn older(self, peer: WireVersions) -> &'static str {
        if peer.newest < self.oldest { "the peer" } else { "this node" }
    }
}

impl fmt::Display for WireVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.oldest, self.newest)
    }
}

/// What is said first on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) instance: u64,
    pub(super) wire: WireVersions,
    pub(super) features: BTreeSet<FeatureName>,
}

/// Why nothing was read that is a greeting.
#[derive(Debug)]
pub(super) enum GreetingError {
    /// It is none: the peer is at fault.
    Malformed,
    /// The connection ended.
    Lost,
}

impl From<ReadExactError> for GreetingError {
    fn from(_: ReadExactError) -> Self {
        GreetingError::Lost
    }
}

impl Greeting {
    pub(super) fn encode(&self) -> Vec<u8> {
        let names: Vec<&str> = self.features.iter().map(FeatureName::as_str).collect();
        let list = names.join(",");
        let length = u16::try_from(list.len()).expect("at most 64 names of 32 octets");
        let mut octets = self.instance.to_be_bytes().to_vec();
        octets.extend([self.wire.oldest, self.wire.newest]);
        octets.extend(length.to_be_bytes());
        octets.extend(list.as_bytes());
        octets
    }

    pub(super) async fn read(stream: &mut RecvStream) -> Result<Greeting, GreetingError> {
        let mut head = [0; HEAD];
        stream.read_exact(&mut head).await?;
        let length = usize::from(u16::from_be_bytes([head[10], head[11]]));
        if length > MAX_LIST {
            return Err(GreetingError::Malformed);
        }
        let mut list = vec![0; length];
        stream.read_exact(&mut list).await?;
        Greeting::decode(&head, &list).ok_or(GreetingError::Malformed)
    }

    fn decode(head: &[u8; HEAD], list: &[u8]) -> Option<Greeting> {
        let (instance, rest) = head.split_first_chunk::<8>()?;
        let wire = WireVersions { oldest: rest[0], newest: rest[1] };
        let list = str::from_utf8(list).ok()?;
        let names = list.split(',').filter(|_| !list.is_empty());
        let features: BTreeSet<FeatureName> = names.map(|name| FeatureName::new(name).ok()).collect::<Option<_>>()?;
        (wire.oldest <= wire.newest).then(|| Greeting { instance: u64::from_be_bytes(*instance), wire, features })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(octets: &[u8]) -> Option<Greeting> {
        let (head, list) = octets.split_first_chunk::<HEAD>()?;
        Greeting::decode(head, list)
    }

    #[test]
    fn a_greeting_is_read_as_it_was_said_and_what_is_none_is_refused() {
        let features = ["b", "a-1"].map(|name| FeatureName::new(name).unwrap());
        for features in [BTreeSet::new(), BTreeSet::from(features)] {
            let said = Greeting { instance: 7, wire: WireVersions { oldest: 2, newest: 5 }, features };
            assert_eq!(read(&said.encode()), Some(said));
        }
        let with = |wire: [u8; 2], list: &[u8]| read(&[&[0; 8][..], &wire, &[0, 0], list].concat());
        assert!(with([1, 1], b"a,b").is_some());
        for (wire, list) in [([2, 1], &b""[..]), ([1, 1], b","), ([1, 1], b"A"), ([1, 1], b"\xff"), ([1, 1], b"a,")] {
            assert_eq!(with(wire, list), None, "{wire:?} {list:?}");
        }
    }

    #[test]
    fn the_newest_version_in_common_is_spoken_and_without_one_the_older_is_named() {
        let versions = |oldest, newest| WireVersions { oldest, newest };
        assert_eq!(versions(1, 3).common(versions(2, 5)), Some(3));
        assert_eq!(versions(1, 1).common(versions(1, 1)), Some(1));
        assert_eq!(versions(1, 1).common(versions(2, 3)), None);
        assert_eq!(versions(2, 3).to_string(), "2 to 3");
        assert_eq!(versions(1, 1).older(versions(2, 3)), "this node");
        assert_eq!(versions(2, 3).older(versions(1, 1)), "the peer");
    }
}
