//! Passing on: whom a node tells of news, and when.
//!
//! A lone event travels as it is inside a neighborhood, along a fixed graph in which everyone has as many
//! predecessors as successors (Imase and Itoh, "Design to minimize diameter on building-block network",
//! 1981), and is announced over far links. Of a stream of events only the position is announced.

use std::collections::BTreeSet;
use std::time::Duration;

use imbl::OrdSet;

use super::rate::Rate;
use crate::context::Context;
use crate::facts::Facts;
use crate::ids::NodeId;
use crate::time::Time;
use crate::timers::Timer;

/// Whom a node can tell: handed in by the machine, as membership knows them.
#[derive(Clone, Copy, Debug)]
pub struct Peers<'a> {
    /// The other members of the own neighborhood, in order of id.
    pub neighbors: &'a [NodeId],
    /// Members of other neighborhoods that this node exchanges events with.
    pub far: &'a [NodeId],
    /// Members that this node itself fails to reach.
    pub unreachable: &'a OrdSet<NodeId>,
}

impl Peers<'_> {
    pub(super) fn reaches(&self, node: NodeId) -> bool {
        !self.unreachable.contains(&node)
    }
}

/// What is known about the spreading of the last news.
#[derive(Debug, Default)]
pub(super) struct Spread {
    rate: Rate,
    /// Heard at this node's position or beyond it: they need no word of it.
    abreast: BTreeSet<NodeId>,
    /// Whether the last news was this node's to bring into the world.
    leads: bool,
    /// Whether it was announced over far links already.
    far_told: bool,
    announced: Time,
    round: u64,
    pending: bool,
}

impl Spread {
    /// News was applied, by `from` or, where this node leads, by its own part of the control plane.
    pub(super) fn news(&mut self, events: usize, leads: bool, ctx: &Context<'_>) {
        (0..events).for_each(|_| self.rate.count(ctx.now.time, ctx.settings.events.push_rate));
        self.leads = leads;
        self.far_told = false;
        self.abreast.clear();
    }

    /// Whether news comes so often that it is announced only.
    pub(super) fn is_stream(&self, ctx: &Context<'_>) -> bool {
        self.rate.is_high(ctx.now.time, ctx.settings.events.push_rate)
    }

    /// `node` is where this node is, or beyond.
    pub(super) fn hear_abreast(&mut self, node: NodeId) {
        // Nothing else asks for it.
        if self.pending {
            self.abreast.insert(node);
        }
    }

    /// Times an announcement: of a stream as soon as the last one is an interval ago; of a lone event, which
    /// was pushed, after an interval, for those whom the push did not reach.
    pub(super) fn announce_later(&mut self, ctx: &mut Context<'_>) {
        if self.pending {
            return;
        }
        self.pending = true;
        self.round += 1;
        let interval = ctx.settings.events.announce_interval;
        let since = if self.is_stream(ctx) { ctx.now.time.since(self.announced) } else { Duration::ZERO };
        ctx.after(interval.saturating_sub(since), Timer::Announce { round: self.round });
    }

    /// The timer of `round` fired: whom to announce the position to now.
    pub(super) fn fire(&mut self, round: u64, facts: &Facts, peers: &Peers<'_>, ctx: &mut Context<'_>) -> Vec<NodeId> {
        if !self.pending || round != self.round {
            return Vec::new();
        }
        self.pending = false;
        self.announced = ctx.now.time;
        let settings = &ctx.settings.events;
        let (near, far) = (settings.announce_neighbors, if self.far_told { 0 } else { settings.announce_far });
        let mut told = self.some(peers.neighbors, near, peers, ctx);
        told.extend(self.some(peers.far, far, peers, ctx));
        if self.leads {
            told.extend(heads(facts, peers, ctx));
        }
        told.sort_unstable();
        told.dedup();
        told
    }

    fn some(&self, of: &[NodeId], count: usize, peers: &Peers<'_>, ctx: &mut Context<'_>) -> Vec<NodeId> {
        let untold: Vec<NodeId> = of.iter().copied().filter(|node| !self.abreast.contains(node) && peers.reaches(*node)).collect();
        ctx.rng.sample(&untold, count)
    }

    /// Whom a lone event, that came from `from`, is handed to as it is.
    pub(super) fn pushed_to(&self, from: NodeId, facts: &Facts, peers: &Peers<'_>, ctx: &mut Context<'_>) -> Vec<NodeId> {
        let mut targets = successors(ctx.node, peers, ctx.settings.events.push_neighbors);
        if self.leads {
            targets.extend(heads(facts, peers, ctx).into_iter().filter(|node| !peers.neighbors.contains(node)));
        }
        targets.retain(|&node| node != from);
        targets
    }

    /// Whom it is announced to at once: the far links. A member without any is alone in its neighborhood, or knows everybody.
    pub(super) fn announced_to(&mut self, from: NodeId, peers: &Peers<'_>, ctx: &mut Context<'_>) -> Vec<NodeId> {
        self.far_told = true;
        let far: Vec<NodeId> = peers.far.iter().copied().filter(|&node| node != from && peers.reaches(node)).collect();
        ctx.rng.sample(&far, ctx.settings.events.announce_far)
    }

    /// Forgets all but what tells an old timer from a new one.
    pub(super) fn begin_anew(&mut self) {
        *self = Spread { round: self.round, ..Spread::default() };
    }
}

