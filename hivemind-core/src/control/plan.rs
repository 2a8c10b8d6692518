//! Who should have a part in the group: the next step from what is to what should be.
//!
//! Every step leaves a group that can decide with those that the leader hears. A voter that must go is
//! exchanged for a learner that has caught up, in one joint change: two changes one after the other
//! would pass through a group with an even number of voters, which survives one failure less.

use std::collections::BTreeSet;

use super::applied::Applied;
use super::apply_voter::Change;
use super::configuration::has_majority;
use crate::ids::NodeId;
use crate::time::Timestamp;
use crate::wire::command::VoterWish;
use crate::wire::event::VoterPart;

/// What the leader sees when it plans. No joint change is on its way.
pub(super) struct Picture<'a> {
    pub(super) applied: &'a Applied,
    /// The leader.
    pub(super) node: NodeId,
    /// The wanted number of voters.
    pub(super) wanted: usize,
    /// Who shall lose its part because something waits for that or an operator wishes it, and who is about to leave. Not the only
    /// voter that holds the authority's key.
    pub(super) asked: &'a BTreeSet<NodeId>,
    /// Whose demotion does not wait for a replacement any longer.
    pub(super) urgent: &'a BTreeSet<NodeId>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Change members' parts: of one, or of several jointly.
    Change(Vec<Change>),
    /// Let another voter lead: the leader itself shall lose its part.
    Transfer(NodeId),
}

