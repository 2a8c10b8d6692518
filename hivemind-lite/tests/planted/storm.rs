//! A small cluster that one seed disturbs in ways that bring out each invariant, while clients ask and all checkers watch;
//! then the faults stop, and it must become calm. The whole takes half a second.

use std::collections::BTreeSet;
use std::time::Duration;

use hivemind_core::ids::{NodeName, RequestId};
use hivemind_core::machine::Reply;
use hivemind_core::rng::Rng;
use hivemind_core::settings::Settings;
use hivemind_core::wire::command::{Command, Outcome};
use hivemind_lite::sim::checkers::{Calm, Violation};
use hivemind_lite::sim::clients::Clients;
use hivemind_lite::sim::network::Slot;
use hivemind_lite::sim::node::{Part, SimNode};
use hivemind_lite::sim::profile::{Faults, Profile};
use hivemind_lite::sim::roles;
use hivemind_lite::sim::world::{World, WorldOptions};

/// How closely clients look for their answers.
const SLICE: Duration = Duration::from_millis(5);
const VOTERS: u32 = 3;
const CONSUMERS: u32 = 2;
const HOSTS: u32 = 5;

/// A storm under way.
pub(crate) struct Storm {
    pub(crate) world: World,
    rng: Rng,
    clients: Clients,
    settings: Settings,
    versions: u32,
}

impl Storm {
    /// The cluster of a seed, not yet started.
    pub(crate) fn new(seed: u64, settings: Settings) -> Self {
        let mut rng = Rng::new(seed ^ 0x5707_1100_0000_0000);
        let mut profile = if rng.below(2) == 0 { Faults::Lan.profile() } else { Profile::default() };
        if rng.below(2) == 0 {
            profile.disk_max = Duration::from_millis(20);
        }
        let mut world = World::new(WorldOptions { seed, profile, settings: settings.clone() }, VOTERS);
        for number in 1..=VOTERS + CONSUMERS + HOSTS {
            let (text, part) = match number {
                ..=VOTERS => (format!("voter{number}"), Part::Voter),
                number if number <= VOTERS + CONSUMERS => (format!("dns{number}"), Part::Consumer),
                number => (format!("host{number}"), Part::Host),
            };
            let sections = if part == Part::Host { roles::sections(number, 0) } else { Vec::new() };
            world.add(NodeName::new(&text).expect("a valid name"), part, sections);
        }
        let clients = Clients::new(rng.fork());
        Storm { world, rng, clients, settings, versions: 0 }
    }

