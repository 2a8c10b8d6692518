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
}

impl Pulls {
    /// The configs of `members` will be asked of `source`, where nobody else is asked for them.
    pub(super) fn claim(&mut self, source: NodeId, members: impl IntoIterator<Item = NodeId>, now: Time) {
        let mut free = members.into_iter().filter(|member| !self.claimed.contains_key(member)).peekable();
        if free.peek().is_none() {
            return;
        }
        let free: Vec<NodeId> = free.collect();
        let pull = self.by_source.entry(source).or_insert_with(|| Pull { queue: BTreeSet::new(), flight: BTreeSet::new(), since: now });
        for member in free {
            self.claimed.insert(member, source);
            pull.queue.insert(member);
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

    /// `source` answered with the configs `given` and said what it lacks; what did not fit is asked for again.
    pub(super) fn answered(&mut self, source: NodeId, given: &BTreeSet<NodeId>, missing: &[NodeId]) {
        let Some(pull) = self.by_source.get_mut(&source) else { return };
        let mut progress = false;
        for member in given.iter().chain(missing).filter(|member| pull.flight.remove(member)) {
            self.claimed.remove(member);
            progress |= given.contains(member);
        }
        let left = std::mem::take(&mut pull.flight);
        // Who gives nothing of what it was asked for will not give the rest either.
        if progress {
            pull.queue.extend(left);
        } else {
            for member in left {
                self.claimed.remove(&member);
            }
        }
    }

    /// Whether nothing is asked of `source`.
    pub(super) fn is_idle(&self, source: NodeId) -> bool {
        !self.by_source.contains_key(&source)
    }

    /// Whether someone else than `source` is being asked.
    pub(super) fn is_busy_beside(&self, source: NodeId) -> bool {
        self.by_source.keys().any(|&other| other != source)
    }

    /// `source` is not asked any more; others may be.
    pub(super) fn forget(&mut self, source: NodeId) {
        if let Some(pull) = self.by_source.remove(&source) {
            for member in pull.queue.iter().chain(&pull.flight) {
                self.claimed.remove(member);
            }
        }
    }

    /// Gives those up that did not answer for `patience`: who they are.
    pub(super) fn expire(&mut self, now: Time, patience: Duration) -> Vec<NodeId> {
        let late: Vec<NodeId> =
            self.by_source.iter().filter(|(_, pull)| now.since(pull.since) > patience).map(|(source, _)| *source).collect();
        for source in &late {
            self.forget(*source);
        }
        late
    }
}
