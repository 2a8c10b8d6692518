//! Facts: the fold of the event log. The control plane's applied state and every node's view are this
//! one fold, so that they can not disagree about what an event means.

mod record;

use std::net::SocketAddr;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::{ClusterId, Epoch, Index, NeighborhoodId, NodeId, NodeName, Position, PublicKey};
use crate::time::Timestamp;
use crate::wire::event::{Event, LogEvent, VoterPart, chain_genesis};
use crate::wire::member::MemberRecord;
use crate::wire::persistent;

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

/// A neighborhood: who probes each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighborhood {
    /// The event that made it (index 0: at birth).
    pub created: Index,
    /// Its members.
    #[serde(with = "persistent::set")]
    pub members: OrdSet<NodeId>,
}

/// What the event log says, up to a position. Clones share structure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "record::FactsRecord", into = "record::FactsRecord")]
pub struct Facts {
    cluster: ClusterId,
    position: Position,
    floor: Index,
    members: OrdMap<NodeId, Arc<MemberRecord>>,
    names: OrdMap<NodeName, NodeId>,
    keys: OrdMap<PublicKey, NodeId>,
    neighborhoods: OrdMap<NeighborhoodId, Neighborhood>,
    voters: OrdMap<NodeId, VoterPart>,
    restarting: OrdMap<NodeId, Timestamp>,
    address_seqs: OrdMap<NodeId, u64>,
}

impl Facts {
    /// The facts at birth: one member, which votes.
    pub fn birth(cluster: ClusterId, epoch: Epoch, first: MemberRecord) -> Self {
        let node = first.node;
        Facts {
            cluster,
            position: Position { epoch, index: Index(0), chain: chain_genesis(cluster, epoch.generation, epoch.tag) },
            floor: Index(1),
            names: OrdMap::unit(first.name.clone(), node),
            keys: OrdMap::unit(first.key, node),
            members: OrdMap::unit(node, Arc::new(first)),
            neighborhoods: OrdMap::unit(NeighborhoodId(0), Neighborhood { created: Index(0), members: OrdSet::unit(node) }),
            voters: OrdMap::unit(node, VoterPart::Voter),
            restarting: OrdMap::new(),
            address_seqs: OrdMap::new(),
        }
    }

    /// The cluster.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// Up to where.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The epoch at that position.
    pub fn epoch(&self) -> Epoch {
        self.position.epoch
    }

    /// The first index that has not been collected.
    pub fn floor(&self) -> Index {
        self.floor
    }

    /// The members, by id.
    pub fn members(&self) -> &OrdMap<NodeId, Arc<MemberRecord>> {
        &self.members
    }

    /// One member.
    pub fn member(&self, node: NodeId) -> Option<&Arc<MemberRecord>> {
        self.members.get(&node)
    }

    /// Who owns a name.
    pub fn named(&self, name: &NodeName) -> Option<&Arc<MemberRecord>> {
        self.names.get(name).and_then(|node| self.members.get(node))
    }

    /// Who has a key.
    pub fn with_key(&self, key: &PublicKey) -> Option<&Arc<MemberRecord>> {
        self.keys.get(key).and_then(|node| self.members.get(node))
    }

    /// The neighborhoods, by number.
    pub fn neighborhoods(&self) -> &OrdMap<NeighborhoodId, Neighborhood> {
        &self.neighborhoods
    }

    /// Where a member is.
    pub fn neighborhood_of(&self, node: NodeId) -> Option<(NeighborhoodId, &Neighborhood)> {
        self.neighborhoods.iter().find(|(_, hood)| hood.members.contains(&node)).map(|(&id, hood)| (id, hood))
    }

    /// The neighborhood that the next member is put into.
    pub fn assignment(&self) -> NeighborhoodId {
        *self.neighborhoods.keys().next().expect("there is always a neighborhood: birth makes one and none is removed")
    }

    /// Who has a part in the Raft group.
    pub fn voters(&self) -> &OrdMap<NodeId, VoterPart> {
        &self.voters
    }

    /// Whether `node` votes.
    pub fn is_voter(&self, node: NodeId) -> bool {
        self.voters.get(&node) == Some(&VoterPart::Voter)
    }

    /// The members that said that they restart, and until when they are not missed.
    pub fn restarting(&self) -> &OrdMap<NodeId, Timestamp> {
        &self.restarting
    }

    /// The versions of those addresses that are later than a member's join.
    pub fn address_seqs(&self) -> &OrdMap<NodeId, u64> {
        &self.address_seqs
    }

    /// Until when a member said that it restarts.
    pub fn restarting_until(&self, node: NodeId) -> Option<Timestamp> {
        self.restarting.get(&node).copied()
    }

    /// The version of the log's copy of a member's addresses; 0 for those of its join.
    pub fn address_seq(&self, node: NodeId) -> u64 {
        self.address_seqs.get(&node).copied().unwrap_or(0)
    }

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
            Event::Joined { member, neighborhood, supersedes } => self.joined(member, *neighborhood, *supersedes),
            Event::Left { node, reason: _ } => self.left(*node),
            Event::Voter { node, part } => {
                self.members.get(node)?;
                match part {
                    VoterPart::None => self.voters.remove(node),
                    VoterPart::Learner | VoterPart::Voter => self.voters.insert(*node, *part),
                };
                Some(())
            }
            Event::Restarting { node, until } => {
                self.members.get(node)?;
                self.restarting.insert(*node, *until);
                Some(())
            }
            Event::Restarted { node } => self.restarting.remove(node).map(|_| ()),
            Event::Addresses { node, seq, addresses } => self.moved(*node, *seq, addresses),
            Event::EpochAdvanced { number, floor } => {
                let rises = *number > self.position.epoch.number && *floor > self.floor && *floor <= self.position.index.next();
                self.position.epoch.number = *number;
                self.floor = *floor;
                rises.then_some(())
            }
        }
    }

    fn joined(&mut self, member: &MemberRecord, neighborhood: NeighborhoodId, supersedes: Option<NodeId>) -> Option<()> {
        if let Some(old) = supersedes {
            self.left(old)?;
        }
        if self.members.contains_key(&member.node) || self.names.contains_key(&member.name) || self.keys.contains_key(&member.key) {
            return None;
        }
        self.neighborhoods.get_mut(&neighborhood)?.members.insert(member.node);
        self.names.insert(member.name.clone(), member.node);
        self.keys.insert(member.key, member.node);
        self.members.insert(member.node, Arc::new(member.clone()));
        Some(())
    }

    fn left(&mut self, node: NodeId) -> Option<()> {
        let member = self.members.remove(&node)?;
        self.names.remove(&member.name);
        self.keys.remove(&member.key);
        self.voters.remove(&node);
        self.restarting.remove(&node);
        self.address_seqs.remove(&node);
        let (hood, _) = self.neighborhood_of(node)?;
        self.neighborhoods.get_mut(&hood)?.members.remove(&node);
        Some(())
    }

    fn moved(&mut self, node: NodeId, seq: u64, addresses: &[SocketAddr]) -> Option<()> {
        let mut member = MemberRecord::clone(self.members.get(&node)?);
        member.addresses = addresses.to_vec();
        self.members.insert(node, Arc::new(member));
        self.address_seqs.insert(node, seq);
        Some(())
    }
}
