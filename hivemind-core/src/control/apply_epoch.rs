//! Collecting history: the floor of the event tail rises, and the epoch's number with it.

use super::applied::Applied;
use crate::ids::Index;
use crate::wire::command::Refusal;
use crate::wire::event::Event;

impl Applied {
    pub(super) fn advance_epoch(&self, floor: Index) -> Result<Option<Event>, Refusal> {
        if floor <= self.facts.floor() {
            return Err(Refusal::Outdated);
        }
        let last = self.facts.position().index;
        if floor > last.next() {
            return Err(Refusal::Invalid { why: format!("a floor of {floor}; the last event is {last}") });
        }
        match self.facts.epoch().number.checked_add(1) {
            Some(number) => Ok(Some(Event::EpochAdvanced { number, floor })),
            None => Err(Refusal::Invalid { why: "the epoch's number is at its end".into() }),
        }
    }
}
