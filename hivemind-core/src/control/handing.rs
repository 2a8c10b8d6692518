//! Leadership is handed to another voter because somebody asked for it.
//!
//! Nothing of this is in the log: the leader asks raft-rs to transfer, and answers when another voter leads, or when
//! it is clear that none took over. While a transfer is on its way the leader takes no proposals.

use super::Control;
use crate::context::Context;
use crate::ids::{NodeId, ProposalId};
use crate::time::Time;
use crate::wire::command::{Outcome, Refusal};

/// Leadership on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handing {
    pub(super) id: ProposalId,
    heir: NodeId,
    /// Whether it must be this one.
    is_named: bool,
    /// The term in which this node leads.
    term: u64,
    deadline: Time,
}

impl Control {
    /// Begins to hand over, or says why not. Only at the leader.
    pub(super) fn hand_leadership(&mut self, id: ProposalId, named: Option<NodeId>, deadline: Time, ctx: &mut Context<'_>) {
        if self.pending.handing.is_some() || self.raw.is_changing() || !self.raw.is_established() {
            return self.reply(id, Outcome::Refused(Refusal::Busy), ctx);
        }
        match self.heir(named, ctx) {
            Ok(heir) => {
                self.raw.transfer(heir);
                let term = self.raw.term();
                self.pending.handing = Some(Handing { id, heir, is_named: named.is_some(), term, deadline });
            }
            Err(refusal) => self.reply(id, Outcome::Refused(refusal), ctx),
        }
    }

    /// Who shall lead: the one that was named, or that which has the most of the log, the lowest id first.
    fn heir(&self, named: Option<NodeId>, ctx: &Context<'_>) -> Result<NodeId, Refusal> {
        let Some(applied) = &self.applied else { return Err(Refusal::Degraded) };
        let heard = self.heard_lately(ctx);
        let stays = |node: NodeId| applied.configuration().incoming.contains(&node) && applied.unwished().all(|one| one != node);
        let is_ready = |node: NodeId| heard.contains(&node) && self.raw.has_caught_up(node);
        let time = self.command_time(ctx);
        match named {
            Some(node) if applied.facts.member(node).is_none() => Err(Refusal::NotAMember { node }),
            Some(node) if node == self.node => Err(Refusal::LeadsAlready { node }),
            Some(node) if !stays(node) => Err(Refusal::NotVoting { node }),
            Some(node) if applied.is_restarting(node, time) => Err(Refusal::Restarting { node }),
            Some(node) if !is_ready(node) => Err(Refusal::Lags { node }),
            Some(node) => Ok(node),
            None => {
                let fits = |node: &NodeId| *node != self.node && stays(*node) && is_ready(*node) && !applied.is_restarting(*node, time);
                let heirs = applied.voters().filter(fits);
                heirs.max_by_key(|node| (self.raw.matched(*node), std::cmp::Reverse(*node))).ok_or(Refusal::NoHeir)
            }
        }
    }

    /// Says what came of it, once that is known.
    pub(super) fn look_after_handing(&mut self, ctx: &mut Context<'_>) {
        let Some(handing) = self.pending.handing else { return };
        let leads_on = self.raw.is_leader() && (self.raw.term() > handing.term || !self.raw.is_handing());
        let outcome = match self.raw.leader() {
            Some(leader) if leader != self.node => {
                let position = self.applied.as_ref().map(|applied| applied.facts.position());
                match position.filter(|_| leader == handing.heir || !handing.is_named) {
                    Some(position) => Outcome::Committed { position },
                    // Leadership moved, and not to who was asked for.
                    None => Outcome::OutcomeUnknown,
                }
            }
            Some(_) if leads_on => Outcome::Refused(Refusal::NotTakenOver { node: handing.heir }),
            Some(_) | None if handing.deadline <= ctx.now.time => Outcome::OutcomeUnknown,
            Some(_) | None => return,
        };
        self.pending.handing = None;
        self.reply(handing.id, outcome, ctx);
    }
}
