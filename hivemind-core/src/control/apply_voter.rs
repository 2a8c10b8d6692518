//! A member's part in the Raft group: what a configuration change of Raft means for the cluster.

use super::applied::Applied;
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
    /// The event of a change, or `None` where it does not fit any more and must not reach raft either:
    /// its member left, it has that part already, or nobody would be left to vote.
    pub(super) fn change(&self, change: Change) -> Option<Event> {
        let member = MemberRecord::clone(self.facts.member(change.node)?);
        let now = self.facts.voters().get(&change.node).copied().unwrap_or(VoterPart::None);
        let fits = match (now, change.part) {
            (VoterPart::None, VoterPart::Learner) | (VoterPart::Learner, VoterPart::Voter | VoterPart::None) => true,
            (VoterPart::Voter, VoterPart::None) => self.voters().count() > 1,
            (VoterPart::None, VoterPart::None | VoterPart::Voter)
            | (VoterPart::Learner, VoterPart::Learner)
            | (VoterPart::Voter, VoterPart::Voter | VoterPart::Learner) => false,
        };
        fits.then_some(Event::Voter { member, part: change.part })
    }

    /// Who votes, by id.
    pub(super) fn voters(&self) -> impl Iterator<Item = NodeId> {
        self.facts.voters().iter().filter(|(_, part)| **part == VoterPart::Voter).map(|(&node, _)| node)
    }

    /// Who follows the log without voting, by id.
    pub(super) fn learners(&self) -> impl Iterator<Item = NodeId> {
        self.facts.voters().iter().filter(|(_, part)| **part == VoterPart::Learner).map(|(&node, _)| node)
    }
}
