//! Half of the consumers are parted from everybody while hosts publish. Then the links heal: how fast are all consumers equal, and
//! what does it take of the wire beside what they lacked?

use std::time::Duration;

use super::super::checkers::{Invariant, Violation};
use super::super::network::Slot;
use super::super::node::Part;
use super::super::roles;
use super::super::samples::Series;
use super::super::watch::WATCH_BOUND;
use super::super::world::Parting;
use super::{Made, Run};

/// How often it happens where no duration is asked for.
const TIMES: u32 = 10;
/// How long the consumers are parted.
const PARTED: Duration = Duration::from_secs(30);
/// Of so many hosts, one publishes meanwhile; of fewer, one too.
const ONE_OF: usize = 10;

impl Run<'_> {
    pub(super) fn parts(&mut self) -> Result<(), Violation> {
        let begin = self.world.now();
        let mut rounds = 0;
        while !self.is_enough(begin, rounds, TIMES) {
            rounds += 1;
            self.one_parting(rounds)?;
        }
        Ok(())
    }

    fn one_parting(&mut self, version: u32) -> Result<(), Violation> {
        let places = |part: Part| self.world.nodes().iter().filter(move |node| node.part == part).map(|node| node.slot);
        let (consumers, hosts): (Vec<Slot>, Vec<Slot>) = (places(Part::Consumer).collect(), places(Part::Host).collect());
        let parted = self.rng.sample(&consumers, consumers.len() / 2);
        let others: Vec<Slot> = self.world.nodes().iter().map(|node| node.slot).filter(|slot| !parted.contains(slot)).collect();
        self.world.part(&parted, &others, Parting::TwoWay);
        let publishers = self.rng.sample(&hosts, (hosts.len() / ONE_OF).max(1));
        for &host in &publishers {
            self.world.publish(host, roles::sections(host.0, version))?;
            self.pass(PARTED / u32::try_from(publishers.len()).expect("few"))?;
        }
        let lacked: u64 = publishers.iter().map(|host| self.world.config_size(*host)).sum();
        let before = self.world.traffic().of_configs();
        self.world.heal();
        let healed = self.world.now();
        let equal = self.until(WATCH_BOUND, |world| world.watches().running(Series::Everywhere) == 0)?;
        if !equal {
            return Err(self.world.at(parted[0]).violates(Invariant::L1, "it was parted, and is not equal to its fellows since"));
        }
        self.world.sample(Series::Equal, self.world.now().since(healed));
        // What was sent twice may still be on its way.
        self.pass(Duration::from_secs(2))?;
        let sent = self.world.traffic().of_configs() - before;
        self.made.push(Made { lacked: lacked * parted.len() as u64, sent });
        self.calm()
    }
}
