//! How often news comes: a lone event is pushed on, a stream of them is announced and pulled.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Time;

/// The time over which events are counted.
const WINDOW: Duration = Duration::from_secs(1);

/// The times of the last events, no more of them than the threshold asks for.
#[derive(Debug, Default)]
pub(super) struct Rate {
    recent: VecDeque<Time>,
}

impl Rate {
    /// An event came, where more than `limit` a second are a stream.
    pub(super) fn count(&mut self, now: Time, limit: usize) {
        self.recent.push_back(now);
        while self.recent.len() > limit + 1 {
            self.recent.pop_front();
        }
    }

    /// Whether more than `limit` events came within the last second.
    pub(super) fn is_high(&self, now: Time, limit: usize) -> bool {
        self.recent.len() > limit && self.recent.front().is_some_and(|&first| now.since(first) < WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_origin(Duration::from_millis(millis))
    }

    #[test]
    fn a_stream_is_more_than_the_limit_within_a_second_and_ends_by_itself() {
        let mut rate = Rate::default();
        for event in 0..10 {
            rate.count(at(event * 100), 10);
        }
        assert!(!rate.is_high(at(950), 10), "ten events are not more than ten");
        rate.count(at(990), 10);
        assert!(rate.is_high(at(999), 10));
        assert!(!rate.is_high(at(1_000), 10), "the first of them was a second ago");
    }

    #[test]
    fn a_limit_of_nothing_makes_every_event_a_stream() {
        let mut rate = Rate::default();
        assert!(!rate.is_high(at(0), 0));
        rate.count(at(0), 0);
        assert!(rate.is_high(at(1), 0));
    }
}
