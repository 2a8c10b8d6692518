//! What part of the facts a node holds.

use imbl::OrdMap;

use super::{Facts, LISTED, Scope};
use crate::ids::NodeId;
use crate::wire::member::MemberRecord;

impl Facts {
    /// The facts that `node` starts from: everything for a consumer, its slice for any other member. `None` where these facts
    /// can not tell: they are a slice, and `node` is no neighbor, or wants everything.
    pub fn digest_for(&self, node: NodeId) -> Option<Facts> {
        let wants_all = self.member(node)?.is_consumer() || self.voters.contains_key(&node);
        if wants_all { self.is_full().then(|| self.clone()) } else { self.slice_for(node) }
    }

    /// The slice of `node`, itself a member. `None` where these facts are a slice, and `node` is no neighbor.
    pub fn slice_for(&self, node: NodeId) -> Option<Facts> {
        let (number, home) = self.neighborhood_of(node)?;
        let mut slice = Facts { scope: Scope::Slice(node), ..self.clone() };
        if self.is_full() {
            slice.neighborhoods = OrdMap::unit(number, home.clone());
            slice.members = OrdMap::new();
            slice.names = OrdMap::new();
            slice.keys = OrdMap::new();
            let seen = home.members.iter().chain(self.voters.keys()).chain(self.listed.values().flatten());
            for member in seen.filter_map(|node| self.members.get(node)) {
                slice.names.insert(member.name.clone(), member.node);
                slice.keys.insert(member.key, member.node);
                slice.members.insert(member.node, member.clone());
            }
        }
        Some(slice)
    }

    /// Whether `node` can begin with these facts: they hold what it needs.
    pub fn suits(&self, node: NodeId) -> bool {
        self.scope.is_of(node) && (self.is_full() || self.member(node).is_some_and(|member| !member.is_consumer()))
    }

    /// Whether the record of a member belongs into these facts.
    pub(super) fn is_in_scope(&self, node: NodeId) -> bool {
        self.is_full()
            || self.neighborhoods.values().any(|home| home.members.contains(&node))
            || self.voters.contains_key(&node)
            || self.listed.values().any(|listed| listed.contains(&node))
    }

    /// The consumers that take the places which `leaver` leaves in the lists. Asked of full facts, before it leaves.
    pub fn successors_in_lists(&self, leaver: NodeId) -> Vec<MemberRecord> {
        let kinds = self.listed.iter().filter(|(_, listed)| listed.contains(&leaver) && listed.len() == LISTED);
        let mut successors: Vec<MemberRecord> = Vec::new();
        for (kind, listed) in kinds {
            let consumes = |member: &MemberRecord| member.roles.iter().any(|role| role.consumes.contains(kind));
            let next = self.members.values().find(|member| consumes(member) && !listed.contains(&member.node) && member.node != leaver);
            if let Some(next) = next.filter(|next| successors.iter().all(|one| one.node != next.node)) {
                successors.push(MemberRecord::clone(next));
            }
        }
        successors
    }
}
