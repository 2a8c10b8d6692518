//! The leader's collection of evidence, and the rule of leaves.
//!
//! A member leaves by failure when enough members say first-hand, and lately, that they can not reach
//! it. Enough are `observers`, or all that live where fewer do. A lone starved node reports all others:
//! therefore a suspect still counts as living where the leader hears from it itself, or where it sends
//! evidence of its own. Only those of whom nothing is heard are not waited for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::applied::Applied;
use super::apply_leave::MAX_OBSERVERS;
use crate::ids::{NodeId, ProposalId};
use crate::settings::ControlSettings;
use crate::time::{Time, Timestamp};

/// What is reported, by suspect and observer, and when it was last said.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    reports: BTreeMap<NodeId, BTreeMap<NodeId, Time>>,
    /// Leaves that were proposed and have no outcome yet.
    proposed: BTreeMap<NodeId, ProposalId>,
    /// When the last leaves were proposed.
    leaves: VecDeque<Time>,
    /// Who lately ended a restart that it had announced, and when.
    returned: BTreeMap<NodeId, Time>,
}

/// A suspect that enough observers speak against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) suspect: NodeId,
    pub(super) observers: Vec<NodeId>,
}

/// What the leader knows beside the reports.
pub(super) struct Known<'a> {
    pub(super) applied: &'a Applied,
    /// Of whom the leader itself heard within the window, itself included.
    pub(super) heard: &'a BTreeSet<NodeId>,
    /// The time that a command would be applied at.
    pub(super) time: Timestamp,
}

impl Evidence {
    /// Takes a report. Of or by one who is no member, or of itself, it says nothing; nor of one that has just returned: its
    /// observers could not reach it while it was away, and have not heard yet that it is back.
    pub(super) fn report(&mut self, observer: NodeId, suspect: NodeId, applied: &Applied, settings: &ControlSettings, now: Time) {
        let members = applied.facts.members();
        if self.returned.get(&suspect).is_some_and(|at| now.since(*at) <= settings.evidence_window) {
            return;
        }
        if observer != suspect && members.contains_key(&observer) && members.contains_key(&suspect) {
            self.reports.entry(suspect).or_default().insert(observer, now);
        }
    }

    /// A member ended the restart that it had announced: the grace that held its leave back is over, and so is all that was
    /// said against it meanwhile.
    pub(super) fn returned(&mut self, node: NodeId, now: Time) {
        self.reports.remove(&node);
        self.returned.insert(node, now);
    }

    /// Drops what is older than the window, and what speaks of those who left.
    pub(super) fn forget_old(&mut self, applied: &Applied, settings: &ControlSettings, now: Time) {
        let members = applied.facts.members();
        for observers in self.reports.values_mut() {
            observers.retain(|observer, at| members.contains_key(observer) && now.since(*at) <= settings.evidence_window);
        }
        self.reports.retain(|suspect, observers| members.contains_key(suspect) && !observers.is_empty());
        self.proposed.retain(|suspect, _| members.contains_key(suspect));
        self.returned.retain(|_, at| now.since(*at) <= settings.evidence_window);
        while self.leaves.front().is_some_and(|at| now.since(*at) > settings.leave_window) {
            self.leaves.pop_front();
        }
    }

    /// Who is reported by anyone.
    pub(super) fn suspects(&self) -> BTreeSet<NodeId> {
        self.reports.keys().copied().collect()
    }

    /// Against whom there is enough. Call [`Evidence::forget_old`] first.
    pub(super) fn verdicts(&self, known: &Known<'_>, settings: &ControlSettings) -> Vec<Verdict> {
        let speaking: BTreeSet<NodeId> = self.reports.values().flat_map(BTreeMap::keys).copied().collect();
        let counts = |node: NodeId| {
            let silent = self.reports.contains_key(&node) && !known.heard.contains(&node) && !speaking.contains(&node);
            !silent && !known.applied.is_restarting(node, known.time)
        };
        let live: BTreeSet<NodeId> = known.applied.facts.members().keys().copied().filter(|node| counts(*node)).collect();
        let judge = |(&suspect, observers): (&NodeId, &BTreeMap<NodeId, Time>)| {
            let peers = live.len() - usize::from(live.contains(&suspect));
            let needed = settings.observers.min(peers).max(1);
            let enough = observers.len() >= needed && !known.applied.is_restarting(suspect, known.time);
            enough.then(|| Verdict { suspect, observers: observers.keys().copied().take(MAX_OBSERVERS).collect() })
        };
        self.reports.iter().filter_map(judge).collect()
    }

    /// Whether a leave may be proposed now: once per suspect at a time, and at a bounded rate.
    pub(super) fn may_propose(&self, suspect: NodeId, settings: &ControlSettings) -> bool {
        self.leaves.len() < settings.max_leaves && !self.proposed.contains_key(&suspect)
    }

    /// A leave is proposed.
    pub(super) fn propose(&mut self, suspect: NodeId, id: ProposalId, now: Time) {
        self.proposed.insert(suspect, id);
        self.leaves.push_back(now);
    }

    /// A leave that was proposed is decided, or was not taken: it may be proposed again.
    pub(super) fn settle(&mut self, id: ProposalId) {
        self.proposed.retain(|_, proposed| *proposed != id);
    }

    /// Leadership is lost: the next leader collects its own.
    pub(super) fn clear(&mut self) {
        let (leaves, returned) = (std::mem::take(&mut self.leaves), std::mem::take(&mut self.returned));
        *self = Evidence { leaves, returned, ..Evidence::default() };
    }
}