/// Where the leader begins: one member each of a few neighborhoods, by lot. It knows them all; where it does not (yet), it
/// has far links as everyone.
fn heads(facts: &Facts, peers: &Peers<'_>, ctx: &mut Context<'_>) -> Vec<NodeId> {
    let fanout = ctx.settings.events.push_fanout;
    let hoods = facts.neighborhoods();
    if hoods.len() <= 1 {
        let far: Vec<NodeId> = peers.far.iter().copied().filter(|&node| peers.reaches(node)).collect();
        return ctx.rng.sample(&far, fanout);
    }
    let others: Vec<_> = hoods.values().filter(|hood| !hood.members.contains(&ctx.node) && !hood.members.is_empty()).collect();
    ctx.rng
        .sample(&others, fanout)
        .into_iter()
        .filter_map(|hood| {
            let member = ctx.rng.below(hood.members.len() as u64) as usize;
            hood.members.iter().nth(member).copied()
        })
        .collect()
}

/// Whom `own` passes a lone event on to: member i of n, in order of id and counted from a certain one, to those at -d*i-1 ... -d*i-d
/// (modulo n), so that each has d of them before it, and log_d(n) steps lead to all. Who is not reached, or would be the member itself,
/// is replaced by the next in the ring. It is counted from where the oldest, who are voters often and know first, do not hand
/// everything to the newest.
fn successors(own: NodeId, peers: &Peers<'_>, degree: usize) -> Vec<NodeId> {
    let ring = peers.neighbors;
    let (place, around) = (ring.partition_point(|&node| node < own), ring.len() + 1);
    let at = |position: usize| match position.cmp(&place) {
        std::cmp::Ordering::Less => Some(ring[position]),
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => Some(ring[position - 1]),
    };
    // Who counts from member -c instead finds the successors (d + 1) * c further back.
    let turned = (degree + 1) * (around / (2 * (degree + 1)));
    let mut chosen = Vec::with_capacity(degree);
    for step in 1..=degree.min(ring.len()) {
        let first = around - 1 - (degree * place + turned + step - 1) % around;
        let next =
            (0..around).filter_map(|further| at((first + further) % around)).find(|&node| peers.reaches(node) && !chosen.contains(&node));
        chosen.extend(next);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::id;

    fn all(count: u64) -> Vec<NodeId> {
        (1..=count).map(id).collect()
    }

    fn others(all: &[NodeId], own: NodeId) -> Vec<NodeId> {
        all.iter().copied().filter(|&node| node != own).collect()
    }

    /// How many steps lead from the first member to the last that is reached, and how many are reached.
    fn walk(count: u64, degree: usize, unreachable: &OrdSet<NodeId>) -> (usize, usize) {
        let all = all(count);
        let mut reached = BTreeSet::from([all[0]]);
        let (mut edge, mut steps) = (vec![all[0]], 0);
        while !edge.is_empty() {
            let mut next = Vec::new();
            for own in edge {
                let neighbors = others(&all, own);
                let peers = Peers { neighbors: &neighbors, far: &[], unreachable };
                next.extend(successors(own, &peers, degree).into_iter().filter(|&node| reached.insert(node)));
            }
            steps += usize::from(!next.is_empty());
            edge = next;
        }
        (steps, reached.len())
    }

    #[test]
    fn few_steps_lead_to_every_neighbor_whatever_their_number() {
        for degree in [2, 3, 4] {
            for count in 1..=60 {
                let (steps, reached) = walk(count, degree, &OrdSet::new());
                assert_eq!(reached as u64, count, "{count} members, degree {degree}");
                let bound = (1..).find(|&steps| (degree as u64).pow(steps) >= count).expect("powers grow");
                assert!(steps as u32 <= bound + 1, "{count} members in {steps} steps of degree {degree}");
            }
        }
    }

    #[test]
    fn the_oldest_does_not_hand_everything_to_the_newest() {
        for count in 8..=48 {
            let all = all(count);
            let neighbors = others(&all, all[0]);
            let peers = Peers { neighbors: &neighbors, far: &[], unreachable: &OrdSet::new() };
            let chosen = successors(all[0], &peers, 3);
            assert!(!chosen.contains(&id(count)), "of {count}: {chosen:?}");
        }
    }

    #[test]
    fn everyone_is_told_equally_often() {
        for count in [20, 37, 48] {
            let all = all(count);
            let mut told = std::collections::BTreeMap::new();
            for &own in &all {
                let neighbors = others(&all, own);
                let peers = Peers { neighbors: &neighbors, far: &[], unreachable: &OrdSet::new() };
                let chosen = successors(own, &peers, 3);
                assert_eq!(chosen.len(), 3);
                assert!(!chosen.contains(&own));
                chosen.into_iter().for_each(|node| *told.entry(node).or_insert(0) += 1);
            }
            assert!(told.values().all(|times| (2..=4).contains(times)), "{told:?}");
        }
    }

    #[test]
    fn one_that_is_not_reached_is_passed_over_and_cuts_nobody_off() {
        for lost in 2..=48 {
            let unreachable = OrdSet::unit(id(lost));
            let (_, reached) = walk(48, 3, &unreachable);
            assert_eq!(reached, 47, "without {lost}");
        }
    }
}
