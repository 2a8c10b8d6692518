//! The clock of the log: the time inside commands. It never goes back, and it never stands still.
//!
//! Wall clocks of leaders differ, and one may jump. A time that was committed too far ahead would stop a clock that only takes
//! the greater of two: nothing would end until the others had caught up, which may take hours. So a leader lets it run on from
//! where it is, by its own monotonic clock, and takes its wall clock where that is ahead.

use crate::time::{Now, Time, Timestamp};

/// Where the clock of the log stood, and when.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LogClock {
    stood: Timestamp,
    since: Time,
}

impl LogClock {
    /// What it says now.
    pub(super) fn read(&self, now: Now) -> Timestamp {
        let elapsed = u64::try_from(now.time.since(self.since).as_millis()).unwrap_or(u64::MAX);
        now.wall.max(Timestamp(self.stood.0.saturating_add(elapsed)))
    }

    /// A command of `time` was applied.
    pub(super) fn follow(&mut self, time: Timestamp, now: Time) {
        let by_itself = self.read(Now { time: now, wall: Timestamp::default() });
        if time > by_itself {
            *self = LogClock { stood: time, since: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn now(seconds: u64, wall: u64) -> Now {
        Now { time: Time::ZERO + Duration::from_secs(seconds), wall: Timestamp(wall) }
    }

    #[test]
    fn it_runs_on_from_a_time_that_is_far_ahead() {
        let mut clock = LogClock::default();
        clock.follow(Timestamp(9_000_000), now(10, 0).time);
        assert_eq!(clock.read(now(10, 50)), Timestamp(9_000_000));
        assert_eq!(clock.read(now(12, 2_050)), Timestamp(9_002_000));
        clock.follow(Timestamp(9_001_000), now(12, 0).time);
        assert_eq!(clock.read(now(12, 0)), Timestamp(9_002_000), "what is behind it does not hold it back");
    }

    #[test]
    fn a_wall_clock_that_is_ahead_is_taken_and_one_of_1970_is_not() {
        let mut clock = LogClock::default();
        assert_eq!(clock.read(now(5, 1_000_000)), Timestamp(1_000_000));
        clock.follow(Timestamp(1_000_000), now(5, 0).time);
        assert_eq!(clock.read(now(6, 0)), Timestamp(1_001_000));
    }
}
