//! Failure detection: probes the neighborhood, produces evidence.
//!
//! SWIM (foca) finds out cheaply who might be down, and tells everyone. What it says is one node's
//! opinion, so nothing follows from it but that each node asks for itself ([`doubt`]): only its own
//! failure makes a node *unreachable* here and is reported to a voter. Who is a member, the event log
//! alone decides; foca sees nothing that contradicts it ([`instance`]).
//!
//! When the neighborhood changes, a new instance begins, and the old one only answers, for
//! [`overlap`](crate::settings::MembershipSettings::overlap) ([`retired`]): members hear of the change one
//! after the other. Who is late seems down to the new instance, and is asked first-hand, which it answers
//! whatever it has heard of: so no evidence needs to be held back meanwhile, and a crash is found during a
//! split as fast as ever. Doubts about those who stay neighbors go on.
//!
//! Beyond the neighborhood a node keeps a few links ([`far`]), and voters watch for neighborhoods that fall
//! silent as a whole ([`watch`]).

mod doubt;
mod far;
mod instance;
mod packet;
mod peer;
mod rank;
mod retired;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use imbl::OrdSet;

use self::doubt::{Doubt, Stage, Step};
use self::far::FarLinks;
use self::instance::{Change, Instance, Standing};
use self::retired::Retired;
use self::watch::Watch;
use crate::context::{Context, Junk, Report};
use crate::facts::Facts;
use crate::ids::{Index, NeighborhoodId, NodeId};
use crate::timers::Timer;
use crate::wire::frame::Channel;
use crate::wire::member::Acquaintance;
use crate::wire::message::{self, Message};

/// After so many repetitions of evidence without a leave, the next voter in rank is told as well.
const SILENT_REPETITIONS: u32 = 2;
/// No more instances of former neighborhoods answer: changes so close together are rare.
const RETIRED_LIMIT: usize = 4;
/// A voter has doubts about no more members of other neighborhoods at a time: leaves are few a second anyway.
const STRANGERS_LIMIT: usize = 96;

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
    /// Evidence for a voter that is this node itself.
    Evidence {
        /// Who does not answer.
        suspect: NodeId,
    },
}

/// The subsystem of one node.
#[derive(Default)]
pub struct Membership {
    /// Where this node probes.
    home: Option<Instance>,
    /// Where it probed until lately, the latest last.
    retired: VecDeque<Retired>,
    next_instance: u64,
    far: FarLinks,
    watch: Watch,
    /// Of the last chain of timers of `far` and `watch`.
    last_chain: u64,
    /// Members that this node probes itself, or has failed to reach.
    doubts: BTreeMap<NodeId, Doubt>,
    /// Of the last timer of a doubt: an earlier one of the same node does nothing.
    last_round: u64,
    /// Those of `doubts` that failed.
    unreachable: OrdSet<NodeId>,
    voters: Vec<NodeId>,
    outputs: VecDeque<Output>,
}

impl Membership {
    /// Of a node that is no member yet.
    pub fn new() -> Self {
        Membership::default()
    }

    /// Starts probing in `neighborhood`, made by the event `created`, as the member `ctx.node`, with
    /// `peers` as the list. Where it probes there already, only the list is brought up to date; where it
    /// probes elsewhere, it goes on answering there for a while, and its doubts about those who stay go on.
    pub fn enter(&mut self, neighborhood: NeighborhoodId, created: Index, peers: &[NodeId], ctx: &mut Context<'_>) {
        if let Some(home) = self.home.as_ref().filter(|home| home.home() == (neighborhood, created)) {
            let gone: Vec<NodeId> = home.peers().iter().copied().filter(|node| !peers.contains(node)).collect();
            gone.into_iter().for_each(|node| self.member_left(node, ctx));
            peers.iter().for_each(|&node| self.peer_joined(node, ctx));
            return;
        }
        let suspects = self.home.as_ref().map(Instance::suspects).unwrap_or_default();
        let former: Vec<NodeId> = self.home_peers().collect();
        match self.home.take() {
            Some(home) => self.retire(home, ctx),
            None => self.begin_chains(ctx),
        }
        // A voter may have doubts about anyone.
        let dropped = former.into_iter().filter(|node| !peers.contains(node) && !self.voters.contains(&ctx.node));
        dropped.collect::<Vec<_>>().into_iter().for_each(|node| self.end_doubt(node));
        peers.iter().for_each(|&node| self.far.forget(node));
        let mut instance = Instance::start(self.next_instance, neighborhood, created, ctx);
        instance.admit(peers, ctx);
        // That they are on the list says nothing about whether they live.
        instance.take_changes();
        instance.introduce(ctx);
        self.home = Some(instance);
        self.next_instance += 1;
        self.follow_changes(ctx);
        // A suspicion does not outlive its instance; this node's own question does.
        suspects.into_iter().for_each(|node| self.suspect_neighbor(node, ctx));
    }

