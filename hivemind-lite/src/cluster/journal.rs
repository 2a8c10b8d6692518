//! The end of the event log, as the nodes of this process applied it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use hivemind_core::ids::{Index, Position};
use hivemind_core::wire::event::Event;
use hivemind_node::AppliedEvent;

/// How many events are kept.
const KEPT: usize = 50;

/// The last events. All nodes tell of the same log, so each event is kept once, whoever tells of it first.
#[derive(Debug, Default)]
pub(super) struct Journal {
    events: Mutex<BTreeMap<Index, (Position, Arc<Event>)>>,
}

impl Journal {
    pub(super) fn note(&self, applied: AppliedEvent) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.entry(applied.position.index).or_insert((applied.position, applied.event));
        if events.len() > KEPT {
            events.pop_first();
        }
    }

    /// What is kept, oldest first.
    pub(super) fn read(&self) -> Vec<(Position, Event)> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.values().map(|(position, event)| (*position, Event::clone(event))).collect()
    }
}
