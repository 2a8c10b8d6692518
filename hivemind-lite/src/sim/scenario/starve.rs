//! A tenth of the hosts (at least one) is starved, what another tenth sends is lost to a fifth, and some of the others crash.

use std::time::Duration;

use super::super::checkers::{Invariant, Violation};
use super::super::network::Slot;
use super::super::node::Part;
use super::super::samples::Series;
use super::super::watch::WATCH_BOUND;
use super::Run;

/// A starved node runs for so long,
const RUNS: Duration = Duration::from_millis(100);
/// and then stands still for so long: less than a suspicion lasts, or it would be as good as dead.
const STANDS: Duration = Duration::from_millis(1_000);
/// What is lost of what lossy nodes send, in millionths.
const LOSS_PPM: u32 = 200_000;
/// Where no duration is asked for.
const LASTS: Duration = Duration::from_secs(3_600);
/// A host crashes once in about so much time.
const BETWEEN: Duration = Duration::from_secs(20);

impl Run<'_> {
    pub(super) fn starves(&mut self) -> Result<(), Violation> {
        let hosts: Vec<Slot> = self.world.nodes().iter().filter(|node| node.part == Part::Host).map(|node| node.slot).collect();
        let tenth = (hosts.len() / 10).max(1);
        let drawn = self.rng.sample(&hosts, hosts.len());
        let (starved, rest) = drawn.split_at(tenth);
        let (lossy, sound) = rest.split_at(tenth);
        let lasts = self.options.duration.unwrap_or(LASTS);
        let begin = self.world.now();
        starved.iter().for_each(|slot| self.world.starve(*slot, RUNS, STANDS, lasts));
        self.world.lossy(lossy, LOSS_PPM);
        while self.world.now().since(begin) < lasts {
            let pause = BETWEEN / 2 + self.rng.duration_below(BETWEEN);
            self.pass(pause)?;
            let Some(&host) = self.rng.sample(sound, 1).first() else { continue };
            self.world.kill(host);
            let name = self.world.node(host).name.clone();
            self.world.watch_gone(&name, self.world.now());
            let gone = self.until(WATCH_BOUND, |world| world.watches().running(Series::Gone) == 0 && world.node(host).crashed.is_none())?;
            if !gone {
                return Err(self.world.at(host).violates(Invariant::L2, "it crashed among starved nodes, and its leave was not committed"));
            }
            self.world.start(host)?;
        }
        starved.iter().for_each(|slot| self.world.recover(*slot));
        self.world.heal();
        Ok(())
    }
}
