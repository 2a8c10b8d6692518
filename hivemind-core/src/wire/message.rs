//! Messages: what nodes say to each other, one enum per subsystem.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::command::{Outcome, Proposal, Refusal};
use super::config::{ConfigDigest, HeldConfig, HeldVersion, LeafHashes, Leaves};
use super::event::{Checkpoint, LogEvent};
use super::member::{Acquaintance, MemberRecord, SignedJoin};
use crate::facts::Facts;
use crate::ids::{Digest256, Index, NeighborhoodId, NodeId, Position, ProposalId};

/// What a frame carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Becoming a member, or being one again.
    Admission(Admission),
    /// Failure detection and its evidence.
    Membership(Membership),
    /// The Raft group, proposals and reads.
    Control(Control),
    /// The event log.
    Events(Events),
    /// Hosts' configs.
    Configs(Configs),
}

/// Becoming a member, or being one again after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Admission {
    /// A node wants to join. Any member takes it to the leader.
    Join(Box<SignedJoin>),
    /// It is a member now.
    Granted {
        /// The nonce of its request.
        nonce: u64,
        /// The id that it was given.
        node: NodeId,
        /// What it starts from.
        digest: Box<Digest>,
    },
    /// It is not, and asking again with the same request will not help.
    Refused {
        /// The nonce of its request.
        nonce: u64,
        /// Why.
        refusal: Refusal,
    },
    /// It can not be decided now: ask again.
    Later {
        /// The nonce of its request.
        nonce: u64,
    },
    /// A member restarted with its data, and goes on where it was.
    Resume {
        /// Where it was.
        position: Position,
    },
    /// The answer to [`Admission::Resume`].
    Resumed {
        /// The membership that is spoken of: an answer may come when the asker already has another.
        node: NodeId,
        /// What becomes of it.
        answer: ResumeAnswer,
    },
    /// The asked can not give what is needed: its slice is another one. These voters can.
    Elsewhere {
        /// Whom to ask.
        voters: Vec<MemberRecord>,
    },
    /// A part of an encoded [`Digest`] that is too large for one frame. It stands for [`Admission::Granted`] or [`Events::Snapshot`].
    Part {
        /// Of the digest.
        position: Position,
        /// The bytes of the whole digest.
        total: u32,
        /// Where these begin.
        offset: u32,
        /// The part.
        bytes: Bytes,
    },
    /// The next part, please. One that is not kept any more is answered by the first part of a later digest.
    PartAsk {
        /// Of the digest.
        position: Position,
        /// Where to go on.
        offset: u32,
    },
    /// The membership that its request was granted has ended before it could begin: only a new wish helps.
    Lapsed {
        /// The nonce of its request.
        nonce: u64,
    },
}

/// What becomes of a member that restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResumeAnswer {
    /// It is a member still, and the events that it missed can be pulled.
    Welcome,
    /// It is a member still, and history was collected: it must resync.
    Fenced,
    /// Its membership ended: it must join anew.
    Gone,
    /// Another live process uses its `NodeId`: a cloned disk.
    Duplicate,
}

/// What a joiner or a resyncing member gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The facts that it starts from: members, neighborhoods, voters and their keys, epoch, position.
    pub facts: Facts,
    /// A voter's word for that position.
    pub checkpoint: Checkpoint,
}

/// Failure detection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Membership {
    /// A packet between two foca instances of one neighborhood.
    Swim {
        /// The instance: its neighborhood …
        neighborhood: NeighborhoodId,
        /// … and the event that made it.
        created: Index,
        /// foca's.
        packet: Bytes,
    },
    /// Are you there? First-hand, outside foca.
    Ping {
        /// Comes back.
        token: u64,
    },
    /// I am.
    Pong {
        /// As asked.
        token: u64,
    },
    /// To a voter: the sender's own probes of `suspect` fail, now.
    Evidence {
        /// Who does not answer.
        suspect: NodeId,
    },
    /// Members of many neighborhoods, so that each node can link to some. The first is the sender itself.
    Sample {
        /// At most eight.
        members: Vec<Acquaintance>,
        /// Whether a sample is expected in return.
        reply_wanted: bool,
    },
    /// From a delegate of a neighborhood to the voter that watches it: it lives. The position and the
    /// leader's beat are in the header of the frame.
    Keepalive {
        /// Which.
        neighborhood: NeighborhoodId,
    },
}

