//! Publishing: a new version is durable here before anyone else sees it.

use std::sync::Arc;

use super::own::candidates;
use super::{Configs, Output, Surroundings};
use crate::context::{Context, Report};
use crate::ids::{NodeId, Seq};
use crate::storage::Write;
use crate::timers::Timer;
use crate::wire::codec::SECTION_LIMIT;
use crate::wire::config::{CONFIG_LIMIT, ConfigDigest, HeldConfig, HostConfig, Section, SignedConfig};
use crate::wire::frame::Channel;
use crate::wire::message::{Configs as ConfigsMessage, Message};

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
        self.own.offered.clear();
        self.own.stored_at.clear();
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
        self.offer_round += 1;
        ctx.after(ctx.settings.configs.offer_retry, Timer::Offer { round: self.offer_round });
    }

    /// Offers the own config to as many consumers and neighbors as are wanted and do not hold it.
    fn offer(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let Some(signed) = self.own.config.clone().filter(|signed| signed.config.node == ctx.node) else { return };
        let (consumers, neighbors) = candidates(around.facts, ctx.node, |node| around.reachable(node));
        let mut targets = self.wanting(&consumers, ctx.settings.configs.consumers, ctx);
        targets.extend(self.wanting(&neighbors, ctx.settings.configs.neighbors, ctx));
        for target in targets {
            self.own.offered.insert(target);
            let entry = HeldConfig { member: ctx.node, config: SignedConfig::clone(&signed) };
            ctx.send(target, Channel::Ordered, Message::Configs(ConfigsMessage::Offer(entry)));
        }
    }

    /// Of `candidates`, those to be offered it now, so that `count` hold it or were asked to.
    fn wanting(&self, candidates: &[NodeId], count: usize, ctx: &mut Context<'_>) -> Vec<NodeId> {
        let has = |node: &&NodeId| self.own.stored_at.contains(node) || self.own.offered.contains(node);
        let served = candidates.iter().filter(has).count();
        let others: Vec<NodeId> = candidates.iter().copied().filter(|node| !has(&node)).collect();
        ctx.rng.sample(&others, count.saturating_sub(served))
    }

    /// Those who did not answer are forgotten, so that others (or they again) are offered it.
    pub fn handle_offer_timer(&mut self, round: u64, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        if round != self.offer_round || !self.own.durable {
            return;
        }
        if self.lacks_holders(around, ctx) {
            self.own.offered.clear();
            self.offer(around, ctx);
            ctx.after(ctx.settings.configs.offer_retry, Timer::Offer { round });
        }
    }

    /// Whether fewer hold this version than should. Those that can not be reached now count as well: when
    /// they come back nobody else may tell them.
    fn lacks_holders(&self, around: &Surroundings<'_>, ctx: &Context<'_>) -> bool {
        let (consumers, neighbors) = candidates(around.facts, ctx.node, |_| true);
        let lacking =
            |among: &[NodeId], count: usize| among.iter().filter(|node| self.own.stored_at.contains(node)).count() < count.min(among.len());
        lacking(&consumers, ctx.settings.configs.consumers) || lacking(&neighbors, ctx.settings.configs.neighbors)
    }

    /// Asks consumers what they hold of this host: a lost or old disk must not publish below it.
    pub(super) fn ask_for_own(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let (consumers, neighbors) = candidates(around.facts, ctx.node, |node| around.reachable(node));
        let mut targets = ctx.rng.sample(&consumers, ctx.settings.configs.consumers);
        targets.extend(ctx.rng.sample(&neighbors, ctx.settings.configs.neighbors));
        for target in targets {
            ctx.send(target, Channel::Ordered, Message::Configs(ConfigsMessage::SeqAsk));
        }
    }

    /// Someone says which version of the own config it holds.
    pub(super) fn stored_elsewhere(&mut self, from: NodeId, version: Option<ConfigDigest>, ctx: &mut Context<'_>) {
        let (Some(version), Some(own)) = (version, self.own.config.clone()) else { return };
        let mine = own.config.digest();
        if version == mine {
            self.own.offered.remove(&from);
            self.own.stored_at.insert(from);
        } else if version.node == ctx.node && version.seq >= mine.seq {
            // A number proves nothing. The config does: this host's own key signed it, or it did not.
            ctx.send(from, Channel::Ordered, Message::Configs(ConfigsMessage::Want { nodes: vec![ctx.node] }));
        }
    }

    /// A config came that names this node as its host. False where it is not to be taken in.
    pub(super) fn own_seen(&mut self, seen: &HeldConfig, ctx: &mut Context<'_>) -> bool {
        let Some(own) = self.own.config.clone() else { return true };
        let (mine, theirs) = (own.config.digest(), seen.config.config.digest());
        if mine == theirs {
            return true;
        }
        let genuine = seen.config.is_signed_by(&ctx.keys.public(), ctx.keys);
        if genuine && theirs.seq >= mine.seq {
            self.jump_above(theirs.seq, ctx);
        }
        false
    }

    fn jump_above(&mut self, seen: Seq, ctx: &mut Context<'_>) {
        ctx.report(Report::SeqJumped);
        self.own.seq = self.own.seq.max(seen);
        self.make_version(ctx);
    }
}
