//! Nothing happens.

use super::super::checkers::Violation;
use super::{Run, SLICE};

impl Run<'_> {
    pub(super) fn idle(&mut self) -> Result<(), Violation> {
        let begin = self.world.now();
        while !self.is_loaded(begin) {
            self.pass(SLICE * 5)?;
        }
        Ok(())
    }
}
