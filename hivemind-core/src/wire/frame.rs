//! Frames: what travels between nodes. A version octet, a header, a message.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::codec;
use super::message::Message;
use crate::error::WireError;
use crate::ids::{BootNonce, ClusterId, Digest256, Epoch, Index, NodeId, Position};

/// The version of the wire that this build speaks.
pub const VERSION: u8 = 1;
/// The largest frame in a datagram: fits QUIC's first MTU of 1,200 with its overhead.
pub const DATAGRAM_LIMIT: usize = 1_150;
/// The largest frame on a stream.
pub const STREAM_LIMIT: usize = 4 << 20;

/// Room for most frames: a header, and what two SWIM instances say to each other on a quiet day.
const ORDINARY: usize = 128;

/// How a frame travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// A QUIC datagram: unordered, may be lost. At most [`DATAGRAM_LIMIT`] bytes.
    Datagram,
    /// The long-lived stream: in order. At most [`STREAM_LIMIT`] bytes.
    Ordered,
    /// A stream of its own, of lower priority. At most [`STREAM_LIMIT`] bytes.
    Bulk,
}

/// The leader's sign of life: the term, and a count within it. Greater is later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Beat {
    /// The leader's Raft term.
    pub term: u64,
    /// Raised by the leader while it has a quorum.
    pub count: u64,
}

/// What every frame says of its sender. Of another cluster, generation or tag: it reaches no subsystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The sender's cluster; `None` from a joiner that knows none yet.
    pub cluster: Option<ClusterId>,
    /// The sender's epoch; meaningless where `cluster` is `None`.
    pub epoch: Epoch,
    /// The sender, or [`NodeId::NONE`].
    pub from: NodeId,
    /// The sender's start.
    pub boot: BootNonce,
    /// The last event that the sender has applied.
    pub index: Index,
    /// [`crate::ids::Digest256::prefix`] of its chain there: forks show at once.
    pub chain: u32,
    /// The latest sign of life of the leader that the sender knows.
    pub beat: Beat,
}

impl Header {
    /// The first bits of a position's chain, as a header carries them.
    pub fn chain_prefix(position: &Position) -> u32 {
        Header::prefix_of(&position.chain)
    }

    /// The same of a chain hash alone.
    pub fn prefix_of(chain: &Digest256) -> u32 {
        (chain.prefix() >> 32) as u32
    }
}

/// A frame, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// About the sender.
    pub header: Header,
    /// What it says.
    pub message: Message,
}

impl Frame {
    /// The bytes that travel.
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(ORDINARY);
        bytes.push(VERSION);
        codec::encode_into(&self.header, &mut bytes);
        codec::encode_into(&self.message, &mut bytes);
        bytes.into()
    }

    /// Reads a frame that came over `channel`.
    ///
    /// # Errors
    /// [`WireError`]; the sender is at fault.
    pub fn decode(bytes: &[u8], channel: Channel) -> Result<Frame, WireError> {
        let limit = match channel {
            Channel::Datagram => DATAGRAM_LIMIT,
            Channel::Ordered | Channel::Bulk => STREAM_LIMIT,
        };
        if bytes.len() > limit {
            return Err(WireError::TooLarge { length: bytes.len(), limit });
        }
        let (&version, body) = bytes.split_first().ok_or(WireError::Empty)?;
        if version != VERSION {
            return Err(WireError::Version { found: version, speaks: VERSION });
        }
        let (header, read) = codec::decode_prefix::<Header, STREAM_LIMIT>(body)?;
        let message = codec::decode::<Message, STREAM_LIMIT>(&body[read..])?;
        Ok(Frame { header, message })
    }
}
