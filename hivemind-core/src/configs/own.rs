//! The config that this node's host publishes: seqs reserved on disk, offered until others hold it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::facts::Facts;
use crate::ids::{NodeId, SectionKind, Seq};
use crate::wire::config::{Section, SignedConfig};

/// What this host publishes, and who has it.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// By kind: what the host says, whatever its version.
    sections: BTreeMap<SectionKind, Bytes>,
    /// The last one that was made.
    pub(super) config: Option<Arc<SignedConfig>>,
    /// The last seq used or seen.
    pub(super) seq: Seq,
    /// To whom it was offered, and who did not say yet that they hold it.
    pub(super) offered: BTreeSet<NodeId>,
    /// Who holds this version.
    pub(super) stored_at: BTreeSet<NodeId>,
    /// Durable here, so that it may be offered.
    pub(super) durable: bool,
}

impl Own {
    /// Goes on from the last start.
    pub(super) fn recovered(config: Option<SignedConfig>, reserved: Seq) -> Self {
        let sections = config.iter().flat_map(|signed| &signed.config.sections).map(|section| (section.kind.clone(), section.body.clone()));
        Own {
            sections: sections.collect(),
            // A version may have left this node that the disk does not show: go above the whole block.
            seq: reserved,
            config: config.map(Arc::new),
            durable: true,
            ..Own::default()
        }
    }

    /// Whether there is anything to say.
    pub(super) fn says_something(&self) -> bool {
        !self.sections.is_empty() || self.config.is_some()
    }

    /// What it would say with `changes`: sections by kind, an empty body taking the kind away.
    pub(super) fn with(&self, changes: &[Section]) -> BTreeMap<SectionKind, Bytes> {
        let mut sections = self.sections.clone();
        for section in changes {
            if section.body.is_empty() {
                sections.remove(&section.kind);
            } else {
                sections.insert(section.kind.clone(), section.body.clone());
            }
        }
        sections
    }

    pub(super) fn set(&mut self, sections: BTreeMap<SectionKind, Bytes>) {
        self.sections = sections;
    }

    pub(super) fn sections(&self) -> Vec<Section> {
        self.sections.iter().map(|(kind, body)| Section { kind: kind.clone(), body: body.clone() }).collect()
    }

    /// Whether what it says is already published by `node`.
    pub(super) fn is_published(&self, node: NodeId, sections: &BTreeMap<SectionKind, Bytes>) -> bool {
        self.config.as_ref().is_some_and(|signed| signed.config.node == node) && *sections == self.sections
    }
}

/// Who may be given the config of `node`: consumers of its kinds, and neighbors that consume none.
pub(super) fn candidates(facts: &Facts, node: NodeId, reachable: impl Fn(NodeId) -> bool) -> (Vec<NodeId>, Vec<NodeId>) {
    let Some(own) = facts.member(node) else { return (Vec::new(), Vec::new()) };
    let consumers: Vec<NodeId> = facts
        .members()
        .values()
        .filter(|other| other.node != node && other.consumes_from(own) && reachable(other.node))
        .map(|other| other.node)
        .collect();
    let hood = facts.neighborhood_of(node).map(|(_, hood)| hood.members.clone()).unwrap_or_default();
    let neighbors = hood.into_iter().filter(|other| *other != node && reachable(*other) && !consumers.contains(other)).collect();
    (consumers, neighbors)
}
