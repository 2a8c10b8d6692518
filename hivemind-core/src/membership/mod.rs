//! Failure detection: probes the neighborhood, produces evidence, carries broadcasts.
//!
//! SWIM (foca) finds out cheaply who might be down, and tells everyone. What it says is one node's
//! opinion, so nothing follows from it but that each node asks for itself ([`doubt`]): only its own
//! failure makes a node *unreachable* here and is reported to a voter. Who is a member, the event log
//! alone decides; foca sees nothing that contradicts it ([`instance`]).

mod doubt;
mod instance;
mod packet;
mod peer;
mod rank;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use imbl::OrdSet;

use self::doubt::{Doubt, Stage, Step};
use self::instance::{Change, Instance, Standing};
use crate::context::{Context, Junk, Report};
use crate::ids::{Index, NeighborhoodId, NodeId};
use crate::timers::Timer;
use crate::wire::frame::Channel;
use crate::wire::message::{self, Message};

/// The largest batch that [`Membership::broadcast`] carries, in bytes. A larger one is pulled.
pub const BATCH_LIMIT: usize = packet::BATCH_LIMIT;
/// So many indices are remembered as passed on; all below them count as passed on.
const PASSED_LIMIT: usize = 1_024;
/// After so many repetitions of evidence without a leave, the next voter in rank is told as well.
const SILENT_REPETITIONS: u32 = 2;

/// What the machine is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// This node's own opinion of a member changed.
    Reachability {
        /// Whose.
        node: NodeId,
        /// What it is now.
        reachable: bool,
    },
    /// A neighbor passed on a batch that this node has not passed on. It is not verified. Once it is,
    /// hand it to [`Membership::broadcast`]: only then does it travel on.
    Broadcast {
        /// The neighbor.
        from: NodeId,
        /// As it was given to [`Membership::broadcast`] there.
        batch: Bytes,
    },
    /// Evidence for a voter that is this node itself.
    Evidence {
        /// Who does not answer.
        suspect: NodeId,
    },
}

/// The subsystem of one node.
#[derive(Default)]
pub struct Membership {
    /// By number, the latest last. One today; around a change of neighborhoods there will be two.
    instances: BTreeMap<u64, Instance>,
    next_instance: u64,
    /// Members that this node probes itself, or has failed to reach.
    doubts: BTreeMap<NodeId, Doubt>,
    /// Of the last timer of a doubt: an earlier one of the same node does nothing.
    last_round: u64,
    /// Those of `doubts` that failed.
    unreachable: OrdSet<NodeId>,
    voters: Vec<NodeId>,
    passed: BTreeSet<Index>,
    /// What fell out of `passed` was below this.
    passed_below: Index,
    outputs: VecDeque<Output>,
}

impl Membership {
    /// Of a node that is no member yet.
    pub fn new() -> Self {
        Membership::default()
    }

    /// Starts probing in `neighborhood`, made by the event `created`, as the member `ctx.node`, with
    /// `peers` as the list. Where it probes there already, only the list is brought up to date.
    pub fn enter(&mut self, neighborhood: NeighborhoodId, created: Index, peers: &[NodeId], ctx: &mut Context<'_>) {
        if self.instances.values().any(|instance| instance.home() == (neighborhood, created)) {
            let gone: Vec<NodeId> = self.home_peers().filter(|node| !peers.contains(node)).collect();
            gone.into_iter().for_each(|node| self.peer_left(node, ctx));
            peers.iter().for_each(|&node| self.peer_joined(node, ctx));
            return;
        }
        self.instances.clear();
        let strangers: Vec<NodeId> = self.doubts.keys().copied().filter(|node| !peers.contains(node)).collect();
        strangers.into_iter().for_each(|node| self.end_doubt(node));
        let mut instance = Instance::start(self.next_instance, neighborhood, created, ctx);
        instance.admit(peers, ctx);
        instance.introduce(ctx);
        self.instances.insert(self.next_instance, instance);
        self.next_instance += 1;
        self.follow_changes(ctx);
    }

    /// The node is no member any more: nothing of what it knew of others counts, voters included.
    pub fn leave_all(&mut self) {
        *self = Membership { next_instance: self.next_instance, last_round: self.last_round, ..Membership::default() };
    }

    /// A member was added to this node's neighborhood.
    pub fn peer_joined(&mut self, node: NodeId, ctx: &mut Context<'_>) {
        if let Some(instance) = self.instances.values_mut().next_back() {
            instance.admit(&[node], ctx);
        }
        self.follow_changes(ctx);
    }

