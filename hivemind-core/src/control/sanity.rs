//! What may reach raft-rs. It panics on messages that no run of Raft produces, about a hundred ways:
//! each check here stands before some of them.

use protobuf::Message as _;
use raft::eraftpb::{Message, MessageType, Snapshot};

use super::applied::Applied;
use super::snapshot;
use crate::ids::NodeId;
use crate::wire::frame::STREAM_LIMIT;

/// Terms and indices stay below this: a log does not reach it, and additions do not overflow.
const MAX_NUMBER: u64 = 1 << 60;
/// The longest context: a name of a read, or `CampaignTransfer`.
const MAX_CONTEXT: usize = 64;

/// What the receiving node knows, as far as the checks need it.
pub(super) struct Receiver {
    pub(super) node: NodeId,
    pub(super) last_index: u64,
    pub(super) leader: Option<NodeId>,
    pub(super) is_leader: bool,
    /// Entries or a snapshot are on their way to the disk.
    pub(super) is_writing: bool,
}

/// Reads a message of raft's, and checks it.
///
/// # Errors
/// Which rule it breaks; the sender is at fault.
pub(super) fn read(from: NodeId, bytes: &[u8], receiver: &Receiver) -> Result<Message, &'static str> {
    if bytes.len() > STREAM_LIMIT {
        return Err("a Raft message above the limit of a frame");
    }
    let message = Message::parse_from_bytes(bytes).map_err(|_| "no Raft message")?;
    check(from, &message, receiver)?;
    Ok(message)
}

/// Whether bytes are an answer of raft's, to whatever was asked.
pub(super) fn is_answer(bytes: &[u8]) -> bool {
    bytes.len() <= STREAM_LIMIT
        && Message::parse_from_bytes(bytes).is_ok_and(|message| match message.get_msg_type() {
            MessageType::MsgAppendResponse
            | MessageType::MsgHeartbeatResponse
            | MessageType::MsgRequestVoteResponse
            | MessageType::MsgRequestPreVoteResponse => true,
            MessageType::MsgHup
            | MessageType::MsgBeat
            | MessageType::MsgPropose
            | MessageType::MsgAppend
            | MessageType::MsgRequestVote
            | MessageType::MsgSnapshot
            | MessageType::MsgHeartbeat
            | MessageType::MsgUnreachable
            | MessageType::MsgSnapStatus
            | MessageType::MsgCheckQuorum
            | MessageType::MsgTransferLeader
            | MessageType::MsgTimeoutNow
            | MessageType::MsgReadIndex
            | MessageType::MsgReadIndexResp
            | MessageType::MsgRequestPreVote => false,
        })
}

/// Reads the head of a snapshot that comes in parts: raft's message without the data.
///
/// # Errors
/// Which rule it breaks; the sender is at fault.
pub(super) fn read_head(from: NodeId, bytes: &[u8], node: NodeId) -> Result<Message, &'static str> {
    let head = Message::parse_from_bytes(bytes).map_err(|_| "no Raft message")?;
    check_envelope(from, &head, node)?;
    if head.get_msg_type() != MessageType::MsgSnapshot || !head.entries.is_empty() || !head.get_snapshot().data.is_empty() {
        return Err("no head of a snapshot");
    }
    let metadata = head.get_snapshot().get_metadata();
    if metadata.index == 0 || metadata.term == 0 || metadata.index >= MAX_NUMBER || metadata.term > head.term {
        return Err("a snapshot at an impossible place");
    }
    let state = metadata.get_conf_state();
    if ![&state.voters, &state.voters_outgoing, &state.learners].iter().any(|part| part.contains(&node.as_u64())) {
        return Err("a snapshot without its receiver");
    }
    Ok(head)
}

/// Puts head and data of a snapshot together, and reads the state in it.
///
/// # Errors
/// They do not go together; the sender is at fault.
pub(super) fn complete(mut head: Message, data: Vec<u8>) -> Result<(Message, Applied), &'static str> {
    head.mut_snapshot().data = data.into();
    let applied = applied_of(head.get_snapshot()).map_err(|_| "a snapshot that does not decode")?;
    Ok((head, applied))
}

