//! Hosts change what they publish, several times a second.

use std::time::Duration;

use super::super::checkers::Violation;
use super::super::roles;
use super::super::samples::Series;
use super::Run;

impl Run<'_> {
    pub(super) fn publishes(&mut self) -> Result<(), Violation> {
        let begin = self.world.now();
        let mut version = 0;
        while !self.is_loaded(begin) {
            version += 1;
            if let Some(host) = self.some_host() {
                self.world.publish(host, roles::sections(host.0, version))?;
            }
            let pause = Duration::from_millis(20) + self.rng.duration_below(Duration::from_millis(160));
            self.pass(pause)?;
        }
        let bound = super::super::watch::WATCH_BOUND * 2;
        self.until(bound, |world| world.watches().running(Series::Everywhere) == 0).map(drop)
    }
}
