//! Hosts crash, one after another, and come back when they are gone from everywhere.

use std::time::Duration;

use super::super::checkers::{Invariant, Violation};
use super::super::network::Slot;
use super::super::profile::Faults;
use super::super::samples::Series;
use super::super::watch::WATCH_BOUND;
use super::Run;

/// Under faults, before every so manyth crash that is measured, some process crashes and restarts at once.
const CHAOS_EVERY: u64 = 8;

impl Run<'_> {
    pub(super) fn crashes(&mut self) -> Result<(), Violation> {
        let begin = self.world.now();
        let mut round = 0;
        while !self.is_loaded(begin) {
            round += 1;
            if self.options.faults != Faults::None && round % CHAOS_EVERY == 0 {
                self.crash_and_restart()?;
            }
            self.measured_crash()?;
        }
        Ok(())
    }

    fn measured_crash(&mut self) -> Result<(), Violation> {
        self.calm()?;
        let pause = self.rng.duration_below(Duration::from_secs(2));
        self.pass(pause)?;
        let Some(host) = self.some_host() else { return Ok(()) };
        self.world.kill(host);
        let name = self.world.node(host).name.clone();
        self.world.watch_gone(&name, self.world.now());
        let gone = self.until(WATCH_BOUND, |world| world.watches().running(Series::Gone) == 0 && world.node(host).crashed.is_none())?;
        if !gone {
            return Err(self.world.at(host).violates(Invariant::L2, "it crashed, and its leave was not committed"));
        }
        let pause = self.rng.duration_below(Duration::from_secs(1));
        self.pass(pause)?;
        self.world.start(host)
    }

    /// Any process, voters included, crashes and is restarted before it can have been given up, or just after.
    fn crash_and_restart(&mut self) -> Result<(), Violation> {
        let running: Vec<Slot> = self.world.nodes().iter().filter(|node| node.process.is_some()).map(|node| node.slot).collect();
        let Some(&slot) = self.rng.sample(&running, 1).first() else { return Ok(()) };
        self.world.kill(slot);
        let pause = self.rng.duration_below(Duration::from_secs(6));
        self.pass(pause)?;
        self.world.start(slot)?;
        self.calm()
    }
}
