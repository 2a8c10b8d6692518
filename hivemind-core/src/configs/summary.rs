//! What a store holds, hashed in buckets and, where these differ, in leaves (Merkle's tree, two levels
//! deep): so that the cost of comparing two stores follows what differs, and not what they hold.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::NodeId;
use crate::rng::split_mix;
use crate::wire::config::{ConfigDigest, HeldVersion, LeafHashes, Leaves};

/// How many buckets. Their hashes fit a datagram.
pub(crate) const BUCKETS: usize = 64;
/// The most leaves of a bucket, as a power of two.
const WIDEST_LOG2: u8 = 8;
/// A bucket of so many is listed at once: its leaves' hashes would save less than their round trip costs.
const LISTED_AT_ONCE: usize = 12;
/// How many of a bucket share a leaf. A hash is a fifth of a listed version, so that few should.
const PER_LEAF: usize = 2;

/// Where a member stands: its bucket, and the bits that choose its leaf there. Spread evenly, whatever the ids.
fn place(member: NodeId) -> (usize, u64) {
    let mut mixed = member.as_u64();
    let mixed = split_mix(&mut mixed);
    ((mixed % BUCKETS as u64) as usize, mixed / BUCKETS as u64)
}

/// Depends on all of a version; sums of these do not depend on the order.
fn entry_hash(held: &HeldVersion) -> u64 {
    let (node, seq, hash) = held.order();
    let parts = [held.member.as_u64(), node.as_u64(), seq.0, hash];
    let mut mixed = parts.iter().fold(0, |mut mixed, part| split_mix(&mut mixed) ^ part);
    split_mix(&mut mixed)
}

#[derive(Clone, Debug, Default)]
struct Bucket {
    sum: u64,
    held: BTreeMap<NodeId, HeldVersion>,
}

/// The versions held of the hosts that this node consumes, and which of those it has nothing of.
#[derive(Debug)]
pub(super) struct Summary {
    buckets: Vec<Bucket>,
    lacking: BTreeSet<NodeId>,
    held: usize,
}

impl Default for Summary {
    fn default() -> Self {
        Summary { buckets: vec![Bucket::default(); BUCKETS], lacking: BTreeSet::new(), held: 0 }
    }
}

impl Summary {
    /// From now on `member` counts.
    pub(super) fn consume(&mut self, member: NodeId, version: Option<&ConfigDigest>) {
        self.take_out(member);
        self.lacking.insert(member);
        if let Some(version) = version {
            self.hold(member, version);
        }
    }

    /// It does not count any more.
    pub(super) fn release(&mut self, member: NodeId) {
        self.lacking.remove(&member);
        self.take_out(member);
    }

    /// A version came into force. Of a member that does not count nothing changes.
    pub(super) fn hold(&mut self, member: NodeId, version: &ConfigDigest) {
        if !self.take_out(member) && !self.lacking.remove(&member) {
            return;
        }
        let held = HeldVersion::of(member, version);
        let bucket = &mut self.buckets[place(member).0];
        bucket.sum = bucket.sum.wrapping_add(entry_hash(&held));
        bucket.held.insert(member, held);
        self.held += 1;
    }

    /// Whether it was in.
    fn take_out(&mut self, member: NodeId) -> bool {
        let bucket = &mut self.buckets[place(member).0];
        let Some(held) = bucket.held.remove(&member) else { return false };
        bucket.sum = bucket.sum.wrapping_sub(entry_hash(&held));
        self.held -= 1;
        true
    }

    /// Whether the configs of `member` are consumed here.
    pub(super) fn counts(&self, member: NodeId) -> bool {
        self.lacking.contains(&member) || self.buckets[place(member).0].held.contains_key(&member)
    }

    /// The members that count and of whom nothing is held.
    pub(super) fn lacking(&self) -> &BTreeSet<NodeId> {
        &self.lacking
    }

    /// The members that count, in no order that means anything.
    pub(super) fn hosts(&self) -> impl Iterator<Item = NodeId> {
        self.lacking.iter().copied().chain(self.buckets.iter().flat_map(|bucket| bucket.held.keys().copied()))
    }

    /// What is held of `member`.
    pub(super) fn version(&self, member: NodeId) -> Option<&HeldVersion> {
        self.buckets[place(member).0].held.get(&member)
    }
}

/// The part of a summary that two consumers have in common: the members that both know and consume.
pub(super) struct Common<'a> {
    pub(super) summary: &'a Summary,
    /// `None` where it is all of it, as it is between equals at one position.
    pub(super) admits: Option<&'a dyn Fn(NodeId) -> bool>,
}

