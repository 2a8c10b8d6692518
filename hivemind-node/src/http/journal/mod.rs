//! The events that a server keeps: what its node held when the server began to listen, and what it applied since, bounded. What is not kept
//! is announced as a gap.

mod follow;
mod words;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hivemind_core::ids::Index;
use hivemind_core::time::Timestamp;
use tokio::sync::watch;

use super::chronicle::Chronicle;
use super::cursor::Cursor;
use super::model::{Gap, LoggedEvent};

/// The events, and who waits for more.
#[derive(Debug)]
pub(super) struct Journal {
    kept: Mutex<Kept>,
    grown: watch::Sender<()>,
    most: usize,
    /// The same by member, and what the node saw besides.
    pub(super) chronicle: Chronicle,
}

#[derive(Debug, Default)]
struct Kept {
    /// The last point that is missing; the events follow it without a gap. `None` until the node has a view.
    before: Option<Cursor>,
    events: VecDeque<(Cursor, LoggedEvent)>,
}

/// An answer to "what comes after …?".
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) gap: Option<Gap>,
    /// The last point that is missing, where there is a gap.
    pub(super) gap_until: Option<Cursor>,
    pub(super) events: Vec<LoggedEvent>,
    /// Where to go on.
    pub(super) next: Option<Cursor>,
    pub(super) more: bool,
}

impl Kept {
    fn end(&self) -> Option<Cursor> {
        self.events.back().map(|(at, _)| *at).or(self.before)
    }
}

