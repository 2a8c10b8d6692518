//! Two consumers make their stores equal. The one that asks sends its summary; who is asked answers with the hashes
//! of the leaves in the buckets that differ; the asker lists what it holds in the leaves that differ; and each side
//! then pulls what it lacks, at once and in chunks. Where nothing differs it is one datagram and its answer.

use std::collections::{BTreeMap, BTreeSet};

use super::summary::{BUCKETS, Common, are_leaves};
use super::{Configs, Surroundings};
use crate::context::Context;
use crate::ids::{Index, NodeId};
use crate::planted::{self, Planted};
use crate::time::Time;
use crate::timers::Timer;
use crate::wire::config::{HeldVersion, LeafHashes, Leaves};
use crate::wire::frame::Channel;
use crate::wire::message::{Configs as ConfigsMessage, Message};

/// About how many versions one exchange lists; what else differs is the next one's.
const LISTED: usize = 2_048;
/// The most versions in a list that anyone sends: what the other side holds in leaves that were chosen for this one's.
const LIST_LIMIT: usize = 16 * LISTED;
/// So many exchanges with one fellow follow each other without a pause, while each moves something.
const AT_ONCE: u32 = 64;
/// The most fellows that wait to be compared with: who was cut off has what the others of its side have.
const DUE: usize = 4;
/// How many silent fellows are spoken to in each round.
const PROBED: usize = 4;

/// An exchange that this node began.
#[derive(Debug)]
struct Asking {
    with: NodeId,
    /// Members that joined later are left out.
    upto: Index,
    since: Time,
    /// How many there were with this fellow just before.
    before: u32,
    /// The other side has said all; what it named is being pulled.
    answered: bool,
    /// Whether it has what there is.
    complete: bool,
    /// Whether more differs than this exchange settles.
    rest: bool,
    /// Whether anything was given or taken.
    moved: bool,
}

/// An exchange that another one began.
#[derive(Clone, Copy, Debug)]
struct Serving {
    to: NodeId,
    upto: Index,
    since: Time,
}

/// The exchanges that a consumer has: at most one of its own, and one of another's.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    asking: Option<Asking>,
    serving: Option<Serving>,
    /// Fellows to compare with as soon as may be.
    due: BTreeSet<NodeId>,
    /// Those that had no time: due with the next round.
    busy: BTreeSet<NodeId>,
    /// When the next one is due that nothing gave cause for.
    periodic: Time,
}

impl Exchanges {
    pub(super) fn forget(&mut self, node: NodeId) {
        self.asking.take_if(|asking| asking.with == node);
        self.serving.take_if(|serving| serving.to == node);
        self.due.remove(&node);
        self.busy.remove(&node);
    }

    pub(super) fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// Something of `from` was taken in.
    pub(super) fn moved(&mut self, from: NodeId) {
        if let Some(asking) = self.asking.as_mut().filter(|asking| asking.with == from) {
            asking.moved = true;
        }
    }
}

impl Configs {
    /// A consumer's round: what got no answer is given up, silent fellows are spoken to, and it bootstraps or compares.
    pub fn handle_compare_timer(&mut self, round: u64, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        if round != self.compare_round || !self.roster.is_consumer() {
            return;
        }
        let pause = ctx.settings.configs.offer_retry;
        let jitter = ctx.rng.duration_below(pause);
        ctx.after(pause / 2 + jitter, Timer::Compare { round });
        self.give_up(around, ctx);
        if !self.bootstrap.is_complete() {
            self.bootstrap_on(around, ctx);
            return;
        }
        let busy = std::mem::take(&mut self.exchanges.busy);
        self.exchanges.due.extend(busy);
        if ctx.now.time >= self.exchanges.periodic {
            let period = ctx.settings.configs.compare;
            self.exchanges.periodic = ctx.now.time + period / 2 + ctx.rng.duration_below(period);
            let others: Vec<NodeId> = self.roster.fellows(ctx.node).into_iter().filter(|&fellow| !self.is_silent(fellow, around)).collect();
            self.exchanges.due.extend(ctx.rng.sample(&others, 1));
            self.ask_lacking(around, ctx);
        }
        self.compare_next(around, ctx);
        self.probe_silent(PROBED, ctx);
    }

    fn give_up(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let (now, patience) = (ctx.now.time, ctx.settings.configs.offer_retry);
        // A chunk takes longer than a word.
        self.pulls.expire(now, patience * 4);
        self.exchanges.serving.take_if(|serving| now.since(serving.since) > patience);
        let pulls = &self.pulls;
        let waits = |asking: &Asking| !asking.answered || pulls.is_idle(asking.with);
        let late = |asking: &mut Asking| waits(asking) && now.since(asking.since) > patience;
        if let Some(given_up) = self.exchanges.asking.take_if(late) {
            self.source_failed(given_up.with);
        }
        for fellow in self.silence.judge(now, patience) {
            self.adopt(fellow, around, ctx);
        }
    }