impl Common<'_> {
    fn inside(&self, bucket: usize) -> impl Iterator<Item = &HeldVersion> {
        let admitted = |held: &&HeldVersion| self.admits.is_none_or(|admits| admits(held.member));
        self.summary.buckets[bucket].held.values().filter(admitted)
    }

    /// One hash per bucket; empty where nothing is held.
    pub(super) fn hashes(&self) -> Vec<u64> {
        if self.summary.held == 0 {
            return Vec::new();
        }
        (0..BUCKETS).map(|bucket| self.hash(bucket)).collect()
    }

    fn hash(&self, bucket: usize) -> u64 {
        match self.admits {
            None => self.summary.buckets[bucket].sum,
            Some(_) => self.inside(bucket).fold(0, |sum, held| sum.wrapping_add(entry_hash(held))),
        }
    }

    /// Into how many leaves a bucket is split for one whose hash of it is `theirs`.
    fn width_log2(&self, bucket: u8, theirs: u64) -> u8 {
        let held = self.inside(usize::from(bucket)).count();
        if theirs == 0 || held <= LISTED_AT_ONCE {
            return 0;
        }
        let wanted = (held / PER_LEAF).next_power_of_two().ilog2();
        u8::try_from(wanted).map_or(WIDEST_LOG2, |wanted| wanted.min(WIDEST_LOG2))
    }

    /// The buckets in which another store's hashes differ, with those of their leaves, up to about `limit` versions;
    /// and whether there are more. One hash for a bucket means that it is to be listed as a whole.
    pub(super) fn differing(&self, theirs: &[u64], limit: usize) -> (Vec<LeafHashes>, bool) {
        let (mut differing, mut cost) = (Vec::new(), 0);
        for bucket in 0..BUCKETS {
            let their = theirs.get(bucket).copied().unwrap_or(0);
            if self.hash(bucket) == their {
                continue;
            }
            if cost >= limit {
                return (differing, true);
            }
            let bucket = bucket as u8;
            let hashes = self.leaf_hashes(bucket, self.width_log2(bucket, their));
            cost += self.inside(usize::from(bucket)).count().max(1);
            differing.push(LeafHashes { bucket, hashes });
        }
        (differing, false)
    }

    fn leaf_hashes(&self, bucket: u8, width_log2: u8) -> Vec<u32> {
        let mut hashes = vec![0_u32; 1 << width_log2];
        for held in self.inside(usize::from(bucket)) {
            let leaf = &mut hashes[usize::from(leaf_of(held.member, width_log2))];
            // Half of a hash: where two leaves that differ look alike, their buckets still differ.
            *leaf = leaf.wrapping_add(entry_hash(held) as u32);
        }
        hashes
    }

    /// The leaves in which the other side's hashes differ; `None` where there can be no such hashes. Where a bucket
    /// differs and none of its leaves does, it is all of it.
    pub(super) fn differing_leaves(&self, theirs: &[LeafHashes]) -> Option<Vec<Leaves>> {
        let one = |theirs: &LeafHashes| {
            let width = theirs.hashes.len();
            if usize::from(theirs.bucket) >= BUCKETS || !width.is_power_of_two() || width > 1 << WIDEST_LOG2 {
                return None;
            }
            let width_log2 = width.ilog2() as u8;
            let mine = self.leaf_hashes(theirs.bucket, width_log2);
            let at: Vec<u8> = (0..width).filter(|&leaf| mine[leaf] != theirs.hashes[leaf]).map(|leaf| leaf as u8).collect();
            let whole = Leaves { bucket: theirs.bucket, width_log2: 0, at: vec![0] };
            Some(if at.is_empty() { whole } else { Leaves { bucket: theirs.bucket, width_log2, at } })
        };
        theirs.iter().map(one).collect()
    }

    /// All that is held in `leaves`, in order of member.
    pub(super) fn versions(&self, leaves: &[Leaves]) -> Vec<HeldVersion> {
        let of = |leaves: &Leaves| {
            let wanted: BTreeSet<u8> = leaves.at.iter().copied().collect();
            let width = leaves.width_log2;
            self.inside(usize::from(leaves.bucket)).filter(move |held| wanted.contains(&leaf_of(held.member, width))).copied()
        };
        let mut versions: Vec<HeldVersion> = leaves.iter().flat_map(of).collect();
        versions.sort_unstable_by_key(|held| held.member);
        versions.dedup();
        versions
    }
}

fn leaf_of(member: NodeId, width_log2: u8) -> u8 {
    (place(member).1 & ((1 << width_log2) - 1)) as u8
}

/// Whether a sender that keeps the protocol names such leaves.
pub(super) fn are_leaves(leaves: &[Leaves]) -> bool {
    leaves.len() <= BUCKETS
        && leaves.windows(2).all(|pair| pair[0].bucket < pair[1].bucket)
        && leaves
            .iter()
            .all(|one| usize::from(one.bucket) < BUCKETS && one.width_log2 <= WIDEST_LOG2 && one.at.len() <= 1 << one.width_log2)
}
