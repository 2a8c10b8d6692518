//! S2: at equal epochs no two nodes disagree about the event or the chain at an index.

use hivemind_core::ids::Position;
use hivemind_core::wire::event::LogEvent;

use super::{At, History, Invariant, Violation};

/// The checker of S2: every node against the first voter that applied the event.
#[derive(Debug, Default)]
pub struct Agreement {}

impl Agreement {
    /// A node applied an event.
    ///
    /// # Errors
    /// S2.
    pub fn applied(&self, at: At<'_>, history: &History, position: Position, logged: &LogEvent) -> Result<(), Violation> {
        let Some(committed) = history.at(logged.index) else {
            return match history.last() {
                Some(last) if logged.index > last.facts.position().index => {
                    Err(at.violates(Invariant::S2, format!("applied event {}, which no voter has committed", logged.index)))
                }
                Some(_) | None => Ok(()),
            };
        };
        if committed.facts.position().epoch != position.epoch {
            return Ok(());
        }
        if committed.logged.as_ref().is_some_and(|first| first != logged) {
            let what =
                format!("another event {}: {:?}, not {:?}", logged.index, logged.event(), committed.logged.as_ref().map(LogEvent::event));
            return Err(at.violates_with(Invariant::S2, &committed.by, what));
        }
        self.viewed(at, history, position)
    }

    /// A node is at a position.
    ///
    /// # Errors
    /// S2.
    pub fn viewed(&self, at: At<'_>, history: &History, position: Position) -> Result<(), Violation> {
        match history.at(position.index) {
            Some(committed) if committed.facts.position().epoch == position.epoch && committed.facts.position().chain != position.chain => {
                let what = format!("another chain: {position:?}, not {:?}", committed.facts.position());
                Err(at.violates_with(Invariant::S2, &committed.by, what))
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use hivemind_core::ids::{Digest256, Index};

    use super::super::fabricated::{at, history, join, name};
    use super::*;

    #[test]
    fn another_event_at_the_same_index_is_caught() {
        let (history, node) = (history(3), name("web1"));
        let position = history.at(Index(2)).expect("committed").facts.position();
        let agreement = Agreement::default();
        agreement.applied(at(&node), &history, position, &join(3)).expect("the same event");
        let other = LogEvent { index: Index(2), ..join(8) };
        let violation = agreement.applied(at(&node), &history, position, &other).expect_err("another event");
        assert_eq!((violation.invariant, violation.with), (Invariant::S2, Some(name("voter1"))));
    }

    #[test]
    fn another_chain_at_the_same_index_is_caught() {
        let (history, node) = (history(3), name("web1"));
        let mut position = history.at(Index(2)).expect("committed").facts.position();
        position.chain = Digest256([7; 32]);
        let violation = Agreement::default().viewed(at(&node), &history, position).expect_err("another chain");
        assert_eq!(violation.invariant, Invariant::S2);
        position.epoch.tag += 1;
        Agreement::default().viewed(at(&node), &history, position).expect("another epoch is another history");
    }
}
