//! Catching up: one pull in flight, after jitter, from a neighbor first.

use std::collections::{BTreeMap, BTreeSet};

use super::push::Peers;
use super::trust::{Distrust, Fault};
use crate::context::Context;
use crate::facts::Facts;
use crate::ids::{Index, NodeId};
use crate::time::Time;
use crate::timers::Timer;

/// How many that say that they are ahead are remembered, of those whose key is known here and of others.
const KNOWN_AHEAD: usize = 8;

/// Whom to pull from, and the pull that is under way.
#[derive(Debug, Default)]
pub(super) struct Pull {
    /// Who says that it is ahead: a hint, until it has shown it.
    ahead: BTreeMap<NodeId, Claim>,
    /// Who could not help this time.
    unfit: BTreeSet<NodeId>,
    /// Somebody may be ahead and could not help: the voters, who hold the longest tails, are asked where nobody else is left.
    needs_voters: bool,
    attempt: u64,
    waiting: Option<Waiting>,
    distrust: Distrust,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    index: Index,
    /// Its record is held here, so that it is itself that speaks.
    is_known: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// For the jitter to pass.
    Jitter,
    /// For an answer.
    Answer {
        /// Whose.
        from: NodeId,
        /// Where this node was when it asked.
        after: Index,
    },
}

impl Pull {
    /// `from` says that it is ahead: pull after jitter, unless a pull is under way.
    pub(super) fn ahead(&mut self, from: NodeId, index: Index, facts: &Facts, ctx: &mut Context<'_>) {
        if self.distrust.covers(who_answers_for(from, facts), ctx.now.time) {
            return;
        }
        let is_known = facts.member(from).is_some();
        let alike: Vec<NodeId> = self.ahead.iter().filter(|(_, claim)| claim.is_known == is_known).map(|(&node, _)| node).collect();
        if alike.len() >= KNOWN_AHEAD && !alike.contains(&from) {
            // By lot, so that no crowd of made-up ids keeps others out for good.
            let useless =
                alike.iter().find(|node| self.unfit.contains(node)).or_else(|| alike.get(ctx.rng.below(alike.len() as u64) as usize));
            useless.and_then(|node| self.ahead.remove(node));
        }
        self.ahead.insert(from, Claim { index, is_known });
        self.wait(ctx);
    }

    fn wait(&mut self, ctx: &mut Context<'_>) {
        if self.waiting.is_none() {
            self.attempt += 1;
            self.waiting = Some(Waiting::Jitter);
            let jitter = ctx.rng.duration_below(ctx.settings.events.pull_jitter);
            ctx.after(jitter, Timer::Pull { attempt: self.attempt });
        }
    }

    /// The timer of `attempt` fired: whom to ask now, if anyone.
    pub(super) fn fire(&mut self, attempt: u64, facts: &Facts, peers: &Peers<'_>, ctx: &mut Context<'_>) -> Option<NodeId> {
        if attempt != self.attempt {
            return None;
        }
        if let Some(Waiting::Answer { from, after: _ }) = self.waiting {
            self.unfit(from, Fault::Useless, ctx);
        }
        self.waiting = None;
        let after = facts.position().index;
        self.caught_up(after);
        let Some(target) = self.choose(facts, peers, ctx) else {
            self.give_up();
            return None;
        };
        self.attempt += 1;
        self.waiting = Some(Waiting::Answer { from: target, after });
        ctx.after(ctx.settings.events.pull_timeout, Timer::Pull { attempt: self.attempt });
        Some(target)
    }

    /// A neighbor that does not vote first, a far link next, then whoever came by, so that voters do not serve everyone.
    fn choose(&self, facts: &Facts, peers: &Peers<'_>, ctx: &mut Context<'_>) -> Option<NodeId> {
        if self.ahead.is_empty() {
            return None;
        }
        let now = ctx.now.time;
        // One whose join this node has not heard of can not be asked: nobody here knows its key.
        let usable = |node: &NodeId| facts.is_member(*node) && !self.unfit.contains(node) && peers.reaches(*node) && *node != ctx.node;
        let fit: Vec<NodeId> = self.ahead.keys().copied().filter(|node| usable(node) && !self.distrust.covers(*node, now)).collect();
        let class = |node: &NodeId| {
            let is_neighbor = peers.neighbors.binary_search(node).is_ok();
            [facts.is_voter(*node), !is_neighbor && !peers.far.contains(node), !is_neighbor]
        };
        let best = fit.iter().map(class).min();
        let mut from: Vec<NodeId> = fit.into_iter().filter(|node| Some(class(node)) == best).collect();
        let has_newcomer = || self.ahead.keys().any(|&node| !facts.is_member(node));
        if from.is_empty() && (self.needs_voters || has_newcomer()) {
            from = facts.voters().keys().copied().filter(|node| facts.is_voter(*node) && usable(node)).collect();
        }
        ctx.rng.sample(&from, 1).pop()
    }

