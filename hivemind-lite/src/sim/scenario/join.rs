//! Nodes join and leave again, one after another.

use std::time::Duration;

use super::super::checkers::{Invariant, Violation};
use super::super::node::Part;
use super::super::samples::Series;
use super::super::watch::WATCH_BOUND;
use super::{Run, valid};

/// Every so manyth joiner is a consumer, which has all configs to fetch.
const CONSUMER_EVERY: u64 = 4;

impl Run<'_> {
    pub(super) fn joins(&mut self) -> Result<(), Violation> {
        let begin = self.world.now();
        let mut round = 0;
        while !self.is_loaded(begin) {
            round += 1;
            self.one_join(round)?;
        }
        Ok(())
    }

    fn one_join(&mut self, round: u64) -> Result<(), Violation> {
        let joiner = match round % CONSUMER_EVERY {
            0 => self.world.add(valid(&format!("late-dns{round}")), Part::Consumer, Vec::new()),
            _ => self.add_host(),
        };
        self.world.start(joiner)?;
        let joined = self.until(WATCH_BOUND, |world| {
            let process = world.node(joiner).process.as_ref();
            let is_there = process.is_some_and(|process| process.joining.is_none() && process.catching_up.is_none());
            is_there && world.watches().running(Series::InViews) == 0
        })?;
        if !joined {
            return Err(self.world.at(joiner).violates(Invariant::L1, "it did not get to be a member that has caught up"));
        }
        let pause = self.rng.duration_below(Duration::from_millis(500));
        self.pass(pause)?;
        for _ in 0..3 {
            self.leave(joiner)?;
            if self.until(WATCH_BOUND / 9, |world| world.node(joiner).process.is_none())? {
                return Ok(());
            }
        }
        Err(self.world.at(joiner).violates(Invariant::L1, "it asked to leave three times and is still there"))
    }
}
