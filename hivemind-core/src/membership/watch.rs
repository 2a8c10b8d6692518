//! Whole neighborhoods: two delegates of each say that it lives, and voters watch for silence.
//!
//! A neighborhood that goes down as one (a rack, a cut cable) has nobody left who could give evidence of the
//! others. So the two members that rendezvous hashing ranks first in it tell two voters, again and again,
//! that it lives. A voter that hears nothing of a neighborhood for three keepalives probes its members itself,
//! a bounded number at a time: what fails then is evidence like any other. One answer ends it: who lives there
//! looks after the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::context::Context;
use crate::facts::Facts;
use crate::ids::{NeighborhoodId, NodeId};
use crate::rank::rank;
use crate::time::Time;
use crate::timers::Timer;
use crate::wire::frame::Channel;
use crate::wire::message::{self, Message};

/// So many delegates speak for a neighborhood, each to a voter of its own.
const DELEGATES: usize = 2;
/// So many keepalives must be missing.
const SILENT_KEEPALIVES: u32 = 3;
/// Members of silent neighborhoods are probed so far apart.
const PROBE_SPACING: Duration = Duration::from_millis(20);

/// Who is to be probed by a voter, and how long from now.
pub(super) type Probe = (NodeId, Duration);

/// The keepalives of one node, and what it watches as a voter.
#[derive(Default)]
pub(super) struct Watch {
    /// The present chain of timers.
    round: u64,
    due: Time,
    /// When each neighborhood that this voter watches was heard of.
    heard: BTreeMap<NeighborhoodId, Time>,
    /// Who is probed because its neighborhood is silent.
    probed: BTreeMap<NodeId, NeighborhoodId>,
}

impl Watch {
    /// Begins a chain of keepalives.
    pub(super) fn start(&mut self, round: u64, ctx: &mut Context<'_>) {
        self.round = round;
        self.again(ctx);
    }

    fn again(&mut self, ctx: &mut Context<'_>) {
        // Up to a quarter early: neighborhoods are not to speak in step, nor to seem silent.
        let period = ctx.settings.membership.keepalive;
        let wait = period - ctx.rng.duration_below(period / 4);
        self.due = ctx.now.time + wait;
        ctx.after(wait, Timer::Keepalive { round: self.round });
    }

    /// The timer is due. Returns whom this voter is to probe, at most `room` of them.
    pub(super) fn handle_timer(
        &mut self,
        round: u64,
        unreachable: impl Fn(NodeId) -> bool,
        voters: &[NodeId],
        room: usize,
        facts: &Facts,
        ctx: &mut Context<'_>,
    ) -> Vec<Probe> {
        if round != self.round {
            return Vec::new();
        }
        // Who wakes up late has not read yet what came meanwhile: that is no silence of others.
        if ctx.now.time.since(self.due) >= ctx.settings.membership.keepalive {
            self.heard.clear();
        }
        self.again(ctx);
        if facts.neighborhood_count() < 2 {
            self.heard.clear();
            return Vec::new();
        }
        speak(unreachable, voters, facts, ctx);
        if voters.contains(&ctx.node) && facts.is_full() {
            return self.look(voters, room, facts, ctx);
        }
        self.heard.clear();
        Vec::new()
    }

    /// Which neighborhoods are silent, and who of them is probed now.
    fn look(&mut self, voters: &[NodeId], room: usize, facts: &Facts, ctx: &mut Context<'_>) -> Vec<Probe> {
        self.heard.retain(|id, _| facts.neighborhoods().contains_key(id));
        self.probed.retain(|node, _| facts.is_member(*node));
        let patience = ctx.settings.membership.keepalive * SILENT_KEEPALIVES;
        let mut probes = Vec::new();
        for (&id, hood) in facts.neighborhoods() {
            let is_mine = || rank(key(id), voters.iter().copied()).iter().take(DELEGATES).any(|&voter| voter == ctx.node);
            if hood.members.is_empty() || hood.members.contains(&ctx.node) || !is_mine() {
                self.heard.remove(&id);
                continue;
            }
            let heard = *self.heard.entry(id).or_insert(ctx.now.time);
            if ctx.now.time.since(heard) < patience {
                continue;
            }
            for &node in &hood.members {
                if probes.len() < room && !self.probed.contains_key(&node) {
                    self.probed.insert(node, id);
                    probes.push((node, PROBE_SPACING * probes.len() as u32));
                }
            }
        }
        probes
    }

    /// A delegate spoke. Only a member of the neighborhood can speak for it.
    pub(super) fn handle_keepalive(&mut self, from: NodeId, neighborhood: NeighborhoodId, facts: &Facts, now: Time) {
        let is_of_it = facts.neighborhoods().get(&neighborhood).is_some_and(|hood| hood.members.contains(&from));
        if let Some(heard) = self.heard.get_mut(&neighborhood).filter(|_| is_of_it) {
            *heard = now;
        }
    }

    /// One that may have been probed answered: its neighborhood is not silent.
    pub(super) fn answered(&mut self, node: NodeId, now: Time) {
        if let Some(id) = self.probed.remove(&node) {
            self.probed.retain(|_, of| *of != id);
            self.heard.insert(id, now);
        }
    }

    /// It is no member any more.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.probed.remove(&node);
    }
}

/// As a delegate of the own neighborhood, tells a voter that it lives.
fn speak(unreachable: impl Fn(NodeId) -> bool, voters: &[NodeId], facts: &Facts, ctx: &mut Context<'_>) {
    let Some((neighborhood, hood)) = facts.neighborhood_of(ctx.node) else { return };
    let reachable = hood.members.iter().copied().filter(|&node| node == ctx.node || !unreachable(node));
    let delegates: Vec<NodeId> = rank(key(neighborhood), reachable).into_iter().take(DELEGATES).collect();
    let watching = rank(key(neighborhood), voters.iter().copied()).into_iter().take(DELEGATES);
    let told: BTreeSet<NodeId> = watching
        .enumerate()
        // One who is left alone speaks to both.
        .filter(|(place, _)| delegates.get(*place).or(delegates.first()) == Some(&ctx.node))
        .map(|(_, voter)| voter)
        .filter(|&voter| voter != ctx.node)
        .collect();
    for voter in told {
        ctx.send(voter, Channel::Datagram, Message::Membership(message::Membership::Keepalive { neighborhood }));
    }
}

fn key(neighborhood: NeighborhoodId) -> u64 {
    u64::from(neighborhood.0)
}
