//! Who is told, and who passes on to whom: choices that all nodes make alike without asking.

use std::collections::BTreeSet;

use crate::ids::NodeId;

/// The voters in the order in which they are told of `suspect`, without the suspect itself: suspects
/// spread over the voters, and a change of voters moves few of them.
pub(super) fn rank(suspect: NodeId, voters: &[NodeId]) -> Vec<NodeId> {
    crate::rank::rank(suspect.as_u64(), voters.iter().copied().filter(|&voter| voter != suspect))
}

/// To whom a node passes a new batch at once, in a ring of all nodes by id: the first, the fourth and
/// the sixteenth after it. Any distance below 64 is a sum of at most nine such steps, so a batch
/// reaches a whole neighborhood in nine hops where nothing is lost; gossip repairs what is.
const STRIDES: [usize; 3] = [1, 4, 16];

/// The next ones of `own` in the ring of `own` and `others`.
pub(super) fn successors(own: NodeId, others: &BTreeSet<NodeId>) -> Vec<NodeId> {
    let ring: Vec<NodeId> = others.range(own..).chain(others.range(..own)).copied().filter(|&node| node != own).collect();
    let around = ring.len() + 1;
    let steps: BTreeSet<usize> = STRIDES.iter().map(|stride| stride % around).filter(|&step| step > 0).collect();
    steps.into_iter().map(|step| ring[step - 1]).collect()
}
