//! Half of the nodes crash at one moment; the voters are not among them. Then something happens: who of the others hears of it?

use std::time::Duration;

use hivemind_core::wire::command::Command;

use super::super::checkers::{Invariant, Violation};
use super::super::network::Slot;
use super::super::node::{Part, SimNode};
use super::super::samples::Series;
use super::super::watch::WATCH_BOUND;
use super::{Run, SLICE};

/// How often it happens where no duration is asked for.
const TIMES: u32 = 3;
/// Of those that are left, so many in a thousand are waited for.
const PER_MILLE: usize = 999;

impl Run<'_> {
    pub(super) fn halves(&mut self) -> Result<(), Violation> {
        let begin = self.world.now();
        let mut rounds = 0;
        while !self.is_enough(begin, rounds, TIMES) {
            rounds += 1;
            self.one_half()?;
        }
        Ok(())
    }

    fn one_half(&mut self) -> Result<(), Violation> {
        let others: Vec<Slot> = self.world.nodes().iter().filter(|node| may_crash(node)).map(|node| node.slot).collect();
        let half = self.rng.sample(&others, others.len() / 2);
        half.iter().for_each(|slot| self.world.kill(*slot));
        let since = self.world.now();
        let Some(host) = self.some_host().filter(|host| !half.contains(host)) else { return Ok(()) };
        let node = self.world.node(host).id().expect("a settled host has an id");
        let last = self.world.committed();
        self.world.propose(host, Command::Restarting { node, grace: Duration::from_secs(1) })?;
        let heard = self.until(WATCH_BOUND, |world| {
            let live: Vec<&SimNode> = world.nodes().iter().filter(|node| node.process.is_some()).collect();
            let told = live.iter().filter(|node| node.view().is_some_and(|view| view.facts.position().index > last)).count();
            told * 1_000 >= live.len() * PER_MILLE
        })?;
        if !heard {
            return Err(self
                .world
                .at(host)
                .violates(Invariant::L1, "half of the nodes crashed, and the others did not hear of the next event"));
        }
        let took = self.world.now().since(since);
        self.world.sample(Series::MostKnown, took);
        for slot in half {
            self.world.start(slot)?;
            self.world.run_for(super::SWITCH_ON_PAUSE)?;
        }
        self.pass(SLICE)?;
        self.calm()
    }
}

fn may_crash(node: &SimNode) -> bool {
    node.process.is_some() && node.part != Part::Voter
}
