//! Configs: `map[hostName]seq` without a master. A host publishes under a sequence number that only it
//! raises, hands its config to some consumers and neighbors, and consumers settle the rest among
//! themselves. No quorum takes part.

mod bootstrap;
mod comparing;
mod exchange;
mod handover;
mod own;
mod passing;
mod publish;
mod pulls;
mod roster;
mod scope;
mod silence;
mod store;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use imbl::{OrdMap, OrdSet};

use self::bootstrap::Bootstrap;
use self::comparing::Exchanges;
use self::own::Own;
use self::passing::Passing;
use self::pulls::Pulls;
use self::roster::Roster;
use self::silence::Silence;
use self::store::{Store, Taken};
pub(crate) use self::summary::BUCKETS;
use crate::context::{Context, Junk, Report};
use crate::facts::Facts;
use crate::ids::{NodeId, Seq};
use crate::planted::{self, Planted};
use crate::storage::Write;
use crate::timers::Timer;
use crate::wire::config::{HeldConfig, SignedConfig};
use crate::wire::event::Event;
use crate::wire::member::MemberRecord;

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
    roster: Roster,
    bootstrap: Bootstrap,
    exchanges: Exchanges,
    pulls: Pulls,
    passing: Passing,
    silence: Silence,
    /// The own neighborhood, as the last event left it.
    near: OrdSet<NodeId>,
    /// Hosts that said themselves that they publish nothing (yet): they are not asked, they will tell.
    empty: BTreeSet<NodeId>,
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
            roster: Roster::default(),
            bootstrap: Bootstrap::NotNeeded,
            exchanges: Exchanges::default(),
            pulls: Pulls::default(),
            passing: Passing::default(),
            silence: Silence::default(),
            near: OrdSet::new(),
            empty: BTreeSet::new(),
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
        self.replaced(around, ctx);
        self.own.forget_holders();
        (self.exchanges, self.pulls, self.silence) = Default::default();
        self.begin_bootstrap(around, ctx);
        match &self.own.config {
            Some(signed) if signed.config.node == ctx.node && self.own.durable => self.enforce_own(around, ctx),
            // It is on its way to the disk.
            Some(signed) if signed.config.node == ctx.node => {}
            Some(_) => self.make_version(ctx),
            None if self.own.says_something() => self.make_version(ctx),
            None => {}
        }
        if self.own.says_something() || self.reserved > Seq(0) {
            self.ask_for_own(around, ctx);
        }
        if self.roster.is_consumer() {
            self.compare_round += 1;
            ctx.after(ctx.settings.configs.offer_retry, Timer::Compare { round: self.compare_round });
        } else {
            self.take_over(around, ctx);
        }
    }

    /// The facts `from` are about to be replaced as a whole by `to`, before [`Configs::replaced`]. The events between them
    /// are never seen here: a host that joined again in one of them keeps what is in force of it, as with that event.
    pub fn inherit(&mut self, from: &Facts, to: &Facts, ctx: &mut Context<'_>) {
        let again = |&old: &NodeId| {
            let host = to.with_key(&from.member(old)?.key)?;
            (host.node > old).then_some((old, host.node))
        };
        let ended = self.store.held().keys().filter(|member| to.member(**member).is_none());
        let moved: Vec<(NodeId, NodeId)> = ended.filter_map(again).collect();
        for (old, new) in moved {
            self.uncache(old, ctx);
            if self.store.hand_on(old, new)
                && let Some(inherited) = self.store.entry(new)
            {
                self.in_force(&inherited, ctx);
            }
        }
    }

    /// The facts were replaced as a whole: what belongs to nobody any more goes.
    pub fn replaced(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        self.forget_all_but(|member| around.facts.member(*member).is_some(), ctx);
        self.roster = Roster::of(around.facts, ctx.node);
        self.store.count(&self.roster, around.facts);
        self.empty.clear();
        self.arranged(around, ctx);
    }

    /// Whose record is not there gets nothing kept: nothing could be said of its signature.
    fn forget_all_but(&mut self, kept: impl Fn(&NodeId) -> bool, ctx: &mut Context<'_>) {
        for member in self.store.keep(kept) {
            self.uncache(member, ctx);
            self.outputs.push_back(Output::Changed { member });
        }
    }

    fn arranged(&mut self, around: &Surroundings<'_>, ctx: &Context<'_>) {
        self.near = around.facts.neighborhood_of(ctx.node).map(|(_, hood)| hood.members.clone()).unwrap_or_default();
    }

    /// SWIM calls a member down, or hears it again.
    pub fn handle_reachability(&mut self, node: NodeId, reachable: bool, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        if self.roster.is_fellow(node) {
            if reachable && self.silence.heard(node) {
                self.returned(node, around, ctx);
            } else if !reachable && self.silence.fell_silent(node) {
                self.adopt(node, around, ctx);
            }
        }
        if self.near.contains(&node) {
            self.holders_changed(around, ctx);
            if !reachable {
                self.hand_over(around, ctx);
            }
        }
    }

    /// An event was applied.
    pub fn handle_event(&mut self, event: &Event, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        match event {
            Event::Joined { member, supersedes, .. } => {
                if let Some(old) = supersedes {
                    self.gone(*old, ctx);
                }
                self.roster.joined(member);
                let waited = self.store.joined(member.node, *supersedes, self.roster.consumes(member));
                if supersedes.is_some()
                    && let Some(inherited) = self.store.entry(member.node)
                {
                    self.in_force(&inherited, ctx);
                }
                if let Some(waited) = waited
                    && self.take(waited, None, around, ctx)
                {
                    // Others heard of it as early, or not at all.
                    self.pass_on(member.node, ctx.node, false, around, ctx);
                }
                self.newcomer(member, around, ctx);
            }
            Event::Left { node, .. } => {
                let held = self.own.stored_at.contains(node);
                if self.store.left(*node) {
                    self.outputs.push_back(Output::Changed { member: *node });
                }
                self.gone(*node, ctx);
                if self.near.contains(node) {
                    self.arranged(around, ctx);
                    self.hand_over(around, ctx);
                }
                if held {
                    self.holders_changed(around, ctx);
                }
            }
            Event::Split { from, into, .. } | Event::Merged { from, into, .. } => {
                let own = around.facts.neighborhood_of(ctx.node).map(|(number, _)| number);
                if own == Some(*from) || own == Some(*into) {
                    self.arranged(around, ctx);
                    // The facts may be ahead of this event: whose membership has ended in them goes, or is handed on, with the
                    // event that ended it.
                    let stays = |member: &NodeId| around.facts.member(*member).is_some() || !around.facts.is_member(*member);
                    self.forget_all_but(stays, ctx);
                    self.holders_changed(around, ctx);
                    self.hand_over(around, ctx);
                }
            }
            Event::Voter { .. }
            | Event::Restarting { .. }
            | Event::Restarted { .. }
            | Event::Addresses { .. }
            | Event::EpochAdvanced { .. }
            | Event::Access(_)
            | Event::FeatureOn { .. }
            | Event::Features { .. }
            | Event::Authority(_) => {}
        }
    }

    /// A membership ended, of which nothing is in force any more.
    fn gone(&mut self, node: NodeId, ctx: &mut Context<'_>) {
        self.uncache(node, ctx);
        self.roster.left(node);
        self.passing.forget(node);
        self.silence.forget(node);
        self.exchanges.forget(node);
        self.pulls.forget(node);
        self.empty.remove(&node);
        self.own.forget(node);
    }

    /// Who joined may be one who is to hold the own config. It takes no offer yet: it hears of its grant later than others.
    fn newcomer(&mut self, member: &MemberRecord, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let own = around.facts.member(ctx.node);
        let offered = own.is_some_and(|own| member.consumes_from(own)) && around.facts.member(member.node).is_some();
        let hood = around.facts.neighborhood_of(ctx.node);
        let is_near = hood.is_some_and(|(_, hood)| hood.members.contains(&member.node));
        if is_near {
            self.arranged(around, ctx);
        }
        if !self.own.durable || self.own.config.is_none() || !(offered || is_near) {
            return;
        }
        // A first consumer is told by all hosts of a cluster: not by all at once.
        let spread = Duration::from_millis(around.facts.live().len() as u64);
        let delay = ctx.settings.role_coalesce + ctx.rng.duration_below(spread);
        self.offer_after(delay, ctx);
    }

    /// Takes a config in, from `from` or out of the buffer. True where it was news.
    fn take(&mut self, incoming: HeldConfig, from: Option<NodeId>, around: &Surroundings<'_>, ctx: &mut Context<'_>) -> bool {
        let own = incoming.config.config.node == ctx.node && incoming.member == ctx.node;
        if own && !self.own_seen(&incoming, ctx) {
            return false;
        }
        if planted::has(ctx.settings, Planted::OlderConfigTaken) {
            self.store.left(incoming.member);
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
