//! Which fellow consumers do not answer. SWIM tells a node of its own neighborhood only; of the others a consumer
//! knows what it finds out itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::NodeId;
use crate::time::Time;

/// What is known of the fellows' lines.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// Since when an answer is owed.
    awaited: BTreeMap<NodeId, Time>,
    silent: BTreeSet<NodeId>,
}

impl Silence {
    /// Something was sent that is always answered.
    pub(super) fn expect(&mut self, node: NodeId, now: Time) {
        self.awaited.entry(node).or_insert(now);
    }

    /// Something came. Whether that ended a silence.
    pub(super) fn heard(&mut self, node: NodeId) -> bool {
        self.awaited.remove(&node);
        self.silent.remove(&node)
    }

    /// Those whose answer is late by `patience` are silent from now on: who they are.
    pub(super) fn judge(&mut self, now: Time, patience: Duration) -> Vec<NodeId> {
        let late: Vec<NodeId> = self.awaited.iter().filter(|(_, since)| now.since(**since) > patience).map(|(node, _)| *node).collect();
        for node in &late {
            self.awaited.remove(node);
        }
        late.into_iter().filter(|node| self.silent.insert(*node)).collect()
    }

    /// `node` is silent from now on. False where it was already.
    pub(super) fn fell_silent(&mut self, node: NodeId) -> bool {
        self.awaited.remove(&node);
        self.silent.insert(node)
    }

    pub(super) fn is_silent(&self, node: NodeId) -> bool {
        self.silent.contains(&node)
    }

    pub(super) fn all(&self) -> Vec<NodeId> {
        self.silent.iter().copied().collect()
    }

    /// It is no member any more.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.awaited.remove(&node);
        self.silent.remove(&node);
    }
}
