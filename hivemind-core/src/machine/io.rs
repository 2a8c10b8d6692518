//! The contract of a machine: what goes in and what comes out. Two closed enums.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::context::Report;
use crate::ids::{ClusterId, NodeId, NodeName, Position, PublicKey, RequestId, SectionKind, Seq, Ticket};
use crate::role::AnyDesired;
use crate::storage::Write;
use crate::view::{Changed, View};
use crate::wire::command::{Command, Outcome};
use crate::wire::config::Section;
use crate::wire::event::{Event, LogEvent};
use crate::wire::frame::Channel;

/// What happens to a node.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time passed. Early or extra ones are harmless.
    Timeout,
    /// A frame came.
    Received {
        /// The key that the sender's connection was proven with.
        peer: PublicKey,
        /// Where it came from.
        source: SocketAddr,
        /// How it came.
        channel: Channel,
        /// The frame.
        bytes: Bytes,
    },
    /// A connection to this key was lost, or could not be made.
    Disconnected {
        /// Whose.
        peer: PublicKey,
    },
    /// The writes of a ticket are durable.
    Stored {
        /// Which.
        ticket: Ticket,
    },
    /// The writes of a ticket failed: the node stops, since it can not keep its word.
    StoreFailed {
        /// Which.
        ticket: Ticket,
        /// What the disk said.
        error: String,
    },
    /// Where members may listen that can take its join on, in place of what was known of that: the look-up of a name found
    /// something else. The next question goes there.
    Seeds {
        /// All of them, those of the start among them where they still hold.
        addresses: Vec<SocketAddr>,
    },
    /// Replace the host's sections of these kinds by these; a kind with an empty body goes away.
    Publish {
        /// For the [`Reply`].
        request: RequestId,
        /// At most one per kind.
        sections: Vec<Section>,
    },
    /// Propose a command.
    Propose {
        /// For the [`Reply`].
        request: RequestId,
        /// What.
        command: Command,
    },
    /// A linearizable read: the reply comes when the view has caught up with all that was committed
    /// before it was asked for.
    Read {
        /// For the [`Reply`].
        request: RequestId,
    },
}

/// What a machine wants done, in this order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Keep these, in order, and say [`Input::Stored`] when they are durable.
    Store {
        /// For the answer.
        ticket: Ticket,
        /// What.
        writes: Vec<Write>,
    },
    /// Send a frame. May fail silently; the machine copes with loss.
    Send {
        /// Whom to.
        to: Destination,
        /// How.
        channel: Channel,
        /// The frame.
        bytes: Bytes,
    },
    /// A request is answered.
    Reply {
        /// Which.
        request: RequestId,
        /// How.
        reply: Reply,
    },
    /// The view changed.
    View {
        /// The new one.
        view: Arc<View>,
        /// What moved since the last one.
        changed: Changed,
    },
    /// Events were applied, in order. Not repeated after a restart; a resync skips.
    Applied {
        /// The position after it.
        position: Position,
        /// As logged.
        logged: LogEvent,
        /// What it says.
        event: Event,
    },
    /// What a role wants the outside world to be changed.
    Desired {
        /// The role, in order of installation.
        role: usize,
        /// For its io half.
        desired: AnyDesired,
    },
    /// For people: log and count it.
    Report(Report),
    /// The node stopped for good; nothing follows.
    Halt(HaltReason),
}

/// Whom a frame is for. The driver uses a connection with that key, or makes one to an address and
/// checks the key there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The key that the other side must prove; any of this authority where `None`.
    pub key: Option<PublicKey>,
    /// Where it may listen, best first. Empty: only where a connection exists.
    pub addresses: Vec<SocketAddr>,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Of [`Input::Publish`]: durable here; eventually everywhere.
    Published {
        /// The version.
        seq: Seq,
    },
    /// Of [`Input::Publish`]: nothing changed; why.
    NotPublished(PublishError),
    /// Of [`Input::Propose`].
    Proposed(Outcome),
    /// Of [`Input::Read`]: the view at this position or later is linearizable.
    Readable {
        /// At least.
        position: Position,
    },
    /// Of [`Input::Read`]: the control plane could not say in time.
    NotReadable,
}

/// Why nothing was published. The caller is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No role of this node publishes the kind.
    #[error("no role of this node publishes sections of kind {kind}; add the kind to a role's `publishes`")]
    NotDeclared {
        /// The kind.
        kind: SectionKind,
    },
    /// A section or the whole config is over its limit.
    #[error("the config would have {size} bytes; {limit} is the most")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The most.
        limit: usize,
    },
    /// One kind twice.
    #[error("two sections of kind {kind}; give one")]
    Twice {
        /// The kind.
        kind: SectionKind,
    },
}

/// Why a machine stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HaltReason {
    /// A write failed.
    #[error("the disk failed: {0}; nothing that was acknowledged is lost; make room or repair it, then start again")]
    Storage(String),
    /// The Raft log does not fit together: a voter never acts on it.
    #[error("{0}; remove this node's data folder so that it joins anew, while a majority of voters is healthy")]
    Log(String),
    /// Another live process has this identity.
    #[error(
        "another live process uses this node's identity ({node}): its data folder was copied; stop one of them and remove its data folder"
    )]
    Duplicate {
        /// Which id.
        node: NodeId,
    },
    /// The join was refused.
    #[error("the cluster refuses this node: {0}")]
    Refused(crate::wire::command::Refusal),
    /// The data is of another cluster.
    #[error("the data folder belongs to cluster {found}, not {expected}; choose another folder")]
    OtherCluster {
        /// Where it belongs.
        found: ClusterId,
        /// What was asked for.
        expected: ClusterId,
    },
    /// The membership ended because the node asked for it, or was evicted.
    #[error("this node left the cluster")]
    Left,
}

/// Where a node stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It writes down its new start before it speaks.
    Starting,
    /// It asks to become a member.
    Joining,
    /// It was a member, and asks whether it still is.
    Resuming,
    /// It is one.
    Member,
    /// It is one, and builds its view anew.
    Resyncing,
    /// It stopped.
    Stopped,
}

/// A node's own account of itself, for people and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its name.
    pub name: NodeName,
    /// Its membership.
    pub node: NodeId,
    /// Where it stands.
    pub phase: Phase,
    /// Its view's position, where it has a view.
    pub position: Option<Position>,
    /// Whether it has a part in the Raft group, and which.
    pub voter: crate::wire::event::VoterPart,
    /// The leader that it knows of (voters only).
    pub leader: Option<NodeId>,
    /// The Raft term that it knows of.
    pub term: u64,
    /// The condition of its view.
    pub condition: crate::view::Condition,
    /// The version of its own config.
    pub own_seq: Seq,
    /// Configs held.
    pub configs: usize,
    /// Frames dropped since the start.
    pub junk: u64,
}
