//! S5: no member disappears from a view or an answer but by a committed event (or its own newer config).

use hivemind_core::view::View;
use imbl::ordmap::DiffItem;

use super::{At, Invariant, PerSlot, Violation};
use crate::sim::network::Slot;
use crate::sim::roles::Names;

/// The checker of S5. Views are judged with S1: their members are the fold's. This looks at answers: a host's name may
/// vanish only when the view that the answer was made from has no such member.
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
    pub fn answered(&mut self, at: At<'_>, view: &View, names: &Names) -> Result<(), Violation> {
        let Some(last) = self.last.of(at.slot).replace(names.clone()) else { return Ok(()) };
        for item in last.diff(names) {
            let name = match item {
                DiffItem::Remove(name, _) => name,
                DiffItem::Add(..) | DiffItem::Update { .. } => continue,
            };
            if let Some(member) = view.facts.named(name) {
                let what = format!("{name} is gone from the answers, but {} is a member at {}", member.node, view.facts.position());
                return Err(at.violates_with(Invariant::S5, name, what));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use hivemind_core::ids::{Digest256, NodeId, Seq};

    use super::super::fabricated::{at, birth, name, view};
    use super::*;
    use crate::sim::roles::Answer;

    fn names(all: &[&str]) -> Names {
        let answer = Answer { node: NodeId::new(1, 1), seq: Seq(1), hash: Digest256::default() };
        all.iter().map(|text| (name(text), answer)).collect()
    }

    #[test]
    fn a_members_name_that_vanishes_from_the_answers_is_caught() {
        let (node, view) = (name("dns1"), view(birth()));
        let mut presence = Presence::default();
        presence.answered(at(&node), &view, &names(&["gone", "n1"])).expect("the first answer");
        presence.answered(at(&node), &view, &names(&["n1"])).expect("`gone` is no member");
        let violation = presence.answered(at(&node), &view, &names(&[])).expect_err("n1 is a member");
        assert_eq!((violation.invariant, violation.with), (Invariant::S5, Some(name("n1"))));
    }
}