    fn retire(&mut self, home: Instance, ctx: &mut Context<'_>) {
        let retired = home.retire();
        ctx.after(ctx.settings.membership.overlap, Timer::Overlap { instance: retired.number() });
        self.retired.push_back(retired);
        if self.retired.len() > RETIRED_LIMIT {
            self.retired.pop_front();
            ctx.report(Report::Limit("former neighborhoods in which this node still answers"));
        }
    }

    fn begin_chains(&mut self, ctx: &mut Context<'_>) {
        self.last_chain += 1;
        self.far.start(self.last_chain, ctx);
        self.watch.start(self.last_chain, ctx);
    }

    /// The node is no member any more: nothing of what it knew of others counts, voters included.
    pub fn leave_all(&mut self) {
        *self = Membership {
            next_instance: self.next_instance,
            last_round: self.last_round,
            last_chain: self.last_chain,
            ..Membership::default()
        };
    }

    /// A member was added to this node's neighborhood.
    pub fn peer_joined(&mut self, node: NodeId, ctx: &mut Context<'_>) {
        if let Some(home) = &mut self.home {
            home.admit(&[node], ctx);
        }
        self.far.forget(node);
        self.follow_changes(ctx);
    }

    /// A membership ended, of whatever neighborhood: the node is neither probed nor linked to nor spoken of
    /// any more, whatever others say. Its reachability is forgotten without an output.
    pub fn member_left(&mut self, node: NodeId, ctx: &mut Context<'_>) {
        self.doubts.remove(&node);
        self.unreachable.remove(&node);
        self.far.forget(node);
        self.watch.forget(node);
        self.retired.iter_mut().for_each(|retired| retired.dismiss(node));
        if let Some(home) = &mut self.home {
            home.dismiss(node, ctx);
        }
        self.follow_changes(ctx);
    }

    /// The members of other neighborhoods that this node exchanges with: at most
    /// [`far_links`](crate::settings::MembershipSettings::far_links), none where there is one neighborhood.
    /// Nobody vouches for what is said of them.
    pub fn far_links(&self) -> impl Iterator<Item = &Acquaintance> {
        self.far.links()
    }

    /// Where a member of another neighborhood is reached, if this node was told. Nobody vouches for it.
    pub fn acquaintance(&self, node: NodeId) -> Option<&Acquaintance> {
        self.far.find(node)
    }

    /// Whom evidence goes to.
    pub fn set_voters(&mut self, voters: Vec<NodeId>) {
        self.voters = voters;
    }

    /// Takes what the member `from` said. Evidence is for the control plane, to which the machine hands
    /// it; here it only makes this node ask for itself. `facts` are those that the node knows now. A packet and a sample
    /// may come from a member that is out of scope.
    ///
    /// # Errors
    /// [`Junk`], to be reported by the machine, which knows the sender's key. Nothing changed.
    pub fn handle_message(&mut self, from: NodeId, message: message::Membership, facts: &Facts, ctx: &mut Context<'_>) -> Result<(), Junk> {
        match message {
            message::Membership::Swim { neighborhood, created, packet } => {
                self.handle_packet(from, (neighborhood, created), &packet, ctx)?;
            }
            // Answered whatever foca thinks of the asker: it is what refutes a false alarm.
            message::Membership::Ping { token } => {
                ctx.send(from, Channel::Datagram, Message::Membership(message::Membership::Pong { token }));
            }
            message::Membership::Pong { token: _ } => self.heard_from(from, ctx),
            message::Membership::Evidence { suspect } => self.suspect(suspect, facts, ctx),
            message::Membership::Sample { members, reply_wanted } => {
                self.far.handle_sample(from, members, reply_wanted, facts, ctx)?;
            }
            message::Membership::Keepalive { neighborhood } => self.watch.handle_keepalive(from, neighborhood, facts, ctx.now.time),
        }
        Ok(())
    }

    /// A SWIM packet goes to the instance that it is of. Sender and recipient need not be at the same event: a
    /// neighborhood of another event is one that this node does not know yet, or that its sender knows still.
    fn handle_packet(&mut self, from: NodeId, of: (NeighborhoodId, Index), packet: &Bytes, ctx: &mut Context<'_>) -> Result<(), Junk> {
        if let Some(retired) = self.retired.iter_mut().find(|retired| retired.home() == of) {
            if let Some(packet) = retired.answer(from, packet)? {
                let swim = message::Membership::Swim { neighborhood: of.0, created: of.1, packet };
                ctx.send(from, Channel::Datagram, Message::Membership(swim));
            }
            return Ok(());
        }
        match &mut self.home {
            Some(home) if home.home() == of => {
                home.receive(from, packet, ctx)?;
                self.follow_changes(ctx);
                Ok(())
            }
            Some(home) if home.home().1 != of.1 => Ok(()),
            Some(_) | None => Err(Junk::Invalid("a SWIM packet of another neighborhood")),
        }
    }

