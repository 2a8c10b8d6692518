//! What operators wish of a member's vote. The control plane keeps the wanted number of voters by itself, among all
//! members that may vote; a wish is stronger, and is a part of the applied state, so that no leader undoes it.
//!
//! One that shall vote comes on top: it is taken in also where there are voters enough, and is never taken away as
//! one too many. One that shall not is treated as one that must go: exchanged for another where there is one, else
//! demoted where the others can decide without it; and it is no candidate until it is added again.

use super::applied::Applied;
use crate::ids::NodeId;
use crate::wire::command::{Refusal, VoterWish};
use crate::wire::event::Event;
use crate::wire::member::MemberRecord;

/// So many wishes are kept. Those of failed members wait for their return, so there must be a limit.
pub(super) const MAX_WISHES: usize = 1024;

impl Applied {
    pub(super) fn voter_add(&mut self, node: NodeId) -> Result<Option<Event>, Refusal> {
        let member = self.expect_member(node)?;
        if !member.voter_eligible {
            return Err(Refusal::NotEligible { node });
        }
        self.wish(node, VoterWish::Vote)
    }

    pub(super) fn voter_remove(&mut self, node: NodeId) -> Result<Option<Event>, Refusal> {
        self.expect_member(node)?;
        if !self.facts.voters().contains_key(&node) {
            return Err(Refusal::NotVoting { node });
        }
        let may_vote = |member: &MemberRecord| member.voter_eligible || self.facts.is_voter(member.node);
        let others = self.facts.members().values().filter(|member| member.node != node && may_vote(member));
        if others.into_iter().all(|member| self.wish_of(member.node) == Some(VoterWish::Abstain)) {
            return Err(Refusal::LastVoter { node });
        }
        self.wish(node, VoterWish::Abstain)
    }

    fn wish(&mut self, node: NodeId, wish: VoterWish) -> Result<Option<Event>, Refusal> {
        let key = self.expect_member(node)?.key;
        if self.registry.wishes.len() >= MAX_WISHES && !self.registry.wishes.contains_key(&key) {
            let why = format!("{MAX_WISHES} wishes about voters are kept, which is the most; let members that are named in some leave");
            return Err(Refusal::Invalid { why });
        }
        self.registry.wishes.insert(key, wish);
        Ok(None)
    }

    /// What is wished of a member, if anything.
    pub(super) fn wish_of(&self, node: NodeId) -> Option<VoterWish> {
        let member = self.facts.member(node)?;
        self.registry.wishes.get(&member.key).copied()
    }

    /// Who has a part in the group and shall have none.
    pub(super) fn unwished(&self) -> impl Iterator<Item = NodeId> {
        self.facts.voters().keys().copied().filter(|node| self.wish_of(*node) == Some(VoterWish::Abstain))
    }

    /// The wishes about members, by id.
    pub(super) fn wishes(&self) -> impl Iterator<Item = (NodeId, VoterWish)> {
        self.facts.members().keys().filter_map(|node| Some((*node, self.wish_of(*node)?)))
    }
}
