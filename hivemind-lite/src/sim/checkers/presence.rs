//! S5: no member disappears from a view or an answer but by a committed event (or its own newer config).

use hivemind_core::ids::{Index, NodeId, NodeName};
use hivemind_core::view::View;
use hivemind_core::wire::event::LogEvent;
use hivemind_dns_processor::zone::Zone;
use imbl::ordmap::DiffItem;

use super::{At, History, Invariant, PerSlot, Violation};
use crate::sim::network::Slot;
use crate::sim::roles::{Names, is_answered};

/// The checker of S5. Views are judged with S1: their members are the fold's. This looks at answers: a host's name may
/// vanish only when the membership that it stood for has ended in the view that the answer was made from, and was not
/// superseded by the same host's next one.
#[derive(Debug, Default)]
pub struct Presence {
    last: PerSlot<Option<Names>>,
    /// What changed in the directory since DNS was asked.
    unasked: PerSlot<Vec<NodeName>>,
}

impl Presence {
    /// A process starts from nothing; what it had answered before is looked for once it has caught up.
    pub fn started(&mut self, slot: Slot) {
        *self.last.of(slot) = None;
        self.unasked.of(slot).clear();
    }

    /// A consumer's directory changed.
    ///
    /// # Errors
    /// S5.
    pub fn answered(&mut self, at: At<'_>, history: &History, view: &View, names: &Names) -> Result<(), Violation> {
        let last = self.last.of(at.slot).replace(names.clone()).unwrap_or_default();
        let unasked = self.unasked.of(at.slot);
        for item in last.diff(names) {
            let (name, answer) = match item {
                DiffItem::Remove(name, answer) => (name, answer),
                DiffItem::Add(name, _) | DiffItem::Update { new: (name, _), .. } => {
                    unasked.push(name.clone());
                    continue;
                }
            };
            unasked.push(name.clone());
            let Some(member) = view.facts.named(name) else { continue };
            if member.node == answer.node || supersedes(history, member.joined, answer.node) {
                let what = format!("{name} is gone from the answers, but {} is a member at {}", member.node, view.facts.position());
                return Err(at.violates_with(Invariant::S5, name, what));
            }
        }
        Ok(())
    }

    /// A consumer's DNS answers changed, made from the same view as its directory.
    ///
    /// # Errors
    /// S5, where they differ: a host that is in force and not answered, or the other way around.
    pub fn served(&mut self, at: At<'_>, zone: &Zone) -> Result<(), Violation> {
        let Some(names) = self.last.of(at.slot) else { return Ok(()) };
        if zone.hosts() != names.len() {
            let what = format!("DNS knows {} hosts, {} have a config in force", zone.hosts(), names.len());
            return Err(at.violates(Invariant::S5, what));
        }
        for name in self.unasked.of(at.slot).drain(..) {
            let is_answered = is_answered(zone, &name);
            if is_answered != names.contains_key(&name) {
                let what = format!("DNS {} for {name}", if is_answered { "still answers" } else { "has no answer" });
                return Err(at.violates_with(Invariant::S5, &name, what));
            }
        }
        Ok(())
    }
}

/// Whether the join at `index` replaced the membership `old` in one event.
fn supersedes(history: &History, index: Index, old: NodeId) -> bool {
    let joined = history.at(index).and_then(|committed| committed.logged.as_ref()).map(LogEvent::event);
    joined.is_some_and(|joined| joined.is_ok_and(|event| event.ended() == Some(old)))
}

#[cfg(test)]
mod tests {
    use hivemind_core::ids::{Digest256, Seq};
    use hivemind_dns_processor::zone::ZoneSettings;

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

    #[test]
    fn dns_that_does_not_answer_for_what_is_in_force_is_caught() {
        let (node, view, history) = (name("dns1"), view(birth()), history(1));
        let zone = Zone::new(ZoneSettings::new(&["hive."]).expect("a valid zone"));
        let mut presence = Presence::default();
        presence.answered(at(&node), &history, &view, &names(&[])).expect("nothing");
        presence.served(at(&node), &zone).expect("nothing in force, nothing answered");
        presence.answered(at(&node), &history, &view, &names(&["n1"])).expect("a new host");
        assert_eq!(presence.served(at(&node), &zone).expect_err("not answered").invariant, Invariant::S5);
    }
}
