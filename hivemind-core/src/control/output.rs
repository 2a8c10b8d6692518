//! What the control plane wants done, or has to say.

use crate::facts::Facts;
use crate::ids::{Index, NodeId, ProposalId};
use crate::storage::Write;
use crate::wire::command::Outcome;
use crate::wire::event::LogEvent;
use crate::wire::frame::Beat;

/// What comes out of [`super::Control::poll_output`], in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Make these durable, in their order; then call [`super::Control::handle_stored`]. Numbers rise by
    /// one and are answered in order.
    Persist {
        /// For the answer.
        number: u64,
        /// What.
        writes: Vec<Write>,
    },
    /// Events were committed and applied, in order. Never empty.
    Committed {
        /// Consecutive, from the one after the last that was given out.
        events: Vec<LogEvent>,
    },
    /// A snapshot from the leader replaced the applied state.
    Installed {
        /// The new facts.
        facts: Box<Facts>,
        /// The last events before their position, consecutive up to it.
        tail: Vec<LogEvent>,
    },
    /// What became of a proposal of this node: once for each that was given to [`super::Control::propose`].
    Outcome {
        /// Which.
        id: ProposalId,
        /// What.
        outcome: Outcome,
    },
    /// The answer to a read of this node.
    Readable {
        /// Which.
        id: ProposalId,
        /// A view at this event index or later is linearizable. `None`: it could not be said in time.
        index: Option<Index>,
    },
    /// This leader, with a quorum, counted a sign of life.
    Beat(Beat),
    /// The leader or the term changed.
    Leader {
        /// Who leads, as far as this node knows.
        leader: Option<NodeId>,
        /// In which term.
        term: u64,
    },
    /// Probe this member first-hand, as if it were suspected by others, and give evidence if it does not
    /// answer: there is too little against it to let it leave.
    Probe {
        /// Whom.
        suspect: NodeId,
    },
    /// This node has no part in the group any more. Keep this `Control` and its log: it does nothing until
    /// a leader gives the node a part again, and then it must not have forgotten what it acknowledged and
    /// whom it voted for. Its facts stay behind from here on. The log may be dropped with the id.
    Removed,
}
