//! S1: a view at a position is the fold of the committed events up to it; positions only grow, except by resync.
//!
//! A view that follows one that was proven is judged by what moved: in it, by its own account of sharing, and in the
//! fold, by the events between. Both must be the same afterwards, whatever did not move was the same before. The first
//! view of a process, one after a resync, and one now and then are compared as a whole.

use hivemind_core::facts::{Facts, Scope};
use hivemind_core::ids::{Index, NeighborhoodId, NodeId};
use hivemind_core::view::{Changed, View};

use super::history::Moved;
use super::{At, History, Invariant, PerSlot, Violation};
use crate::sim::network::Slot;

/// A view is compared as a whole at every so many events, not with all nodes at the same one.
const WHOLE_EVERY: u64 = 64;

/// The checker of S1. It keeps the facts that it saw last on each node, which share structure with the node's own.
#[derive(Debug, Default)]
pub struct Views {
    last: PerSlot<Option<Seen>>,
}

#[derive(Debug)]
struct Seen {
    facts: Facts,
    /// It was compared with the fold, and equal.
    proven: bool,
}

impl Views {
    /// A process starts with whatever position it recovered, or is gone.
    pub fn started(&mut self, slot: Slot) {
        *self.last.of(slot) = None;
    }

    /// The least position of a view that was seen: nothing before it is needed to judge the next views.
    pub fn slowest(&self) -> Option<Index> {
        self.last.0.iter().flatten().map(|seen| seen.facts.position().index).min()
    }

    /// A node's view changed.
    ///
    /// # Errors
    /// S1.
    pub fn viewed(&mut self, at: At<'_>, history: &History, view: &View, changed: &Changed) -> Result<(), Violation> {
        let position = view.facts.position();
        let last = self.last.of(at.slot);
        if let Some(Seen { facts, proven }) = last {
            // Facts change only as a whole: the same members in memory at the same position need no second look.
            if *proven && facts.position() == position && facts.members().ptr_eq(view.facts.members()) {
                return Ok(());
            }
            if position.index < facts.position().index && !changed.everything {
                let what = format!("the view went back from {} to {position} without a resync", facts.position());
                return Err(at.violates(Invariant::S1, what));
            }
        }
        let before = last.replace(Seen { facts: view.facts.clone(), proven: false });
        let Some(committed) = history.at(position.index) else {
            if history.last().is_some_and(|last| position.index > last.facts.position().index) {
                return Err(at.violates(Invariant::S1, format!("the view is at {position}, which no voter has committed")));
            }
            // Older than the window.
            return Ok(());
        };
        let is_whole_due = position.index.0 % WHOLE_EVERY == u64::from(at.slot.0) % WHOLE_EVERY;
        let proven = before.filter(|before| before.proven && !changed.everything && !is_whole_due);
        let difference = match proven.and_then(|before| moved(history, &before.facts, &view.facts)) {
            Some(moved) => difference_in(&moved, &view.facts, &committed.facts),
            None => difference(&view.facts, &committed.facts),
        };
        match difference {
            Some(difference) => {
                let what = format!("the view at {position} differs from the fold: {difference}");
                Err(at.violates_with(Invariant::S1, &committed.by, what))
            }
            None => {
                last.as_mut().expect("it was just put there").proven = true;
                Ok(())
            }
        }
    }
}

/// All that moved between two views of a node, in them or in the fold. `None` where the fold is not known in between, and
/// where the scope is another one.
fn moved(history: &History, before: &Facts, after: &Facts) -> Option<Moved> {
    if before.scope() != after.scope() || home(before) != home(after) {
        return None;
    }
    let mut all = Moved::between(before, after);
    for index in before.position().index.0..after.position().index.0 {
        let committed = history.at(Index(index + 1))?;
        all.members.extend(&committed.moved.members);
        all.neighborhoods.extend(&committed.moved.neighborhoods);
    }
    Some(all)
}

/// The neighborhood of a slice, and the event that made it as it is.
fn home(facts: &Facts) -> Option<(NeighborhoodId, Index)> {
    let (number, hood) = facts.neighborhoods().iter().next().filter(|_| !facts.is_full())?;
    Some((*number, hood.created))
}

