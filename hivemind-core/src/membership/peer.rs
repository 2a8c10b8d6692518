//! Who a node is to foca.

use foca::Identity;

use crate::ids::{BootNonce, Index, NeighborhoodId, NodeId};

/// An identity of a node in one neighborhood. One node has many in the course of time, one at a time:
/// the later one wins, and foca keeps one per node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Peer {
    /// The member.
    pub(super) node: NodeId,
    /// Where it is probed.
    pub(super) neighborhood: NeighborhoodId,
    /// The event that made that neighborhood.
    pub(super) created: Index,
    /// The start of its process.
    pub(super) boot: BootNonce,
    /// Raised by the node itself whenever it was wrongly called down: foca's *down* is final for an
    /// identity.
    pub(super) renewal: u32,
}

impl Peer {
    /// A node's identity after its start. Its renewal is 1: it wins against [`Peer::unheard`].
    pub(super) fn started(node: NodeId, neighborhood: NeighborhoodId, created: Index, boot: BootNonce) -> Self {
        Peer { node, neighborhood, created, boot, renewal: 1 }
    }

    /// A member that the event log names and nobody has spoken of yet: it loses against any identity
    /// that the node itself ever had.
    pub(super) fn unheard(node: NodeId, neighborhood: NeighborhoodId, created: Index) -> Self {
        Peer { node, neighborhood, created, boot: BootNonce(0), renewal: 0 }
    }
}

impl Identity for Peer {
    type Addr = (NodeId, NeighborhoodId, Index);

    fn renew(&self) -> Option<Self> {
        self.renewal.checked_add(1).map(|renewal| Peer { renewal, ..*self })
    }

    fn addr(&self) -> Self::Addr {
        (self.node, self.neighborhood, self.created)
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        (self.boot, self.renewal) > (adversary.boot, adversary.renewal)
    }
}
