//! Proposals and reads that wait for their outcome.

use std::collections::BTreeMap;

use crate::ids::{Index, NodeId, PublicKey, RequestId};
use crate::time::Time;

/// Who waits for a proposal's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiter {
    /// The driver.
    Driver(RequestId),
    /// A role.
    Role { role: usize, request: RequestId },
    /// A node that wants to join, through this one.
    Joiner { peer: PublicKey, nonce: u64 },
    /// Nobody: the node does it for itself, and does it again if need be.
    Nobody,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Proposed {
    pub(super) waiter: Waiter,
    pub(super) deadline: Time,
    /// It ends this node's own membership, on request.
    pub(super) leaves: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) request: RequestId,
    pub(super) deadline: Time,
    /// What the view must have reached, once the control plane said so.
    pub(super) index: Option<Index>,
}

/// A join that was committed, and whose event this node has not yet applied.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grant {
    pub(super) peer: PublicKey,
    pub(super) nonce: u64,
    pub(super) index: Index,
    pub(super) deadline: Time,
    /// Its id, where the event of this very join went by: an earlier grant has none.
    pub(super) node: Option<NodeId>,
}

/// All that waits.
#[derive(Debug, Default)]
pub(super) struct Pending {
    counter: u64,
    pub(super) proposals: BTreeMap<u64, Proposed>,
    pub(super) reads: BTreeMap<u64, Reading>,
    pub(super) grants: Vec<Grant>,
    /// Of joiners whose join event came before the outcome of their proposal.
    joined: BTreeMap<PublicKey, NodeId>,
}

impl Pending {
    /// The next number: never used twice in one start.
    pub(super) fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// A join event went by.
    pub(super) fn joined(&mut self, key: PublicKey, node: NodeId) {
        if self.join_of(&key).is_some() {
            self.joined.insert(key, node);
        }
        for grant in self.grants.iter_mut().filter(|grant| grant.peer == key) {
            grant.node = Some(node);
        }
    }

    /// Whether something that the node proposed for itself has no outcome yet.
    pub(super) fn is_for_itself(&self) -> bool {
        self.proposals.values().any(|one| one.waiter == Waiter::Nobody)
    }

    /// A join was committed: its digest is due once the view has reached `index`.
    pub(super) fn grant(&mut self, peer: PublicKey, nonce: u64, index: Index, deadline: Time) {
        let node = self.joined.remove(&peer);
        self.grants.push(Grant { peer, nonce, index, deadline, node });
    }

    /// Forgets joiners that wait for nothing any more.
    pub(super) fn forget_joiners(&mut self) {
        let joined = std::mem::take(&mut self.joined);
        self.joined = joined.into_iter().filter(|(key, _)| self.join_of(key).is_some()).collect();
    }

    /// The nonce of the wish of this joiner that is on its way.
    pub(super) fn join_of(&self, joiner: &PublicKey) -> Option<u64> {
        let proposed = self.proposals.values().find_map(|one| match one.waiter {
            Waiter::Joiner { peer, nonce } if peer == *joiner => Some(nonce),
            Waiter::Joiner { .. } | Waiter::Driver(_) | Waiter::Role { .. } | Waiter::Nobody => None,
        });
        proposed.or_else(|| self.grants.iter().find(|grant| grant.peer == *joiner).map(|grant| grant.nonce))
    }
}
