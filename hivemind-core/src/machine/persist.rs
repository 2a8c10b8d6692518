//! Writes and what waits for them. A crash between two writes must leave the node able to go on, so each
//! list here says what order its writes need.

use std::collections::BTreeMap;

use super::{Effect, Machine};
use crate::ids::{NodeId, Seq, Ticket};
use crate::storage::{Identity, Write};
use crate::wire::message::Digest;

/// What goes on once writes are durable.
#[derive(Debug)]
pub(super) enum Then {
    /// Nothing.
    Nothing,
    /// The start is written down: the node may speak.
    Start,
    /// The control plane's part of a batch.
    Control {
        /// As it numbered it.
        number: u64,
        /// Whose part: one that was dropped in the meantime is not told.
        node: NodeId,
    },
    /// The own config of this version.
    Own(Seq),
    /// The grant of a join: the node is a member under its new id.
    Granted(Box<Digest>),
    /// The identity says that this node has a part in the Raft group.
    BecomeLearner {
        /// Under which id: its membership may have ended in the meantime.
        node: NodeId,
    },
}

/// Tickets that are out.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    next: u64,
    waiting: BTreeMap<Ticket, Then>,
}

impl Machine {
    pub(super) fn store(&mut self, writes: Vec<Write>, then: Then) {
        // What nothing waits for was asked for earlier, and goes first.
        self.store_unwaited();
        let ticket = self.ticket(then);
        self.effects.push_back(Effect::Store { ticket, writes });
    }

    pub(super) fn store_unwaited(&mut self) {
        if self.out.writes.is_empty() {
            return;
        }
        let writes = std::mem::take(&mut self.out.writes);
        let ticket = self.ticket(Then::Nothing);
        self.effects.push_back(Effect::Store { ticket, writes });
    }

    fn ticket(&mut self, then: Then) -> Ticket {
        let ticket = Ticket(self.tickets.next);
        self.tickets.next += 1;
        self.tickets.waiting.insert(ticket, then);
        ticket
    }

    pub(super) fn stored(&mut self, ticket: Ticket) {
        let Some(then) = self.tickets.waiting.remove(&ticket) else { return };
        match then {
            Then::Nothing => {}
            Then::Start => self.started(),
            Then::Control { number, node } => {
                if let Some(control) =
                    self.control.as_mut().filter(|_| self.identity.as_ref().is_some_and(|identity| identity.node == node))
                {
                    control.handle_stored(number, &mut context!(self));
                }
            }
            Then::Own(version) => self.own_stored(version),
            Then::Granted(digest) => self.become_granted(*digest),
            Then::BecomeLearner { node } => self.become_learner(node),
        }
    }

    /// Writes the identity with `change` made.
    pub(super) fn write_identity(&mut self, change: impl FnOnce(&mut Identity), also: Vec<Write>, then: Then) {
        let Some(identity) = &mut self.identity else {
            debug_assert!(false, "an identity is written only once there is one");
            return;
        };
        change(identity);
        let mut writes = vec![Write::Identity(identity.clone())];
        writes.extend(also);
        self.store(writes, then);
    }
}