    /// Silent ones are asked for a word: what comes of it is not waited for.
    fn probe_silent(&mut self, count: usize, ctx: &mut Context<'_>) {
        let silent = self.silence.all();
        for fellow in ctx.rng.sample(&silent, count) {
            ctx.send(fellow, Channel::Datagram, Message::Configs(ConfigsMessage::SeqAsk));
        }
    }

    /// A fellow that was silent is there again. Both have missed what the other heard of meanwhile, and the others that
    /// are silent may be back as well.
    pub(super) fn returned(&mut self, fellow: NodeId, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        if self.exchanges.due.len() < DUE {
            self.exchanges.due.insert(fellow);
        }
        self.probe_silent(BUCKETS, ctx);
        if self.bootstrap.is_complete() {
            self.compare_next(around, ctx);
        }
    }

    fn compare_next(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        if self.exchanges.is_asking() {
            return;
        }
        let served = self.exchanges.serving.map(|serving| serving.to);
        let next = self.exchanges.due.iter().copied().find(|&fellow| Some(fellow) != served);
        if let Some(with) = next {
            self.exchanges.due.remove(&with);
            self.compare_with(with, 0, around, ctx);
        }
    }

    /// Begins an exchange. The caller has seen that none is under way.
    pub(super) fn compare_with(&mut self, with: NodeId, before: u32, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let index = around.facts.position().index;
        let buckets = self.in_common(with, index, around, |common| common.hashes());
        let fresh = Asking { with, upto: index, since: ctx.now.time, before, answered: false, complete: false, rest: false, moved: false };
        self.exchanges.asking = Some(fresh);
        self.silence.expect(with, ctx.now.time);
        // A node that waits for its first comparison does not lose it with a packet.
        let channel = if self.bootstrap.is_complete() { Channel::Datagram } else { Channel::Ordered };
        ctx.send(with, channel, Message::Configs(ConfigsMessage::Compare { index, buckets }));
    }