    /// A membership ended: the node is neither probed nor spoken of any more, whatever gossip says. Its
    /// reachability is forgotten without an output.
    pub fn peer_left(&mut self, node: NodeId, ctx: &mut Context<'_>) {
        self.doubts.remove(&node);
        self.unreachable.remove(&node);
        self.instances.values_mut().for_each(|instance| instance.dismiss(node, ctx));
        self.follow_changes(ctx);
    }

    /// Whom evidence goes to.
    pub fn set_voters(&mut self, voters: Vec<NodeId>) {
        self.voters = voters;
    }

    /// Takes what the member `from` said. Evidence is for the control plane, to which the machine hands
    /// it; here it only makes this node ask for itself.
    ///
    /// # Errors
    /// [`Junk`], to be reported by the machine, which knows the sender's key. Nothing changed.
    pub fn handle_message(&mut self, from: NodeId, message: message::Membership, ctx: &mut Context<'_>) -> Result<(), Junk> {
        match message {
            message::Membership::Swim { neighborhood, created, packet } => {
                let instance = self.instances.values_mut().find(|instance| instance.home() == (neighborhood, created));
                let instance = instance.ok_or(Junk::Invalid("a SWIM packet of another neighborhood"))?;
                let batches = instance.receive(from, &packet, ctx)?;
                self.follow_changes(ctx);
                for (index, batch) in batches {
                    if !self.was_passed(index) {
                        self.outputs.push_back(Output::Broadcast { from, batch });
                    }
                }
            }
            // Answered whatever foca thinks of the asker: it is what refutes a false alarm.
            message::Membership::Ping { token } => {
                ctx.send(from, Channel::Datagram, Message::Membership(message::Membership::Pong { token }));
            }
            message::Membership::Pong { token: _ } => self.heard_from(from, ctx),
            message::Membership::Evidence { suspect } => self.suspect(suspect, ctx),
        }
        Ok(())
    }

    /// A timer of this subsystem is due; others do nothing.
    pub fn handle_timer(&mut self, timer: Timer, ctx: &mut Context<'_>) {
        match timer {
            Timer::Swim { instance, slot } => {
                if let Some(instance) = self.instances.get_mut(&instance) {
                    instance.handle_timer(slot, ctx);
                }
                self.follow_changes(ctx);
            }
            Timer::Confirm { suspect, round } => self.confirm(suspect, round, ctx),
            Timer::RaftTick
            | Timer::Beat
            | Timer::Judge { .. }
            | Timer::Pending
            | Timer::Housekeeping
            | Timer::Pull { .. }
            | Timer::Announce { .. }
            | Timer::Admission { .. }
            | Timer::Offer { .. }
            | Timer::Compare { .. }
            | Timer::Roles => {}
        }
    }

    /// Somebody holds a member for failed: this node asks for itself.
    pub fn suspect(&mut self, node: NodeId, ctx: &mut Context<'_>) {
        if node == ctx.node || self.doubts.contains_key(&node) || !self.home_peers().any(|peer| peer == node) {
            return;
        }
        // A neighborhood hears of a suspect within moments: jitter keeps it from pinging as one.
        let delay = ctx.rng.duration_below(ctx.settings.membership.confirm_interval);
        self.last_round += 1;
        let round = self.last_round;
        self.doubts.insert(node, Doubt::new(round, ctx.now.time + delay));
        ctx.after(delay, Timer::Confirm { suspect: node, round });
    }

    /// A genuine frame of `node` came, of whatever kind: it lives. Ends this node's doubt about it.
    pub fn heard_from(&mut self, node: NodeId, ctx: &mut Context<'_>) {
        let Some(doubt) = self.doubts.get_mut(&node) else { return };
        if !self.instances.values().any(|instance| instance.standing(node) == Standing::Down) {
            return self.end_doubt(node);
        }
        let failed = doubt.stage() == Stage::Failed;
        doubt.heard();
        if failed {
            // Its timer is of the slower pace of a failure.
            self.last_round += 1;
            let wait = ctx.settings.membership.confirm_interval;
            doubt.restart(self.last_round, ctx.now.time + wait);
            ctx.after(wait, Timer::Confirm { suspect: node, round: self.last_round });
            self.set_reachable(node, true);
        }
    }