    /// A timer of this subsystem is due; others do nothing. `facts` are those that the node knows now.
    pub fn handle_timer(&mut self, timer: Timer, facts: &Facts, ctx: &mut Context<'_>) {
        match timer {
            Timer::Swim { instance, slot } => {
                if let Some(home) = self.home.as_mut().filter(|home| home.number() == instance) {
                    home.handle_timer(slot, ctx);
                }
                self.follow_changes(ctx);
            }
            Timer::Confirm { suspect, round } => self.confirm(suspect, round, ctx),
            Timer::Overlap { instance } => self.retired.retain(|retired| retired.number() != instance),
            Timer::Sample { round } => self.far.handle_timer(round, facts, &self.voters, ctx),
            Timer::Keepalive { round } => self.keep_watch(round, facts, ctx),
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

    fn keep_watch(&mut self, round: u64, facts: &Facts, ctx: &mut Context<'_>) {
        let strangers: Vec<NodeId> = self.doubts.keys().copied().filter(|node| !self.is_home_peer(*node)).collect();
        if !self.voters.contains(&ctx.node) {
            // It votes no more: what it holds against others is nobody's business.
            strangers.into_iter().for_each(|node| self.end_doubt(node));
            self.watch.handle_timer(round, |node| self.unreachable.contains(&node), &self.voters, 0, facts, ctx);
            return;
        }
        let room = STRANGERS_LIMIT.saturating_sub(strangers.len());
        let probes = self.watch.handle_timer(round, |node| self.unreachable.contains(&node), &self.voters, room, facts, ctx);
        for (node, delay) in probes {
            self.ask_for_itself(node, delay, ctx);
        }
    }

    /// Somebody holds a member for failed: this node asks for itself. A voter does so for any member, another
    /// node for its neighbors.
    pub fn suspect(&mut self, node: NodeId, facts: &Facts, ctx: &mut Context<'_>) {
        if self.is_home_peer(node) {
            return self.suspect_neighbor(node, ctx);
        }
        if !self.voters.contains(&ctx.node) || !facts.is_member(node) || self.doubts.contains_key(&node) {
            return;
        }
        if self.doubts.keys().filter(|doubted| !self.is_home_peer(**doubted)).count() >= STRANGERS_LIMIT {
            return ctx.report(Report::Limit("doubts of a voter about members of other neighborhoods"));
        }
        let jitter = ctx.rng.duration_below(ctx.settings.membership.confirm_interval);
        self.ask_for_itself(node, jitter, ctx);
    }

    fn suspect_neighbor(&mut self, node: NodeId, ctx: &mut Context<'_>) {
        if self.is_home_peer(node) && !self.doubts.contains_key(&node) {
            // A neighborhood hears of a suspect within moments: jitter keeps it from pinging as one.
            let jitter = ctx.rng.duration_below(ctx.settings.membership.confirm_interval);
            self.ask_for_itself(node, jitter, ctx);
        }
    }

    fn ask_for_itself(&mut self, node: NodeId, delay: Duration, ctx: &mut Context<'_>) {
        if node == ctx.node || self.doubts.contains_key(&node) {
            return;
        }
        self.last_round += 1;
        let round = self.last_round;
        self.doubts.insert(node, Doubt::new(round, ctx.now.time + delay));
        ctx.after(delay, Timer::Confirm { suspect: node, round });
    }

    /// A genuine frame of `node` came, of whatever kind: it lives. Ends this node's doubt about it.
    pub fn heard_from(&mut self, node: NodeId, ctx: &mut Context<'_>) {
        self.far.heard_from(node);
        let Some(doubt) = self.doubts.get_mut(&node) else { return };
        self.watch.answered(node, ctx.now.time);
        if self.home.as_ref().is_none_or(|home| home.standing(node) != Standing::Down) {
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
        let standing = self.home.as_ref().map_or(Standing::Unknown, |home| home.standing(node));
        (standing == Standing::Up, standing != Standing::Unknown)
    }

    /// How often this node took a new identity.
    #[cfg(test)]
    fn swim_renewals(&self) -> u32 {
        self.home.as_ref().map_or(0, Instance::renewals)
    }

    fn home_peers(&self) -> impl Iterator<Item = NodeId> {
        self.home.iter().flat_map(|home| home.peers().iter().copied())
    }

    fn is_home_peer(&self, node: NodeId) -> bool {
        self.home.as_ref().is_some_and(|home| home.peers().contains(&node))
    }

    /// foca's list changed.
    fn follow_changes(&mut self, ctx: &mut Context<'_>) {
        let changes: Vec<Change> = self.home.as_mut().map(Instance::take_changes).unwrap_or_default();
        for change in changes {
            match change {
                Change::Down(node) => self.suspect_neighbor(node, ctx),
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
            Step::Announce => {
                if let Some(home) = self.home.as_mut().filter(|home| home.standing(suspect) == Standing::Down) {
                    home.announce(suspect, ctx);
                }
            }
            Step::Readmit => {
                if let Some(home) = &mut self.home {
                    home.readmit(suspect, ctx);
                }
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
