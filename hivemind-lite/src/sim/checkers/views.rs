//! S1: a view at a position is the fold of the committed events up to it; positions only grow, except by resync.

use hivemind_core::facts::{Facts, Scope};
use hivemind_core::view::{Changed, View};

use super::{At, History, Invariant, PerSlot, Violation};
use crate::sim::network::Slot;

/// The checker of S1. It keeps the facts that it saw last on each node, which share structure with the node's own.
#[derive(Debug, Default)]
pub struct Views {
    last: PerSlot<Option<Facts>>,
}

impl Views {
    /// A process starts with whatever position it recovered.
    pub fn started(&mut self, slot: Slot) {
        *self.last.of(slot) = None;
    }

    /// A node's view changed.
    ///
    /// # Errors
    /// S1.
    pub fn viewed(&mut self, at: At<'_>, history: &History, view: &View, changed: &Changed) -> Result<(), Violation> {
        let position = view.facts.position();
        let last = self.last.of(at.slot);
        if let Some(last) = last {
            // Facts change only as a whole: the same members in memory at the same position need no second look.
            if last.position() == position && last.members().ptr_eq(view.facts.members()) {
                return Ok(());
            }
            if position.index < last.position().index && !changed.everything {
                let what = format!("the view went back from {} to {position} without a resync", last.position());
                return Err(at.violates(Invariant::S1, what));
            }
        }
        *last = Some(view.facts.clone());
        match history.at(position.index) {
            Some(committed) => {
                let Some(expected) = within_scope(&committed.facts, &view.facts) else {
                    return Err(at.violates(Invariant::S1, format!("the view at {position} is a slice of one that is no member")));
                };
                if expected == view.facts {
                    return Ok(());
                }
                let what = format!("the view at {position} differs from the fold: {}", difference(&view.facts, &expected));
                Err(at.violates_with(Invariant::S1, &committed.by, what))
            }
            None if history.last().is_some_and(|last| position.index > last.facts.position().index) => {
                Err(at.violates(Invariant::S1, format!("the view is at {position}, which no voter has committed")))
            }
            // Older than the window.
            None => Ok(()),
        }
    }
}

/// What a view should hold of the fold. The view of one whose membership ended is not judged by a neighborhood.
fn within_scope(committed: &Facts, view: &Facts) -> Option<Facts> {
    match view.scope() {
        Scope::All => Some(committed.clone()),
        Scope::Slice(of) if committed.is_member(of) => committed.slice_for(of),
        Scope::Slice(of) => (!view.is_member(of) && view.live() == committed.live()).then(|| view.clone()),
    }
}

/// The first respect in which two facts differ.
fn difference(found: &Facts, expected: &Facts) -> String {
    if found.position() != expected.position() {
        return format!("position {:?}, not {:?}", found.position(), expected.position());
    }
    for (node, member) in expected.members() {
        match found.member(*node) {
            Some(other) if other == member => {}
            Some(other) => return format!("member {node} is {other:?}, not {member:?}"),
            None => return format!("member {node} ({}) is missing", member.name),
        }
    }
    match found.members().keys().find(|node| !expected.members().contains_key(*node)) {
        Some(node) => format!("{node} is no member"),
        None if found.voters() != expected.voters() => format!("voters {:?}, not {:?}", found.voters(), expected.voters()),
        None => "neighborhoods, lists, restarts, floor or addresses differ".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fabricated::{at, birth, history, join, name, view};
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
    fn a_view_of_other_events_is_caught() {
        let (history, node) = (history(4), name("web1"));
        let mut other = facts(2);
        other.apply(&hivemind_core::wire::event::LogEvent { index: hivemind_core::ids::Index(2), ..join(9) }).expect("it folds");
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
