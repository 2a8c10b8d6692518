//! Who consumes what, kept up event by event: a consumer asks this with every config that it passes on.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::facts::Facts;
use crate::ids::{NodeId, SectionKind};
use crate::wire::member::MemberRecord;

/// The kinds that a member consumes.
type Kinds = BTreeSet<SectionKind>;

/// The consumers that a consumer knows, itself among them. Empty in a node that consumes nothing.
#[derive(Debug, Default)]
pub(super) struct Roster {
    own: Kinds,
    /// By what they consume; each list in order.
    classes: BTreeMap<Kinds, Vec<NodeId>>,
}

impl Roster {
    /// As `node` knows the consumers by `facts`.
    pub(super) fn of(facts: &Facts, node: NodeId) -> Self {
        let own = facts.member(node).map(|record| consumed(record)).unwrap_or_default();
        let mut roster = Roster { own, classes: BTreeMap::new() };
        for record in facts.members().values() {
            roster.joined(record);
        }
        roster
    }

    /// Whether this node consumes anything.
    pub(super) fn is_consumer(&self) -> bool {
        !self.own.is_empty()
    }

    /// Whether it consumes what `publisher` publishes.
    pub(super) fn consumes(&self, publisher: &MemberRecord) -> bool {
        self.own.iter().any(|kind| publisher.publishes(kind))
    }

    pub(super) fn joined(&mut self, record: &MemberRecord) {
        if self.own.is_empty() || !record.is_consumer() {
            return;
        }
        let class = self.classes.entry(consumed(record)).or_default();
        if let Err(place) = class.binary_search(&record.node) {
            class.insert(place, record.node);
        }
    }

    pub(super) fn left(&mut self, node: NodeId) {
        self.classes.retain(|_, class| {
            if let Ok(place) = class.binary_search(&node) {
                class.remove(place);
            }
            !class.is_empty()
        });
    }

    fn class_of(&self, node: NodeId) -> Option<&Kinds> {
        self.classes.iter().find(|(_, class)| class.binary_search(&node).is_ok()).map(|(kinds, _)| kinds)
    }

    /// Whether `other` consumes something that this node consumes: then both are told of the same hosts.
    pub(super) fn is_fellow(&self, other: NodeId) -> bool {
        self.class_of(other).is_some_and(|kinds| !kinds.is_disjoint(&self.own))
    }

    /// Whether `other` consumes just what this node does.
    pub(super) fn is_equal(&self, other: NodeId) -> bool {
        self.classes.get(&self.own).is_some_and(|class| class.binary_search(&other).is_ok())
    }

    /// All that consume something that this node consumes, without itself.
    pub(super) fn fellows(&self, node: NodeId) -> Vec<NodeId> {
        self.others(node, |kinds| !kinds.is_disjoint(&self.own))
    }

    /// All that consume everything that this node does, without itself.
    pub(super) fn sources(&self, node: NodeId) -> Vec<NodeId> {
        self.others(node, |kinds| kinds.is_superset(&self.own))
    }

    fn others(&self, node: NodeId, wanted: impl Fn(&Kinds) -> bool) -> Vec<NodeId> {
        let classes = self.classes.iter().filter(|(kinds, _)| wanted(kinds));
        classes.flat_map(|(_, class)| class.iter().copied()).filter(|&other| other != node).collect()
    }

    /// All that consume from `publisher`, in order.
    pub(super) fn consumers_of(&self, publisher: &MemberRecord) -> Cow<'_, [NodeId]> {
        let mut wanted = self.classes.iter().filter(|(kinds, _)| kinds.iter().any(|kind| publisher.publishes(kind)));
        let Some((_, first)) = wanted.next() else { return Cow::Borrowed(&[]) };
        let mut all = Cow::Borrowed(first.as_slice());
        for (_, class) in wanted {
            all.to_mut().extend(class);
        }
        if let Cow::Owned(merged) = &mut all {
            merged.sort_unstable();
        }
        all
    }
}

/// The kinds that a member consumes, in order.
fn consumed(record: &MemberRecord) -> Kinds {
    record.roles.iter().flat_map(|role| &role.consumes).cloned().collect()
}
