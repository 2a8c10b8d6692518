//! What nodes say to each other about configs.

use super::bootstrap::{Bootstrap, ROUNDS, consumed, fellows, hosts};
use super::compare::{BUCKETS, bucket_of, buckets, difference, differing};
use super::{Configs, Output, Surroundings};
use crate::context::{Context, Junk};
use crate::ids::{NodeId, SectionKind};
use crate::timers::Timer;
use crate::wire::config::{ConfigDigest, HeldConfig};
use crate::wire::frame::Channel;
use crate::wire::member::MAX_ROLES;
use crate::wire::message::{Configs as ConfigsMessage, Message};

/// The most members named in one list.
const LIST: usize = 2_048;
/// The most kinds that a member consumes.
const KINDS: usize = MAX_ROLES * MAX_ROLES;
/// How many hosts a consumer asks in one round.
const ASKED_AT_ONCE: usize = 256;

impl Configs {
    /// Takes a message about configs.
    pub fn handle_message(&mut self, from: NodeId, message: ConfigsMessage, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        match message {
            ConfigsMessage::Offer(entry) => self.offered(from, entry, around, ctx),
            ConfigsMessage::Stored { member, version } => {
                if member == ctx.node {
                    self.stored_elsewhere(from, version, ctx);
                }
            }
            ConfigsMessage::Compare { buckets } => self.compared(from, &buckets, around, ctx),
            // What is worked through costs its length times what is held: nobody sends longer lists.
            ConfigsMessage::Differ { buckets, held } if buckets.len() > BUCKETS || held.len() > LIST => {
                refuse(from, "a comparison longer than any store", around, ctx);
            }
            ConfigsMessage::Fetch { kinds, .. } if kinds.len() > KINDS => refuse(from, "more kinds than a member consumes", around, ctx),
            ConfigsMessage::Differ { buckets, held } => self.differ(from, &buckets, &held, around, ctx),
            ConfigsMessage::Want { nodes } => self.wanted(from, &nodes, ctx),
            ConfigsMessage::Batch { configs, missing } => self.batch(from, configs, &missing, around, ctx),
            ConfigsMessage::Fetch { kinds, after } => self.fetch(from, &kinds, after, around, ctx),
            ConfigsMessage::Fetched { configs, next, complete } => self.fetched(from, configs, next, complete, around, ctx),
            ConfigsMessage::SeqAsk => {
                let version = self.store.version(from).copied();
                ctx.send(from, Channel::Ordered, Message::Configs(ConfigsMessage::Stored { member: from, version }));
            }
        }
    }

    /// A consumer passes on what its host told it; a neighbor only keeps it.
    fn offered(&mut self, from: NodeId, entry: HeldConfig, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let member = entry.member;
        let passed_on = entry.clone();
        let news = self.take(entry, Some(from), around, ctx);
        let version = self.store.version(member).copied();
        ctx.send(from, Channel::Ordered, Message::Configs(ConfigsMessage::Stored { member, version }));
        if news {
            let others: Vec<NodeId> =
                fellows(around.facts, ctx.node).into_iter().filter(|&node| node != from && around.reachable(node)).collect();
            for target in ctx.rng.sample(&others, ctx.settings.configs.consumers + 1) {
                ctx.send(target, Channel::Ordered, Message::Configs(ConfigsMessage::Offer(passed_on.clone())));
            }
        }
    }

    /// A consumer's round: it bootstraps, or compares with a fellow; and asks for what it lacks.
    pub fn handle_compare_timer(&mut self, round: u64, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        if round != self.compare_round || consumed(around.facts, ctx.node).is_empty() {
            return;
        }
        let period = ctx.settings.configs.compare;
        let pause =
            if self.bootstrap.is_complete() { period / 2 + ctx.rng.duration_below(period) } else { ctx.settings.configs.offer_retry };
        ctx.after(pause, Timer::Compare { round });
        match &self.bootstrap {
            Bootstrap::NotNeeded => {}
            Bootstrap::Fetching { .. } => self.fetch_again(around, ctx),
            Bootstrap::Asking { .. } => self.ask_hosts(around, ctx),
            Bootstrap::Complete => {
                self.compare(around, ctx);
                self.ask_missing(around, ctx);
            }
        }
    }

    pub(super) fn begin_bootstrap(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        if consumed(around.facts, ctx.node).is_empty() {
            self.bootstrap = Bootstrap::NotNeeded;
            return;
        }
        self.outputs.push_back(Output::Completeness { complete: false });
        self.choose_source(None, around, ctx);
    }

    /// A fellow consumer that can be reached, and was not the last one tried; else the hosts themselves.
    fn choose_source(&mut self, tried: Option<NodeId>, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let others: Vec<NodeId> =
            fellows(around.facts, ctx.node).into_iter().filter(|&node| Some(node) != tried && around.reachable(node)).collect();
        match ctx.rng.sample(&others, 1).pop() {
            Some(from) => {
                self.bootstrap = Bootstrap::Fetching { from, after: NodeId::NONE, silent: 0 };
                self.send_fetch(from, NodeId::NONE, around, ctx);
            }
            None => {
                self.bootstrap = Bootstrap::Asking { settled: Default::default(), rounds: 0 };
                self.ask_hosts(around, ctx);
            }
        }
    }