    /// From birth to calm.
    ///
    /// # Errors
    /// The first violation.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        self.world.start(Slot(0))?;
        self.pass(Duration::from_millis(200))?;
        self.start_all()?;
        self.calm()?;
        for _ in 0..16 {
            self.disturb()?;
            self.wait(1_500)?;
        }
        self.world.heal();
        self.start_all()?;
        self.calm()?;
        // One is gone for good.
        if let Some(host) = self.some(|node| node.part == Part::Host && node.process.is_some()) {
            self.world.kill(host);
        }
        self.calm()
    }

    fn disturb(&mut self) -> Result<(), Violation> {
        match self.rng.below(12) {
            0 | 1 => self.bounce(),
            2 => self.bounce_voters(),
            3..=5 => self.cut_off_a_while(),
            6 | 7 => self.pass_the_floor(),
            8 => self.crash_a_while(),
            9 => self.restart_with_grace(),
            10 | 11 => self.publish_in_a_row(),
            _ => unreachable!("below 12"),
        }
    }

    /// A process is killed in the middle of something, and started again.
    fn bounce(&mut self) -> Result<(), Violation> {
        let Some(slot) = self.some(|node| node.process.is_some()) else { return Ok(()) };
        self.publish(slot)?;
        self.wait(20)?;
        self.world.kill(slot);
        self.wait(500)?;
        self.world.start(slot)
    }

    fn bounce_voters(&mut self) -> Result<(), Violation> {
        (0..VOTERS).for_each(|slot| self.world.kill(Slot(slot)));
        self.wait(1_000)?;
        (0..VOTERS).try_for_each(|slot| self.world.start(Slot(slot)))
    }

    fn cut_off_a_while(&mut self) -> Result<(), Violation> {
        let Some(slot) = self.some(|node| node.process.is_some()) else { return Ok(()) };
        self.world.isolate(slot);
        self.wait(8_000)?;
        self.world.heal();
        Ok(())
    }

    /// A host is cut off, and publishes; meanwhile history is collected behind which it stays. What it says when it is back is
    /// said by one below the floor.
    fn pass_the_floor(&mut self) -> Result<(), Violation> {
        let Some(host) = self.some(|node| node.part == Part::Host && node.view().is_some()) else { return Ok(()) };
        self.world.isolate(host);
        self.publish(host)?;
        self.pass(Duration::from_millis(1_200))?;
        if let Some(floor) = self.world.facts().map(|facts| facts.position().index.next()) {
            self.propose(|_| Command::AdvanceEpoch { floor })?;
        }
        self.pass(Duration::from_millis(200))?;
        self.publish(host)?;
        self.world.heal();
        Ok(())
    }

    fn crash_a_while(&mut self) -> Result<(), Violation> {
        let Some(slot) = self.some(|node| node.process.is_some() && node.part != Part::Voter) else { return Ok(()) };
        self.world.kill(slot);
        self.wait(8_000)?;
        self.world.start(slot)
    }

    fn restart_with_grace(&mut self) -> Result<(), Violation> {
        let Some(slot) = self.some(|node| node.view().is_some()) else { return Ok(()) };
        let Some(node) = self.world.node(slot).id() else { return Ok(()) };
        self.propose(|_| Command::Restarting { node, grace: Duration::from_secs(5) })?;
        self.wait(200)?;
        self.world.kill(slot);
        self.wait(2_000)?;
        self.world.start(slot)
    }

    /// Versions in a quick row overtake each other on their ways.
    fn publish_in_a_row(&mut self) -> Result<(), Violation> {
        let Some(slot) = self.some(|node| node.part == Part::Host && node.process.is_some()) else { return Ok(()) };
        for _ in 0..12 {
            self.publish(slot)?;
            self.wait(4)?;
        }
        Ok(())
    }

    fn publish(&mut self, slot: Slot) -> Result<(), Violation> {
        if self.world.node(slot).part == Part::Host {
            self.versions += 1;
            self.world.publish(slot, roles::sections(slot.0 + 1, self.versions))?;
        }
        Ok(())
    }

    /// At any node, and again at others until one is not at a loss.
    fn propose(&mut self, command: impl Fn(&World) -> Command) -> Result<(), Violation> {
        for _ in 0..5 {
            let Some(at) = self.some(|node| node.part == Part::Voter && node.view().is_some()) else { return Ok(()) };
            let command = command(&self.world);
            let request = self.world.propose(at, command)?;
            if self.is_done(request)? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn is_done(&mut self, request: Option<RequestId>) -> Result<bool, Violation> {
        let Some(request) = request else { return Ok(false) };
        while self.world.waits(request) {
            self.pass(SLICE)?;
        }
        Ok(matches!(self.world.take_reply(request), Some(Reply::Proposed(Outcome::Committed { .. }))))
    }

    fn some(&mut self, fits: impl Fn(&SimNode) -> bool) -> Option<Slot> {
        let fitting: Vec<Slot> = self.world.nodes().iter().filter(|node| fits(node)).map(|node| node.slot).collect();
        self.rng.sample(&fitting, 1).pop()
    }

    fn start_all(&mut self) -> Result<(), Violation> {
        (0..VOTERS + CONSUMERS + HOSTS).try_for_each(|slot| self.world.start(Slot(slot)))
    }

    fn wait(&mut self, most_ms: u64) -> Result<(), Violation> {
        let wait = self.rng.duration_below(Duration::from_millis(most_ms));
        self.pass(wait)
    }

    fn pass(&mut self, duration: Duration) -> Result<(), Violation> {
        let end = self.world.now() + duration;
        while self.world.now() < end {
            self.world.run_for(end.since(self.world.now()).min(SLICE))?;
            self.clients.act(&mut self.world)?;
        }
        Ok(())
    }

    /// The clients stop as well: they would move the position on and on.
    fn calm(&mut self) -> Result<(), Violation> {
        let calm = Calm::begin(self.world.now(), &self.settings, BTreeSet::new());
        while !calm.look(&self.world)? {
            self.world.run_for(Duration::from_millis(50))?;
        }
        Ok(())
    }

    /// What happened last at the node where something was violated.
    pub(crate) fn told(&self, violation: &Violation) -> String {
        self.world.last_lines(&violation.node).join("\n")
    }
}

/// Settings under which a short run sees what else takes hours: short tails, many snapshots.
pub(crate) fn brief() -> Settings {
    let mut settings = Settings::default();
    settings.events.tail_bytes = 1 << 10;
    settings.control.snapshot_entries = 32;
    settings
}
