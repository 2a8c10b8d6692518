//! How a config reaches all its consumers once one of them has it: along a tree that all of them find alike, in the
//! ring of consumers by id, beginning with the consumer that the host told (its root). The host tells two, so there
//! are two trees: the first to come carries the config, the second only says that it exists, and whoever was left
//! out by a loss in the first asks for it (the idea of Plumtree: Leitão, Pereira, Rodrigues, 2007).

use std::collections::BTreeMap;

use super::{Configs, Surroundings};
use crate::context::{Context, Report};
use crate::ids::NodeId;
use crate::wire::config::{ConfigDigest, HeldConfig};
use crate::wire::frame::Channel;
use crate::wire::message::{Configs as ConfigsMessage, Message};

/// The most trees of one version in which a node has its part: the host's two, and a few of those that asked for it.
const ROOTS: usize = 8;
/// The most offers whose answer is waited for.
const UNANSWERED: usize = 8_192;

/// What a consumer passed on.
#[derive(Debug, Default)]
pub(super) struct Passing {
    /// By host: the last version, and the roots of the trees in which it was passed on, each once.
    passed: BTreeMap<NodeId, (ConfigDigest, Vec<NodeId>)>,
    /// By child and host: the root of the tree, while the child has not answered.
    unanswered: BTreeMap<(NodeId, NodeId), NodeId>,
    /// Adverts of what is not held yet: by host, the roots of their trees.
    awaited: BTreeMap<NodeId, Vec<NodeId>>,
}

impl Passing {
    /// Whether `version` is still to be passed on in the tree of `root`.
    fn is_open(&mut self, member: NodeId, version: ConfigDigest, root: NodeId) -> bool {
        let passed = self.passed.entry(member).or_insert((version, Vec::new()));
        if passed.0 != version {
            *passed = (version, Vec::new());
        }
        let open = passed.1.len() < ROOTS && !passed.1.contains(&root);
        if open {
            passed.1.push(root);
        }
        open
    }

    /// A membership ended.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.passed.remove(&node);
        self.awaited.remove(&node);
        self.unanswered.retain(|(child, member), _| *child != node && *member != node);
    }

    /// `child` has said what it holds of `member`.
    pub(super) fn answered(&mut self, child: NodeId, member: NodeId) {
        self.unanswered.remove(&(child, member));
    }

    fn left_unanswered(&mut self, child: NodeId) -> Vec<(NodeId, NodeId)> {
        let first = NodeId::NONE;
        let of_child = self.unanswered.range((child, first)..).take_while(|((to, _), _)| *to == child);
        let left: Vec<(NodeId, NodeId)> = of_child.map(|((_, member), root)| (*member, *root)).collect();
        for (member, _) in &left {
            self.unanswered.remove(&(child, *member));
        }
        left
    }
}

/// The children of `of` in the tree of `root`: in the ring of consumers, each node's are the next ones in order of breadth.
fn children(ring: &[NodeId], root: NodeId, of: NodeId, fanout: usize) -> Vec<NodeId> {
    // Who is not in the ring, since it joined or left just now, counts as the one that would follow it.
    let place = |node: NodeId| ring.binary_search(&node).unwrap_or_else(|place| place);
    let around = ring.len();
    let (start, own) = (place(root), (place(of) + around - place(root)) % around.max(1));
    let first = own.saturating_mul(fanout).saturating_add(1);
    (first..first.saturating_add(fanout).min(around)).map(|step| ring[(start + step) % around]).collect()
}

impl Configs {
    /// A config was offered: by its host, or by a consumer that passes it on. A neighbor only keeps it.
    pub(super) fn offered(&mut self, from: NodeId, entry: HeldConfig, root: NodeId, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let (member, offered) = (entry.member, entry.config.config.digest());
        let news = self.take(entry, Some(from), around, ctx);
        let version = self.store.version(member).copied();
        ctx.send(from, Channel::Ordered, Message::Configs(ConfigsMessage::Stored { member, version }));
        if version == Some(offered) {
            let root = if root.is_none() { ctx.node } else { root };
            self.pass_on(member, root, news, around, ctx);
            self.came(member, false, around, ctx);
        }
    }