    fn send_fetch(&mut self, from: NodeId, after: NodeId, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let kinds: Vec<SectionKind> = consumed(around.facts, ctx.node).into_iter().collect();
        ctx.send(from, Channel::Ordered, Message::Configs(ConfigsMessage::Fetch { kinds, after }));
    }

    fn fetch_again(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let Bootstrap::Fetching { from, after, silent } = &mut self.bootstrap else { return };
        *silent += 1;
        let (from, after, gave_up) = (*from, *after, *silent > 2);
        if gave_up || !around.reachable(from) || around.facts.member(from).is_none() {
            self.choose_source(Some(from), around, ctx);
        } else {
            self.send_fetch(from, after, around, ctx);
        }
    }

    fn fetch(&mut self, from: NodeId, kinds: &[SectionKind], after: NodeId, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let mut bytes = 0;
        let mut configs = Vec::new();
        let mut next = None;
        for member in self.store.versions().range((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded)).map(|(member, _)| *member)
        {
            let wanted = around.facts.member(member).is_some_and(|record| kinds.iter().any(|kind| record.publishes(kind)));
            let Some(entry) = self.store.entry(member).filter(|_| wanted) else { continue };
            if bytes >= ctx.settings.configs.batch_bytes {
                next = configs.last().map(|last: &HeldConfig| last.member);
                break;
            }
            bytes += entry.config.config.sections.iter().map(|section| section.body.len() + 64).sum::<usize>() + 128;
            configs.push(entry);
        }
        let complete = self.bootstrap == Bootstrap::Complete;
        ctx.send(from, Channel::Bulk, Message::Configs(ConfigsMessage::Fetched { configs, next, complete }));
    }

    fn fetched(
        &mut self,
        from: NodeId,
        configs: Vec<HeldConfig>,
        next: Option<NodeId>,
        complete: bool,
        around: &Surroundings<'_>,
        ctx: &mut Context<'_>,
    ) {
        for entry in configs {
            self.take(entry, Some(from), around, ctx);
        }
        match &mut self.bootstrap {
            Bootstrap::Fetching { from: asked, after, silent } if *asked == from => match next {
                Some(next) if next > *after => {
                    *after = next;
                    *silent = 0;
                    self.send_fetch(from, next, around, ctx);
                }
                None if complete => self.complete(around, ctx),
                // The fellow is itself new, or goes in circles: what it holds helps, the rest must come from the hosts.
                Some(_) | None => {
                    self.bootstrap = Bootstrap::Asking { settled: Default::default(), rounds: 0 };
                    self.ask_hosts(around, ctx);
                }
            },
            Bootstrap::NotNeeded | Bootstrap::Fetching { .. } | Bootstrap::Asking { .. } | Bootstrap::Complete => {}
        }
    }

    /// The first consumer's way: the control plane's facts name the hosts, and each is asked. Where one
    /// is unreachable, two others are: its neighbors answer for it.
    fn ask_hosts(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let Bootstrap::Asking { settled, rounds } = &mut self.bootstrap else { return };
        *rounds += 1;
        let (settled, over) = (settled.clone(), *rounds > ROUNDS);
        let open: Vec<NodeId> =
            hosts(around.facts, ctx.node).into_iter().filter(|host| *host != ctx.node && !settled.contains(host)).collect();
        if open.is_empty() || over {
            self.complete(around, ctx);
            return;
        }
        // Those of whom nothing is known come first.
        let (lacking, known): (Vec<NodeId>, Vec<NodeId>) = open.into_iter().partition(|host| self.store.version(*host).is_none());
        self.ask_for(if lacking.is_empty() { &known } else { &lacking }, around, ctx);
    }

    fn lacking(&self, around: &Surroundings<'_>, ctx: &Context<'_>) -> Vec<NodeId> {
        hosts(around.facts, ctx.node).into_iter().filter(|&host| host != ctx.node && self.store.version(host).is_none()).collect()
    }

    fn ask_for(&mut self, missing: &[NodeId], around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        for host in ctx.rng.sample(missing, ASKED_AT_ONCE) {
            let want = Message::Configs(ConfigsMessage::Want { nodes: vec![host] });
            if around.reachable(host) {
                ctx.send(host, Channel::Ordered, want);
                continue;
            }
            let hood = around.facts.neighborhood_of(host).map(|(_, hood)| hood.members.clone()).unwrap_or_default();
            let near: Vec<NodeId> = hood.into_iter().filter(|&node| node != ctx.node && around.reachable(node)).collect();
            for neighbor in ctx.rng.sample(&near, ctx.settings.configs.neighbors) {
                ctx.send(neighbor, Channel::Ordered, want.clone());
            }
        }
    }

