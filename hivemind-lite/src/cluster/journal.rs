//! The end of the event log, as the nodes of this process applied it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use hivemind_core::ids::{Index, NodeId, NodeName, Position};
use hivemind_core::wire::event::Event;
use hivemind_node::AppliedEvent;

use crate::show::Log;

/// How many events are kept.
const KEPT: usize = 50;
/// Of how many members the names are kept, also when their joins are no more among the events.
const KEPT_NAMES: usize = 1024;

/// The last events. All nodes tell of the same log, so each event is kept once, whoever tells of it first.
#[derive(Debug, Default)]
pub(super) struct Journal {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    events: BTreeMap<Index, (Position, Arc<Event>)>,
    names: BTreeMap<NodeId, NodeName>,
}

impl Journal {
    pub(super) fn note(&self, applied: AppliedEvent) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Event::Joined { member, .. } = &*applied.event {
            kept.names.insert(member.node, member.name.clone());
            if kept.names.len() > KEPT_NAMES {
                kept.names.pop_first();
            }
        }
        kept.events.entry(applied.position.index).or_insert((applied.position, applied.event));
        if kept.events.len() > KEPT {
            kept.events.pop_first();
        }
    }

    /// What is kept.
    pub(super) fn read(&self) -> Log {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        Log { events: kept.events.values().cloned().collect(), names: kept.names.clone() }
    }
}
