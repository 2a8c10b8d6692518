//! Rendezvous hashing (Thaler and Ravishankar, 1998): all nodes put others into one order without
//! asking, orders of different subjects are independent, and a node that comes or goes moves nobody else.

use crate::ids::NodeId;
use crate::rng::split_mix;

/// `nodes` in the order in which they are responsible for `subject`.
pub(crate) fn rank(subject: u64, nodes: impl IntoIterator<Item = NodeId>) -> Vec<NodeId> {
    let mut ranked: Vec<(u64, NodeId)> = nodes.into_iter().map(|node| (weight(subject, node), node)).collect();
    ranked.sort_unstable_by(|a, b| b.cmp(a));
    ranked.into_iter().map(|(_, node)| node).collect()
}

fn weight(subject: u64, node: NodeId) -> u64 {
    let mut mixed = subject;
    let mut both = split_mix(&mut mixed) ^ node.as_u64();
    split_mix(&mut both)
}
