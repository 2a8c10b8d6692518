//! What members do by themselves in the midst of chaos: they publish, come, go, and collect history.

use std::time::Duration;

use hivemind_core::ids::Index;
use hivemind_core::machine::HaltReason;
use hivemind_core::wire::command::Command;
use hivemind_core::wire::event::LeaveReason;

use super::super::checkers::Violation;
use super::super::network::Slot;
use super::super::node::{Part, SimNode};
use super::super::roles;
use super::{Run, valid};

/// One thing that members do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// A few hosts publish something else.
    Publish,
    /// A node joins that was not there before.
    Join,
    /// A member asks to leave; it may be started again.
    Leave,
    /// Many hosts join at once.
    JoinWave,
    /// Many hosts leave at once, for a while.
    LeaveWave,
    /// An operator evicts a host.
    Evict,
    /// Somebody collects history, almost all of it.
    Collect,
    /// A member says that it restarts, and does.
    RestartWithGrace,
}

/// How often, in times a minute.
pub(super) const LOAD: [(Load, u32); 8] = [
    (Load::Publish, 20),
    (Load::Join, 8),
    (Load::Leave, 6),
    (Load::JoinWave, 5),
    (Load::LeaveWave, 5),
    (Load::Evict, 2),
    (Load::Collect, 8),
    (Load::RestartWithGrace, 4),
];

/// So many join or leave in a wave, at most.
const WAVE: u64 = 12;

impl Run<'_> {
    pub(super) fn use_it(&mut self, load: Load) -> Result<(), Violation> {
        match load {
            Load::Publish => self.some(4, is_host).into_iter().try_for_each(|slot| self.publish_anew(slot)),
            Load::Join => {
                let joiner = self.newcomer();
                self.world.start(joiner)
            }
            Load::Leave => match self.some(1, runs).pop() {
                Some(slot) => self.leave(slot),
                None => Ok(()),
            },
            Load::JoinWave => self.join_wave(),
            Load::LeaveWave => self.leave_wave(),
            Load::Evict => self.evict(),
            Load::Collect => self.collect(),
            Load::RestartWithGrace => self.restart_with_grace(),
        }
    }

    /// A host, or now and then a consumer.
    fn newcomer(&mut self) -> Slot {
        if self.rng.below(6) > 0 {
            return self.add_host();
        }
        let number = self.world.nodes().len();
        self.world.add(valid(&format!("late-dns{number}")), Part::Consumer, Vec::new())
    }

    /// Those that left come back, and where they are few, new ones come.
    fn join_wave(&mut self) -> Result<(), Violation> {
        let back = self.some(WAVE, |node| node.halted == Some(HaltReason::Left));
        let few = back.len() < WAVE as usize / 2 && self.world.nodes().len() < 2 * self.options.nodes as usize;
        for slot in back {
            self.start_again(slot)?;
        }
        if few {
            for _ in 0..1 + self.rng.below(WAVE) {
                let joiner = self.add_host();
                self.world.start(joiner)?;
            }
        }
        Ok(())
    }

    /// Some hosts, or those of one neighborhood, which is then too small. Some hosts are left.
    fn leave_wave(&mut self) -> Result<(), Violation> {
        let few = self.slots(is_host).len() / 2;
        let leavers = if self.rng.below(3) == 0 { self.some(WAVE, is_host) } else { self.some_neighborhood() };
        leavers.into_iter().take(few).try_for_each(|slot| self.leave(slot))
    }

    /// The hosts of a neighborhood.
    fn some_neighborhood(&mut self) -> Vec<Slot> {
        let one = self.some(1, is_host).pop().and_then(|slot| self.world.node(slot).id());
        let Some((facts, one)) = self.world.facts().zip(one) else { return Vec::new() };
        let members = facts.neighborhood_of(one).into_iter().flat_map(|(_, hood)| hood.members.iter().copied());
        let places = members.filter_map(|node| self.world.place_of(node));
        places.filter(|slot| is_host(self.world.node(*slot))).collect()
    }

    pub(super) fn publish_anew(&mut self, slot: Slot) -> Result<(), Violation> {
        if self.world.node(slot).part == Part::Host {
            self.chaos.version += 1;
            self.world.publish(slot, roles::sections(slot.0, self.chaos.version))?;
        }
        Ok(())
    }

    /// An operator puts out a host, of which there stay many others. It stays away, whatever becomes of the eviction.
    fn evict(&mut self) -> Result<(), Violation> {
        let (host, by) = (self.some(1, is_host).pop(), self.some(1, is_voter).pop());
        let (Some(host), Some(by)) = (host, by) else { return Ok(()) };
        let Some(node) = self.world.node(host).id().filter(|_| self.slots(is_host).len() > 4) else { return Ok(()) };
        self.chaos.away.insert(host);
        self.world.propose(by, Command::Leave { node, reason: LeaveReason::Evicted }).map(drop)
    }

    fn collect(&mut self) -> Result<(), Violation> {
        let Some(slot) = self.some(1, |node| is_voter(node) && node.view().is_some()).pop() else { return Ok(()) };
        let Some(last) = self.world.node(slot).view().map(|view| view.facts.position().index) else { return Ok(()) };
        let floor = Index(last.0.saturating_sub(self.rng.below(4)));
        self.world.propose(slot, Command::AdvanceEpoch { floor }).map(drop)
    }

    fn restart_with_grace(&mut self) -> Result<(), Violation> {
        let Some(slot) = self.some(1, runs).pop() else { return Ok(()) };
        let Some(node) = self.world.node(slot).id() else { return Ok(()) };
        self.world.propose(slot, Command::Restarting { node, grace: Duration::from_secs(20) })?;
        let pause = self.rng.duration_below(Duration::from_millis(200));
        self.pass(pause)?;
        self.world.kill(slot);
        Ok(())
    }
}

fn runs(node: &SimNode) -> bool {
    node.process.is_some()
}

fn is_voter(node: &SimNode) -> bool {
    runs(node) && node.part == Part::Voter
}

fn is_host(node: &SimNode) -> bool {
    node.process.is_some() && node.part == Part::Host
}
