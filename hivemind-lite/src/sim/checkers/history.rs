//! The oracle: the events that voters applied, each as it was seen first, and their fold.

use std::collections::VecDeque;

use hivemind_core::facts::Facts;
use hivemind_core::ids::{Index, NeighborhoodId, NodeId, NodeName, Position, PublicKey};
use hivemind_core::time::Time;
use hivemind_core::wire::event::LogEvent;
use imbl::ordmap::DiffItem;

use super::{At, Invariant, Violation};

/// At most so many of the last positions can be compared; what is older is not judged any more.
const WINDOW: usize = 4096;
/// So many stay however fast all nodes are: a process that starts again begins with an older position.
const KEPT: usize = 512;

/// An event as the first voter applied it, and the facts after it.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The event; `None` for the state that the history begins with.
    pub logged: Option<LogEvent>,
    /// The fold up to it. Shares structure with its neighbors.
    pub facts: Facts,
    /// Who applied it first.
    pub by: NodeName,
    /// When.
    pub time: Time,
    /// What it moved.
    pub moved: Moved,
}

/// What one event moved in the fold: the most that a view may differ in from the one before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Members that came, went, or of which something else is true now.
    pub members: Vec<NodeId>,
    /// Neighborhoods that came, went, or have other members.
    pub neighborhoods: Vec<NeighborhoodId>,
}

impl Moved {
    /// Between two facts that share what is equal in them: it costs what differs.
    pub fn between(before: &Facts, after: &Facts) -> Self {
        let mut members = keys(before.members().diff(after.members()));
        members.extend(keys(before.voters().diff(after.voters())));
        members.extend(keys(before.restarting().diff(after.restarting())));
        for kind in keys(before.lists().diff(after.lists())) {
            let of = |facts: &Facts| facts.lists().get(&kind).cloned().unwrap_or_default();
            members.extend(of(before).symmetric_difference(of(after)));
        }
        Moved { members, neighborhoods: keys(before.neighborhoods().diff(after.neighborhoods())) }
    }
}

fn keys<'a, K: Clone + 'a, V: 'a>(items: impl Iterator<Item = DiffItem<'a, 'a, K, V>>) -> Vec<K> {
    let key = |item| match item {
        DiffItem::Add(key, _) | DiffItem::Remove(key, _) | DiffItem::Update { new: (key, _), .. } => key,
    };
    items.map(|item| K::clone(key(item))).collect()
}

/// The committed events of a run.
#[derive(Debug, Default)]
pub struct History {
    entries: VecDeque<Committed>,
}

impl History {
    /// Begins with the first view of the first voter.
    pub fn begin(&mut self, facts: Facts, at: At<'_>) {
        self.entries.push_back(Committed { logged: None, facts, by: at.name.clone(), time: at.time, moved: Moved::default() });
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        !self.entries.is_empty()
    }

    /// The last committed event.
    pub fn last(&self) -> Option<&Committed> {
        self.entries.back()
    }

    /// What was committed at `index`, if it still is in the window.
    pub fn at(&self, index: Index) -> Option<&Committed> {
        let first = self.entries.front()?.facts.position().index;
        self.entries.get(usize::try_from(index.0.checked_sub(first.0)?).ok()?)
    }

    /// The key of a node that is a member, or was one lately.
    pub fn key_of(&self, node: NodeId) -> Option<PublicKey> {
        self.entries.iter().rev().find_map(|entry| entry.facts.member(node)).map(|member| member.key)
    }

    /// A voter applied an event. True where it is the first to do so.
    ///
    /// # Errors
    /// S3 where events are missing before it; S1 where it does not follow from them; S2 where the voter's position is
    /// not what follows from it.
    pub fn commit(&mut self, at: At<'_>, position: Position, logged: &LogEvent) -> Result<bool, Violation> {
        let last = self.last().expect("a history begins with the first voter's first view");
        let next = last.facts.position().index.next();
        if logged.index < next {
            return Ok(false);
        }
        if logged.index > next {
            return Err(at.violates(Invariant::S3, format!("voter applied event {}, but nobody applied event {next}", logged.index)));
        }
        let mut facts = last.facts.clone();
        facts.apply(logged).map_err(|error| at.violates(Invariant::S1, format!("a committed event does not fit: {error}")))?;
        if facts.position() != position {
            let what = format!("after event {} the position is {position:?}, its fold says {:?}", logged.index, facts.position());
            return Err(at.violates(Invariant::S2, what));
        }
        let moved = Moved::between(&last.facts, &facts);
        if self.entries.len() == WINDOW {
            self.entries.pop_front();
        }
        self.entries.push_back(Committed { logged: Some(logged.clone()), facts, by: at.name.clone(), time: at.time, moved });
        Ok(true)
    }

    /// No view will be compared with what was committed before `index`: it is dropped, but for the last [`KEPT`].
    pub fn forget_before(&mut self, index: Index) {
        while self.entries.len() > KEPT && self.entries.front().is_some_and(|first| first.facts.position().index < index) {
            self.entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use hivemind_core::wire::event::{Event, LeaveReason};

    use super::super::fabricated::{at, history, join, name};
    use super::*;

    #[test]
    fn a_voter_that_skips_an_event_is_caught() {
        let mut history = history(3);
        let position = history.last().expect("begun").facts.position();
        let violation = history.commit(at(&name("voter2")), position, &join(5)).expect_err("event 3 is missing");
        assert_eq!(violation.invariant, Invariant::S3);
    }

    #[test]
    fn a_committed_event_that_contradicts_the_facts_is_caught() {
        let mut history = history(3);
        let position = history.last().expect("begun").facts.position();
        let twice = LogEvent { index: Index(3), ..join(3) };
        let violation = history.commit(at(&name("voter2")), position, &twice).expect_err("member 3 is one already");
        assert_eq!(violation.invariant, Invariant::S1);
    }

    #[test]
    fn what_no_view_needs_any_more_is_dropped_and_the_last_positions_stay() {
        let mut long = history(KEPT as u64 + 100);
        long.forget_before(Index(20));
        assert!(long.at(Index(19)).is_none() && long.at(Index(20)).is_some());
        long.forget_before(Index(KEPT as u64 + 99));
        assert_eq!(long.entries.len(), KEPT);
    }

    #[test]
    fn what_an_event_moved_is_told_by_member_and_neighborhood() {
        let history = history(3);
        let moved = &history.last().expect("begun").moved;
        assert_eq!(*moved, Moved { members: vec![NodeId::new(1, 3)], neighborhoods: vec![NeighborhoodId(0)] });
    }

    #[test]
    fn what_was_committed_is_found_by_its_index() {
        let history = history(4);
        assert_eq!(history.at(Index(2)).expect("in the window").facts.members().len(), 3);
        assert!(history.at(Index(9)).is_none());
    }

    #[test]
    fn the_key_of_one_that_left_is_known_still() {
        let mut history = history(3);
        let key = history.key_of(NodeId::new(1, 3));
        let last = &history.last().expect("begun").facts;
        let event = Event::Left { node: NodeId::new(1, 3), reason: LeaveReason::Asked, listed: vec![] };
        let gone = LogEvent::new(last.position().index.next(), &event);
        let mut after = last.clone();
        after.apply(&gone).expect("it fits");
        history.commit(at(&name("voter1")), after.position(), &gone).expect("it follows");
        assert!(key.is_some() && history.last().expect("begun").facts.member(NodeId::new(1, 3)).is_none());
        assert_eq!(history.key_of(NodeId::new(1, 3)), key);
    }
}
