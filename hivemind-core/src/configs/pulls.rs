//! What is being asked of whom: each config of one node at a time, and one request to each node in flight.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::NodeId;
use crate::time::Time;

/// The most configs that are asked for in one message.
const CHUNK: usize = 512;

#[derive(Debug)]
struct Pull {
    /// Not asked for yet.
    queue: BTreeSet<NodeId>,
    /// Asked for, and not answered.
    flight: BTreeSet<NodeId>,
    since: Time,
}

/// All that this node asks for.
#[derive(Debug, Default)]
pub(super) struct Pulls {
    by_source: BTreeMap<NodeId, Pull>,
    /// Whom each config is asked of, or will be.
    claimed: BTreeMap<NodeId, NodeId>,
    /// Who did not answer last, or with nothing new: what they say that they have, others may be asked for as well.
    doubted: BTreeSet<NodeId>,
}

impl Pulls {
    /// The configs of `members` will be asked of `source`, where nobody else is asked for them who is not doubted.
    pub(super) fn claim(&mut self, source: NodeId, members: impl IntoIterator<Item = NodeId>, now: Time) {
        let is_free = |member: &NodeId| {
            let other = self.claimed.get(member);
            other.is_none_or(|other| *other != source && self.doubted.contains(other) && !self.doubted.contains(&source))
        };
        let free: Vec<NodeId> = members.into_iter().filter(is_free).collect();
        if free.is_empty() {
            return;
        }
        for member in &free {
            let other = self.claimed.insert(*member, source);
            if let Some(pull) = other.and_then(|other| self.by_source.get_mut(&other)) {
                pull.queue.remove(member);
            }
        }
        let pull = self.by_source.entry(source).or_insert_with(|| Pull { queue: BTreeSet::new(), flight: BTreeSet::new(), since: now });
        pull.queue.extend(free);
    }

    fn release(&mut self, source: NodeId, member: NodeId) {
        if self.claimed.get(&member) == Some(&source) {
            self.claimed.remove(&member);
        }
    }

    /// What to ask `source` for now. `None` while it owes an answer, and where there is nothing to ask.
    pub(super) fn next_request(&mut self, source: NodeId, now: Time) -> Option<Vec<NodeId>> {
        let pull = self.by_source.get_mut(&source).filter(|pull| pull.flight.is_empty())?;
        if pull.queue.is_empty() {
            self.by_source.remove(&source);
            return None;
        }
        let asked: Vec<NodeId> = pull.queue.iter().copied().take(CHUNK).collect();
        for member in &asked {
            pull.queue.remove(member);
            pull.flight.insert(*member);
        }
        pull.since = now;
        Some(asked)
    }

    /// `source` answered with the configs `given`, some of them `news` or none, and said what it lacks; what did not fit is
    /// asked for again.
    pub(super) fn answered(&mut self, source: NodeId, given: &BTreeSet<NodeId>, news: bool, missing: &[NodeId]) {
        let Some(pull) = self.by_source.get_mut(&source) else { return };
        let mut left = std::mem::take(&mut pull.flight);
        let told: Vec<NodeId> = given.iter().chain(missing).copied().filter(|member| left.remove(member)).collect();
        // Who gives nothing of what it was asked for will not give the rest either.
        if told.iter().any(|member| given.contains(member)) {
            // What another is asked for since is that one's.
            pull.queue.extend(left.into_iter().filter(|member| self.claimed.get(member) == Some(&source)));
        } else {
            left.into_iter().for_each(|member| self.release(source, member));
        }
        told.into_iter().for_each(|member| self.release(source, member));
        if news {
            self.doubted.remove(&source);
        } else {
            self.doubted.insert(source);
        }
    }

    /// Whether nothing is asked of `source`.
    pub(super) fn is_idle(&self, source: NodeId) -> bool {
        !self.by_source.contains_key(&source)
    }

