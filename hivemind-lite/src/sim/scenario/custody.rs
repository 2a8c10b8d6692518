//! What every voter does by itself in the midst of chaos: it gets the authority's key from another one that holds it, and says so.
//! The keys themselves are beneath the simulator.

use std::collections::BTreeMap;
use std::time::Duration;

use hivemind_core::time::Time;
use hivemind_core::wire::command::Command;

use super::super::checkers::Violation;
use super::super::network::Slot;
use super::super::node::{Part, SimNode};
use super::super::world::World;

/// What does not show in the facts after this is said again.
const RETRY: Duration = Duration::from_secs(5);

/// When each place last said what it holds.
#[derive(Debug, Default)]
pub(super) struct Custody {
    said: BTreeMap<Slot, Time>,
}

impl Custody {
    pub(super) fn act(&mut self, world: &mut World) -> Result<(), Violation> {
        let now = world.now();
        let duties: Vec<(Slot, Command)> = world.nodes().iter().filter_map(|node| Some((node.slot, duty(node)?))).collect();
        for (slot, command) in duties {
            if self.said.get(&slot).is_none_or(|said| now.since(*said) >= RETRY) {
                self.said.insert(slot, now);
                world.propose(slot, command).map(drop)?;
            }
        }
        Ok(())
    }
}

/// What a voter has to say, as far as it knows: that it holds the key that is to follow, else the present one, once another voter does.
fn duty(node: &SimNode) -> Option<Command> {
    let view = node.view().filter(|_| node.part == Part::Voter && node.process.is_some())?;
    let (facts, trust) = (&view.facts, view.facts.trust());
    let others = || facts.voters().keys().filter(|voter| **voter != view.node).filter_map(|voter| trust.held_by(*voter));
    let known = [trust.next().map(|next| &next.certificate), trust.present()].into_iter().flatten().map(|one| one.digest());
    // That of the birth is in no event.
    let authority = known.chain(others().filter(|_| trust.present().is_none())).find(|wanted| others().any(|held| held == *wanted))?;
    let is_new = facts.voters().contains_key(&view.node) && trust.held_by(view.node) != Some(authority);
    is_new.then_some(Command::AuthorityHeld { node: view.node, authority })
}
