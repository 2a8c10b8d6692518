//! Members come and go and say that they restart, several times a second; now and then history is collected.

use std::time::Duration;

use hivemind_core::ids::Index;
use hivemind_core::wire::command::Command;
use hivemind_core::wire::event::LeaveReason;

use super::super::checkers::Violation;
use super::super::network::Slot;
use super::super::node::Part;
use super::Run;

/// History is collected at every so many steps of the load, up to as many events before the last.
const COLLECT_EVERY: u64 = 64;
/// The events that stay.
const KEPT: u64 = 16;

impl Run<'_> {
    pub(super) fn events(&mut self) -> Result<(), Violation> {
        let begin = self.world.now();
        let mut step = 0;
        while !self.is_loaded(begin) {
            step += 1;
            self.one_event(step)?;
            let pause = Duration::from_millis(200) + self.rng.duration_below(Duration::from_millis(300));
            self.pass(pause)?;
        }
        Ok(())
    }

    fn one_event(&mut self, step: u64) -> Result<(), Violation> {
        let Some(host) = self.some_host() else { return Ok(()) };
        let node = self.world.node(host).id().expect("a settled host has an id");
        if step.is_multiple_of(COLLECT_EVERY) {
            let floor = Index(self.world.committed().0.saturating_sub(KEPT).max(1));
            let voter = self.world.nodes().iter().find(|node| node.part == Part::Voter).map(|node| node.slot);
            return voter.map_or(Ok(()), |voter| self.world.propose(voter, Command::AdvanceEpoch { floor }).map(drop));
        }
        match step % 4 {
            0 => self.leave(host),
            1 => {
                let joiner = self.add_host();
                self.world.start(joiner)
            }
            2 => self.world.propose(host, Command::Restarting { node, grace: Duration::from_secs(1) }).map(drop),
            _ => {
                let restarting = self.world.nodes().iter().find_map(|place| {
                    let (view, own) = (place.view()?, place.id()?);
                    view.facts.restarting_until(own).map(|_| (place.slot, own))
                });
                match restarting {
                    Some((slot, node)) => self.world.propose(slot, Command::Restarted { node }).map(drop),
                    None => Ok(()),
                }
            }
        }
    }

    /// A node asks to leave; its process stops when that is committed.
    pub(super) fn leave(&mut self, slot: Slot) -> Result<(), Violation> {
        let Some(node) = self.world.node(slot).id() else { return Ok(()) };
        self.world.propose(slot, Command::Leave { node, reason: LeaveReason::Asked }).map(drop)
    }
}
