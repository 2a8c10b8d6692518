//! Publishing: a new version is durable here before anyone else sees it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Configs, Output, Surroundings, scope};
use crate::context::{Context, Report};
use crate::ids::{NodeId, Seq};
use crate::storage::Write;
use crate::timers::Timer;
use crate::wire::codec::SECTION_LIMIT;
use crate::wire::config::{CONFIG_LIMIT, ConfigDigest, HeldConfig, HostConfig, Section, SignedConfig};
use crate::wire::frame::Channel;
use crate::wire::message::{Configs as ConfigsMessage, Message};

/// Who is to hold the own config.
#[derive(Debug, Default)]
struct Holders {
    /// All that it may be offered to; some of them must hold it.
    consumers: BTreeSet<NodeId>,
    /// Those who answer for it in its neighborhood now: each of them must.
    delegates: Vec<NodeId>,
}

/// What came of a wish to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is on its way to the disk; [`Configs::handle_stored`] comes with this version.
    Storing(Seq),
    /// What it says is published already, by this version.
    Unchanged(Seq),
    /// The size that it would have, and the most.
    TooLarge {
        /// What it would have.
        size: usize,
        /// The most.
        limit: usize,
    },
}

impl Configs {
    /// Replaces sections of the own config. The kinds were checked by the caller.
    pub fn publish(&mut self, changes: &[Section], ctx: &mut Context<'_>) -> Published {
        let sections = self.own.with(changes);
        if let Some(largest) = sections.values().map(|body| body.len()).max().filter(|&size| size > SECTION_LIMIT) {
            return Published::TooLarge { size: largest, limit: SECTION_LIMIT };
        }
        let total = sections.values().map(|body| body.len()).sum::<usize>();
        if total > CONFIG_LIMIT {
            return Published::TooLarge { size: total, limit: CONFIG_LIMIT };
        }
        if self.own.is_published(ctx.node, &sections) {
            return Published::Unchanged(self.own_seq());
        }
        self.own.set(sections);
        self.make_version(ctx);
        Published::Storing(self.own.seq)
    }

    /// Makes, signs and stores the next version. Nobody is offered it before it is durable here.
    pub(super) fn make_version(&mut self, ctx: &mut Context<'_>) {
        let seq = Seq(self.own.seq.0.saturating_add(1));
        self.own.seq = seq;
        let reserve = (seq > self.reserved).then(|| Seq(seq.0.saturating_add(ctx.settings.configs.seq_block)));
        if let Some(bound) = reserve {
            self.reserved = bound;
        }
        let signed = SignedConfig::new(HostConfig { node: ctx.node, seq, sections: self.own.sections() }, ctx.keys);
        self.own.config = Some(Arc::new(signed.clone()));
        self.own.durable = false;
        self.own.forget_holders();
        self.outputs.push_back(Output::Persist { version: seq, reserve, write: Write::Own(Some(signed)) });
    }

    /// A version is durable. False where a later one is on its way.
    pub fn handle_stored(&mut self, version: Seq) -> bool {
        let is_last = version == self.own.seq;
        self.own.durable |= is_last;
        is_last
    }

    /// Of a member whose last version is durable: it is in force here, and others are told.
    pub fn enforce_own(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let Some(signed) = self.own.config.clone().filter(|signed| signed.config.node == ctx.node && !ctx.node.is_none()) else { return };
        let entry = HeldConfig { member: ctx.node, config: SignedConfig::clone(&signed) };
        self.take(entry, None, around, ctx);
        self.offer_on(around, ctx);
    }

    /// Offers the own config, now and until as many hold it as are wanted.
    pub(super) fn offer_on(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        self.offer(around, ctx);
        self.offer_after(ctx.settings.configs.offer_retry, ctx);
    }

    /// Sees after `delay` whether enough others hold the own config.
    pub(super) fn offer_after(&mut self, delay: Duration, ctx: &mut Context<'_>) {
        self.offer_round += 1;
        ctx.after(delay, Timer::Offer { round: self.offer_round });
    }

    /// Offers the own config to as many consumers as are wanted, and to those who answer for it in the neighborhood.
    fn offer(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let Some(signed) = self.own.config.clone().filter(|signed| signed.config.node == ctx.node) else { return };
        let holders = self.holders(around, ctx);
        let mut targets = self.wanting(&holders.consumers, around, ctx);
        targets.extend(holders.delegates.into_iter().filter(|&node| !self.own.is_served(node)));
        for target in targets {
            self.own.offered.insert(target, ctx.now.time);
            let entry = HeldConfig { member: ctx.node, config: SignedConfig::clone(&signed) };
            ctx.send(target, Channel::Ordered, Message::Configs(ConfigsMessage::Offer { entry, root: NodeId::NONE }));
        }
    }

