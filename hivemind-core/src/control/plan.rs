//! Who should have a part in the group: the next single step from what is to what should be.

use std::collections::BTreeSet;

use super::applied::Applied;
use super::apply_voter::Change;
use crate::ids::NodeId;
use crate::time::Timestamp;
use crate::wire::event::VoterPart;

/// What the leader sees when it plans.
pub(super) struct Picture<'a> {
    pub(super) applied: &'a Applied,
    /// The leader.
    pub(super) node: NodeId,
    /// The wanted number of voters.
    pub(super) wanted: usize,
    /// Who shall lose its part because something waits for that, and who is about to leave.
    pub(super) asked: &'a BTreeSet<NodeId>,
    /// Against whom there is enough evidence.
    pub(super) dead: &'a BTreeSet<NodeId>,
    /// Against whom there is any.
    pub(super) suspects: &'a BTreeSet<NodeId>,
    /// From whom the leader heard lately, itself included.
    pub(super) heard: &'a BTreeSet<NodeId>,
    /// Who has nearly all entries.
    pub(super) caught_up: &'a BTreeSet<NodeId>,
    /// The time that a command would be applied at.
    pub(super) time: Timestamp,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Change a member's part.
    Change(Change),
    /// Let another voter lead: the leader itself shall lose its part.
    Transfer(NodeId),
}

impl Picture<'_> {
    /// The next step, if one is needed and leaves the group able.
    pub(super) fn plan(&self) -> Option<Step> {
        let voters: BTreeSet<NodeId> = self.applied.voters().collect();
        let learners: BTreeSet<NodeId> = self.applied.learners().collect();
        let live = voters.iter().filter(|node| !self.asked.contains(node) && !self.dead.contains(node)).count();
        self.drop_learner(&learners)
            .or_else(|| self.demote_asked(&voters))
            .or_else(|| if live < self.wanted { self.grow(&voters, &learners, live) } else { None })
            .or_else(|| if live >= self.wanted { self.shrink(&voters, &learners, live) } else { None })
    }

    /// Whether anybody could take a voter's place.
    pub(super) fn has_candidate(&self) -> bool {
        self.applied.learners().any(|node| !self.asked.contains(&node)) || self.candidates().next().is_some()
    }

    /// Members that may become voters, by id: eligible, with no part, and nothing speaks against them.
    fn candidates(&self) -> impl Iterator<Item = NodeId> {
        self.applied.facts.members().values().filter(|member| member.voter_eligible).map(|member| member.node).filter(|node| {
            !self.applied.facts.voters().contains_key(node)
                && !self.asked.contains(node)
                && !self.suspects.contains(node)
                && !self.applied.is_restarting(*node, self.time)
        })
    }

    fn drop_learner(&self, learners: &BTreeSet<NodeId>) -> Option<Step> {
        let gone = |node: &&NodeId| self.asked.contains(node) || self.dead.contains(node);
        learners.iter().find(gone).map(|&node| change(node, VoterPart::None))
    }

    fn demote_asked(&self, voters: &BTreeSet<NodeId>) -> Option<Step> {
        let node = *voters.iter().find(|node| self.asked.contains(node) && self.is_able_without(**node, voters))?;
        if node != self.node {
            return Some(change(node, VoterPart::None));
        }
        let heir = voters
            .iter()
            .find(|heir| **heir != node && self.heard.contains(heir) && self.caught_up.contains(heir) && !self.asked.contains(heir))?;
        Some(Step::Transfer(*heir))
    }

    /// Promotes a learner that has caught up, or takes a candidate in as a learner.
    fn grow(&self, voters: &BTreeSet<NodeId>, learners: &BTreeSet<NodeId>, live: usize) -> Option<Step> {
        let ready = |node: &&NodeId| self.caught_up.contains(node) && self.heard.contains(node) && !self.suspects.contains(node);
        if let Some(&learner) = learners.iter().find(ready) {
            let heard = voters.iter().filter(|node| self.heard.contains(node)).count() + 1;
            return (heard >= quorum(voters.len() + 1)).then(|| change(learner, VoterPart::Voter));
        }
        if live + learners.len() >= self.wanted {
            return None;
        }
        self.candidates().next().map(|node| change(node, VoterPart::Learner))
    }

    /// Takes a part that is not needed: a dead voter's first, then those above the wanted number.
    fn shrink(&self, voters: &BTreeSet<NodeId>, learners: &BTreeSet<NodeId>, live: usize) -> Option<Step> {
        if let Some(&surplus) = learners.last() {
            return Some(change(surplus, VoterPart::None));
        }
        let dead = voters.iter().find(|node| self.dead.contains(node) && **node != self.node);
        let surplus = || voters.iter().rev().find(|node| live > self.wanted && **node != self.node);
        let node = *dead.or_else(surplus)?;
        self.is_able_without(node, voters).then(|| change(node, VoterPart::None))
    }

    /// Whether a quorum of the others is heard.
    fn is_able_without(&self, node: NodeId, voters: &BTreeSet<NodeId>) -> bool {
        let others = voters.len() - 1;
        let heard = voters.iter().filter(|other| **other != node && self.heard.contains(other)).count();
        others > 0 && heard >= quorum(others)
    }
}

/// A majority of so many voters.
pub(super) fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

fn change(node: NodeId, part: VoterPart) -> Step {
    Step::Change(Change { node, part })
}
