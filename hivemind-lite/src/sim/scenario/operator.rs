//! What an operator does to the voters in the midst of chaos: adds and takes them away, and has leadership handed over. The
//! operator draws from a stream of its own, so that everything else is drawn as without it.

use hivemind_core::rng::Rng;
use hivemind_core::wire::command::Command;

use super::super::checkers::Violation;
use super::super::node::{Part, SimNode};
use super::Run;

/// The operator acts after one in so many of the things that happen.
const SELDOM: u64 = 12;

impl Run<'_> {
    /// The operator comes.
    pub(super) fn employ(&mut self) {
        self.chaos.operator = Some(Rng::new(self.options.seed ^ 0x0BE2_A702));
    }

    /// Now and then: one voter, or one that could be, is asked for something about itself or another one.
    pub(super) fn operate(&mut self) -> Result<(), Violation> {
        let voters = self.slots(may_vote);
        let Some(rng) = self.chaos.operator.as_mut().filter(|_| !voters.is_empty()) else { return Ok(()) };
        if rng.below(SELDOM) > 0 {
            return Ok(());
        }
        let mut pick = || voters[rng.below(voters.len() as u64) as usize];
        let (by, about) = (pick(), pick());
        let what = rng.below(5);
        let Some(node) = self.world.node(about).id() else { return Ok(()) };
        let command = match what {
            0 | 1 => Command::VoterRemove { node },
            2 => Command::VoterAdd { node },
            3 => Command::Lead { heir: Some(node) },
            _ => Command::Lead { heir: None },
        };
        self.world.propose(by, command).map(drop)
    }
}

fn may_vote(node: &SimNode) -> bool {
    node.process.is_some() && node.part == Part::Voter
}
