//! The leader's collection of evidence, and the rule of leaves.
//!
//! A member leaves by failure when enough members say first-hand, and lately, that they can not reach
//! it. Who can say so are its neighbors, since they probe it, and the voters, whom the leader asks to
//! probe where its neighbors are too few. Enough are `observers`, or all of these that live where fewer
//! do. A lone starved node reports all others: therefore one still counts as living where the leader
//! hears from it itself, or where it sends evidence of its own. Only those of whom nothing is heard are
//! not waited for.
//!
//! # Where fewer than `observers` could say so
//! That is a neighborhood that is silent as a whole, in a cluster with one or two voters. Their word
//! must do, or its members would stay for ever; but they may be the ones that are cut off. So they must
//! have said it for a whole `evidence_window`, and over half of the other neighborhoods must live: one that is cut
//! off itself misses all neighborhoods within that time. In a cluster of one neighborhood there is nobody else
//! to compare with, and who is left decides, at the bounded rate.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::applied::Applied;
use super::apply_leave::MAX_OBSERVERS;
use crate::ids::{NeighborhoodId, NodeId, ProposalId};
use crate::settings::ControlSettings;
use crate::time::{Time, Timestamp};

/// At most so many suspects are given to the voters to probe in one look.
const MAX_PROBES: usize = 32;

/// What one observer says of one suspect.
#[derive(Clone, Copy, Debug)]
struct Report {
    /// Since when, without a gap of a window.
    since: Time,
    /// When it last said so.
    last: Time,
}

/// What is reported, by suspect and observer.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    reports: BTreeMap<NodeId, BTreeMap<NodeId, Report>>,
    /// Leaves that were proposed and have no outcome yet.
    proposed: BTreeMap<NodeId, ProposalId>,
    /// When the last leaves were proposed.
    leaves: VecDeque<Time>,
    /// Who lately ended a restart that it had announced, and when.
    returned: BTreeMap<NodeId, Time>,
    /// When the voters were last asked to probe a suspect.
    probed: BTreeMap<NodeId, Time>,
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
    pub(super) now: Time,
}

/// Who lives, as far as the leader can tell.
struct Living<'a> {
    reports: &'a BTreeMap<NodeId, BTreeMap<NodeId, Report>>,
    /// Who says anything.
    speaking: BTreeSet<NodeId>,
    known: &'a Known<'a>,
}

impl Living<'_> {
    /// Whether nothing speaks against a node, or it speaks itself.
    fn has(&self, node: NodeId) -> bool {
        let is_silent = self.reports.contains_key(&node) && !self.known.heard.contains(&node) && !self.speaking.contains(&node);
        !is_silent && !self.known.applied.is_restarting(node, self.known.time)
    }

    /// Whether over half of the neighborhoods but `of` have anybody that lives, beside the voters.
    fn surrounds(&self, of: NeighborhoodId) -> bool {
        let facts = &self.known.applied.facts;
        let others: Vec<bool> = (facts.neighborhoods().iter())
            .filter(|(id, _)| **id != of)
            .map(|(_, hood)| hood.members.iter().any(|node| !facts.is_voter(*node) && self.has(*node)))
            .collect();
        others.is_empty() || others.iter().filter(|lives| **lives).count() * 2 > others.len()
    }
}