impl Journal {
    /// An empty one that keeps at most so many.
    pub(super) fn new(most: usize, begun: Timestamp) -> Self {
        Journal { kept: Mutex::default(), grown: watch::Sender::new(()), most: most.max(1), chronicle: Chronicle::new(begun) }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes with everything new.
    pub(super) fn growth(&self) -> watch::Receiver<()> {
        self.grown.subscribe()
    }

    /// The last point that it knows of.
    pub(super) fn end(&self) -> Option<Cursor> {
        self.lock().end()
    }

    fn add(&self, at: Cursor, before: Cursor, event: LoggedEvent) {
        let mut kept = self.lock();
        if kept.end().is_none_or(|end| (end.generation, end.index.checked_add(1)) != (at.generation, Some(at.index))) {
            kept.events.clear();
            kept.before = Some(before);
        }
        kept.events.push_back((at, event));
        if kept.events.len() > self.most {
            kept.before = kept.events.pop_front().map(|(at, _)| at);
        }
        drop(kept);
        self.grown.send_replace(());
    }

    /// A view is at `position`: where that is no event's, the node got there without applying each.
    fn seen(&self, position: Cursor) {
        let mut kept = self.lock();
        let is_known = kept.end().is_some_and(|end| end.generation == position.generation && end.index >= position.index);
        if is_known {
            return;
        }
        kept.events.clear();
        kept.before = Some(position);
        drop(kept);
        self.grown.send_replace(());
    }

    /// Waits until it is as far as a view of that index.
    pub(super) async fn reaches(&self, index: Index) {
        let mut growth = self.growth();
        // The sender is its own.
        let _ = growth.wait_for(|()| self.end().is_some_and(|end| end.index >= index.0)).await;
    }

    /// Whether a point is beyond the last one that it knows of, in the same history.
    pub(super) fn is_behind(&self, asked: Cursor) -> bool {
        self.end().is_none_or(|end| end.generation == asked.generation && end.index < asked.index)
    }

    /// At most `limit` events after a point; without one: from the beginning. A point [beyond the end](Self::is_behind) is taken for one that
    /// never was.
    pub(super) fn after(&self, asked: Option<Cursor>, limit: usize) -> Found {
        let kept = self.lock();
        let Some(before) = kept.before else { return Found { next: asked, ..Found::default() } };
        let end = kept.end().unwrap_or(before);
        let gap = match asked {
            None if before.index > 0 => Some("this node does not keep the events before; another one may, or none"),
            Some(asked) if asked.generation != before.generation => Some("the position is of another history of the cluster"),
            Some(asked) if asked.index < before.index => Some("this node does not keep these events (any more)"),
            Some(asked) if asked.index > end.index => {
                Some("the cluster never came so far: the position is of another cluster, or of what a restored one has lost")
            }
            None | Some(_) => None,
        };
        let after = match (asked, gap) {
            (Some(asked), None) => asked,
            (None, _) | (Some(_), Some(_)) => before,
        };
        let skipped = usize::try_from(after.index.saturating_sub(before.index)).unwrap_or(usize::MAX).min(kept.events.len());
        let taken: Vec<&(Cursor, LoggedEvent)> = kept.events.range(skipped..).take(limit).collect();
        Found {
            gap: gap.map(|why| Gap { after: asked.map(|asked| asked.to_string()), until: before.to_string(), why: why.to_owned() }),
            gap_until: gap.map(|_| before),
            next: Some(taken.last().map_or(after, |(at, _)| *at)),
            more: skipped + taken.len() < kept.events.len(),
            events: taken.into_iter().map(|(_, event)| event.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Event;
    use super::*;

    fn at(index: u64) -> Cursor {
        Cursor { generation: 1, number: 0, index }
    }

    fn add(journal: &Journal, index: u64) {
        let event = Event::EpochAdvanced { number: 1, floor: index };
        journal.add(at(index), at(index - 1), LoggedEvent { position: at(index).to_string(), event });
    }

    type Asked = (Option<(Option<String>, String)>, Vec<String>, Option<String>, bool);

    /// The gap's ends, the events, where to go on, and whether there is more.
    fn ask(journal: &Journal, after: Option<Cursor>, limit: usize) -> Asked {
        let found = journal.after(after, limit);
        let events = found.events.into_iter().map(|event| event.position).collect();
        (found.gap.map(|gap| (gap.after, gap.until)), events, found.next.map(|next| next.to_string()), found.more)
    }

    fn texts(indices: &[u64]) -> Vec<String> {
        indices.iter().map(|index| at(*index).to_string()).collect()
    }

    #[test]
    fn pages_follow_each_other_without_a_gap() {
        let journal = Journal::new(10, Timestamp(0));
        assert_eq!(ask(&journal, None, 5), (None, vec![], None, false));
        journal.seen(at(0));
        (1..=3).for_each(|index| add(&journal, index));
        journal.seen(at(3));
        assert_eq!(ask(&journal, None, 2), (None, texts(&[1, 2]), Some("1.0-2".to_owned()), true));
        assert_eq!(ask(&journal, Some(at(2)), 2), (None, texts(&[3]), Some("1.0-3".to_owned()), false));
        assert_eq!(ask(&journal, Some(at(3)), 2), (None, vec![], Some("1.0-3".to_owned()), false));
        assert!(journal.is_behind(at(4)) && !journal.is_behind(at(3)));
        let never = Some((Some("1.0-4".to_owned()), "1.0-0".to_owned()));
        assert_eq!(ask(&journal, Some(at(4)), 2), (never, texts(&[1, 2]), Some("1.0-2".to_owned()), true), "ahead of all");
    }

    #[test]
    fn what_is_dropped_skipped_or_missed_is_a_gap() {
        let journal = Journal::new(2, Timestamp(0));
        journal.seen(at(0));
        (1..=4).for_each(|index| add(&journal, index));
        let gap = |after: Option<&str>, until: &str| Some((after.map(str::to_owned), until.to_owned()));
        assert_eq!(ask(&journal, Some(at(1)), 9), (gap(Some("1.0-1"), "1.0-2"), texts(&[3, 4]), Some("1.0-4".to_owned()), false));
        add(&journal, 8);
        assert_eq!(ask(&journal, Some(at(4)), 9), (gap(Some("1.0-4"), "1.0-7"), texts(&[8]), Some("1.0-8".to_owned()), false));
        journal.seen(at(20));
        assert_eq!(ask(&journal, Some(at(8)), 9), (gap(Some("1.0-8"), "1.0-20"), vec![], Some("1.0-20".to_owned()), false));
        assert_eq!(ask(&journal, None, 9), (gap(None, "1.0-20"), vec![], Some("1.0-20".to_owned()), false));
        let other = Cursor { generation: 2, number: 0, index: 30 };
        assert_eq!(ask(&journal, Some(other), 9), (gap(Some("2.0-30"), "1.0-20"), vec![], Some("1.0-20".to_owned()), false));
    }
}
