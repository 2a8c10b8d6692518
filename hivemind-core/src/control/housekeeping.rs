//! What the leader looks after: signs of life, voters to add and to take away, failed members to
//! leave, history to collect.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Control;
use super::applied::Applied;
use super::evidence::{Known, Verdict};
use super::output::Output;
use super::plan::{Picture, Step};
use crate::context::{Context, Report};
use crate::ids::{Index, NodeId};
use crate::planted::{self, Planted};
use crate::settings::ControlSettings;
use crate::time::{Time, Timestamp};
use crate::timers::Timer;
use crate::wire::command::{Command, Proposal};
use crate::wire::event::LeaveReason;
use crate::wire::frame::{Beat, Channel};
use crate::wire::message::{self, Message};

/// A snapshot without an answer is sent again after this.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(2);
/// The leader looks around every so many ticks.
const LOOK_TICKS: u32 = 4;

impl Control {
    /// The leader's sign of life: only while it hears a majority of voters.
    pub(super) fn handle_beat(&mut self, ctx: &mut Context<'_>) {
        if !self.beat_alarm.ring(ctx.now.time) || !self.raw.is_leader() {
            return;
        }
        let heard = self.heard_lately(ctx);
        let has_quorum = self.applied.as_ref().is_some_and(|applied| applied.configuration().is_able(&heard));
        if has_quorum && self.raw.is_established() {
            self.beats += 1;
            self.outputs.push_back(Output::Beat(Beat { term: self.raw.term(), count: self.beats }));
        }
        if self.beat_alarm.arm(ctx.now.time, ctx.settings.control.beat) {
            ctx.after(ctx.settings.control.beat, Timer::Beat);
        }
    }

    pub(super) fn arm_housekeeping(&mut self, ctx: &mut Context<'_>) {
        let round = ctx.settings.control.tick * LOOK_TICKS;
        if self.housekeeping_alarm.arm(ctx.now.time, round) {
            ctx.after(round, Timer::Housekeeping);
        }
    }

    pub(super) fn handle_housekeeping(&mut self, ctx: &mut Context<'_>) {
        if !self.housekeeping_alarm.ring(ctx.now.time) || !self.raw.is_leader() {
            return;
        }
        self.raw.retry_snapshots(ctx.now.time - SNAPSHOT_PATIENCE);
        self.look = true;
        self.arm_housekeeping(ctx);
    }

    /// First-hand evidence of a member, at any voter.
    pub fn handle_evidence(&mut self, from: NodeId, suspect: NodeId, ctx: &mut Context<'_>) {
        if self.raw.is_leader() {
            if let Some(applied) = &self.applied {
                let is_new = self.evidence.report(from, suspect, applied, &ctx.settings.control, ctx.now.time);
                if is_new {
                    ctx.report(Report::Accused { suspect, observer: from });
                }
            }
        } else if let Some(leader) = self.raw.leader() {
            ctx.send(leader, Channel::Ordered, Message::Control(message::Control::Evidence { observer: from, suspect }));
        }
    }

    /// Evidence that another voter passes on.
    pub(super) fn handle_passed_evidence(&mut self, from: NodeId, observer: NodeId, suspect: NodeId, ctx: &mut Context<'_>) {
        if !self.is_part(from) {
            return self.junk(from, "evidence passed on by one that is no voter", ctx);
        }
        if self.raw.is_leader() {
            self.handle_evidence(observer, suspect, ctx);
        }
    }

    /// Has all voters probe those against whom there is too little.
    fn ask_for_probes(&mut self, verdicts: &[Verdict], ctx: &mut Context<'_>) {
        let voters: Vec<NodeId> = self.applied.iter().flat_map(Applied::voters).collect();
        for suspect in self.evidence.probes(verdicts, &ctx.settings.control, ctx.now.time) {
            for &voter in voters.iter().filter(|voter| **voter != suspect) {
                if voter == self.node {
                    self.outputs.push_back(Output::Probe { suspect });
                } else {
                    ctx.send(voter, Channel::Ordered, Message::Control(message::Control::Probe { suspect }));
                }
            }
        }
    }

    /// The leader asks for a probe.
    pub(super) fn handle_probe(&mut self, from: NodeId, suspect: NodeId, ctx: &mut Context<'_>) {
        if !self.is_part(from) {
            return self.junk(from, "a probe asked for by one that is no voter", ctx);
        }
        self.outputs.push_back(Output::Probe { suspect });
    }

    /// The time that a command would be applied at, which this node leads now.
    pub(super) fn command_time(&self, ctx: &Context<'_>) -> Timestamp {
        self.clock.read(ctx.now)
    }

