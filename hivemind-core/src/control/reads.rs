//! Linearizable reads (ReadIndex, Ongaro's thesis, section 6.4): the leader confirms with a quorum that
//! it still leads, and answers once it has applied all that was committed when it was asked.

use super::Control;
use super::output::Output;
use super::pending::Read;
use crate::context::Context;
use crate::ids::{Index, NodeId, ProposalId};
use crate::planted::{self, Planted};
use crate::wire::frame::Channel;
use crate::wire::message::{self, Message};

impl Control {
    /// Asks for the index that a linearizable read must have reached. The answer comes as
    /// [`Output::Readable`], once; without one in time it is `None`.
    pub fn read_index(&mut self, id: ProposalId, ctx: &mut Context<'_>) {
        if self.pending.reads.len() >= ctx.settings.control.max_proposals {
            self.outputs.push_back(Output::Readable { id, index: None });
            return;
        }
        if planted::has(ctx.settings, Planted::StaleRead) {
            let index = self.facts().map(|facts| facts.position().index);
            self.outputs.push_back(Output::Readable { id, index });
            return;
        }
        let deadline = ctx.now.time + ctx.settings.control.proposal_timeout;
        self.pending.reads.insert(id, Read { deadline, again: ctx.now.time });
        self.ask(id, ctx);
        self.advance(ctx);
    }

    fn ask(&mut self, id: ProposalId, ctx: &mut Context<'_>) {
        let again = ctx.now.time + ctx.settings.control.tick * u32::try_from(ctx.settings.control.election_ticks).unwrap_or(u32::MAX);
        if let Some(read) = self.pending.reads.get_mut(&id) {
            read.again = again;
        }
        if self.raw.is_leader() {
            self.raw.read_index(id);
        } else if let Some(leader) = self.raw.leader() {
            ctx.send(leader, Channel::Ordered, Message::Control(message::Control::ReadIndex { id }));
        }
    }

    /// A read of another node. A voter that does not lead passes it on once.
    pub(super) fn handle_read_index(&mut self, from: NodeId, id: ProposalId, ctx: &mut Context<'_>) {
        let is_passed_on = id.node != from;
        if (is_passed_on && !self.is_part(from)) || id.node == self.node {
            return self.junk(from, "a read in the name of another", ctx);
        }
        if self.raw.is_leader() && self.pending.served.len() < ctx.settings.control.max_proposals {
            self.pending.served.insert(id, ctx.now.time + ctx.settings.control.proposal_timeout);
            self.raw.read_index(id);
            return;
        }
        match self.raw.leader().filter(|leader| !is_passed_on && *leader != from && *leader != self.node) {
            Some(leader) => ctx.send(leader, Channel::Ordered, Message::Control(message::Control::ReadIndex { id })),
            None => ctx.send(id.node, Channel::Ordered, Message::Control(message::Control::ReadIndexed { id, index: None, applied: 0 })),
        }
    }

    /// The leader's answer to a read of this node's. One that can not say now is asked again.
    pub(super) fn handle_read_indexed(
        &mut self,
        from: NodeId,
        id: ProposalId,
        (index, applied): (Option<Index>, u64),
        ctx: &mut Context<'_>,
    ) {
        if !self.has_part() {
            return self.outputs.push_back(Output::Readable { id, index });
        }
        if !self.is_part(from) {
            return self.junk(from, "an answer to a read by one that is no voter", ctx);
        }
        // It may be asked and answered more than once.
        if index.is_some() && id.node == self.node && self.pending.reads.contains_key(&id) && !self.pending.is_confirmed(id) {
            self.pending.confirm(id, applied);
            self.answer_reads(ctx);
        }
    }

    /// Answers the reads that raft confirmed, and whose index is applied.
    pub(super) fn answer_reads(&mut self, ctx: &mut Context<'_>) {
        let Some(index) = self.facts().map(|facts| facts.position().index) else { return };
        let applied = self.raw.applied();
        for id in self.pending.readable(applied) {
            if id.node == self.node {
                if self.pending.reads.remove(&id).is_some() {
                    self.outputs.push_back(Output::Readable { id, index: Some(index) });
                }
            } else if self.pending.served.remove(&id).is_some() {
                ctx.send(id.node, Channel::Ordered, Message::Control(message::Control::ReadIndexed { id, index: Some(index), applied }));
            }
        }
    }

    /// Asks again for what got no answer, and gives up what waited too long.
    pub(super) fn retry_reads(&mut self, ctx: &mut Context<'_>) {
        let now = ctx.now.time;
        self.pending.served.retain(|_, deadline| *deadline > now);
        let reads: Vec<(ProposalId, Read)> = self.pending.reads.iter().map(|(&id, &read)| (id, read)).collect();
        for (id, read) in reads {
            if read.deadline <= now {
                self.pending.reads.remove(&id);
                self.outputs.push_back(Output::Readable { id, index: None });
            } else if read.again <= now {
                self.ask(id, ctx);
            }
        }
    }
}