/// The control plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    /// A raft-rs message between voters, as protobuf.
    Raft(Bytes),
    /// A proposal on its way to the leader.
    Forward(Proposal),
    /// What became of it.
    Outcome {
        /// Which.
        id: ProposalId,
        /// What.
        outcome: Outcome,
    },
    /// Which index must be applied for a linearizable read? To a voter.
    ReadIndex {
        /// The reader's name for it.
        id: ProposalId,
    },
    /// The answer: `None` where the control plane can not say now.
    ReadIndexed {
        /// Which.
        id: ProposalId,
        /// The event index that a read must have reached.
        index: Option<Index>,
        /// The Raft index that a voter must have applied: not all that is committed makes an event.
        applied: u64,
    },
    /// From a voter to the leader: the evidence that came to it. The header names the voter that
    /// passes it on, so the observer stands here.
    Evidence {
        /// Whose probes fail.
        observer: NodeId,
        /// Who does not answer.
        suspect: NodeId,
    },
    /// From the leader: a snapshot in parts. The first one comes unasked.
    SnapshotPart(SnapshotPart),
    /// To the leader: send the next part.
    SnapshotWant(SnapshotWant),
    /// From the leader to another voter: probe this member yourself, and report what you find.
    Probe {
        /// Against whom there is too little evidence.
        suspect: NodeId,
    },
}

/// A part of a snapshot of the control plane's state, from the leader to who needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotPart {
    /// With the first part: Raft's message, as protobuf, without the snapshot's data. Else empty.
    pub head: Bytes,
    /// Of the whole data.
    pub digest: Digest256,
    /// Bytes of the whole data.
    pub total: u64,
    /// Where this part begins.
    pub offset: u64,
    /// The part.
    pub bytes: Bytes,
}

/// Which part of a snapshot is wanted next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotWant {
    /// Of which snapshot: as it was offered.
    pub digest: Digest256,
    /// From where on.
    pub offset: u64,
}

/// Consecutive events, and the voters' word for them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventBatch {
    /// In order, without a gap.
    pub events: Vec<LogEvent>,
    /// In order of index; the last covers the last event.
    pub checkpoints: Vec<Checkpoint>,
}

/// The event log on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Events {
    /// New events, unasked.
    Push(EventBatch),
    /// Nothing but what the header says: how far the sender is. Who lacks it pulls.
    Announce,
    /// What comes after this position?
    Pull {
        /// The asker's.
        after: Position,
    },
    /// The answer to a pull. Empty where the asked knows no more.
    Range(EventBatch),
    /// The answer to a pull from below the floor of the asked node's tail.
    Collected {
        /// The first index that it holds.
        floor: Index,
    },
    /// The answer to a pull that can not be served now, though there may be more.
    AskAnother,
    /// Give me everything: the asker builds its view anew.
    Resync,
    /// Everything.
    Snapshot(Box<Digest>),
}

/// Hosts' configs on their way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Configs {
    /// A config for a consumer of its kinds, or for a neighbor to keep. Answered by [`Configs::Stored`].
    Offer {
        /// The config.
        entry: HeldConfig,
        /// The consumer that began to pass it on; [`NodeId::NONE`] from the host itself.
        root: NodeId,
    },
    /// The sender holds this version, and believes that the receiver does. Answered by
    /// [`Configs::Stored`] where it does, by [`Configs::Want`] where it does not.
    Advert {
        /// The host.
        member: NodeId,
        /// The version.
        version: ConfigDigest,
        /// The consumer that began to pass it on.
        root: NodeId,
    },
    /// What is held of a host now.
    Stored {
        /// The host.
        member: NodeId,
        /// `None` where none is held.
        version: Option<ConfigDigest>,
    },
    /// One consumer's summary for another, which answers with [`Configs::Alike`], [`Configs::Differ`],
    /// [`Configs::Versions`] or [`Configs::Busy`]; or, where it is behind, with its own summary.
    Compare {
        /// The last event that the sender has applied: members that joined later are left out.
        index: Index,
        /// One hash per bucket; empty where nothing is held.
        buckets: Vec<u64>,
    },
    /// The summaries are equal.
    Alike {
        /// Whether the sender has what there is.
        complete: bool,
    },
    /// They are not, and the sender compares with someone else now.
    Busy,
    /// Buckets that differ, each with one hash per leaf.
    Differ {
        /// Not more than one message takes.
        buckets: Vec<LeafHashes>,
        /// Whether others differ as well.
        rest: bool,
    },
    /// Versions that the sender holds.
    Versions {
        /// All that it holds in these leaves; where there are none, versions that the receiver lacks.
        leaves: Vec<Leaves>,
        /// In order of member.
        held: Vec<HeldVersion>,
        /// Whether the sender has what there is.
        complete: bool,
        /// Whether the stores differ elsewhere as well.
        rest: bool,
    },
    /// Send me these.
    Want {
        /// Whose.
        nodes: Vec<NodeId>,
    },
    /// Asked for. What was asked for and is in neither list did not fit.
    Batch {
        /// As many as one message takes.
        configs: Vec<HeldConfig>,
        /// Asked for, and not held here.
        missing: Vec<NodeId>,
    },
    /// A host that resumes: what is my highest version that you hold? Answered by [`Configs::Stored`].
    SeqAsk,
}
