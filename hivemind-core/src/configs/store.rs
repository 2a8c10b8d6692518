//! The configs that a node holds, each compared by version where it is applied.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::OrdMap;

use super::roster::Roster;
use super::scope;
use super::summary::Summary;
use crate::facts::Facts;
use crate::ids::NodeId;
use crate::keys::Keys;
use crate::wire::config::{ConfigDigest, HeldConfig, SignedConfig};

/// What became of a config that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is in force now for this member; `conflict`: another one of its seq was, with a smaller hash.
    InForce { member: NodeId, conflict: bool },
    /// What is held is as new, or newer; `conflict`: of the same seq, with a larger hash.
    Old { conflict: bool },
    /// Its member is not known yet: it waits.
    Ahead,
    /// Its signature or its limits do not hold.
    Invalid(&'static str),
}

/// The most bytes of configs that wait for their join events: 4 MiB.
const AHEAD_BYTES: usize = 4 << 20;

/// Configs in force, and a bounded buffer of those that came before their join event.
#[derive(Debug, Default)]
pub(super) struct Store {
    held: OrdMap<NodeId, Arc<SignedConfig>>,
    versions: BTreeMap<NodeId, ConfigDigest>,
    summary: Summary,
    ahead: BTreeMap<NodeId, HeldConfig>,
    ahead_limit: usize,
}

impl Store {
    pub(super) fn new(ahead_limit: usize) -> Self {
        Store { ahead_limit, ..Store::default() }
    }

    pub(super) fn held(&self) -> &OrdMap<NodeId, Arc<SignedConfig>> {
        &self.held
    }

    /// What is held of the hosts that this node consumes.
    pub(super) fn summary(&self) -> &Summary {
        &self.summary
    }

    /// From now on the hosts that `roster`'s node consumes count, by `facts`.
    pub(super) fn count(&mut self, roster: &Roster, facts: &Facts) {
        self.summary = Summary::default();
        if roster.is_consumer() {
            for record in facts.members().values().filter(|record| roster.consumes(record)) {
                self.summary.consume(record.node, self.versions.get(&record.node));
            }
        }
    }

    pub(super) fn version(&self, member: NodeId) -> Option<&ConfigDigest> {
        self.versions.get(&member)
    }

    pub(super) fn entry(&self, member: NodeId) -> Option<HeldConfig> {
        self.held.get(&member).map(|config| HeldConfig { member, config: SignedConfig::clone(config) })
    }

    /// Takes a config in where it is newer than what is held: freshness is judged here, where it is
    /// applied, and nowhere before.
    pub(super) fn take(&mut self, incoming: HeldConfig, facts: &Facts, keys: &dyn Keys) -> Taken {
        let HeldConfig { member, config } = &incoming;
        if !config.config.is_within_limits() || config.config.node > *member {
            return Taken::Invalid("a config over its limits");
        }
        let Some(record) = facts.member(*member) else {
            return if scope::is_no_news(facts, *member) { Taken::Old { conflict: false } } else { self.keep_ahead(incoming) };
        };
        let version = config.config.digest();
        let known = self.versions.get(member);
        let same_seq = known.is_some_and(|known| (known.node, known.seq) == (version.node, version.seq) && known.hash != version.hash);
        if known.is_some_and(|known| *known >= version) && !same_seq {
            return Taken::Old { conflict: false };
        }
        if !config.is_signed_by(&record.key, keys) {
            return Taken::Invalid("a config that its host did not sign");
        }
        if known.is_some_and(|known| *known >= version) {
            return Taken::Old { conflict: true };
        }
        self.versions.insert(*member, version);
        self.summary.hold(*member, &version);
        self.held.insert(*member, Arc::new(incoming.config));
        Taken::InForce { member: incoming.member, conflict: same_seq }
    }

    /// Nothing can be proven of such a config yet, so it takes bounded room, and what is nearest to its join goes first.
    fn keep_ahead(&mut self, incoming: HeldConfig) -> Taken {
        let newer = self.ahead.get(&incoming.member).is_none_or(|known| known.config.config.digest() < incoming.config.config.digest());
        if newer {
            self.ahead.insert(incoming.member, incoming);
        }
        while self.ahead.len() > self.ahead_limit || self.ahead.values().map(weight).sum::<usize>() > AHEAD_BYTES {
            self.ahead.pop_last();
        }
        Taken::Ahead
    }

    /// A member joined: what waited for it. Where it replaces a membership, the config of that stays in
    /// force until the new one's first. It counts where it is `consumed`.
    pub(super) fn joined(&mut self, member: NodeId, supersedes: Option<NodeId>, consumed: bool) -> Option<HeldConfig> {
        if let Some(old) = supersedes {
            self.hand_on(old, member);
        }
        if consumed {
            self.summary.consume(member, self.versions.get(&member));
        }
        let waited = self.ahead.remove(&member);
        // Ids are given in order: nobody will join under one below it any more.
        self.ahead = self.ahead.split_off(&member);
        waited
    }

    /// The host that was `old` is `new`: what is held of it stays in force, unless something newer is. Whether it moved.
    pub(super) fn hand_on(&mut self, old: NodeId, new: NodeId) -> bool {
        self.summary.release(old);
        let Some(config) = self.held.remove(&old) else { return false };
        let version = self.versions.remove(&old).expect("every config that is held has its version beside it");
        let moves = self.versions.get(&new).is_none_or(|known| *known < version);
        if moves {
            self.held.insert(new, config);
            self.versions.insert(new, version);
        }
        moves
    }

    /// A membership ended: its config goes.
    pub(super) fn left(&mut self, member: NodeId) -> bool {
        self.ahead.remove(&member);
        self.summary.release(member);
        self.versions.remove(&member);
        self.held.remove(&member).is_some()
    }

    /// Drops all but what is kept; whose.
    pub(super) fn keep(&mut self, kept: impl Fn(&NodeId) -> bool) -> Vec<NodeId> {
        let gone: Vec<NodeId> = self.versions.keys().copied().filter(|member| !kept(member)).collect();
        for member in &gone {
            self.left(*member);
        }
        gone
    }
}

/// What a config takes in memory or in a message, about.
pub(super) fn weight(held: &HeldConfig) -> usize {
    held.config.config.sections.iter().map(|section| section.body.len() + 64).sum::<usize>() + 128
}
