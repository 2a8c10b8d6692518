//! Comparing two consumers' stores, so that the cost follows the difference: one hash per bucket, then
//! the versions in the buckets that differ (the idea of Merkle's tree, one level deep).

use std::collections::BTreeMap;

use crate::ids::NodeId;
use crate::rng::split_mix;
use crate::wire::config::ConfigDigest;

/// How many buckets. 64 hashes fit a datagram.
pub(super) const BUCKETS: usize = 64;

/// The bucket of a member: spread evenly, whatever the ids.
pub(super) fn bucket_of(member: NodeId) -> u16 {
    let mut mixed = member.as_u64();
    (split_mix(&mut mixed) % BUCKETS as u64) as u16
}

/// One hash per bucket, over the versions of the members that `counts` admits; empty where there are none.
pub(super) fn buckets(versions: &BTreeMap<NodeId, ConfigDigest>, counts: impl Fn(NodeId) -> bool) -> Vec<u64> {
    let mut hashes = vec![0_u64; BUCKETS];
    let mut any = false;
    for (member, version) in versions.iter().filter(|(member, _)| counts(**member)) {
        // Each entry's hash depends on all of it; their sum does not depend on the order.
        let entry = [member.as_u64(), version.node.as_u64(), version.seq.0, version.hash.prefix()];
        let mixed = entry.iter().fold(0, |mut mixed, part| split_mix(&mut mixed) ^ part);
        let bucket = &mut hashes[usize::from(bucket_of(*member))];
        *bucket = bucket.wrapping_add(split_mix(&mut { mixed }));
        any = true;
    }
    if any { hashes } else { Vec::new() }
}

/// The buckets in which two differ.
pub(super) fn differing(mine: &[u64], theirs: &[u64]) -> Vec<u16> {
    let at = |hashes: &[u64], bucket: usize| hashes.get(bucket).copied().unwrap_or(0);
    (0..BUCKETS).filter(|&bucket| at(mine, bucket) != at(theirs, bucket)).map(|bucket| bucket as u16).collect()
}

/// What each side lacks, by the versions that one holds in some buckets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// The other side holds a later version.
    pub(super) want: Vec<NodeId>,
    /// This side does.
    pub(super) give: Vec<NodeId>,
}

/// Sets the other side's versions, of whole buckets, against one's own.
pub(super) fn difference(mine: &BTreeMap<NodeId, ConfigDigest>, buckets: &[u16], theirs: &[(NodeId, ConfigDigest)]) -> Difference {
    let theirs: BTreeMap<NodeId, ConfigDigest> = theirs.iter().copied().collect();
    let newer = |one: &BTreeMap<NodeId, ConfigDigest>, other: &BTreeMap<NodeId, ConfigDigest>| {
        let inside = one.iter().filter(|(member, _)| buckets.contains(&bucket_of(**member)));
        inside.filter(|(member, version)| other.get(member).is_none_or(|known| known < *version)).map(|(member, _)| *member).collect()
    };
    Difference { want: newer(&theirs, mine), give: newer(mine, &theirs) }
}