/// The first respect in which a view differs from the fold within its scope, among what moved.
fn difference_in(moved: &Moved, found: &Facts, expected: &Facts) -> Option<String> {
    let plain = |facts: &Facts| {
        let sizes = [facts.live().len(), facts.voters().len(), facts.restarting().len(), facts.lists().len()];
        (facts.cluster(), facts.limits(), facts.position(), facts.floor(), facts.neighborhood_count(), sizes)
    };
    if plain(found) != plain(expected) {
        return Some(format!("{:?}, not {:?}", plain(found), plain(expected)));
    }
    if found.is_full() && found.members().len() != expected.members().len() {
        return Some(format!("{} members, not {}", found.members().len(), expected.members().len()));
    }
    let members = moved.members.iter().find_map(|node| difference_of_member(*node, found, expected));
    members.or_else(|| moved.neighborhoods.iter().find_map(|id| difference_of_neighborhood(*id, found, expected)))
}

fn difference_of_member(node: NodeId, found: &Facts, expected: &Facts) -> Option<String> {
    let of =
        |facts: &Facts| (facts.is_member(node), facts.voters().get(&node).copied(), facts.restarting_until(node), is_listed(node, facts));
    if of(found) != of(expected) {
        return Some(format!("of {node} it says {:?}, not {:?}", of(found), of(expected)));
    }
    let is_in_scope = found.is_full()
        || expected.voters().contains_key(&node)
        || is_listed(node, expected)
        || home(found).and_then(|(number, _)| expected.neighborhoods().get(&number)).is_some_and(|hood| hood.members.contains(&node));
    let should = expected.member(node).filter(|_| is_in_scope);
    if found.member(node) != should {
        return Some(format!("member {node} is {:?}, not {should:?}", found.member(node)));
    }
    let member = should?;
    let found_by = [found.named(&member.name), found.with_key(&member.key)].map(|owner| owner.map(|owner| owner.node));
    (found_by != [Some(node); 2]).then(|| format!("{node} is not found by its name {} and key, but {found_by:?}", member.name))
}

fn is_listed(node: NodeId, facts: &Facts) -> bool {
    facts.lists().values().any(|listed| listed.contains(&node))
}

fn difference_of_neighborhood(number: NeighborhoodId, found: &Facts, expected: &Facts) -> Option<String> {
    if !found.is_full() && home(found).is_none_or(|(own, _)| own != number) {
        return None;
    }
    let (is, should) = (found.neighborhoods().get(&number), expected.neighborhoods().get(&number));
    (is != should).then(|| format!("{number:?} is {is:?}, not {should:?}"))
}

