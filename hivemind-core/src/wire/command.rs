//! Commands: what is proposed to Raft. Applying may refuse one.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::event::LeaveReason;
use super::member::SignedJoin;
use crate::ids::{Index, NodeId, NodeName, Position, ProposalId, PublicKey};
use crate::time::Timestamp;

/// What is proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Make this node a member.
    Join(SignedJoin),
    /// End a membership.
    Leave {
        /// Whose.
        node: NodeId,
        /// Why. [`LeaveReason::Failed`] is refused while the member is restarting.
        reason: LeaveReason,
    },
    /// Keep the member's place while it is silent.
    Restarting {
        /// Who.
        node: NodeId,
        /// For how long, at most [`MAX_RESTART_GRACE`].
        grace: Duration,
    },
    /// The member is back.
    Restarted {
        /// Who.
        node: NodeId,
    },
    /// Take over a member's self-signed addresses.
    Addresses {
        /// Who.
        node: NodeId,
        /// The version; a lower or equal one is refused.
        seq: u64,
        /// Where it listens.
        addresses: Vec<SocketAddr>,
    },
    /// Collect history below `floor`, and advance the epoch.
    AdvanceEpoch {
        /// The first index kept.
        floor: Index,
    },
}

/// The longest grace of [`Command::Restarting`].
pub const MAX_RESTART_GRACE: Duration = Duration::from_secs(3600);

/// A command on its way through the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Who waits for the outcome.
    pub id: ProposalId,
    /// The proposer's wall clock, until the leader puts the clock of the log in its place; applying takes at least the
    /// previous one's.
    pub time: Timestamp,
    /// What is to be done.
    pub command: Command,
}

/// What became of a proposal. Never a silent retry: where it can not be known, it says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is done, and known at this position.
    Committed {
        /// The position after it.
        position: Position,
    },
    /// It was not done, and will not be.
    Refused(Refusal),
    /// It may have been done or may yet be: the leader changed, or no answer came in time.
    OutcomeUnknown,
}

/// Why a command is refused. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum Refusal {
    /// Another key owns the name.
    #[error("the name {name} is in use by another key ({owner}); choose another name, or evict that member")]
    NameInUse {
        /// The wanted name.
        name: NodeName,
        /// Its owner's key.
        owner: PublicKey,
    },
    /// An operator evicted this key.
    #[error("this node's key was revoked by an evict; make a new identity (remove its data folder) to join again")]
    Revoked,
    /// The request's signature is not its key's, or a limit is exceeded.
    #[error("the request is not valid: {why}")]
    Invalid {
        /// Which rule it breaks.
        why: String,
    },
    /// There is no such member.
    #[error("{node} is not a member")]
    NotAMember {
        /// Who was named.
        node: NodeId,
    },
    /// A voter must be demoted before it leaves.
    #[error("{node} is a voter; it must be demoted before it can leave")]
    StillVoter {
        /// Who was named.
        node: NodeId,
    },
    /// The member said that it restarts.
    #[error("{node} is restarting and keeps its place")]
    Restarting {
        /// Who was named.
        node: NodeId,
    },
    /// A version or floor that is not above the one in force.
    #[error("a newer version is already in force")]
    Outdated,
    /// The control plane has no leader with a quorum: nothing was proposed.
    #[error("the control plane is degraded (no quorum of voters); try again when a majority of voters is back")]
    Degraded,
    /// Too many proposals in flight: nothing was proposed.
    #[error("the control plane is busy; try again")]
    Busy,
}
