//! S5: no member disappears from a view or an answer but by a committed event (or its own newer config).

use hivemind_core::ids::{Index, NodeId};
use hivemind_core::view::View;
use hivemind_core::wire::event::{Event, LogEvent};
use imbl::ordmap::DiffItem;

use super::{At, History, Invariant, PerSlot, Violation};
use crate::sim::network::Slot;
use crate::sim::roles::Names;

/// The checker of S5. Views are judged with S1: their members are the fold's. This looks at answers: a host's name may
/// vanish only when the membership that it stood for has ended in the view that the answer was made from, and was not
/// superseded by the same host's next one.
#[derive(Debug, Default)]
pub struct Presence {
    last: PerSlot<Option<Names>>,
}

impl Presence {
    /// A process starts from nothing; what it had answered before is looked for once it has caught up.
    pub fn started(&mut self, slot: Slot) {
        *self.last.of(slot) = None;
    }

    /// A consumer wants other answers.
    ///
    /// # Errors
    /// S5.
    pub fn answered(&mut self, at: At<'_>, history: &History, view: &View, names: &Names) -> Result<(), Violation> {
        let Some(last) = self.last.of(at.slot).replace(names.clone()) else { return Ok(()) };
        for item in last.diff(names) {
            let (name, answer) = match item {
                DiffItem::Remove(name, answer) => (name, answer),
                DiffItem::Add(..) | DiffItem::Update { .. } => continue,
            };
            let Some(member) = view.facts.named(name) else { continue };
            if member.node == answer.node || supersedes(history, member.joined, answer.node) {
                let what = format!("{name} is gone from the answers, but {} is a member at {}", member.node, view.facts.position());
                return Err(at.violates_with(Invariant::S5, name, what));
            }
        }
        Ok(())
    }
}

/// Whether the join at `index` replaced the membership `old` in one event.
fn supersedes(history: &History, index: Index, old: NodeId) -> bool {
    let joined = history.at(index).and_then(|committed| committed.logged.as_ref()).map(LogEvent::event);
    matches!(joined, Some(Ok(Event::Joined { supersedes: Some(node), .. })) if node == old)
}

#[cfg(test)]
mod tests {
    use hivemind_core::ids::{Digest256, Seq};

    use super::super::fabricated::{at, birth, history, name, view};
    use super::*;
    use crate::sim::roles::Answer;

    fn names(all: &[&str]) -> Names {
        let answer = Answer { node: NodeId::new(1, 1), seq: Seq(1), hash: Digest256::default() };
        all.iter().map(|text| (name(text), answer)).collect()
    }

    #[test]
    fn a_members_name_that_vanishes_from_the_answers_is_caught() {
        let (node, view, history) = (name("dns1"), view(birth()), history(1));
        let mut presence = Presence::default();
        presence.answered(at(&node), &history, &view, &names(&["gone", "n1"])).expect("the first answer");
        presence.answered(at(&node), &history, &view, &names(&["n1"])).expect("`gone` is no member");
        let violation = presence.answered(at(&node), &history, &view, &names(&[])).expect_err("n1 is a member");
        assert_eq!((violation.invariant, violation.with), (Invariant::S5, Some(name("n1"))));
    }
}