    fn ask_missing(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let missing: Vec<NodeId> = self.lacking(around, ctx).into_iter().filter(|&host| around.reachable(host)).collect();
        let some = ctx.rng.sample(&missing, 8);
        self.ask_for(&some, around, ctx);
    }

    fn complete(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        self.bootstrap = Bootstrap::Complete;
        self.outputs.push_back(Output::Completeness { complete: true });
        self.compare(around, ctx);
    }

    fn compare(&mut self, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let others: Vec<NodeId> = fellows(around.facts, ctx.node).into_iter().filter(|&node| around.reachable(node)).collect();
        if let Some(with) = ctx.rng.sample(&others, 1).pop() {
            let kinds = consumed(around.facts, ctx.node);
            let counts = |member: NodeId| is_of(around, member, &kinds);
            let buckets = buckets(self.store.versions(), counts);
            ctx.send(with, Channel::Datagram, Message::Configs(ConfigsMessage::Compare { buckets }));
        }
    }

    /// Where positions differ, so may the members: compared all the same, since a config ahead of its
    /// join waits in the buffer and one of a member that left is refused where it is applied.
    fn compared(&mut self, from: NodeId, theirs: &[u64], around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let kinds = consumed(around.facts, ctx.node);
        let mine = buckets(self.store.versions(), |member| is_of(around, member, &kinds));
        let differing = differing(&mine, theirs);
        if differing.is_empty() {
            return;
        }
        let held = self.versions_in(&differing, around);
        ctx.send(from, Channel::Bulk, Message::Configs(ConfigsMessage::Differ { buckets: differing, held }));
    }

    fn versions_in(&self, buckets: &[u16], around: &Surroundings<'_>) -> Vec<(NodeId, ConfigDigest)> {
        let inside = self.store.versions().iter().filter(|(member, _)| buckets.contains(&bucket_of(**member)));
        inside
            .filter(|(member, _)| around.facts.member(**member).is_some())
            .take(LIST)
            .map(|(member, version)| (*member, *version))
            .collect()
    }

    fn differ(&mut self, from: NodeId, buckets: &[u16], held: &[(NodeId, ConfigDigest)], around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let kinds = consumed(around.facts, ctx.node);
        let mut difference = difference(self.store.versions(), buckets, held);
        difference.give.retain(|member| is_of(around, *member, &kinds));
        if !difference.want.is_empty() {
            difference.want.truncate(LIST);
            ctx.send(from, Channel::Ordered, Message::Configs(ConfigsMessage::Want { nodes: difference.want }));
        }
        if !difference.give.is_empty() {
            self.wanted(from, &difference.give, ctx);
        }
    }

    /// Sends what is held of `nodes`, as much as one message takes; the rest comes with the next round.
    fn wanted(&mut self, from: NodeId, nodes: &[NodeId], ctx: &mut Context<'_>) {
        let (mut configs, mut missing, mut bytes) = (Vec::new(), Vec::new(), 0);
        for member in nodes.iter().copied().take(LIST) {
            match self.store.entry(member) {
                Some(entry) if bytes < ctx.settings.configs.batch_bytes => {
                    bytes += entry.config.config.sections.iter().map(|section| section.body.len() + 64).sum::<usize>() + 128;
                    configs.push(entry);
                }
                Some(_) => break,
                None => missing.push(member),
            }
        }
        ctx.send(from, Channel::Bulk, Message::Configs(ConfigsMessage::Batch { configs, missing }));
    }

    fn batch(&mut self, from: NodeId, configs: Vec<HeldConfig>, missing: &[NodeId], around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        // Only the host itself can say that there is nothing, or, while it can be reached, what is its last.
        let answers = |host: NodeId| host == from || !around.reachable(host);
        let given: Vec<NodeId> = configs.iter().map(|entry| entry.member).filter(|host| answers(*host)).collect();
        for entry in configs {
            self.take(entry, Some(from), around, ctx);
        }
        if let Bootstrap::Asking { settled, rounds } = &mut self.bootstrap {
            let before = settled.len();
            settled.extend(given.into_iter().chain(missing.iter().copied().filter(|host| *host == from)));
            if settled.len() > before {
                *rounds = 0;
            }
            if hosts(around.facts, ctx.node).iter().all(|host| *host == ctx.node || settled.contains(host)) {
                self.complete(around, ctx);
            }
        }
    }
}

fn is_of(around: &Surroundings<'_>, member: NodeId, kinds: &std::collections::BTreeSet<SectionKind>) -> bool {
    around.facts.member(member).is_some_and(|record| kinds.iter().any(|kind| record.publishes(kind)))
}

fn refuse(from: NodeId, why: &'static str, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
    if let Some(sender) = around.facts.member(from) {
        ctx.junk(sender.key, Junk::Invalid(why));
    }
}