impl Picture<'_> {
    /// The next step, if one is needed and leaves the group able.
    pub(super) fn plan(&self) -> Option<Step> {
        let voters: BTreeSet<NodeId> = self.applied.voters().collect();
        let learners: BTreeSet<NodeId> = self.applied.learners().collect();
        let staying = voters.iter().filter(|node| !self.asked.contains(node) && !self.dead.contains(node)).count();
        self.drop_learner(&learners)
            .or_else(|| self.hand_over(&voters, &learners))
            .or_else(|| self.replace(&voters, &learners))
            .or_else(|| self.take_in_wished(&voters, &learners))
            .or_else(|| if staying < self.wanted { self.grow(&voters, &learners, staying) } else { None })
            .or_else(|| self.demote_asked(&voters, &learners))
            .or_else(|| if staying >= self.wanted { self.shrink(&voters, &learners, staying) } else { None })
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
                && self.applied.wish_of(*node) != Some(VoterWish::Abstain)
                && !self.applied.is_restarting(*node, self.time)
        })
    }

    /// A learner that could vote at once.
    fn ready(&self, learners: &BTreeSet<NodeId>) -> Option<NodeId> {
        let ready = |node: &&NodeId| self.caught_up.contains(node) && self.heard.contains(node) && !self.suspects.contains(node);
        learners.iter().find(ready).copied()
    }

    fn drop_learner(&self, learners: &BTreeSet<NodeId>) -> Option<Step> {
        let gone = |node: &&NodeId| self.asked.contains(node) || self.dead.contains(node);
        learners.iter().find(gone).map(|&node| change(node, VoterPart::None))
    }

    /// A leader that shall lose its part lets another voter lead, which then sees to it.
    fn hand_over(&self, voters: &BTreeSet<NodeId>, learners: &BTreeSet<NodeId>) -> Option<Step> {
        let can_go = self.is_able_without(self.node, voters) || self.ready(learners).is_some();
        if !self.asked.contains(&self.node) || !can_go {
            return None;
        }
        let is_heir = |heir: &&NodeId| {
            **heir != self.node && self.heard.contains(heir) && self.caught_up.contains(heir) && !self.asked.contains(heir)
        };
        voters.iter().find(is_heir).map(|&heir| Step::Transfer(heir))
    }

    /// Exchanges a voter that must go for a learner that is ready.
    fn replace(&self, voters: &BTreeSet<NodeId>, learners: &BTreeSet<NodeId>) -> Option<Step> {
        let fresh = self.ready(learners)?;
        let goes = |node: &&NodeId| **node != self.node && (self.dead.contains(node) || self.asked.contains(node));
        let gone = *voters.iter().find(goes)?;
        let incoming: BTreeSet<NodeId> = voters.iter().copied().filter(|node| *node != gone).chain([fresh]).collect();
        let is_able = has_majority(voters, self.heard) && has_majority(&incoming, self.heard);
        is_able.then(|| Step::Change(vec![part(fresh, VoterPart::Voter), part(gone, VoterPart::None)]))
    }

    /// Takes in whom an operator wishes to vote, whatever the number of voters.
    fn take_in_wished(&self, voters: &BTreeSet<NodeId>, learners: &BTreeSet<NodeId>) -> Option<Step> {
        let wished: BTreeSet<NodeId> = learners.iter().copied().filter(|node| self.is_wished(*node)).collect();
        match self.ready(&wished) {
            Some(learner) => self.promote(learner, voters),
            None => self.candidates().find(|node| self.is_wished(*node)).map(|node| change(node, VoterPart::Learner)),
        }
    }

    fn is_wished(&self, node: NodeId) -> bool {
        self.applied.wish_of(node) == Some(VoterWish::Vote)
    }

    fn promote(&self, learner: NodeId, voters: &BTreeSet<NodeId>) -> Option<Step> {
        let grown: BTreeSet<NodeId> = voters.iter().copied().chain([learner]).collect();
        has_majority(&grown, self.heard).then(|| change(learner, VoterPart::Voter))
    }

    /// Promotes a learner that is ready, or takes a candidate in as a learner.
    fn grow(&self, voters: &BTreeSet<NodeId>, learners: &BTreeSet<NodeId>, staying: usize) -> Option<Step> {
        if let Some(learner) = self.ready(learners) {
            return self.promote(learner, voters);
        }
        if staying + learners.len() >= self.wanted {
            return None;
        }
        self.candidates().next().map(|node| change(node, VoterPart::Learner))
    }

    /// Takes the part of a voter that was asked for, where nobody comes in its place.
    fn demote_asked(&self, voters: &BTreeSet<NodeId>, learners: &BTreeSet<NodeId>) -> Option<Step> {
        let is_replaced = voters.len() <= self.wanted && (!learners.is_empty() || self.has_candidate());
        let goes = |node: &&NodeId| **node != self.node && self.asked.contains(node) && self.is_able_without(**node, voters);
        let waits = |node: &NodeId| is_replaced && !self.urgent.contains(node);
        voters.iter().find(|node| goes(node) && !waits(node)).map(|&node| change(node, VoterPart::None))
    }

    /// Takes a part that is not needed: a dead voter's first, then those above the wanted number. Whom an operator wishes to vote
    /// is not among these.
    fn shrink(&self, voters: &BTreeSet<NodeId>, learners: &BTreeSet<NodeId>, staying: usize) -> Option<Step> {
        if let Some(&surplus) = learners.iter().rev().find(|node| !self.is_wished(**node)) {
            return Some(change(surplus, VoterPart::None));
        }
        let dead = voters.iter().find(|node| self.dead.contains(node) && **node != self.node);
        let on_top = voters.iter().filter(|node| self.is_wished(**node) && !self.dead.contains(node) && !self.asked.contains(node)).count();
        let is_free = |node: NodeId| node != self.node && !self.is_wished(node) && !self.applied.facts.is_last_keeper(node);
        let is_surplus = |node: &&NodeId| staying - on_top > self.wanted && is_free(**node);
        let surplus = || voters.iter().rev().find(is_surplus);
        let node = *dead.or_else(surplus)?;
        self.is_able_without(node, voters).then(|| change(node, VoterPart::None))
    }

    /// Whether a majority of the others is heard.
    fn is_able_without(&self, node: NodeId, voters: &BTreeSet<NodeId>) -> bool {
        let others: BTreeSet<NodeId> = voters.iter().copied().filter(|other| *other != node).collect();
        has_majority(&others, self.heard)
    }
}

fn part(node: NodeId, part: VoterPart) -> Change {
    Change { node, part }
}

fn change(node: NodeId, to: VoterPart) -> Step {
    Step::Change(vec![part(node, to)])
}
