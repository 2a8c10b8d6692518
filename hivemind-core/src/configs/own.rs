//! The config that this node's host publishes: seqs reserved on disk, offered until others hold it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::ids::{NodeId, SectionKind, Seq};
use crate::time::Time;
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
    /// To whom it was offered, and who did not say yet that they hold it: since when.
    pub(super) offered: BTreeMap<NodeId, Time>,
    /// Who answered for an earlier version: they come first.
    pub(super) proven: BTreeSet<NodeId>,
    /// To whom this or an earlier version was offered in vain: others come first.
    pub(super) tried: BTreeSet<NodeId>,
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

    /// Nobody is known to hold what it says now.
    pub(super) fn forget_holders(&mut self) {
        self.offered.clear();
        self.proven.extend(std::mem::take(&mut self.stored_at));
    }

    /// Those who did not answer for `patience` are not waited for any more.
    pub(super) fn expire(&mut self, now: Time, patience: Duration) {
        let late = |since: &Time| now.since(*since) >= patience;
        for (node, _) in self.offered.extract_if(.., |_, since| late(since)) {
            self.proven.remove(&node);
            self.tried.insert(node);
        }
    }

    /// `node` is no member any more.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.offered.remove(&node);
        self.proven.remove(&node);
        self.tried.remove(&node);
        self.stored_at.remove(&node);
    }

    /// Whether `node` holds it, or was asked to.
    pub(super) fn is_served(&self, node: NodeId) -> bool {
        self.stored_at.contains(&node) || self.offered.contains_key(&node)
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
