//! Who is told: a choice that all nodes make alike without asking.

use crate::ids::NodeId;

/// The voters in the order in which they are told of `suspect`, without the suspect itself: suspects
/// spread over the voters, and a change of voters moves few of them.
pub(super) fn rank(suspect: NodeId, voters: &[NodeId]) -> Vec<NodeId> {
    crate::rank::rank(suspect.as_u64(), voters.iter().copied().filter(|&voter| voter != suspect))
}
