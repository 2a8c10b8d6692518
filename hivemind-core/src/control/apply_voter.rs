//! Members' parts in the Raft group: what a configuration change of Raft means for the cluster.
//!
//! A change of one part takes effect at once. Several changes in one entry enter a joint configuration:
//! who comes in votes from there on; who goes out keeps its part until the joint configuration is left,
//! which is an entry of its own that the leader appends by itself.

use std::collections::BTreeSet;

use super::applied::Applied;
use super::configuration::Joint;
use crate::ids::NodeId;
use crate::wire::event::{Event, VoterPart};
use crate::wire::member::MemberRecord;

/// One change of the group: whose part becomes which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) node: NodeId,
    pub(super) part: VoterPart,
}

impl Applied {
    /// The events of an entry of changes, in the entry's order. `None` where it does not fit any more and
    /// must not reach raft either: a joint change is on its way, a member left or has that part already,
    /// or nobody would be left to vote.
    pub(super) fn change(&mut self, changes: &[Change]) -> Option<Vec<Event>> {
        let nodes: BTreeSet<NodeId> = changes.iter().map(|change| change.node).collect();
        let fit = changes.iter().all(|change| self.fits(*change));
        if self.registry.joint.is_some() || nodes.len() != changes.len() || !fit || !self.keeps_a_voter(changes) {
            return None;
        }
        let is_joint = changes.len() > 1;
        let goes = |change: &Change| is_joint && change.part == VoterPart::None && self.facts.is_voter(change.node);
        let comes = |change: &Change| change.part == VoterPart::Voter;
        let named = |picked: &dyn Fn(&Change) -> bool| changes.iter().filter(|change| picked(change)).map(|change| change.node).collect();
        let joint = Joint { entered: named(&comes), leaving: named(&goes) };
        let events = changes.iter().filter(|change| !goes(change)).map(|change| self.event(*change)).collect();
        if is_joint {
            self.registry.joint = Some(joint);
        }
        Some(events)
    }

    /// The joint configuration is left: who loses its part by it. `None` where there is none.
    pub(super) fn leave_joint(&mut self) -> Option<Vec<Event>> {
        let joint = self.registry.joint.take()?;
        Some(joint.leaving.iter().map(|&node| self.event(Change { node, part: VoterPart::None })).collect())
    }

    fn fits(&self, change: Change) -> bool {
        let now = self.facts.voters().get(&change.node).copied().unwrap_or(VoterPart::None);
        let is_step = match (now, change.part) {
            (VoterPart::None, VoterPart::Learner)
            | (VoterPart::Learner, VoterPart::Voter | VoterPart::None)
            | (VoterPart::Voter, VoterPart::None) => true,
            (VoterPart::None, VoterPart::None | VoterPart::Voter)
            | (VoterPart::Learner, VoterPart::Learner)
            | (VoterPart::Voter, VoterPart::Voter | VoterPart::Learner) => false,
        };
        is_step && self.facts.member(change.node).is_some()
    }

    fn keeps_a_voter(&self, changes: &[Change]) -> bool {
        let goes = |node: NodeId| changes.contains(&Change { node, part: VoterPart::None });
        changes.iter().any(|change| change.part == VoterPart::Voter) || self.voters().any(|node| !goes(node))
    }

    fn event(&self, change: Change) -> Event {
        let member = self.facts.member(change.node).expect("a change that fits is of a member, and one with a part does not leave");
        Event::Voter { member: MemberRecord::clone(member), part: change.part }
    }
}
