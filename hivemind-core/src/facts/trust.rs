//! Which authorities are trusted: what follows from what was said of them.

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::Facts;
use crate::ids::{Digest256, NodeId};
use crate::wire::event::VoterPart;
use crate::wire::persistent;
use crate::wire::trust::{AuthorityChange, CertificateBytes, Successor};

/// The authorities of a cluster. In every scope: each node checks those that it speaks with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    current: Option<CertificateBytes>,
    bridge: Option<CertificateBytes>,
    former: Option<CertificateBytes>,
    next: Option<Announced>,
    /// The latest whose key each voter said to hold. Of voters alone.
    #[serde(with = "persistent::map")]
    holders: OrdMap<NodeId, Digest256>,
}

/// What is to follow, and whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Announced {
    /// By the word of the voter that announced it; where another one is known, it is that.
    present: CertificateBytes,
    next: Successor,
}

impl Trust {
    /// The authority that issues. `None`: that of the cluster's birth, as long as none has followed it.
    pub fn current(&self) -> Option<&CertificateBytes> {
        self.current.as_ref()
    }

    /// The authority that issues, as far as anybody has said it: [`current`](Self::current), or whom the announced one is to follow.
    pub fn present(&self) -> Option<&CertificateBytes> {
        self.current().or(self.next.as_ref().map(|announced| &announced.present))
    }

    /// A certificate of its key by the authority before it, where there was one.
    pub fn bridge(&self) -> Option<&CertificateBytes> {
        self.bridge.as_ref()
    }

    /// The one before it, as long as it is trusted too.
    pub fn former(&self) -> Option<&CertificateBytes> {
        self.former.as_ref()
    }

    /// The one that is to follow it.
    pub fn next(&self) -> Option<&Successor> {
        self.next.as_ref().map(|announced| &announced.next)
    }

    /// The latest authority whose key a voter said to hold.
    pub fn held_by(&self, node: NodeId) -> Option<Digest256> {
        self.holders.get(&node).copied()
    }

    /// Whether who holds the key of this authority can issue by the present one. Who holds that of the one that is to follow has both.
    fn can_issue(&self, held: &Digest256) -> bool {
        let is = |one: &CertificateBytes| one.digest() == *held;
        self.current.is_none() || self.current().is_some_and(is) || self.next().is_some_and(|next| is(&next.certificate))
    }

    /// Whether its holders' entries are of these, and no two of the authorities are one.
    pub(super) fn is_sound(&self, voters: &OrdMap<NodeId, VoterPart>) -> bool {
        let follows = self.current.is_some() == self.bridge.is_some() && (self.former.is_none() || self.current.is_some());
        let apart = self.former.is_none() || (self.former != self.current && self.next.is_none());
        let fits = |announced: &Announced| {
            announced.next.certificate != announced.present && self.current.as_ref().is_none_or(|current| *current == announced.present)
        };
        let held = self.holders.keys().all(|node| voters.contains_key(node));
        follows && apart && self.next.as_ref().is_none_or(fits) && held
    }
}

impl Facts {
    /// The authorities that are trusted.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Whether a majority of the voters said to hold the key of the authority that issues.
    pub fn is_key_kept(&self) -> bool {
        self.is_held(|held| self.trust.can_issue(held))
    }

    /// Whether a voter said to hold the key of the authority that issues, and no other one did: the key could be lost with it. Of
    /// nobody where no voter says what it holds, as where a program brings the authority.
    pub fn is_last_keeper(&self, node: NodeId) -> bool {
        let keeps = |node: &NodeId| self.trust.holders.get(node).is_some_and(|held| self.trust.can_issue(held));
        keeps(&node) && !self.voting().any(|other| *other != node && keeps(other))
    }

    fn is_held(&self, counts: impl Fn(&Digest256) -> bool) -> bool {
        let holds = |node: &&NodeId| self.trust.holders.get(*node).is_some_and(&counts);
        self.voting().filter(holds).count() * 2 > self.voting().count()
    }

    fn voting(&self) -> impl Iterator<Item = &NodeId> {
        self.voters.iter().filter(|(_, part)| **part == VoterPart::Voter).map(|(node, _)| node)
    }

    pub(super) fn authority(&mut self, change: &AuthorityChange) -> Option<()> {
        match change {
            AuthorityChange::Announced { present, next } => {
                let trust = &mut self.trust;
                let fits = trust.former.is_none() && trust.current.as_ref().is_none_or(|current| current == present);
                (fits && next.certificate != *present).then_some(())?;
                trust.next = Some(Announced { present: present.clone(), next: next.clone() });
            }
            AuthorityChange::Held { node, authority } => {
                self.voters.contains_key(node).then_some(())?;
                self.trust.holders.insert(*node, *authority);
                self.follow();
            }
            AuthorityChange::Retired => {
                self.trust.former.take()?;
            }
        }
        Some(())
    }

    /// A voter votes no more.
    pub(super) fn unheld(&mut self, node: NodeId) {
        self.trust.holders.remove(&node);
        self.follow();
    }

    /// Who is announced takes over once a majority of the voters can issue by it: it is not lost with one of them.
    pub(super) fn follow(&mut self) {
        let Some(Announced { present, next }) = self.trust.next.clone() else { return };
        let wanted = next.certificate.digest();
        if self.is_held(|held| *held == wanted) {
            let trust = &mut self.trust;
            (trust.former, trust.current) = (Some(present), Some(next.certificate));
            (trust.bridge, trust.next) = (Some(next.bridge), None);
        }
    }
}