    /// Nobody is left to ask. The next word of one that is ahead begins anew.
    fn give_up(&mut self) {
        self.ahead.clear();
        self.unfit.clear();
        self.needs_voters = false;
    }

    /// A range up to `last` came.
    pub(super) fn answered(&mut self, from: NodeId, last: Option<Index>, facts: &Facts, ctx: &mut Context<'_>) {
        let Some(asked_after) = self.end_wait(from) else { return };
        if last.is_some_and(|last| last > asked_after) {
            return;
        }
        if self.ahead.remove(&from).is_some() {
            self.unfit(from, Fault::Lie, ctx);
        } else if facts.is_voter(from) {
            // It never said that it is ahead: it was asked since those who said so did not show it, and it knows no more.
            let liars: BTreeSet<NodeId> = self
                .ahead
                .keys()
                .filter(|node| self.unfit.contains(node) || !facts.is_member(**node))
                .map(|node| who_answers_for(*node, facts))
                .collect();
            liars.into_iter().for_each(|node| self.distrust.strike(node, Fault::Lie, ctx));
            self.give_up();
        }
    }

    /// Where this node was when it asked, if it is `from` that it waits for.
    fn end_wait(&mut self, from: NodeId) -> Option<Index> {
        match self.waiting {
            Some(Waiting::Answer { from: asked, after }) if asked == from => {
                self.waiting = None;
                self.attempt += 1;
                Some(after)
            }
            Some(Waiting::Answer { .. } | Waiting::Jitter) | None => None,
        }
    }

    /// After an answer: whoever is still ahead is asked on.
    pub(super) fn go_on(&mut self, index: Index, ctx: &mut Context<'_>) {
        self.caught_up(index);
        if !self.ahead.is_empty() {
            self.wait(ctx);
        }
    }

    /// `from` does not hold what is needed any more: its tail is short, which is no fault.
    pub(super) fn collected(&mut self, from: NodeId) {
        self.end_wait(from);
        self.unfit.insert(from);
        self.needs_voters = true;
    }

    /// `from` does not hold what is below `floor`, which this node is past: what it asked for came from another meanwhile.
    pub(super) fn overtaken(&mut self, from: NodeId, floor: Index, ctx: &Context<'_>) {
        if self.end_wait(from).is_some_and(|asked_after| floor <= asked_after.next()) {
            self.unfit(from, Fault::Useless, ctx);
        }
    }

    /// `from` can not serve this now, or what it sent is not believed.
    pub(super) fn doubted(&mut self, from: NodeId, fault: Fault, ctx: &Context<'_>) {
        self.end_wait(from);
        self.unfit(from, fault, ctx);
    }

    fn unfit(&mut self, node: NodeId, fault: Fault, ctx: &Context<'_>) {
        self.unfit.insert(node);
        self.needs_voters = true;
        self.distrust.strike(node, fault, ctx);
    }

    /// `from` sent news that were believed.
    pub(super) fn helped(&mut self, from: NodeId, index: Index) {
        self.distrust.forgive(from);
        self.caught_up(index);
    }

    /// Whether nothing that `node` sends unasked is looked at now.
    pub(super) fn is_liar(&self, node: NodeId, now: Time) -> bool {
        self.distrust.is_liar(node, now)
    }

    /// Forgets who is not ahead of `index` any more.
    pub(super) fn caught_up(&mut self, index: Index) {
        self.ahead.retain(|_, claim| claim.index > index);
        if self.ahead.is_empty() {
            self.unfit.clear();
            self.needs_voters = false;
        }
    }

    /// Forgets all but what tells an old timer from a new one.
    pub(super) fn begin_anew(&mut self) {
        *self = Pull { attempt: self.attempt + 1, ..Pull::default() };
    }
}

/// Who is distrusted where a claim of `node` comes to nothing: itself, or, where it is no member by what is known here, all
/// that are none, since they can make up ids at will.
fn who_answers_for(node: NodeId, facts: &Facts) -> NodeId {
    if facts.is_member(node) { node } else { NodeId::NONE }
}
