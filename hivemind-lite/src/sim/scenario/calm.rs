//! Waiting until nothing is missing anywhere.

use std::collections::BTreeSet;

use super::super::checkers::{Calm, Violation};
use super::{Run, SLICE, Scenario};

impl Run<'_> {
    /// Waits until nothing is missing anywhere; after chaos it must also stay so.
    ///
    /// # Errors
    /// L1 or L2, with the first thing that is missing after its bound.
    pub(super) fn calm(&mut self) -> Result<(), Violation> {
        let calm = Calm::begin(self.world.now(), self.world.settings(), BTreeSet::new());
        while !calm.look(&self.world)? {
            self.pass(SLICE)?;
        }
        if self.options.scenario == Scenario::Chaos {
            self.pass(self.settings().control.degraded_after)?;
            while !calm.look(&self.world)? {
                self.pass(SLICE)?;
            }
        }
        Ok(())
    }
}
