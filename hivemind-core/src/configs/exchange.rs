//! What nodes say to each other about configs, and how one asks another for them.

use std::collections::BTreeSet;

use super::store::weight;
use super::summary::BUCKETS;
use super::{Configs, Surroundings};
use crate::context::{Context, Junk};
use crate::ids::NodeId;
use crate::wire::config::HeldConfig;
use crate::wire::frame::Channel;
use crate::wire::message::{Configs as ConfigsMessage, Message};

/// The most members that are named in one request.
const LIST: usize = 2_048;

impl Configs {
    /// Takes a message about configs.
    pub fn handle_message(&mut self, from: NodeId, message: ConfigsMessage, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        if self.silence.heard(from) {
            self.returned(from, around, ctx);
        }
        let possible = match message {
            ConfigsMessage::Offer { entry, root } => {
                self.offered(from, entry, root, around, ctx);
                true
            }
            ConfigsMessage::Advert { member, version, root } => {
                self.advertised(from, (member, version, root), around, ctx);
                true
            }
            ConfigsMessage::Stored { member, version } => {
                self.passing.answered(from, member);
                if member == ctx.node {
                    self.stored_elsewhere(from, version, ctx);
                } else if version.is_some_and(|theirs| self.store.version(member).is_some_and(|mine| *mine < theirs)) {
                    self.pull(from, [member], around, ctx);
                }
                true
            }
            // What is worked through costs its length: nobody sends longer lists.
            ConfigsMessage::Compare { index, buckets } => {
                let possible = buckets.is_empty() || buckets.len() == BUCKETS;
                if possible {
                    self.compared(from, index, &buckets, around, ctx);
                }
                possible
            }
            ConfigsMessage::Alike { complete } => {
                self.alike(from, complete, around, ctx);
                true
            }
            ConfigsMessage::Busy => {
                self.put_off(from, around, ctx);
                true
            }
            ConfigsMessage::Differ { buckets, rest } => self.differ(from, &buckets, rest, around, ctx),
            ConfigsMessage::Versions { leaves, held, complete, rest } => {
                self.versions(from, (&leaves, &held), (complete, rest), around, ctx)
            }
            ConfigsMessage::Want { nodes } => {
                let possible = nodes.len() <= LIST;
                if possible {
                    self.wanted(from, &nodes, ctx);
                }
                possible
            }
            ConfigsMessage::Batch { configs, missing } => {
                self.batch(from, configs, &missing, around, ctx);
                true
            }
            ConfigsMessage::SeqAsk => {
                let version = self.store.version(from).copied();
                ctx.send(from, Channel::Ordered, Message::Configs(ConfigsMessage::Stored { member: from, version }));
                true
            }
        };
        if !possible && let Some(sender) = around.facts.member(from) {
            ctx.junk(sender.key, Junk::Invalid("a list about configs that no member sends"));
        }
    }

    /// Asks `source` for the configs of `members` that nobody else is being asked for.
    pub(super) fn pull(
        &mut self,
        source: NodeId,
        members: impl IntoIterator<Item = NodeId>,
        around: &Surroundings<'_>,
        ctx: &mut Context<'_>,
    ) {
        self.pulls.claim(source, members, ctx.now.time);
        self.pull_on(source, around, ctx);
    }

    fn pull_on(&mut self, source: NodeId, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        if let Some(nodes) = self.pulls.next_request(source, ctx.now.time) {
            if self.roster.is_fellow(source) && around.reachable(source) {
                self.silence.expect(source, ctx.now.time);
            }
            ctx.send(source, Channel::Ordered, Message::Configs(ConfigsMessage::Want { nodes }));
        }
    }

    /// Sends what is held of `nodes`, as much as one message takes: the asker asks again for the rest.
    fn wanted(&mut self, from: NodeId, nodes: &[NodeId], ctx: &mut Context<'_>) {
        let (mut configs, mut missing, mut bytes) = (Vec::new(), Vec::new(), 0);
        for &member in nodes {
            match self.store.entry(member) {
                Some(entry) if bytes < ctx.settings.configs.batch_bytes => {
                    bytes += weight(&entry);
                    configs.push(entry);
                }
                Some(_) => {}
                None => missing.push(member),
            }
        }
        ctx.send(from, Channel::Bulk, Message::Configs(ConfigsMessage::Batch { configs, missing }));
    }

    fn batch(&mut self, from: NodeId, configs: Vec<HeldConfig>, missing: &[NodeId], around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let (mut given, mut any_news) = (BTreeSet::new(), false);
        for entry in configs {
            let (member, version) = (entry.member, entry.config.config.digest());
            let news = self.take(entry, Some(from), around, ctx);
            if news {
                any_news = true;
                self.exchanges.moved(from);
            }
            // What is not to be believed is not given.
            if self.store.version(member).is_some_and(|held| *held >= version) {
                given.insert(member);
            }
            self.came(member, news, around, ctx);
        }
        self.pulls.answered(from, &given, any_news, missing);
        self.pull_on(from, around, ctx);
        self.hosts_answered(from, &given, missing, around, ctx);
        self.exchange_on(from, around, ctx);
    }
}
