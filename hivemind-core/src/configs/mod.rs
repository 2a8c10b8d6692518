//! Configs: `map[hostName]seq` without a master. A host publishes under a sequence number that only it
//! raises, hands its config to some consumers and neighbors, and consumers settle the rest among
//! themselves. No quorum takes part.

mod bootstrap;
mod compare;
mod exchange;
mod own;
mod publish;
mod store;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use self::bootstrap::Bootstrap;
use self::own::Own;
use self::store::{Store, Taken};
use crate::context::{Context, Junk, Report};
use crate::facts::Facts;
use crate::ids::{NodeId, Seq};
use crate::storage::Write;
use crate::timers::Timer;
use crate::wire::config::{HeldConfig, SignedConfig};
use crate::wire::event::Event;

pub use self::publish::Published;

/// What the configs subsystem wants the machine to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The config in force of this member changed, came or went.
    Changed {
        /// Whose.
        member: NodeId,
    },
    /// The consumer became complete, or began anew.
    Completeness {
        /// Whether it has what there is.
        complete: bool,
    },
    /// Store these durably, then call [`Configs::handle_stored`].
    Persist {
        /// For that call.
        version: Seq,
        /// The new upper bound of reserved seqs, where the block was used up.
        reserve: Option<Seq>,
        /// What to keep.
        write: Write,
    },
}

/// One node's part in `map[hostName]seq`.
#[derive(Debug)]
pub struct Configs {
    store: Store,
    own: Own,
    reserved: Seq,
    bootstrap: Bootstrap,
    /// Which chain of timers counts, of offers and of comparing.
    offer_round: u64,
    compare_round: u64,
    outputs: VecDeque<Output>,
}

/// What a node knows besides its configs, at the moment of a call.
pub struct Surroundings<'a> {
    /// The facts.
    pub facts: &'a Facts,
    /// Whom SWIM calls down.
    pub unreachable: &'a OrdSet<NodeId>,
}

impl Surroundings<'_> {
    fn reachable(&self, node: NodeId) -> bool {
        !self.unreachable.contains(&node)
    }
}

impl Configs {
    /// Goes on from the last start: the own config, and the seqs that may have been used.
    pub fn new(own: Option<SignedConfig>, reserved: Seq, ahead_limit: usize) -> Self {
        Configs {
            store: Store::new(ahead_limit),
            own: Own::recovered(own, reserved),
            reserved,
            bootstrap: Bootstrap::NotNeeded,
            offer_round: 0,
            compare_round: 0,
            outputs: VecDeque::new(),
        }
    }

    /// The configs in force, by member.
    pub fn held(&self) -> &OrdMap<NodeId, Arc<SignedConfig>> {
        self.store.held()
    }

    /// The last version of the own config.
    pub fn own_seq(&self) -> Seq {
        self.own.config.as_ref().map_or(Seq(0), |signed| signed.config.seq)
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Puts a config back that the cache held; it is checked as if it came from the network.
    pub fn restore(&mut self, cached: HeldConfig, facts: &Facts, ctx: &Context<'_>) {
        let _ = self.store.take(cached, facts, ctx.keys);
    }

    /// The node is a member now, under `ctx.node`: for the first time, again, or after a restart.
    pub fn member(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        self.forget_strangers(around);
        self.own.offered.clear();
        self.own.stored_at.clear();
        self.begin_bootstrap(around, ctx);
        if self.own.says_something() {
            match &self.own.config {
                Some(signed) if signed.config.node == ctx.node && self.own.durable => self.enforce_own(around, ctx),
                // It is on its way to the disk.
                Some(signed) if signed.config.node == ctx.node => {}
                Some(_) | None => self.make_version(ctx),
            }
            self.ask_for_own(around, ctx);
        }
        let delay = ctx.rng.duration_below(ctx.settings.configs.compare);
        self.compare_round += 1;
        ctx.after(delay, Timer::Compare { round: self.compare_round });
    }

    /// The facts were replaced as a whole: what belongs to nobody any more goes.
    pub fn replaced(&mut self, around: &Surroundings<'_>) {
        self.forget_strangers(around);
    }

    fn forget_strangers(&mut self, around: &Surroundings<'_>) {
        for member in self.store.keep_members(around.facts) {
            self.outputs.push_back(Output::Changed { member });
        }
    }

    /// An event was applied.
    pub fn handle_event(&mut self, event: &Event, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        match event {
            Event::Joined { member, supersedes, .. } => {
                let waited = self.store.joined(member.node, *supersedes);
                if let Some(old) = supersedes {
                    self.uncache(*old, ctx);
                    self.outputs.push_back(Output::Changed { member: *old });
                    if let Some(inherited) = self.store.entry(member.node) {
                        self.in_force(&inherited, ctx);
                    }
                }
                if let Some(waited) = waited {
                    self.take(waited, None, around, ctx);
                }
                // It may not take an offer yet: it hears of its grant later than others.
                if member.is_consumer() && self.own.durable {
                    self.offer_on(around, ctx);
                }
            }
            Event::Left { node, .. } => {
                self.own.offered.remove(node);
                if self.own.stored_at.remove(node) && self.own.durable {
                    self.offer_on(around, ctx);
                }
                if self.store.left(*node) {
                    self.uncache(*node, ctx);
                    self.outputs.push_back(Output::Changed { member: *node });
                }
            }
            Event::Split { .. }
            | Event::Merged { .. }
            | Event::Voter { .. }
            | Event::Restarting { .. }
            | Event::Restarted { .. }
            | Event::Addresses { .. }
            | Event::EpochAdvanced { .. } => {}
        }
    }

    /// Takes a config in, from `from` or out of the buffer. True where it was news.
    fn take(&mut self, incoming: HeldConfig, from: Option<NodeId>, around: &Surroundings<'_>, ctx: &mut Context<'_>) -> bool {
        let own = incoming.config.config.node == ctx.node && incoming.member == ctx.node;
        if own && !self.own_seen(&incoming, ctx) {
            return false;
        }
        match self.store.take(incoming, around.facts, ctx.keys) {
            Taken::InForce { member, conflict } => {
                if conflict {
                    ctx.report(Report::ConflictingConfig { node: member });
                }
                if let Some(entry) = self.store.entry(member) {
                    self.in_force(&entry, ctx);
                }
                true
            }
            Taken::Old { conflict } => {
                if conflict && let Some(node) = from {
                    ctx.report(Report::ConflictingConfig { node });
                }
                false
            }
            Taken::Ahead => false,
            Taken::Invalid(why) => {
                if let Some(sender) = from.and_then(|node| around.facts.member(node)) {
                    ctx.junk(sender.key, Junk::Invalid(why));
                }
                false
            }
        }
    }

    fn in_force(&mut self, entry: &HeldConfig, ctx: &mut Context<'_>) {
        let value = crate::wire::codec::encode(entry);
        ctx.write(Write::Cache(vec![(crate::storage::config_key(entry.member), Some(value.into()))]));
        self.outputs.push_back(Output::Changed { member: entry.member });
    }

    fn uncache(&mut self, member: NodeId, ctx: &mut Context<'_>) {
        ctx.write(Write::Cache(vec![(crate::storage::config_key(member), None)]));
    }
}
