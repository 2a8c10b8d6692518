//! The view: what one node knows now. The only thing that a role reads.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::facts::Facts;
use crate::ids::{NodeId, NodeName};
use crate::wire::config::SignedConfig;
use crate::wire::member::MemberRecord;

/// How far a view can be trusted at this moment. All false is the ordinary day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The control plane has no quorum: no joins and no leaves, everything else goes on.
    pub degraded: bool,
    /// The view is of an earlier time: the node resyncs, or has no contact. Roles serve last-good.
    pub stale: bool,
    /// A consumer that has not yet got what there is: what it does not know may exist all the same.
    pub incomplete: bool,
}

/// What one node knows, at one position. An immutable snapshot; clones share structure.
#[derive(Clone, Debug)]
pub struct View {
    /// The node whose view this is.
    pub node: NodeId,
    /// The fold of the event log.
    pub facts: Facts,
    /// The configs in force, by their host's membership. A host that re-joined keeps its last config
    /// here, under its new id, until it publishes again.
    pub configs: OrdMap<NodeId, Arc<SignedConfig>>,
    /// Whom SWIM calls down: evidence, not membership.
    pub unreachable: OrdSet<NodeId>,
    /// How far to trust it.
    pub condition: Condition,
}

impl View {
    /// The hosts with a config in force: the member that owns the name, and its config.
    pub fn hosts(&self) -> impl Iterator<Item = (&Arc<MemberRecord>, &Arc<SignedConfig>)> {
        self.configs.iter().filter_map(|(node, config)| self.facts.member(*node).map(|member| (member, config)))
    }

    /// The config in force of one host, by name.
    pub fn config_of(&self, host: &NodeName) -> Option<&Arc<SignedConfig>> {
        self.facts.named(host).and_then(|member| self.configs.get(&member.node))
    }

    /// Whether SWIM can reach a member, as far as this node heard.
    pub fn is_reachable(&self, node: NodeId) -> bool {
        !self.unreachable.contains(&node)
    }

    /// Whether people may be sent to a member's services: SWIM can reach it, or it said that it restarts, which is no word about what runs
    /// beside it.
    pub fn is_served(&self, node: NodeId) -> bool {
        self.is_reachable(node) || self.facts.restarting_until(node).is_some()
    }
}

/// What moved between two views: a superset of what differs, so that a role touches only this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Nothing of the last view may be kept: the first view, or one after a resync.
    pub everything: bool,
    /// Members that came, went or were altered.
    pub members: OrdSet<NodeId>,
    /// Hosts whose config in force changed, came or went.
    pub configs: OrdSet<NodeId>,
    /// Members whose reachability changed.
    pub reachability: OrdSet<NodeId>,
    /// The [`Condition`] changed.
    pub condition: bool,
    /// The position moved.
    pub position: bool,
}

impl Changed {
    /// That everything may differ.
    pub fn everything() -> Self {
        Changed { everything: true, ..Changed::default() }
    }

    /// Whether nothing moved.
    pub fn is_empty(&self) -> bool {
        !self.everything
            && self.members.is_empty()
            && self.configs.is_empty()
            && self.reachability.is_empty()
            && !self.condition
            && !self.position
    }

    /// Adds what `later` says.
    pub fn merge(&mut self, later: Changed) {
        self.everything |= later.everything;
        self.condition |= later.condition;
        self.position |= later.position;
        self.members = std::mem::take(&mut self.members).union(later.members);
        self.configs = std::mem::take(&mut self.configs).union(later.configs);
        self.reachability = std::mem::take(&mut self.reachability).union(later.reachability);
    }
}