    /// Of the consumers, those to be offered it now, so that enough hold it or were asked to.
    fn wanting(&self, consumers: &BTreeSet<NodeId>, around: &Surroundings<'_>, ctx: &mut Context<'_>) -> BTreeSet<NodeId> {
        let served = consumers.iter().filter(|&&node| self.own.is_served(node)).count();
        let mut wanted = ctx.settings.configs.consumers.saturating_sub(served);
        let mut chosen = BTreeSet::new();
        let others: Vec<NodeId> = consumers.iter().copied().filter(|&node| !self.own.is_served(node) && around.reachable(node)).collect();
        let (proven, others): (Vec<NodeId>, Vec<NodeId>) = others.into_iter().partition(|node| self.own.proven.contains(node));
        let (tried, fresh): (Vec<NodeId>, Vec<NodeId>) = others.into_iter().partition(|node| self.own.tried.contains(node));
        for among in [proven, fresh, tried] {
            let next = ctx.rng.sample(&among, wanted);
            wanted -= next.len();
            chosen.extend(next);
        }
        chosen
    }

    /// Those who did not answer are forgotten, so that others (or they again) are offered it.
    pub fn handle_offer_timer(&mut self, round: u64, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        if round != self.offer_round || !self.own.durable || self.own.config.is_none() {
            return;
        }
        let retry = ctx.settings.configs.offer_retry;
        self.own.expire(ctx.now.time, retry);
        if self.lacks_holders(around, ctx) {
            self.offer(around, ctx);
            ctx.after(retry, Timer::Offer { round });
        }
    }

    /// Who should hold the own config changed: more offers may be due.
    pub(super) fn holders_changed(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        if self.own.durable && self.own.config.is_some() && self.lacks_holders(around, ctx) {
            self.offer_on(around, ctx);
        }
    }

    /// Whether fewer hold this version than should. Consumers that can not be reached now count as well: when
    /// they come back nobody else may tell them.
    fn lacks_holders(&self, around: &Surroundings<'_>, ctx: &Context<'_>) -> bool {
        let holders = self.holders(around, ctx);
        let holding = holders.consumers.iter().filter(|node| self.own.stored_at.contains(node)).count();
        holding < ctx.settings.configs.consumers.min(holders.consumers.len())
            || holders.delegates.iter().any(|node| !self.own.stored_at.contains(node))
    }

    /// Who may hold the own config, and who must.
    fn holders(&self, around: &Surroundings<'_>, ctx: &Context<'_>) -> Holders {
        let Some(own) = around.facts.member(ctx.node) else { return Holders::default() };
        let hood = around.facts.neighborhood_of(ctx.node);
        let delegates = hood.map(|hood| scope::delegates(around.facts, hood, ctx.node)).unwrap_or_default();
        let able = delegates.into_iter().filter(|&node| around.reachable(node));
        Holders { consumers: scope::consumers_of(around.facts, own), delegates: able.take(ctx.settings.configs.neighbors).collect() }
    }

    /// Asks those who may hold it for the highest version of the own config: a lost or old disk must not publish below it.
    pub(super) fn ask_for_own(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let holders = self.holders(around, ctx);
        let able: Vec<NodeId> = holders.consumers.into_iter().filter(|&node| around.reachable(node)).collect();
        let consumers = ctx.rng.sample(&able, ctx.settings.configs.consumers);
        for target in consumers.into_iter().chain(holders.delegates).collect::<BTreeSet<NodeId>>() {
            ctx.send(target, Channel::Ordered, Message::Configs(ConfigsMessage::SeqAsk));
        }
    }

    /// Someone says which version of the own config it holds.
    pub(super) fn stored_elsewhere(&mut self, from: NodeId, version: Option<ConfigDigest>, ctx: &mut Context<'_>) {
        let Some(version) = version else { return };
        let mine = self.own.config.as_ref().map(|own| own.config.digest());
        if mine == Some(version) {
            self.own.offered.remove(&from);
            self.own.tried.remove(&from);
            self.own.stored_at.insert(from);
        } else if version.node == ctx.node && version.seq >= self.own_seq() {
            // A number proves nothing. The config does: this host's own key signed it, or it did not.
            ctx.send(from, Channel::Ordered, Message::Configs(ConfigsMessage::Want { nodes: vec![ctx.node] }));
        }
    }

    /// A config came that names this node as its host. False where it is not to be taken in.
    pub(super) fn own_seen(&mut self, seen: &HeldConfig, ctx: &mut Context<'_>) -> bool {
        let theirs = seen.config.config.digest();
        let mine = self.own.config.as_ref().map(|own| own.config.digest());
        if mine == Some(theirs) {
            return true;
        }
        let genuine = seen.config.is_signed_by(&ctx.keys.public(), ctx.keys);
        match mine {
            Some(mine) if genuine && theirs.node == ctx.node && theirs.seq >= mine.seq => {
                ctx.report(Report::SeqJumped);
                self.own.seq = self.own.seq.max(theirs.seq);
                self.make_version(ctx);
                false
            }
            Some(_) => false,
            // The disk forgot that it ever published: the next version goes above this one, which stays in force until then.
            None if genuine => {
                if theirs.node == ctx.node && theirs.seq > self.own.seq {
                    ctx.report(Report::SeqJumped);
                    self.own.seq = theirs.seq;
                }
                true
            }
            None => false,
        }
    }
}