    /// What this node and `with` both consume, of members that had joined by `upto`.
    fn in_common<T>(&self, with: NodeId, upto: Index, around: &Surroundings<'_>, of: impl FnOnce(Common<'_>) -> T) -> T {
        let summary = self.store.summary();
        if self.roster.is_equal(with) && upto >= around.facts.position().index {
            return of(Common { summary, admits: None });
        }
        let other = around.facts.member(with);
        let admits = |member: NodeId| {
            let record = around.facts.member(member).filter(|record| record.joined <= upto);
            record.zip(other).is_some_and(|(record, other)| other.consumes_from(record))
        };
        of(Common { summary, admits: Some(&admits) })
    }

    /// A fellow's summary came.
    pub(super) fn compared(&mut self, from: NodeId, index: Index, theirs: &[u64], around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        if !self.roster.is_fellow(from) {
            // Nobody else has a store like this one, and to find out in what they differ would cost.
            ctx.send(from, Channel::Datagram, Message::Configs(ConfigsMessage::Busy));
            return;
        }
        let own = around.facts.position().index;
        let crossing = self.exchanges.asking.as_ref().is_some_and(|asking| asking.with == from && !asking.answered);
        if crossing {
            // Both asked. Who is ahead answers, since it knows all members of the other; between equals the later one.
            if index > own || (index == own && ctx.node < from) {
                return;
            }
            self.exchanges.asking = None;
        } else if index > own && !self.exchanges.is_asking() {
            self.compare_with(from, 0, around, ctx);
            return;
        }
        let now = ctx.now.time;
        let (differing, rest) = self.in_common(from, index, around, |common| common.differing(theirs, LISTED));
        let complete = self.bootstrap.is_complete();
        let answer = if differing.is_empty() {
            ConfigsMessage::Alike { complete }
        } else if self.is_engaged_beside(from, ctx) {
            ConfigsMessage::Busy
        } else if differing.iter().any(|bucket| bucket.hashes.len() > 1) {
            self.exchanges.serving = Some(Serving { to: from, upto: index, since: now });
            ConfigsMessage::Differ { buckets: differing, rest }
        } else {
            let leaves: Vec<Leaves> = differing.iter().map(|one| Leaves { bucket: one.bucket, width_log2: 0, at: vec![0] }).collect();
            let held = self.in_common(from, index, around, |common| common.versions(&leaves));
            ConfigsMessage::Versions { leaves, held, complete, rest }
        };
        let channel = if matches!(answer, ConfigsMessage::Alike { .. } | ConfigsMessage::Busy) { Channel::Datagram } else { Channel::Bulk };
        ctx.send(from, channel, Message::Configs(answer));
    }

    /// Whether this node is at work with someone else: two that give the same would double the cost.
    fn is_engaged_beside(&self, from: NodeId, ctx: &Context<'_>) -> bool {
        let patience = ctx.settings.configs.offer_retry;
        let serves = |serving: &Serving| serving.to != from && ctx.now.time.since(serving.since) <= patience;
        self.exchanges.serving.as_ref().is_some_and(serves) || self.pulls.is_busy_beside(from)
    }

    /// The stores were found equal.
    pub(super) fn alike(&mut self, from: NodeId, complete: bool, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        self.answered(from, complete, false, false);
        self.exchange_on(from, around, ctx);
    }

    /// The fellow had no time.
    pub(super) fn put_off(&mut self, from: NodeId, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        if self.exchanges.asking.take_if(|asking| asking.with == from && !asking.answered).is_some() {
            self.exchanges.busy.insert(from);
            if self.bootstrap.is_complete() {
                self.compare_next(around, ctx);
            }
        }
    }

    /// The fellow's hashes of leaves came. False where no consumer sends such.
    pub(super) fn differ(
        &mut self,
        from: NodeId,
        theirs: &[LeafHashes],
        rest: bool,
        around: &Surroundings<'_>,
        ctx: &mut Context<'_>,
    ) -> bool {
        let Some(asking) = self.exchanges.asking.as_mut().filter(|asking| asking.with == from && !asking.answered) else { return true };
        asking.rest |= rest;
        asking.since = ctx.now.time;
        let upto = asking.upto;
        let ascending = theirs.windows(2).all(|pair| pair[0].bucket < pair[1].bucket);
        let Some(mut leaves) = self.in_common(from, upto, around, |common| common.differing_leaves(theirs)).filter(|_| ascending) else {
            return false;
        };
        let mut held = self.in_common(from, upto, around, |common| common.versions(&leaves));
        while held.len() > LISTED && leaves.len() > 1 {
            leaves.truncate(leaves.len() / 2);
            held = self.in_common(from, upto, around, |common| common.versions(&leaves));
            self.exchanges.asking.iter_mut().for_each(|asking| asking.rest = true);
        }
        let complete = self.bootstrap.is_complete();
        ctx.send(from, Channel::Bulk, Message::Configs(ConfigsMessage::Versions { leaves, held, complete, rest: false }));
        true
    }

    /// The fellow's versions came: all in some leaves, or those that it has seen this node to lack. False where no
    /// consumer sends such.
    pub(super) fn versions(
        &mut self,
        from: NodeId,
        (leaves, theirs): (&[Leaves], &[HeldVersion]),
        (complete, rest): (bool, bool),
        around: &Surroundings<'_>,
        ctx: &mut Context<'_>,
    ) -> bool {
        if !are_leaves(leaves) || theirs.len() > LIST_LIMIT {
            return false;
        }
        let serving = self.exchanges.serving.take_if(|serving| serving.to == from);
        let asked = self.exchanges.asking.as_ref().filter(|asking| asking.with == from).map(|asking| asking.upto);
        let mut given = false;
        if !leaves.is_empty() {
            let Some(upto) = serving.map(|serving| serving.upto).or(asked) else { return true };
            let mine = self.in_common(from, upto, around, |common| common.versions(leaves));
            let their: BTreeMap<NodeId, &HeldVersion> = theirs.iter().map(|held| (held.member, held)).collect();
            let newer = |held: &HeldVersion| their.get(&held.member).is_none_or(|their| their.order() < held.order());
            let give: Vec<HeldVersion> = mine.into_iter().filter(newer).collect();
            given = !give.is_empty();
            if given || serving.is_some() {
                let complete = self.bootstrap.is_complete();
                let lacks = ConfigsMessage::Versions { leaves: Vec::new(), held: give, complete, rest: false };
                ctx.send(from, Channel::Bulk, Message::Configs(lacks));
            }
        }
        let summary = self.store.summary();
        let lacks = |held: &&HeldVersion| {
            let takes_all = planted::has(ctx.settings, Planted::OlderConfigTaken);
            summary.counts(held.member) && summary.version(held.member).is_none_or(|mine| takes_all || mine.order() < held.order())
        };
        let lacking: Vec<NodeId> = theirs.iter().filter(lacks).map(|held| held.member).collect();
        self.pull(from, lacking, around, ctx);
        if serving.is_none() {
            self.answered(from, complete, rest, given);
        }
        self.exchange_on(from, around, ctx);
        true
    }

    fn answered(&mut self, from: NodeId, complete: bool, rest: bool, given: bool) {
        if let Some(asking) = self.exchanges.asking.as_mut().filter(|asking| asking.with == from) {
            asking.answered = true;
            asking.complete |= complete;
            asking.rest |= rest;
            asking.moved |= given;
        }
    }

    /// Once all that an exchange named has come, the next one follows.
    pub(super) fn exchange_on(&mut self, from: NodeId, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let pulls = &self.pulls;
        let over = |asking: &mut Asking| asking.with == from && asking.answered && pulls.is_idle(from);
        let Some(over) = self.exchanges.asking.take_if(over) else {
            // The fellow had asked first, and all that it knows has come by its own exchange.
            if !self.exchanges.is_asking() && self.pulls.is_idle(from) {
                self.choose_source(around, ctx);
            }
            return;
        };
        if over.rest && over.moved && over.before < AT_ONCE {
            self.compare_with(from, over.before + 1, around, ctx);
        } else if !self.bootstrap.is_complete() {
            self.source_settled(from, over.complete && !over.rest, around, ctx);
        } else {
            self.compare_next(around, ctx);
        }
    }
}
