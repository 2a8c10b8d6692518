//! Taking the next event: what each one means, in every scope.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use imbl::OrdSet;
use thiserror::Error;

use super::{Facts, LISTED, LISTED_KINDS, Neighborhood, Scope};
use crate::ids::{Index, NeighborhoodId, NodeId};
use crate::wire::access::{AccessChange, MAX_CREDENTIALS};
use crate::wire::event::{Event, LogEvent, VoterPart};
use crate::wire::feature::{FeatureName, MAX_FEATURES};
use crate::wire::member::MemberRecord;

/// Why an event does not fit. The log or its carrier is damaged; the facts are unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FoldError {
    /// Not the next index.
    #[error("event {found} where {expected} is next")]
    Gap {
        /// The next index.
        expected: Index,
        /// The index that came.
        found: Index,
    },
    /// It speaks of a member that there is not, or adds one that there is.
    #[error("event {index} contradicts the members that are known")]
    Contradiction {
        /// Its place.
        index: Index,
    },
    /// Its payload is not an event of this version.
    #[error("event {index} does not decode")]
    Malformed {
        /// Its place.
        index: Index,
    },
}

impl Facts {
    /// Takes the next event: the facts after it, and what it said.
    ///
    /// # Errors
    /// [`FoldError`]; nothing changed.
    pub fn apply(&mut self, logged: &LogEvent) -> Result<Event, FoldError> {
        let expected = self.position.index.next();
        if logged.index != expected {
            return Err(FoldError::Gap { expected, found: logged.index });
        }
        let event = logged.event().map_err(|_| FoldError::Malformed { index: logged.index })?;
        let mut next = self.clone();
        next.take(&event).ok_or(FoldError::Contradiction { index: logged.index })?;
        next.position.chain = logged.chain_after(&self.position.chain);
        next.position.index = logged.index;
        *self = next;
        Ok(event)
    }

    fn take(&mut self, event: &Event) -> Option<()> {
        match event {
            Event::Joined { member, neighborhood, supersedes, listed } => self.joined(member, *neighborhood, *supersedes, listed),
            Event::Left { node, reason: _, listed } => self.left(*node, listed),
            Event::Split { from, into, moved } => self.split(*from, *into, moved),
            Event::Merged { from, into, members } => self.merged(*from, *into, members),
            Event::Voter { member, part } => self.voter(member, *part),
            Event::Restarting { node, until } => {
                self.restarting.insert(*node, *until);
                self.is_member(*node).then_some(())
            }
            Event::Restarted { node } => self.restarting.remove(node).map(|_| ()),
            Event::Addresses { node, seq, addresses } => self.moved(*node, *seq, addresses),
            Event::EpochAdvanced { number, floor } => {
                let rises = *number > self.position.epoch.number && *floor > self.floor && *floor <= self.position.index.next();
                self.position.epoch.number = *number;
                self.floor = *floor;
                rises.then_some(())
            }
            Event::Access(change) => self.access(change),
            Event::FeatureOn { feature } => self.feature_on(feature),
            Event::Features { node, features } => self.supports(*node, features),
            Event::Authority(change) => self.authority(change),
        }
    }

    fn joined(
        &mut self,
        member: &MemberRecord,
        neighborhood: NeighborhoodId,
        supersedes: Option<NodeId>,
        listed: &[MemberRecord],
    ) -> Option<()> {
        if let Some(old) = supersedes {
            self.left(old, listed)?;
        }
        let taken = self.names.contains_key(&member.name) || self.keys.contains_key(&member.key);
        if taken || self.lacking(&member.features).next().is_some() || !self.live.insert(member.node) {
            return None;
        }
        if let Some(hood) = self.neighborhoods.get_mut(&neighborhood) {
            hood.members.insert(member.node);
        } else if self.is_full() {
            return None;
        }
        self.list(member);
        if self.is_in_scope(member.node) { self.record(member.clone()) } else { Some(()) }
    }

    fn left(&mut self, node: NodeId, listed: &[MemberRecord]) -> Option<()> {
        if !self.live.remove(node) {
            return None;
        }
        self.voters.remove(&node);
        self.unheld(node);
        self.restarting.remove(&node);
        self.unlist(node);
        if let Some((hood, _)) = self.neighborhood_of(node)
            && let Some(home) = self.neighborhoods.get_mut(&hood)
        {
            home.members.remove(&node);
        }
        self.unrecord(node);
        for consumer in listed {
            self.is_member(consumer.node).then_some(())?;
            self.list(consumer);
            self.record(consumer.clone())?;
        }
        Some(())
    }

    fn split(&mut self, from: NeighborhoodId, into: NeighborhoodId, moved: &[NodeId]) -> Option<()> {
        self.neighborhood_count = self.neighborhood_count.checked_add(1)?;
        let created = self.position.index.next();
        if self.neighborhoods.contains_key(&into) {
            return None;
        }
        let Some(old) = self.neighborhoods.remove(&from) else { return (!self.is_full()).then_some(()) };
        let moved: OrdSet<NodeId> = moved.iter().copied().collect();
        if moved.is_empty() || moved.len() >= old.members.len() || !moved.iter().all(|node| old.members.contains(node)) {
            return None;
        }
        let stayed = old.members.clone().relative_complement(moved.clone());
        let halves = [(from, stayed), (into, moved)];
        for (number, members) in halves {
            if self.is_seen(&members) {
                self.neighborhoods.insert(number, Neighborhood { created, members });
            }
        }
        old.members.iter().for_each(|&node| self.trim(node));
        Some(())
    }