    /// One look at the group, as its established leader. Says whether something was proposed.
    pub(super) fn look_after(&mut self, ctx: &mut Context<'_>) -> bool {
        self.look = false;
        if let Some(applied) = &self.applied {
            self.clock.follow(applied.registry.time, ctx.now.time);
        }
        let verdicts = self.judge(ctx);
        let dead: BTreeSet<NodeId> = verdicts.iter().map(|verdict| verdict.suspect).collect();
        self.ask_for_probes(&verdicts, ctx);
        let changed = self.change_group(&dead, ctx);
        let left = self.let_leave(verdicts, ctx);
        let collected = self.collect_history(ctx);
        changed || left || collected
    }

    fn judge(&mut self, ctx: &Context<'_>) -> Vec<Verdict> {
        let Some(applied) = &self.applied else { return Vec::new() };
        let settings = &ctx.settings.control;
        self.evidence.forget_old(applied, settings, ctx.now.time);
        let known = Known { applied, heard: &self.heard_lately(ctx), time: self.command_time(ctx), now: ctx.now.time };
        if planted::has(ctx.settings, Planted::OneObserverSuffices) {
            return self.evidence.verdicts(&known, &ControlSettings { observers: 1, ..settings.clone() });
        }
        self.evidence.verdicts(&known, settings)
    }

    fn change_group(&mut self, dead: &BTreeSet<NodeId>, ctx: &Context<'_>) -> bool {
        if self.raw.is_changing() {
            return false;
        }
        self.changing.clear();
        // A joint configuration is left before anything else changes.
        let Some(applied) = self.applied.as_ref().filter(|applied| applied.registry.joint.is_none()) else { return false };
        match self.with_picture(applied, dead, ctx, |picture| picture.plan()) {
            Some(Step::Change(changes)) => {
                let proposed = self.raw.propose_change(&changes);
                if proposed {
                    self.changing = changes.iter().map(|change| change.node).collect();
                }
                proposed
            }
            Some(Step::Transfer(heir)) => {
                self.raw.transfer(heir);
                true
            }
            None => false,
        }
    }

    pub(super) fn has_candidate(&self, applied: &Applied, ctx: &Context<'_>) -> bool {
        self.with_picture(applied, &BTreeSet::new(), ctx, |picture| picture.has_candidate())
    }

    fn with_picture<T>(&self, applied: &Applied, dead: &BTreeSet<NodeId>, ctx: &Context<'_>, look: impl FnOnce(&Picture<'_>) -> T) -> T {
        // What only one voter has, nobody has once it is let go: another one gets the authority's key first. Where it is lost with its
        // disk or its machine, there is nothing to wait for.
        let is_kept = |node: &NodeId| {
            applied.facts.is_last_keeper(*node)
                && !dead.contains(node)
                && !self.pending.parked.iter().any(|parked| parked.supersedes(*node))
        };
        let asked = self.blockers().chain(self.pending.ending()).chain(applied.unwished());
        let caught_up = applied.facts.voters().keys().copied().filter(|node| self.raw.has_caught_up(*node)).collect();
        look(&Picture {
            applied,
            node: self.node,
            wanted: ctx.settings.control.voters.max(1),
            asked: &asked.filter(|node| !is_kept(node)).collect(),
            urgent: &self.urgent_blockers(ctx),
            dead,
            suspects: &self.evidence.suspects(applied),
            heard: &self.heard_lately(ctx),
            caught_up: &caught_up,
            time: self.command_time(ctx),
        })
    }

    /// Proposes the leaves of those against whom there is enough, once they have no part in the group.
    fn let_leave(&mut self, verdicts: Vec<Verdict>, ctx: &mut Context<'_>) -> bool {
        let mut any = false;
        for Verdict { suspect, observers } in verdicts {
            let stays = planted::has(ctx.settings, Planted::NobodyLeaves);
            if stays || self.is_or_becomes_part(suspect) || !self.evidence.may_propose(suspect, &ctx.settings.control) {
                continue;
            }
            let id = self.pending.own_id(self.node, ctx.boot);
            self.evidence.propose(suspect, id, ctx.now.time);
            let command = Command::Leave { node: suspect, reason: LeaveReason::Failed { observers } };
            self.lead_own(Proposal { id, time: ctx.now.wall, command }, ctx);
            any = true;
        }
        any
    }

    fn collect_history(&mut self, ctx: &mut Context<'_>) -> bool {
        let Some(facts) = self.facts() else { return false };
        let keep = ctx.settings.control.collect_events.max(2);
        let last = facts.position().index.0;
        if last + 1 - facts.floor().0 <= keep || self.collecting.is_some_and(|id| self.pending.flights.contains_key(&id)) {
            return false;
        }
        let floor = Index(last + 1 - keep / 2);
        let id = self.pending.own_id(self.node, ctx.boot);
        self.collecting = Some(id);
        self.lead_own(Proposal { id, time: ctx.now.wall, command: Command::AdvanceEpoch { floor } }, ctx);
        true
    }

    fn lead_own(&mut self, proposal: Proposal, ctx: &mut Context<'_>) {
        let deadline: Time = ctx.now.time + ctx.settings.control.proposal_timeout;
        self.lead(proposal, deadline, ctx);
    }
}