    /// Whether someone else than `source` is being asked from whom something can be hoped for.
    pub(super) fn is_busy_beside(&self, source: NodeId) -> bool {
        self.by_source.keys().any(|other| *other != source && !self.doubted.contains(other))
    }

    /// `source` is no member any more.
    pub(super) fn forget(&mut self, source: NodeId) {
        self.give_up(source);
        self.doubted.remove(&source);
    }

    fn give_up(&mut self, source: NodeId) {
        if let Some(pull) = self.by_source.remove(&source) {
            pull.queue.into_iter().chain(pull.flight).for_each(|member| self.release(source, member));
        }
    }

    /// Gives those up that did not answer for `patience`.
    pub(super) fn expire(&mut self, now: Time, patience: Duration) {
        let late: Vec<NodeId> =
            self.by_source.iter().filter(|(_, pull)| now.since(pull.since) > patience).map(|(source, _)| *source).collect();
        for source in late {
            self.give_up(source);
            self.doubted.insert(source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::id;

    const PATIENCE: Duration = Duration::from_secs(4);

    fn at(seconds: u64) -> Time {
        Time::from_origin(Duration::from_secs(seconds))
    }

    /// Whom nothing came of is asked again, and so is somebody else for the same.
    fn doubted(pulls: &mut Pulls) {
        pulls.claim(id(9), [id(1), id(2)], at(10));
        assert_eq!(pulls.next_request(id(9), at(10)), Some(vec![id(1), id(2)]));
        assert!(!pulls.is_busy_beside(id(5)));
        pulls.claim(id(5), [id(1), id(2)], at(10));
        assert_eq!(pulls.next_request(id(5), at(10)), Some(vec![id(1), id(2)]));
        pulls.claim(id(9), [id(1), id(2)], at(10));
        pulls.answered(id(9), &BTreeSet::new(), false, &[]);
        assert_eq!(pulls.next_request(id(9), at(10)), None, "the other one is asked");
        pulls.answered(id(5), &BTreeSet::from([id(1)]), true, &[]);
        assert_eq!(pulls.next_request(id(5), at(10)), Some(vec![id(2)]));
    }

    #[test]
    fn each_config_is_asked_of_one_node_at_a_time() {
        let mut pulls = Pulls::default();
        pulls.claim(id(9), [id(1)], at(0));
        pulls.claim(id(5), [id(1), id(2)], at(0));
        assert_eq!(pulls.next_request(id(9), at(0)), Some(vec![id(1)]));
        assert_eq!(pulls.next_request(id(5), at(0)), Some(vec![id(2)]));
        assert!(pulls.is_busy_beside(id(5)));
    }

    #[test]
    fn one_that_does_not_answer_holds_nothing_up_twice() {
        let mut pulls = Pulls::default();
        pulls.claim(id(9), [id(1), id(2)], at(0));
        pulls.next_request(id(9), at(0));
        pulls.expire(at(5), PATIENCE);
        doubted(&mut pulls);
    }

    #[test]
    fn one_that_answers_with_what_is_old_holds_nothing_up_twice() {
        let mut pulls = Pulls::default();
        pulls.claim(id(9), [id(1), id(2)], at(0));
        pulls.next_request(id(9), at(0));
        pulls.answered(id(9), &BTreeSet::from([id(1), id(2)]), false, &[]);
        assert_eq!(pulls.next_request(id(9), at(1)), None);
        doubted(&mut pulls);
    }

    #[test]
    fn one_that_helps_is_believed_again() {
        let mut pulls = Pulls::default();
        pulls.claim(id(9), [id(1)], at(0));
        pulls.next_request(id(9), at(0));
        pulls.expire(at(5), PATIENCE);
        pulls.claim(id(9), [id(1)], at(6));
        pulls.next_request(id(9), at(6));
        pulls.answered(id(9), &BTreeSet::from([id(1)]), true, &[]);
        pulls.claim(id(9), [id(2)], at(6));
        pulls.claim(id(5), [id(2)], at(6));
        assert_eq!(pulls.next_request(id(5), at(6)), None);
    }
}
