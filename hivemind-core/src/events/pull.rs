//! Catching up: one pull in flight, after jitter, from a neighbor first.

use std::collections::{BTreeMap, BTreeSet};

use crate::context::Context;
use crate::facts::Facts;
use crate::ids::{Index, NodeId};
use crate::timers::Timer;

/// How many that are ahead are remembered.
const KNOWN_AHEAD: usize = 16;

/// Whom to pull from, and the pull that is under way.
#[derive(Debug, Default)]
pub(super) struct Pull {
    /// Who is ahead, and how far at least.
    ahead: BTreeMap<NodeId, Index>,
    /// Who could not help this time: too short a tail, or a range that was not believed.
    unfit: BTreeSet<NodeId>,
    attempt: u64,
    waiting: Option<Waiting>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// For the jitter to pass.
    Jitter,
    /// For this node's answer.
    Answer(NodeId),
}

impl Pull {
    /// `from` is ahead: pull after jitter, unless a pull is under way.
    pub(super) fn ahead(&mut self, from: NodeId, index: Index, ctx: &mut Context<'_>) {
        self.ahead.insert(from, index);
        if self.ahead.len() > KNOWN_AHEAD {
            self.ahead.pop_first();
        }
        if self.waiting.is_none() {
            self.attempt += 1;
            self.waiting = Some(Waiting::Jitter);
            let jitter = ctx.rng.duration_below(ctx.settings.events.pull_jitter);
            ctx.after(jitter, Timer::Pull { attempt: self.attempt });
        }
    }

    /// The timer of `attempt` fired: whom to ask now, if anyone.
    pub(super) fn fire(&mut self, attempt: u64, facts: &Facts, ctx: &mut Context<'_>) -> Option<NodeId> {
        if attempt != self.attempt {
            return None;
        }
        if let Some(Waiting::Answer(silent)) = self.waiting {
            self.unfit.insert(silent);
        }
        self.caught_up(facts.position().index);
        self.waiting = None;
        let target = self.choose(facts, ctx)?;
        self.attempt += 1;
        self.waiting = Some(Waiting::Answer(target));
        ctx.after(ctx.settings.events.pull_timeout, Timer::Pull { attempt: self.attempt });
        Some(target)
    }

    /// A neighbor that does not vote first, so that voters do not serve everyone.
    fn choose(&mut self, facts: &Facts, ctx: &mut Context<'_>) -> Option<NodeId> {
        if self.ahead.is_empty() {
            return None;
        }
        self.ahead.retain(|node, _| facts.member(*node).is_some());
        let mut fit: Vec<NodeId> = self.ahead.keys().copied().filter(|node| !self.unfit.contains(node)).collect();
        if fit.is_empty() {
            // Nobody of these could help: the voters hold the longest tails.
            self.unfit.clear();
            fit = facts.voters().keys().copied().filter(|&node| node != ctx.node).collect();
        }
        let plain: Vec<NodeId> = fit.iter().copied().filter(|node| !facts.is_voter(*node)).collect();
        let from = if plain.is_empty() { fit } else { plain };
        ctx.rng.sample(&from, 1).pop()
    }

    /// An answer came. An empty one: that node does not know more after all. Where it is a voter that was
    /// asked because none of those ahead could help, they are not ahead: anyone can say a number.
    pub(super) fn answered(&mut self, from: NodeId, empty: bool) {
        let was_asked = self.end_wait(from);
        if empty {
            self.unfit.insert(from);
            if was_asked && !self.ahead.contains_key(&from) {
                self.ahead.clear();
            }
        }
    }

    fn end_wait(&mut self, from: NodeId) -> bool {
        let was_asked = self.waiting == Some(Waiting::Answer(from));
        if was_asked {
            self.waiting = None;
            self.attempt += 1;
        }
        was_asked
    }

    /// After an answer: whoever is still ahead is asked on.
    pub(super) fn go_on(&mut self, index: Index, ctx: &mut Context<'_>) {
        self.caught_up(index);
        if self.waiting.is_none()
            && let Some((&from, &ahead)) = self.ahead.iter().next_back()
        {
            self.ahead(from, ahead, ctx);
        }
    }

    /// `from` does not hold what is needed any more.
    pub(super) fn collected(&mut self, from: NodeId) {
        self.end_wait(from);
        self.unfit.insert(from);
    }

    /// A batch of `from` was not believed.
    pub(super) fn doubted(&mut self, from: NodeId) {
        self.unfit.insert(from);
    }

    /// Forgets who is not ahead of `index` any more.
    pub(super) fn caught_up(&mut self, index: Index) {
        self.ahead.retain(|_, ahead| *ahead > index);
        if self.ahead.is_empty() {
            self.unfit.clear();
        }
    }
}