    fn merged(&mut self, from: NeighborhoodId, into: NeighborhoodId, members: &[MemberRecord]) -> Option<()> {
        self.neighborhood_count = self.neighborhood_count.checked_sub(1)?;
        let gone = self.neighborhoods.remove(&from);
        let grown = self.neighborhoods.remove(&into);
        let known = usize::from(gone.is_some()) + usize::from(grown.is_some());
        match (self.is_full(), known) {
            (true, 2) | (false, 1) => {}
            (false, 0) => return Some(()),
            (true | false, _) => return None,
        }
        let all: OrdSet<NodeId> = members.iter().map(|member| member.node).collect();
        let before = gone.into_iter().chain(grown).flat_map(|hood| hood.members).all(|node| all.contains(&node));
        if !before || !all.iter().all(|&node| self.is_member(node)) {
            return None;
        }
        self.neighborhoods.insert(into, Neighborhood { created: self.position.index.next(), members: all });
        members.iter().try_for_each(|member| self.record(member.clone()))
    }

    fn voter(&mut self, member: &MemberRecord, part: VoterPart) -> Option<()> {
        self.is_member(member.node).then_some(())?;
        match part {
            VoterPart::None => {
                self.voters.remove(&member.node);
                self.unheld(member.node);
                self.trim(member.node);
            }
            VoterPart::Learner | VoterPart::Voter => {
                self.voters.insert(member.node, part);
                self.record(member.clone())?;
                self.follow();
            }
        }
        Some(())
    }

    fn access(&mut self, change: &AccessChange) -> Option<()> {
        match change {
            AccessChange::CredentialCreated { id, credential } => {
                let is_new = self.credentials.len() < MAX_CREDENTIALS && self.credential_of(&credential.hash).is_none();
                (is_new && self.credentials.insert(*id, credential.clone()).is_none()).then_some(())
            }
            AccessChange::CredentialRevoked { id } => self.credentials.remove(id).map(|_| ()),
        }
    }

    fn feature_on(&mut self, feature: &FeatureName) -> Option<()> {
        let supported = self.members.values().all(|member| member.features.contains(feature));
        let is_new = self.features.len() < MAX_FEATURES && self.features.insert(feature.clone()).is_none();
        (supported && is_new).then_some(())
    }

    fn supports(&mut self, node: NodeId, features: &BTreeSet<FeatureName>) -> Option<()> {
        let enough = self.lacking(features).next().is_none() && features.len() <= MAX_FEATURES;
        enough.then_some(())?;
        let Some(known) = self.members.get(&node) else { return self.is_member(node).then_some(()) };
        let member = MemberRecord { features: features.clone(), ..MemberRecord::clone(known) };
        self.members.insert(node, Arc::new(member));
        Some(())
    }

    fn moved(&mut self, node: NodeId, seq: u64, addresses: &[SocketAddr]) -> Option<()> {
        let Some(known) = self.members.get(&node) else { return self.is_member(node).then_some(()) };
        let mut member = MemberRecord::clone(known);
        member.addresses = addresses.to_vec();
        member.address_seq = seq;
        self.members.insert(node, Arc::new(member));
        Some(())
    }

    /// Whether the neighborhood of `members` is in scope.
    fn is_seen(&self, members: &OrdSet<NodeId>) -> bool {
        match self.scope {
            Scope::All => true,
            Scope::Slice(of) => members.contains(&of),
        }
    }

    /// Lists a consumer under each of its kinds that has room.
    pub(super) fn list(&mut self, member: &MemberRecord) {
        for kind in member.roles.iter().flat_map(|role| &role.consumes) {
            let has_list = self.listed.contains_key(kind) || self.listed.len() < LISTED_KINDS;
            if has_list && self.listed.get(kind).is_none_or(|listed| listed.len() < LISTED) {
                self.listed.entry(kind.clone()).or_default().insert(member.node);
            }
        }
    }

    fn unlist(&mut self, node: NodeId) {
        let kinds: Vec<_> = self.listed.iter().filter(|(_, listed)| listed.contains(&node)).map(|(kind, _)| kind.clone()).collect();
        for kind in kinds {
            if let Some(listed) = self.listed.get_mut(&kind) {
                listed.remove(&node);
                if listed.is_empty() {
                    self.listed.remove(&kind);
                }
            }
        }
    }

    /// Keeps a record; `None` where it contradicts one that is known, or takes another's name or key.
    pub(super) fn record(&mut self, member: MemberRecord) -> Option<()> {
        let fits = match self.members.get(&member.node) {
            Some(known) => known.name == member.name && known.key == member.key,
            None => !self.names.contains_key(&member.name) && !self.keys.contains_key(&member.key),
        };
        fits.then_some(())?;
        self.names.insert(member.name.clone(), member.node);
        self.keys.insert(member.key, member.node);
        self.members.insert(member.node, Arc::new(member));
        Some(())
    }

    fn unrecord(&mut self, node: NodeId) {
        if let Some(member) = self.members.remove(&node) {
            self.names.remove(&member.name);
            self.keys.remove(&member.key);
        }
    }

    /// Drops a record that is not in scope any more.
    pub(super) fn trim(&mut self, node: NodeId) {
        if !self.is_in_scope(node) {
            self.unrecord(node);
        }
    }
}
