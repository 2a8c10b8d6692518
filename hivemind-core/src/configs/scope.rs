//! What a node may ask of the facts that it holds: all of them in a consumer, a slice elsewhere.

use std::collections::BTreeSet;

use crate::facts::{Facts, Neighborhood};
use crate::ids::{NeighborhoodId, NodeId};
use crate::rank::rank;
use crate::wire::member::MemberRecord;

/// The consumers to whom a publisher offers its config: those that every node knows of.
pub(super) fn consumers_of(facts: &Facts, publisher: &MemberRecord) -> BTreeSet<NodeId> {
    let kinds = publisher.roles.iter().flat_map(|role| &role.publishes);
    kinds.flat_map(|kind| facts.listed(kind)).filter(|&node| node != publisher.node).collect()
}

/// The members of a neighborhood in the order in which they answer for the config of `host`: all of them find the same
/// order, and the same few answer for the whole neighborhood. Consumers come last, since they hold configs anyway and
/// may all be lost together.
pub(super) fn delegates(facts: &Facts, hood: (NeighborhoodId, &Neighborhood), host: NodeId) -> Vec<NodeId> {
    let (id, hood) = hood;
    let others = hood.members.iter().copied().filter(|&node| node != host);
    let consumes = |node: &NodeId| facts.member(*node).is_some_and(|record| record.is_consumer());
    let (consumers, others): (Vec<NodeId>, Vec<NodeId>) = rank(u64::from(id.0), others).into_iter().partition(consumes);
    others.into_iter().chain(consumers).collect()
}

/// Whether nodes that hold a slice know this consumer.
pub(super) fn is_listed(facts: &Facts, consumer: NodeId) -> bool {
    let kinds = facts.member(consumer).into_iter().flat_map(|record| &record.roles).flat_map(|role| &role.consumes);
    kinds.into_iter().any(|kind| facts.listed(kind).any(|node| node == consumer))
}

/// Whether a membership that no record is held of is none to wait for: it is over, or it is out of scope.
pub(super) fn is_no_news(facts: &Facts, member: NodeId) -> bool {
    // Ids are given in order: one below the last member's was given.
    facts.is_member(member) || facts.live().last().is_some_and(|last| member < last)
}
