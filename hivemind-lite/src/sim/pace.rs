//! How promptly the process of a simulated node handles what comes: late, in bursts, or not at all for a while.

use std::time::Duration;

use hivemind_core::time::Time;

/// Inputs in bursts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Starved {
    since: Time,
    until: Time,
    /// How long it runs at a stretch.
    run: Duration,
    /// How long it stands still after that.
    gap: Duration,
}

/// The pace of a node. The default handles everything at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Until when it stands still.
    paused: Time,
    /// Each input waits so long, until then.
    slow: Option<(Duration, Time)>,
    starved: Option<Starved>,
    /// Until when something is held up: nothing that comes later may overtake it.
    held: Time,
}

impl Pace {
    /// Stands still until `until`.
    pub fn pause(&mut self, until: Time) {
        self.paused = self.paused.max(until);
    }

    /// Handles each input `by` later, until `until`.
    pub fn slow(&mut self, by: Duration, until: Time) {
        self.slow = Some((by, until));
    }

    /// From `since` to `until` runs for `run` and then stands still for `gap`, again and again.
    pub fn starve(&mut self, since: Time, until: Time, run: Duration, gap: Duration) {
        self.starved = Some(Starved { since, until, run, gap });
    }

    /// A new process: nothing is held up from now on.
    pub fn begin(&mut self) {
        *self = Pace::default();
    }

    /// Is prompt from now on; what is held up stays so until it was to be handled.
    pub fn recover(&mut self) {
        *self = Pace { held: self.held, ..Pace::default() };
    }

    /// When what comes at `now` is to be handled, where that is later. `again` says that it was held up before: then only
    /// a pause that began in the meantime holds it up once more.
    pub fn hold(&mut self, now: Time, again: bool) -> Option<Time> {
        let until = match (self.standing(now), self.slow) {
            (Some(end), _) => end,
            (None, _) if again => return None,
            (None, Some((by, until))) if now < until => now + by,
            (None, _) if now < self.held => self.held,
            (None, _) => return None,
        };
        self.held = self.held.max(until);
        Some(self.held)
    }

    /// Until when it stands still, where it does so at `now`.
    pub fn standing(&self, now: Time) -> Option<Time> {
        if now < self.paused {
            return Some(self.paused);
        }
        let starved = self.starved.filter(|starved| now >= starved.since && now < starved.until)?;
        let cycle = (starved.run + starved.gap).max(Duration::from_nanos(1)).as_nanos();
        let into = now.since(starved.since).as_nanos() % cycle;
        let left = Duration::from_nanos(u64::try_from(cycle - into).expect("a cycle of seconds"));
        (into >= starved.run.as_nanos()).then(|| now + left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_origin(Duration::from_millis(millis))
    }

    #[test]
    fn a_starved_node_runs_in_bursts_until_it_is_fed() {
        let mut pace = Pace::default();
        pace.starve(at(1000), at(4000), Duration::from_millis(100), Duration::from_millis(900));
        let held: Vec<_> = [999, 1000, 1099, 1100, 1999, 2000, 2500, 4000].map(|millis| pace.standing(at(millis))).to_vec();
        let expected = [None, None, None, Some(at(2000)), Some(at(2000)), None, Some(at(3000)), None];
        assert_eq!(held, expected);
    }

    #[test]
    fn a_pause_holds_everything_and_slowness_delays_it() {
        let mut pace = Pace::default();
        pace.pause(at(500));
        pace.slow(Duration::from_millis(30), at(900));
        assert_eq!(pace.hold(at(10), false), Some(at(500)));
        assert_eq!(pace.hold(at(500), true), None, "what was held is handled when the pause ends");
        assert_eq!(pace.hold(at(500), false), Some(at(530)));
        assert_eq!(pace.hold(at(900), false), None);
    }

    #[test]
    fn nothing_overtakes_what_is_held_up() {
        let mut pace = Pace::default();
        pace.slow(Duration::from_millis(30), at(900));
        assert_eq!(pace.hold(at(899), false), Some(at(929)));
        assert_eq!(pace.hold(at(901), false), Some(at(929)), "it is prompt again, but not before the one before");
        assert_eq!(pace.hold(at(930), false), None);
    }
}