    /// A fellow says what it holds, and believes that this node does as well.
    pub(super) fn advertised(
        &mut self,
        from: NodeId,
        (member, advertised, root): (NodeId, ConfigDigest, NodeId),
        around: &Surroundings<'_>,
        ctx: &mut Context<'_>,
    ) {
        let version = self.store.version(member).copied();
        if version.is_some_and(|version| version >= advertised) || !self.store.summary().counts(member) {
            ctx.send(from, Channel::Ordered, Message::Configs(ConfigsMessage::Stored { member, version }));
            if version == Some(advertised) {
                self.pass_on(member, root, false, around, ctx);
            }
        } else {
            let roots = self.passing.awaited.entry(member).or_default();
            if roots.len() < ROOTS && !roots.contains(&root) {
                roots.push(root);
            }
            self.pull(from, [member], around, ctx);
        }
    }

    /// A config came. Where adverts had told of it, others wait for it here.
    pub(super) fn came(&mut self, member: NodeId, news: bool, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let mut whole = news;
        for root in self.passing.awaited.remove(&member).unwrap_or_default() {
            self.pass_on(member, root, whole, around, ctx);
            whole = false;
        }
    }

    /// Passes what is held of `member` on in the tree of `root`, once: the `whole` config, or word of it.
    pub(super) fn pass_on(&mut self, member: NodeId, root: NodeId, whole: bool, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let Some(version) = self.store.version(member).copied().filter(|_| self.store.summary().counts(member)) else { return };
        if self.passing.is_open(member, version, root) {
            self.pass_below(ctx.node, member, root, whole, around, ctx);
        }
    }

    /// Passes it to the children of `of`. What one that is silent would have done is done for it.
    fn pass_below(&mut self, of: NodeId, member: NodeId, root: NodeId, whole: bool, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        let Some(publisher) = around.facts.member(member) else { return };
        let (Some(entry), Some(version)) = (self.store.entry(member), self.store.version(member).copied()) else { return };
        let ring = self.roster.consumers_of(publisher).into_owned();
        let advert = Message::Configs(ConfigsMessage::Advert { member, version, root });
        let offer = Message::Configs(ConfigsMessage::Offer { entry, root });
        let mut parents = vec![of];
        while let Some(parent) = parents.pop() {
            for child in children(&ring, root, parent, ctx.settings.configs.pass_on) {
                // The host has its own config, and an id never comes twice below its root.
                if child == member || child == ctx.node {
                    parents.push(child);
                } else if self.is_silent(child, around) {
                    ctx.send(child, Channel::Datagram, advert.clone());
                    parents.push(child);
                } else if whole {
                    self.expect_answer(child, member, root, ctx);
                    ctx.send(child, Channel::Ordered, offer.clone());
                } else {
                    ctx.send(child, Channel::Datagram, advert.clone());
                }
            }
        }
    }

    fn expect_answer(&mut self, child: NodeId, member: NodeId, root: NodeId, ctx: &mut Context<'_>) {
        self.silence.expect(child, ctx.now.time);
        if self.passing.unanswered.len() < UNANSWERED {
            self.passing.unanswered.insert((child, member), root);
        } else {
            ctx.report(Report::Limit("offers to fellow consumers that were not answered"));
        }
    }

    /// A fellow fell silent: what it should have passed on since is passed on for it.
    pub(super) fn adopt(&mut self, child: NodeId, around: &Surroundings<'_>, ctx: &mut Context<'_>) {
        for (member, root) in self.passing.left_unanswered(child) {
            self.pass_below(child, member, root, true, around, ctx);
        }
    }

    /// Whether a fellow is not to be relied on now.
    pub(super) fn is_silent(&self, node: NodeId, around: &Surroundings<'_>) -> bool {
        !around.reachable(node) || self.silence.is_silent(node)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::children;
    use crate::fixture::id;
    use crate::ids::NodeId;

    #[test]
    fn a_tree_reaches_every_consumer_once_whatever_its_root() {
        for consumers in 1..80 {
            let ring: Vec<NodeId> = (1..=consumers).map(|counter| id(counter * 7)).collect();
            for &root in &ring {
                let (mut reached, mut ends) = (vec![root], vec![root]);
                while let Some(parent) = ends.pop() {
                    let below = children(&ring, root, parent, 4);
                    reached.extend(&below);
                    ends.extend(below);
                }
                assert_eq!(reached.len(), ring.len());
                assert_eq!(reached.into_iter().collect::<BTreeSet<_>>().len(), ring.len());
            }
        }
    }

    #[test]
    fn a_ring_that_lacks_the_root_is_no_trouble() {
        let ring = [id(1), id(2), id(3)];
        assert!(children(&[], id(1), id(1), 8).is_empty());
        assert!(children(&ring, id(9), id(9), 8).len() < 3);
    }
}
