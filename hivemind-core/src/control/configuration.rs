//! Raft's configuration, as it follows from the applied state.
//!
//! While a joint change is on its way (Ongaro's thesis, section 4.3) there are two sets of voters, and
//! whatever is decided needs a majority of both. The facts name all who vote in either: a member that
//! loses its vote keeps its part until the joint configuration is left, so that nothing that ends its
//! membership comes before. Which side each is on stands beside the facts, in [`Joint`].

use std::collections::BTreeSet;

use raft::eraftpb::ConfState;
use serde::{Deserialize, Serialize};

use super::applied::Applied;
use crate::ids::NodeId;
use crate::wire::event::VoterPart;

/// A joint change on its way: entered, and not left yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Joint {
    /// Who votes on the new side only, in the order of the change.
    pub(super) entered: Vec<NodeId>,
    /// Who votes on the old side only and has no part once it is left, in the order of the change.
    pub(super) leaving: Vec<NodeId>,
}

/// Who decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Configuration {
    /// The voters, or those of the new side.
    pub(super) incoming: BTreeSet<NodeId>,
    /// Those of the old side. Empty unless it is joint.
    pub(super) outgoing: BTreeSet<NodeId>,
    /// Who follows without voting.
    pub(super) learners: BTreeSet<NodeId>,
}

impl Configuration {
    /// Whether `live` can decide: a majority of each side.
    pub(super) fn is_able(&self, live: &BTreeSet<NodeId>) -> bool {
        has_majority(&self.incoming, live) && (self.outgoing.is_empty() || has_majority(&self.outgoing, live))
    }

    /// As raft-rs writes it down. A joint one is left by its leader without being asked.
    pub(super) fn conf_state(&self) -> ConfState {
        let mut state = ConfState::from((ids(&self.incoming), ids(&self.learners)));
        state.voters_outgoing = ids(&self.outgoing);
        state.auto_leave = !self.outgoing.is_empty();
        state
    }

    /// Whether `found` says the same, in whatever order.
    pub(super) fn is_of(&self, found: &ConfState) -> bool {
        let same = |listed: &[u64], own: &BTreeSet<NodeId>| {
            listed.len() == own.len() && listed.iter().map(|id| NodeId::from_u64(*id)).collect::<BTreeSet<_>>() == *own
        };
        same(&found.voters, &self.incoming)
            && same(&found.voters_outgoing, &self.outgoing)
            && same(&found.learners, &self.learners)
            && found.learners_next.is_empty()
            && found.auto_leave != self.outgoing.is_empty()
    }
}

fn ids(nodes: &BTreeSet<NodeId>) -> Vec<u64> {
    nodes.iter().map(|node| node.as_u64()).collect()
}

/// Whether a majority of `voters` is in `live`. Of none there is no majority.
pub(super) fn has_majority(voters: &BTreeSet<NodeId>, live: &BTreeSet<NodeId>) -> bool {
    voters.intersection(live).count() > voters.len() / 2
}

impl Applied {
    /// Raft's configuration: it changes where this does, and nowhere else.
    pub(super) fn configuration(&self) -> Configuration {
        let voters: BTreeSet<NodeId> = self.voters().collect();
        let learners = self.learners().collect();
        match &self.registry.joint {
            None => Configuration { incoming: voters, outgoing: BTreeSet::new(), learners },
            Some(joint) => Configuration {
                incoming: voters.iter().copied().filter(|node| !joint.leaving.contains(node)).collect(),
                outgoing: voters.iter().copied().filter(|node| !joint.entered.contains(node)).collect(),
                learners,
            },
        }
    }

    /// Whether a joint change that was read from somewhere is one of these voters, with somebody on each side.
    pub(super) fn is_joint_sound(&self) -> bool {
        let Some(joint) = &self.registry.joint else { return true };
        let named: BTreeSet<NodeId> = joint.entered.iter().chain(&joint.leaving).copied().collect();
        let once = named.len() == joint.entered.len() + joint.leaving.len();
        let configuration = self.configuration();
        once && !named.is_empty()
            && named.iter().all(|node| self.facts.is_voter(*node))
            && !configuration.incoming.is_empty()
            && !configuration.outgoing.is_empty()
    }

    /// Who votes, on whatever side, by id.
    pub(super) fn voters(&self) -> impl Iterator<Item = NodeId> {
        self.facts.voters().iter().filter(|(_, part)| **part == VoterPart::Voter).map(|(&node, _)| node)
    }

    /// Who follows the log without voting, by id.
    pub(super) fn learners(&self) -> impl Iterator<Item = NodeId> {
        self.facts.voters().iter().filter(|(_, part)| **part == VoterPart::Learner).map(|(&node, _)| node)
    }
}
