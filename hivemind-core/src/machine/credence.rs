//! On whose word a node believes what decides its own fate: that its membership ended, that a copy of its disk lives, that its
//! view must go, whose world is the true one.
//!
//! A member can lie, and one lie must not stop a node, let a voter throw its Raft log away, or carry a node off into a made-up
//! cluster. So these words count where there is a proof (events and digests that a known voter signed), or where one of the
//! voters that this node knows says so itself: the log registers their keys, and they decide all this anyway. What another
//! member says makes the node ask those voters.
//!
//! Nobody may be left behind for ever because all whom it knew are gone. A node that hears of no leader believes what three say,
//! or what somebody has said for [`PATIENCE`] while no voter that it knows spoke. One that seems to hear of a leader, whose signs of life
//! anybody may pass on, believes it only where three have said it, and that long. A member that knows nobody (its cache was lost)
//! and one that joins for the first time trust whoever has a certificate of the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Machine, Phase};
use crate::context::Recipient;
use crate::ids::{Digest256, PublicKey};
use crate::keys;
use crate::time::Time;
use crate::wire::frame::Channel;
use crate::wire::message::Digest;

/// So many that are no voters are enough, where their word can count at all.
const WITNESSES: usize = 3;
/// What stands for so long, while no known voter speaks, is believed of a single one.
const PATIENCE: Duration = Duration::from_secs(30);
/// Voters are asked again after this at the earliest.
const ASK_PAUSE: Duration = Duration::from_secs(1);
/// So many different claims are remembered: one can invent worlds without end.
const CLAIMS: usize = 16;

/// What is said of this node's fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Claim {
    /// Its membership ended.
    Gone,
    /// Another process uses its id.
    Duplicate,
    /// The world is that in which these are the voters' keys, hashed.
    World(Digest256),
}

#[derive(Debug)]
struct Standing {
    since: Time,
    by: BTreeSet<PublicKey>,
}

/// What others said, and when voters were asked about it.
#[derive(Debug, Default)]
pub(super) struct Credence {
    claims: BTreeMap<Claim, Standing>,
    asked: Option<Time>,
}

impl Credence {
    /// `peer` makes a claim: how many have made it, and since when.
    fn note(&mut self, peer: PublicKey, claim: Claim, now: Time) -> (usize, Duration) {
        if self.claims.len() >= CLAIMS && !self.claims.contains_key(&claim) {
            let oldest = self.claims.iter().min_by_key(|(_, standing)| standing.since).map(|(&claim, _)| claim);
            oldest.and_then(|claim| self.claims.remove(&claim));
        }
        let standing = self.claims.entry(claim).or_insert_with(|| Standing { since: now, by: BTreeSet::new() });
        if standing.by.len() < WITNESSES {
            standing.by.insert(peer);
        }
        (standing.by.len(), now.since(standing.since))
    }

    /// A voter that this node knows spoke: what others say of the control plane behind its back counts from here on only.
    pub(super) fn voter_spoke(&mut self) {
        self.claims.retain(|claim, _| *claim == Claim::Duplicate);
    }

    /// This node has found its place: whatever was said before is about the past.
    pub(super) fn settled(&mut self) {
        self.claims.clear();
    }
}

impl Machine {
    /// Whether a claim of `peer` about this node is believed. Where it is not, the voters are asked.
    pub(super) fn believes(&mut self, peer: PublicKey, claim: Claim) -> bool {
        let Some(facts) = self.log.as_ref().map(|log| log.facts()) else {
            return claim != Claim::Duplicate || self.believes_without_facts(peer, claim);
        };
        if self.is_voters_key(&peer) {
            return true;
        }
        let others = facts.live().len().saturating_sub(1);
        let (witnesses, stands) = self.credence.note(peer, claim, self.now.time);
        let believed = match claim {
            Claim::Duplicate => witnesses >= WITNESSES.min(others).max(1),
            Claim::Gone | Claim::World(_) => {
                let lost = self.phase != Phase::Member || self.condition.degraded;
                let (many, long) = (witnesses >= WITNESSES, stands >= PATIENCE);
                (many && long) || (lost && (many || long))
            }
        };
        if !believed {
            self.ask_voters();
        }
        believed
    }

    /// Whether it is believed by one that knows nobody. Of two that live on one disk, others answer the younger one only: the other
    /// hears nothing else, and would ask for ever.
    fn believes_without_facts(&mut self, peer: PublicKey, claim: Claim) -> bool {
        let (witnesses, stands) = self.credence.note(peer, claim, self.now.time);
        // While no seed is known yet, nobody can tell how many could speak.
        let could_speak = if self.seeds.is_empty() && self.awaits_seeds { WITNESSES } else { self.seeds.len() };
        witnesses >= WITNESSES.min(could_speak).max(1) || stands >= PATIENCE
    }

    /// Whether a digest is of the world that this node knows, or has to be believed all the same.
    pub(super) fn believes_world(&mut self, peer: PublicKey, digest: &Digest) -> bool {
        let witness = digest.facts.member(digest.checkpoint.voter).map(|voter| voter.key);
        let is_known = self.log.is_none() || witness.is_some_and(|key| self.is_voters_key(&key));
        is_known || {
            let voters = super::life::voting(&digest.facts);
            let keys: BTreeSet<PublicKey> = voters.iter().filter_map(|node| digest.facts.member(*node)).map(|voter| voter.key).collect();
            let parts: Vec<&[u8]> = keys.iter().map(|key| key.0.as_slice()).collect();
            self.believes(peer, Claim::World(keys::hash(&parts)))
        }
    }

    /// Whether somebody who votes by what this node knows has that key, under whatever id by now. Its own does not count.
    pub(super) fn is_voters_key(&self, key: &PublicKey) -> bool {
        let facts = self.log.as_ref().map(|log| log.facts());
        let member = facts.and_then(|facts| facts.with_key(key).filter(|member| facts.is_voter(member.node)));
        member.is_some() && *key != self.keys.public()
    }

    /// Asks all voters that are known how it stands with this node. Now and then: anyone can make it ask.
    pub(super) fn ask_voters(&mut self) {
        if self.credence.asked.is_some_and(|asked| self.now.time.since(asked) < ASK_PAUSE) {
            return;
        }
        self.credence.asked = Some(self.now.time);
        let own = self.node();
        let Some(voters) = self.log.as_ref().map(|log| super::life::voting(log.facts())) else { return };
        let Some(question) = self.resume_question() else { return };
        for voter in voters.into_iter().filter(|voter| *voter != own) {
            context!(self).send_to(Recipient::Node(voter), Channel::Ordered, question.clone());
        }
    }
}