impl Evidence {
    /// Takes a report. Of or by one who is no member, or of itself, it says nothing; nor of one that has just returned: its
    /// observers could not reach it while it was away, and have not heard yet that it is back. Says whether it is new.
    pub(super) fn report(&mut self, observer: NodeId, suspect: NodeId, applied: &Applied, settings: &ControlSettings, now: Time) -> bool {
        let members = applied.facts.members();
        if self.returned.get(&suspect).is_some_and(|at| now.since(*at) <= settings.evidence_window) {
            return false;
        }
        if observer != suspect && members.contains_key(&observer) && members.contains_key(&suspect) {
            let of_suspect = self.reports.entry(suspect).or_default();
            let known = of_suspect.insert(observer, Report { since: now, last: now });
            if let Some(known) = known {
                of_suspect.insert(observer, Report { last: now, ..known });
            }
            return known.is_none();
        }
        false
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
            observers.retain(|observer, said| members.contains_key(observer) && now.since(said.last) <= settings.evidence_window);
        }
        self.reports.retain(|suspect, observers| members.contains_key(suspect) && !observers.is_empty());
        self.proposed.retain(|suspect, _| members.contains_key(suspect));
        self.returned.retain(|_, at| now.since(*at) <= settings.evidence_window);
        self.probed.retain(|suspect, _| self.reports.contains_key(suspect));
        while self.leaves.front().is_some_and(|at| now.since(*at) > settings.leave_window) {
            self.leaves.pop_front();
        }
    }

    /// Who is spoken against by a voter, or by two that could tell: one alone may lie.
    pub(super) fn suspects(&self, applied: &Applied) -> BTreeSet<NodeId> {
        let suspected = |(suspect, said): (&NodeId, &BTreeMap<NodeId, Report>)| {
            let (_, could) = could_tell(*suspect, applied)?;
            let heeded = said.keys().filter(|node| could.contains(node));
            let by_voter = heeded.clone().any(|node| applied.facts.is_voter(*node));
            (by_voter || heeded.count() > 1).then_some(*suspect)
        };
        self.reports.iter().filter_map(suspected).collect()
    }

    /// Against whom there is enough. Call [`Evidence::forget_old`] first.
    pub(super) fn verdicts(&self, known: &Known<'_>, settings: &ControlSettings) -> Vec<Verdict> {
        let living = self.living(known);
        self.reports.keys().filter_map(|suspect| self.judge(*suspect, &living, settings)).collect()
    }

    fn living<'a>(&'a self, known: &'a Known<'a>) -> Living<'a> {
        let speaking = self.reports.values().flat_map(BTreeMap::keys).copied().collect();
        Living { reports: &self.reports, speaking, known }
    }

    fn judge(&self, suspect: NodeId, living: &Living<'_>, settings: &ControlSettings) -> Option<Verdict> {
        let known = living.known;
        let said = self.reports.get(&suspect)?;
        if known.applied.is_restarting(suspect, known.time) {
            return None;
        }
        let (hood, could) = could_tell(suspect, known.applied)?;
        let needed = settings.observers.min(could.iter().filter(|node| living.has(**node)).count()).max(1);
        let heeded: Vec<(NodeId, Report)> =
            said.iter().filter(|(node, _)| could.contains(node)).map(|(&node, &report)| (node, report)).collect();
        let lasting = heeded.iter().filter(|(_, report)| known.now.since(report.since) >= settings.evidence_window).count();
        let is_alone = known.applied.facts.neighborhoods().len() > 1 && needed < settings.observers;
        let is_enough = if is_alone { lasting >= needed && living.surrounds(hood) } else { heeded.len() >= needed };
        is_enough.then(|| Verdict { suspect, observers: heeded.iter().map(|(node, _)| *node).take(MAX_OBSERVERS).collect() })
    }

    /// Whom the voters shall probe themselves now: suspects that too few have spoken against for half a window.
    /// Each is asked for once in that time. Call it after [`Evidence::verdicts`], with what came of that.
    pub(super) fn probes(&mut self, verdicts: &[Verdict], settings: &ControlSettings, now: Time) -> Vec<NodeId> {
        let patience = settings.evidence_window / 2;
        let is_due = |suspect: &NodeId, said: &BTreeMap<NodeId, Report>| {
            said.values().any(|report| now.since(report.since) >= patience)
                && self.probed.get(suspect).is_none_or(|at| now.since(*at) >= patience)
                && verdicts.iter().all(|verdict| verdict.suspect != *suspect)
        };
        let due: Vec<NodeId> =
            self.reports.iter().filter(|(suspect, said)| is_due(suspect, said)).map(|(&suspect, _)| suspect).take(MAX_PROBES).collect();
        self.probed.extend(due.iter().map(|suspect| (*suspect, now)));
        due
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

/// A member's neighborhood, and who could say that it fails: its neighbors and the voters.
fn could_tell(suspect: NodeId, applied: &Applied) -> Option<(NeighborhoodId, BTreeSet<NodeId>)> {
    let (id, hood) = applied.facts.neighborhood_of(suspect)?;
    let all = hood.members.iter().copied().chain(applied.voters());
    Some((id, all.filter(|node| *node != suspect).collect()))
}
