//! Neighborhoods: where a member is put, and how they grow and shrink, one at a time (after linear hashing, Litwin 1980: growth
//! moves the members of one bucket, never of all). It is decided here once; the events carry the outcome.

use super::applied::Applied;
use crate::facts::Neighborhood;
use crate::ids::{NeighborhoodId, NodeId};
use crate::keys;
use crate::wire::event::{Event, LogEvent};

impl Applied {
    /// Puts the event that a command led to into the log, with what it needs before and brings about after.
    pub(super) fn commit(&mut self, event: Event) -> Vec<LogEvent> {
        let mut logged = Vec::new();
        let event = match event {
            Event::Joined { mut member, supersedes, listed, neighborhood: _ } => {
                logged.extend(self.make_room().map(|split| self.record(&split)));
                member.joined = self.facts.position().index.next();
                Event::Joined { member, supersedes, listed, neighborhood: self.facts.assignment() }
            }
            other => other,
        };
        let may_shrink = match &event {
            Event::Left { .. } => true,
            Event::Joined { supersedes, .. } => supersedes.is_some(),
            Event::Split { .. }
            | Event::Merged { .. }
            | Event::Voter { .. }
            | Event::Restarting { .. }
            | Event::Restarted { .. }
            | Event::Addresses { .. }
            | Event::EpochAdvanced { .. }
            | Event::Access(_) => false,
        };
        logged.push(self.record(&event));
        if may_shrink {
            logged.extend(self.merge().map(|merge| self.record(&merge)));
        }
        logged
    }

    /// Where every neighborhood is full, the fullest is halved by rank.
    fn make_room(&self) -> Option<Event> {
        let most = usize::from(self.facts.limits().most);
        let hoods = self.facts.neighborhoods();
        if hoods.values().any(|hood| hood.members.len() < most) {
            return None;
        }
        let (&from, fullest) = hoods.iter().max_by_key(|(id, hood)| (hood.members.len(), std::cmp::Reverse(**id)))?;
        let into = (0..).map(NeighborhoodId).find(|id| !hoods.contains_key(id))?;
        let mut ranked: Vec<NodeId> = fullest.members.iter().copied().collect();
        ranked.sort_by_cached_key(|node| rank(*node, from, fullest));
        let mut moved = ranked.split_off(ranked.len().div_ceil(2));
        moved.sort_unstable();
        Some(Event::Split { from, into, moved })
    }

    /// Where a neighborhood is too small, and another can take it in, they become one.
    fn merge(&self) -> Option<Event> {
        let limits = self.facts.limits();
        let by_size = |(id, hood): &(&NeighborhoodId, &Neighborhood)| (hood.members.len(), **id);
        let (&from, smallest) = self.facts.neighborhoods().iter().min_by_key(by_size)?;
        if smallest.members.len() >= usize::from(limits.least) {
            return None;
        }
        let (&into, next) = self.facts.neighborhoods().iter().filter(|(id, _)| **id != from).min_by_key(by_size)?;
        if smallest.members.len() + next.members.len() > limits.merged() {
            return None;
        }
        let all = smallest.members.clone().union(next.members.clone());
        let records = all.iter().filter_map(|node| self.facts.member(*node)).map(|member| member.as_ref().clone());
        Some(Event::Merged { from, into, members: records.collect() })
    }
}

/// Mixes the members, so that those that joined together do not all stay together.
fn rank(node: NodeId, number: NeighborhoodId, hood: &Neighborhood) -> [u8; 32] {
    keys::hash(&[b"hivemind split 1\0", &node.as_u64().to_be_bytes(), &number.0.to_be_bytes(), &hood.created.0.to_be_bytes()]).0
}