fn check(from: NodeId, message: &Message, receiver: &Receiver) -> Result<(), &'static str> {
    check_envelope(from, message, receiver.node)?;
    let kind = message.get_msg_type();
    if kind != MessageType::MsgAppend && !message.entries.is_empty() {
        return Err("entries in a Raft message that carries none");
    }
    if message.has_snapshot() {
        return Err("a snapshot in a Raft message that carries none");
    }
    match kind {
        // Every log begins with a snapshot: that of the birth, or one that the leader sends.
        MessageType::MsgAppend if receiver.last_index == 0 && message.index == 0 => {
            Err("entries for one that has no snapshot to apply them to")
        }
        MessageType::MsgAppend => check_append(message),
        MessageType::MsgAppendResponse if !message.reject && message.index > receiver.last_index => Err("an acknowledgement of the future"),
        MessageType::MsgAppendResponse | MessageType::MsgHeartbeatResponse => Ok(()),
        MessageType::MsgHeartbeat if message.commit > receiver.last_index => Err("a commit index above the log"),
        MessageType::MsgHeartbeat => Ok(()),
        // One with an empty log may have lost what it acknowledged: it gives no vote before it has a
        // snapshot. And without a term, raft-rs would answer with a term of zero, which it panics on.
        MessageType::MsgRequestVote | MessageType::MsgRequestPreVote if receiver.last_index == 0 => {
            Err("a vote asked of one that has an empty log")
        }
        MessageType::MsgRequestVote | MessageType::MsgRequestPreVote => check_log_term(message),
        // A candidate's log is durable before it asks. A leader may hear late votes, and ignores them.
        MessageType::MsgRequestVoteResponse | MessageType::MsgRequestPreVoteResponse if receiver.is_writing && !receiver.is_leader => {
            Err("a vote for one that did not ask: it still writes")
        }
        MessageType::MsgRequestVoteResponse | MessageType::MsgRequestPreVoteResponse => Ok(()),
        MessageType::MsgTimeoutNow if receiver.leader != Some(from) => Err("a transfer of leadership by one that has it not"),
        MessageType::MsgTimeoutNow if receiver.is_writing => Err("a transfer of leadership to one that still writes"),
        MessageType::MsgTimeoutNow => Ok(()),
        MessageType::MsgHup
        | MessageType::MsgBeat
        | MessageType::MsgPropose
        | MessageType::MsgUnreachable
        | MessageType::MsgSnapStatus
        | MessageType::MsgCheckQuorum
        | MessageType::MsgTransferLeader
        | MessageType::MsgReadIndex
        | MessageType::MsgReadIndexResp
        | MessageType::MsgSnapshot => Err("a Raft message that does not travel"),
    }
}

/// What holds for every message.
fn check_envelope(from: NodeId, message: &Message, node: NodeId) -> Result<(), &'static str> {
    if message.from != from.as_u64() || message.to != node.as_u64() || from == node {
        return Err("a Raft message of another sender or for another node");
    }
    let numbers = [message.term, message.log_term, message.index, message.commit, message.commit_term, message.reject_hint];
    if message.term == 0 || numbers.iter().any(|number| *number >= MAX_NUMBER) {
        return Err("a Raft message with an impossible term or index");
    }
    if message.context.len() > MAX_CONTEXT || message.priority != 0 || message.deprecated_priority != 0 || message.request_snapshot != 0 {
        return Err("a Raft message that uses what is not used here");
    }
    Ok(())
}

fn check_log_term(message: &Message) -> Result<(), &'static str> {
    if message.log_term > message.term || (message.log_term == 0) != (message.index == 0) {
        return Err("a log term that its index can not have");
    }
    Ok(())
}

fn check_append(message: &Message) -> Result<(), &'static str> {
    check_log_term(message)?;
    let mut last = (message.index, message.log_term);
    for entry in message.get_entries() {
        if entry.index != last.0 + 1 || entry.term < last.1 || entry.term > message.term || entry.term == 0 {
            return Err("entries that are not consecutive");
        }
        last = (entry.index, entry.term);
    }
    Ok(())
}

/// The state in a snapshot, where its configuration is the one in its metadata.
///
/// # Errors
/// Which of both is wrong.
pub(super) fn applied_of(found: &Snapshot) -> Result<Applied, snapshot::SnapshotError> {
    let applied = snapshot::decode(&found.data)?;
    let configuration = applied.configuration();
    if configuration.incoming.is_empty() || !configuration.is_of(found.get_metadata().get_conf_state()) {
        return Err(snapshot::SnapshotError::Contradiction("its configuration is not the one of its state"));
    }
    Ok(applied)
}