    /// Passes a verified batch, whose last event is `index`, on to the neighborhood: once per index. One
    /// of more than [`BATCH_LIMIT`] bytes does not travel so: the neighbors see the new position in the
    /// header of any frame, and pull.
    pub fn broadcast(&mut self, index: Index, batch: Bytes, ctx: &mut Context<'_>) {
        if self.was_passed(index) {
            return;
        }
        self.passed.insert(index);
        if self.passed.len() > PASSED_LIMIT
            && let Some(lowest) = self.passed.pop_first()
        {
            self.passed_below = lowest.next();
        }
        if batch.is_empty() || batch.len() > BATCH_LIMIT {
            ctx.report(Report::Limit("a batch of events is too large to be broadcast"));
            return;
        }
        for instance in self.instances.values_mut() {
            let reachable: BTreeSet<NodeId> = instance.peers().iter().copied().filter(|node| !self.unreachable.contains(node)).collect();
            let first = rank::successors(ctx.node, &reachable);
            if !instance.spread(index, &batch, &first, ctx) {
                ctx.report(Report::Limit("broadcasts that wait to be passed on"));
            }
        }
    }

    /// Members that this node itself fails to reach.
    pub fn unreachable(&self) -> &OrdSet<NodeId> {
        &self.unreachable
    }

    /// What the machine is to do next. The answer may change after each call that takes a context.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether foca probes `node`, and whether it knows of it at all.
    #[cfg(test)]
    fn swim_standing(&self, node: NodeId) -> (bool, bool) {
        let standing = self.instances.values().next_back().map_or(Standing::Unknown, |instance| instance.standing(node));
        (standing == Standing::Up, standing != Standing::Unknown)
    }

    /// How often this node took a new identity.
    #[cfg(test)]
    fn swim_renewals(&self) -> u32 {
        self.instances.values().map(Instance::renewals).sum()
    }

    fn home_peers(&self) -> impl Iterator<Item = NodeId> {
        self.instances.values().next_back().into_iter().flat_map(|instance| instance.peers().iter().copied())
    }

    fn was_passed(&self, index: Index) -> bool {
        index < self.passed_below || self.passed.contains(&index)
    }

    /// foca's list changed.
    fn follow_changes(&mut self, ctx: &mut Context<'_>) {
        let changes: Vec<Change> = self.instances.values_mut().flat_map(Instance::take_changes).collect();
        for change in changes {
            match change {
                Change::Down(node) => self.suspect(node, ctx),
                // A node is up again under an identity that it made itself after it was called down.
                Change::Up(node) => self.end_doubt(node),
            }
        }
    }

    fn end_doubt(&mut self, node: NodeId) {
        if self.doubts.remove(&node).is_some_and(|doubt| doubt.stage() == Stage::Failed) {
            self.set_reachable(node, true);
        }
    }

    /// The next step of a doubt.
    fn confirm(&mut self, suspect: NodeId, round: u64, ctx: &mut Context<'_>) {
        let Some(doubt) = self.doubts.get_mut(&suspect).filter(|doubt| doubt.round() == round) else { return };
        let (step, wait) = doubt.step(ctx.now.time, &ctx.settings.membership);
        ctx.after(wait, Timer::Confirm { suspect, round });
        ctx.send(suspect, Channel::Datagram, Message::Membership(message::Membership::Ping { token: round }));
        match step {
            Step::Ping => {}
            Step::Fail => {
                self.set_reachable(suspect, false);
                self.tell(suspect, 0, ctx);
            }
            Step::Repeat(count) => self.tell(suspect, count, ctx),
            Step::Announce => self.instances.values_mut().for_each(|instance| {
                if instance.standing(suspect) == Standing::Down {
                    instance.announce(suspect, ctx);
                }
            }),
            Step::Readmit => {
                self.instances.values_mut().for_each(|instance| instance.readmit(suspect, ctx));
                self.follow_changes(ctx);
            }
        }
    }

    /// Evidence goes to the voter ranked first; where that had no effect, to the next ones as well.
    fn tell(&mut self, suspect: NodeId, repetition: u32, ctx: &mut Context<'_>) {
        let mut ranked = rank::rank(suspect, &self.voters);
        // Stable: those that this node can not reach come last, in their order.
        ranked.sort_by_key(|voter| self.unreachable.contains(voter));
        let told = 1 + (repetition / SILENT_REPETITIONS) as usize;
        for voter in ranked.into_iter().take(told) {
            if voter == ctx.node {
                self.outputs.push_back(Output::Evidence { suspect });
            } else {
                ctx.send(voter, Channel::Datagram, Message::Membership(message::Membership::Evidence { suspect }));
            }
        }
    }

    fn set_reachable(&mut self, node: NodeId, reachable: bool) {
        if reachable {
            self.unreachable.remove(&node);
        } else {
            self.unreachable.insert(node);
        }
        self.outputs.push_back(Output::Reachability { node, reachable });
    }
}
