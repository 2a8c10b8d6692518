//! Facts as bytes, slice by slice: those of 20,000 members take longer to encode than a voter may be
//! deaf. The bytes are those that [`codec::encode`] makes in one go.

use std::ops::Bound;

use imbl::OrdMap;
use serde::Serialize;

use super::Facts;
use crate::ids::{NeighborhoodId, NodeId};
use crate::wire::access::CredentialId;
use crate::wire::codec;

/// What of some facts is to be encoded next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FactsCursor {
    /// What comes before the members.
    #[default]
    Head,
    /// The members behind one.
    Members(Option<NodeId>),
    /// The neighborhoods behind one.
    Neighborhoods(Option<NeighborhoodId>),
    /// The restarting members behind one.
    Restarting(Option<NodeId>),
    /// What is listed.
    Listed,
    /// The credentials behind one.
    Credentials(Option<CredentialId>),
}

impl Facts {
    /// Encodes from `at` on, some `budget` bytes, behind what is in `into`. Says where to go on; `None`: all is encoded.
    pub(crate) fn encode_slice(&self, at: FactsCursor, budget: usize, into: &mut Vec<u8>) -> Option<FactsCursor> {
        match at {
            FactsCursor::Head => {
                let head = (self.cluster, self.limits, self.scope, self.position, self.floor, &self.live);
                put(&head, into);
                put_length(self.members.len(), into);
                Some(FactsCursor::Members(None))
            }
            FactsCursor::Members(after) => {
                if let Some(last) = put_entries(&self.members, after, budget, into, |(_, member), into| put(member, into)) {
                    return Some(FactsCursor::Members(Some(last)));
                }
                put(&self.neighborhood_count, into);
                put_length(self.neighborhoods.len(), into);
                Some(FactsCursor::Neighborhoods(None))
            }
            FactsCursor::Neighborhoods(after) => {
                if let Some(last) = put_entries(&self.neighborhoods, after, budget, into, |entry, into| put(&entry, into)) {
                    return Some(FactsCursor::Neighborhoods(Some(last)));
                }
                put(&self.voters.iter().collect::<Vec<_>>(), into);
                put_length(self.restarting.len(), into);
                Some(FactsCursor::Restarting(None))
            }
            FactsCursor::Restarting(after) => {
                let last = put_entries(&self.restarting, after, budget, into, |entry, into| put(&entry, into));
                Some(last.map_or(FactsCursor::Listed, |last| FactsCursor::Restarting(Some(last))))
            }
            FactsCursor::Listed => {
                let listed: Vec<(_, Vec<NodeId>)> =
                    self.listed.iter().map(|(kind, listed)| (kind, listed.iter().copied().collect())).collect();
                put(&listed, into);
                put(&self.features.iter().collect::<Vec<_>>(), into);
                put(&self.trust, into);
                put_length(self.credentials.len(), into);
                Some(FactsCursor::Credentials(None))
            }
            FactsCursor::Credentials(after) => {
                let last = put_entries(&self.credentials, after, budget, into, |entry, into| put(&entry, into));
                last.map(|last| FactsCursor::Credentials(Some(last)))
            }
        }
    }
}

fn put<T: Serialize + ?Sized>(value: &T, into: &mut Vec<u8>) {
    into.extend(codec::encode(value));
}

fn put_length(length: usize, into: &mut Vec<u8>) {
    put(&(length as u64), into);
}

/// Encodes the entries behind `after` until some `budget` bytes are written: the last one, where there are more.
pub(crate) fn put_entries<K: Ord + Copy, V: Clone>(
    map: &OrdMap<K, V>,
    after: Option<K>,
    budget: usize,
    into: &mut Vec<u8>,
    write: impl Fn((&K, &V), &mut Vec<u8>),
) -> Option<K> {
    let full = into.len().saturating_add(budget);
    let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut entries = map.range((begin, Bound::Unbounded)).peekable();
    while let Some((key, value)) = entries.next() {
        write((key, value), into);
        if into.len() >= full && entries.peek().is_some() {
            return Some(*key);
        }
    }
    None
}
