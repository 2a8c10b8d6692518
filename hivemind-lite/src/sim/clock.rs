//! The two clocks of a simulated node: one that runs a little fast or slow, and one that may jump.

use std::time::Duration;

use hivemind_core::time::{Now, Time, Timestamp};

/// The wall clock at the origin of virtual time: 2026-01-01T00:00:00Z.
const WALL_ORIGIN_MS: u64 = 1_767_225_600_000;
const MILLION: i128 = 1_000_000;

/// A node's clocks, as functions of the world's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// How much faster than the world's the monotonic clock runs, in millionths.
    drift_ppm: i32,
    /// How far the wall clock is ahead, in milliseconds.
    ahead_ms: i64,
}

impl Clock {
    /// A clock that runs `drift_ppm` millionths fast (slow where negative), from the origin on.
    pub fn drifting(drift_ppm: i32) -> Self {
        Clock { drift_ppm, ahead_ms: 0 }
    }

    /// The wall clock jumps by so many milliseconds.
    pub fn jump(&mut self, by_ms: i64) {
        self.ahead_ms = self.ahead_ms.saturating_add(by_ms);
    }

    /// What both clocks say at a time of the world.
    pub fn at(&self, world: Time) -> Now {
        let time = self.local(world);
        let wall = i128::from(WALL_ORIGIN_MS) + time.since_origin().as_millis() as i128 + i128::from(self.ahead_ms);
        // Before 1970 there is no timestamp: such a clock stands at the beginning.
        Now { time, wall: Timestamp(u64::try_from(wall.max(0)).expect("virtual time stays below 2^64 ms")) }
    }

    fn local(&self, world: Time) -> Time {
        if self.drift_ppm == 0 {
            return world;
        }
        let nanos = world.since_origin().as_nanos() as i128;
        time(nanos + nanos * i128::from(self.drift_ppm) / MILLION)
    }

    /// The first time of the world at which the monotonic clock says `local` or more.
    pub fn world(&self, local: Time) -> Time {
        if self.drift_ppm == 0 {
            return local;
        }
        let nanos = local.since_origin().as_nanos() as i128;
        let guess = nanos * MILLION / (MILLION + i128::from(self.drift_ppm));
        // Both ways round down: the guess may be some nanoseconds early, and a timer must not be.
        let early = (guess - 2).max(0);
        let exact = (early..early + 6).find(|&nanos| self.local(time(nanos)) >= local);
        time(exact.expect("the guess is within two nanoseconds"))
    }
}

fn time(nanos: i128) -> Time {
    Time::from_origin(Duration::from_nanos(u64::try_from(nanos).expect("virtual time stays below 2^64 ns")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_of_a_drifting_clock_is_due_when_that_clock_says_so_and_not_a_nanosecond_before() {
        for drift in [-500, -1, 0, 1, 50, 500, 100_000] {
            let clock = Clock::drifting(drift);
            for nanos in (0..5_000).chain(3_600_000_000_000..3_600_000_000_100) {
                let local = Time::from_origin(Duration::from_nanos(nanos));
                let due = clock.world(local);
                assert!(clock.at(due).time >= local, "{drift} {nanos}");
                assert!(due == Time::ZERO || clock.at(due - Duration::from_nanos(1)).time < local, "{drift} {nanos}");
            }
        }
    }

    #[test]
    fn a_fast_clock_gains_and_a_jump_moves_the_wall_clock_alone() {
        let mut clock = Clock::drifting(500);
        let hour = Time::from_origin(Duration::from_secs(3600));
        assert_eq!(clock.at(hour).time.since(hour), Duration::from_millis(1800));
        let before = clock.at(hour);
        clock.jump(-60_000);
        assert_eq!(clock.at(hour).time, before.time);
        assert_eq!(clock.at(hour).wall.0 + 60_000, before.wall.0);
        clock.jump(i64::MIN);
        assert_eq!(clock.at(hour).wall, Timestamp(0), "there is nothing before 1970");
    }
}
