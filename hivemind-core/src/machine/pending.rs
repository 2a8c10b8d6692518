//! Proposals and reads that wait for their outcome.

use std::collections::BTreeMap;

use crate::ids::{Index, PublicKey, RequestId};
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
}

/// All that waits.
#[derive(Debug, Default)]
pub(super) struct Pending {
    counter: u64,
    pub(super) proposals: BTreeMap<u64, Proposed>,
    pub(super) reads: BTreeMap<u64, Reading>,
    pub(super) grants: Vec<Grant>,
}

impl Pending {
    /// The next number: never used twice in one start.
    pub(super) fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
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