/// The first respect in which a view differs from the fold within its scope, in anything.
fn difference(found: &Facts, committed: &Facts) -> Option<String> {
    let slice = match found.scope() {
        Scope::All => None,
        Scope::Slice(of) if committed.is_member(of) => committed.slice_for(of),
        // The view of one whose membership has ended is not judged by a neighborhood.
        Scope::Slice(_) if found.live() == committed.live() => return None,
        Scope::Slice(of) => return Some(format!("it is the slice of {of}, which is no member, and others live")),
    };
    let expected = slice.as_ref().unwrap_or(committed);
    if found == expected {
        return None;
    }
    if found.position() != expected.position() {
        return Some(format!("position {:?}, not {:?}", found.position(), expected.position()));
    }
    for (node, member) in expected.members() {
        match found.member(*node) {
            Some(other) if other == member => {}
            Some(other) => return Some(format!("member {node} is {other:?}, not {member:?}")),
            None => return Some(format!("member {node} ({}) is missing", member.name)),
        }
    }
    Some(match found.members().keys().find(|node| !expected.members().contains_key(*node)) {
        Some(node) => format!("{node} is no member, or out of scope"),
        None if found.voters() != expected.voters() => format!("voters {:?}, not {:?}", found.voters(), expected.voters()),
        None => "who lives, neighborhoods, lists, restarts or the floor differ".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use hivemind_core::wire::event::{Event, LeaveReason, LogEvent};

    use super::super::fabricated::{at, birth, history, join, member, name, view};
    use super::*;

    fn facts(last: u64) -> Facts {
        let mut facts = birth();
        (2..=last).for_each(|counter| drop(facts.apply(&join(counter)).expect("a good event")));
        facts
    }

    #[test]
    fn a_view_that_equals_the_fold_passes() {
        let (history, node) = (history(4), name("web1"));
        let mut views = Views::default();
        for last in 2..=4 {
            views.viewed(at(&node), &history, &view(facts(last)), &Changed::default()).expect("the fold itself");
        }
    }

    #[test]
    fn a_view_that_follows_a_proven_one_by_another_event_is_caught_in_what_moved() {
        let (history, node) = (history(4), name("web1"));
        let mut views = Views::default();
        views.viewed(at(&node), &history, &view(facts(3)), &Changed::default()).expect("the fold itself");
        let mut other = facts(3);
        other.apply(&LogEvent { index: Index(3), ..join(9) }).expect("it folds");
        let violation = views.viewed(at(&node), &history, &view(other), &Changed::default()).expect_err("not the fold");
        assert_eq!(violation.invariant, Invariant::S1);
        let left = Event::Left { node: NodeId::new(1, 2), reason: LeaveReason::Asked, listed: Vec::new() };
        let mut without = Views::default();
        without.viewed(at(&node), &history, &view(facts(4)), &Changed::default()).expect("the fold itself");
        let mut missing = facts(4);
        missing.apply(&LogEvent::new(Index(4), &left)).expect("it folds");
        without.viewed(at(&node), &history, &view(missing), &Changed::default()).expect_err("nobody committed that");
    }

    #[test]
    fn a_slice_is_judged_by_the_slice_of_the_fold_whatever_it_does_not_hold() {
        let node = name("web1");
        let mut history = history(4);
        let mut whole = facts(4);
        let mut views = Views::default();
        let mut slice = whole.slice_for(NodeId::new(1, 2)).expect("a member");
        views.viewed(at(&node), &history, &view(slice.clone()), &Changed::default()).expect("the slice itself");
        let split = Event::Split { from: NeighborhoodId(0), into: NeighborhoodId(1), moved: vec![NodeId::new(1, 3), NodeId::new(1, 4)] };
        let elsewhere = Event::Joined { member: member(5), neighborhood: NeighborhoodId(1), supersedes: None, listed: Vec::new() };
        let here = Event::Joined { member: member(6), neighborhood: NeighborhoodId(0), supersedes: None, listed: Vec::new() };
        for (index, event) in (4..).zip([&split, &elsewhere, &here]) {
            let logged = LogEvent::new(Index(index), event);
            whole.apply(&logged).expect("it folds");
            slice.apply(&logged).expect("it folds");
            history.commit(at(&node), whole.position(), &logged).expect("a good history");
            views.viewed(at(&node), &history, &view(slice.clone()), &Changed::default()).expect("the slice of the fold");
        }
        assert!(slice.member(NodeId::new(1, 5)).is_none() && slice.member(NodeId::new(1, 6)).is_some());
        let gone = LogEvent::new(Index(7), &Event::Left { node: NodeId::new(1, 5), reason: LeaveReason::Asked, listed: Vec::new() });
        let other = LogEvent::new(Index(7), &Event::Left { node: NodeId::new(1, 4), reason: LeaveReason::Asked, listed: Vec::new() });
        whole.apply(&gone).expect("it folds");
        slice.apply(&other).expect("it folds");
        history.commit(at(&node), whole.position(), &gone).expect("a good history");
        let violation = views.viewed(at(&node), &history, &view(slice), &Changed::default()).expect_err("another one is gone");
        assert_eq!(violation.invariant, Invariant::S1);
    }

    #[test]
    fn a_first_view_older_than_the_window_is_compared_as_a_whole_once_it_is_inside() {
        let (history, node) = (history(3), name("web1"));
        let mut late = History::default();
        late.begin(history.last().expect("begun").facts.clone(), at(&node));
        let mut views = Views::default();
        views.viewed(at(&node), &late, &view(facts(2)), &Changed::default()).expect("too old to be judged");
        let mut other = facts(2);
        other.apply(&LogEvent { index: Index(2), ..join(9) }).expect("it folds");
        views.viewed(at(&node), &late, &view(other), &Changed::default()).expect_err("not the fold");
    }

    #[test]
    fn a_view_of_other_events_is_caught() {
        let (history, node) = (history(4), name("web1"));
        let mut other = facts(2);
        other.apply(&LogEvent { index: Index(2), ..join(9) }).expect("it folds");
        let violation = Views::default().viewed(at(&node), &history, &view(other), &Changed::default()).expect_err("not the fold");
        assert_eq!(violation.invariant, Invariant::S1);
        assert_eq!(violation.with, Some(name("voter1")));
    }

    #[test]
    fn a_view_ahead_of_every_voter_is_caught() {
        let (history, node) = (history(3), name("web1"));
        let violation = Views::default().viewed(at(&node), &history, &view(facts(4)), &Changed::default()).expect_err("ahead");
        assert!(violation.to_string().contains("no voter has committed"), "{violation}");
    }

    #[test]
    fn a_view_that_goes_back_without_a_resync_is_caught() {
        let (history, node) = (history(4), name("web1"));
        let mut views = Views::default();
        views.viewed(at(&node), &history, &view(facts(4)), &Changed::default()).expect("the fold");
        let back = view(facts(3));
        views.viewed(at(&node), &history, &back, &Changed::default()).expect_err("it went back");
        views.viewed(at(&node), &history, &back, &Changed::everything()).expect("a resync swaps whole views");
    }
}
