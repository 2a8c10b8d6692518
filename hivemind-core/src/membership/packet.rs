//! foca's packets: the compact encoding, and the reading of a whole packet before foca sees it.
//!
//! A packet is a header and a counted list of updates. All identities in it are of one neighborhood, which
//! the frame around it names: so they take about nine bytes each. foca's broadcasts are not used: events
//! travel as messages of their own.

use bytes::{Buf, BufMut, Bytes};
use foca::{Codec, Header, Member, Message, State};
use thiserror::Error;

use super::peer::Peer;
use crate::ids::{BootNonce, Index, NeighborhoodId, NodeId};

/// The largest packet that foca makes or takes. What the frame around it needs at most (less than 100
/// bytes, all numbers at their longest) stays free below [`DATAGRAM_LIMIT`](crate::wire::frame::DATAGRAM_LIMIT).
pub(super) const PACKET_LIMIT: usize = 1_050;
/// Room for the longest encoded header: three identities of at most 24 bytes, and what is around them.
const LONGEST: usize = 96;

/// Why bytes are not a packet, or do not fit into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum PacketError {
    /// They end too early. The sender is at fault.
    #[error("a packet that ends too early")]
    Truncated,
    /// A number that is too large for its place. The sender is at fault.
    #[error("a number out of range")]
    Range,
    /// A tag of no known message or state. The sender is at fault.
    #[error("an unknown tag")]
    Tag,
    /// More than a packet of this kind holds. The sender is at fault.
    #[error("bytes after the end of a packet")]
    Trailing,
    /// No room left. Ordinary: the rest travels in a later packet.
    #[error("no room left in the packet")]
    Full,
}

/// Encodes identities of one neighborhood.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeerCodec {
    /// The neighborhood.
    pub(super) neighborhood: NeighborhoodId,
    /// The event that made it.
    pub(super) created: Index,
}

/// A packet, read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    /// From whom, to whom, what.
    pub(super) header: Header<Peer>,
    /// What the sender says of others.
    pub(super) updates: Vec<Member<Peer>>,
}

impl Packet {
    /// Reads a packet.
    ///
    /// # Errors
    /// [`PacketError`]; the sender is at fault.
    pub(super) fn decode(bytes: &Bytes, mut codec: PeerCodec) -> Result<Packet, PacketError> {
        if bytes.len() > PACKET_LIMIT {
            return Err(PacketError::Trailing);
        }
        let mut rest = bytes.clone();
        let header = codec.decode_header(&mut rest)?;
        let mut updates = Vec::new();
        if has_updates(&header.message) && rest.has_remaining() {
            for _ in 0..rest.try_get_u16().map_err(|_| PacketError::Truncated)? {
                updates.push(codec.decode_member(&mut rest)?);
            }
        }
        if rest.has_remaining() {
            return Err(PacketError::Trailing);
        }
        Ok(Packet { header, updates })
    }

    /// The packet as foca gets it.
    pub(super) fn encode_for_foca(&self, mut codec: PeerCodec) -> Result<Vec<u8>, PacketError> {
        let mut bytes = Vec::new();
        codec.encode_header(&self.header, &mut bytes)?;
        if has_updates(&self.header.message) && !self.updates.is_empty() {
            bytes.put_u16(u16::try_from(self.updates.len()).map_err(|_| PacketError::Range)?);
            for update in &self.updates {
                codec.encode_member(update, &mut bytes)?;
            }
        }
        Ok(bytes)
    }

    /// The identities that the message itself names, beside sender and recipient.
    pub(super) fn third_party(&self) -> Option<Peer> {
        match &self.header.message {
            Message::PingReq { target, .. } | Message::IndirectAck { target, .. } => Some(*target),
            Message::IndirectPing { origin, .. } | Message::ForwardedAck { origin, .. } => Some(*origin),
            Message::Ping(_)
            | Message::Ack(_)
            | Message::Announce
            | Message::Feed
            | Message::Gossip
            | Message::Broadcast
            | Message::TurnUndead => None,
        }
    }
}

fn has_updates(message: &Message<Peer>) -> bool {
    !matches!(message, Message::Announce | Message::TurnUndead)
}

impl PeerCodec {
    fn put_peer(peer: &Peer, out: &mut Vec<u8>) {
        put_varint(u64::from(peer.node.generation()), out);
        put_varint(peer.node.counter(), out);
        put_varint(u64::from(peer.boot.count()), out);
        out.put_u32(peer.boot.0 as u32);
        put_varint(u64::from(peer.renewal), out);
    }

    fn take_peer(&self, from: &mut impl Buf) -> Result<Peer, PacketError> {
        let generation = u16::try_from(take_varint(from)?).map_err(|_| PacketError::Range)?;
        let counter = take_varint(from)?;
        let node = NodeId::new(generation, counter);
        let count = u32::try_from(take_varint(from)?).map_err(|_| PacketError::Range)?;
        let chance = from.try_get_u32().map_err(|_| PacketError::Truncated)?;
        let renewal = u32::try_from(take_varint(from)?).map_err(|_| PacketError::Range)?;
        if node.counter() != counter {
            return Err(PacketError::Range);
        }
        Ok(Peer { node, neighborhood: self.neighborhood, created: self.created, boot: BootNonce::new(count, chance), renewal })
    }

    fn take_message(&self, from: &mut impl Buf) -> Result<Message<Peer>, PacketError> {
        let tag = take_octet(from)?;
        Ok(match tag {
            0 => Message::Ping(take_octet(from)?),
            1 => Message::Ack(take_octet(from)?),
            2 => Message::PingReq { probe_number: take_octet(from)?, target: self.take_peer(from)? },
            3 => Message::IndirectPing { probe_number: take_octet(from)?, origin: self.take_peer(from)? },
            4 => Message::IndirectAck { probe_number: take_octet(from)?, target: self.take_peer(from)? },
            5 => Message::ForwardedAck { probe_number: take_octet(from)?, origin: self.take_peer(from)? },
            6 => Message::Announce,
            7 => Message::Feed,
            8 => Message::Gossip,
            10 => Message::TurnUndead,
            _ => return Err(PacketError::Tag),
        })
    }

    fn put_message(message: &Message<Peer>, out: &mut Vec<u8>) {
        let (tag, number, peer) = match message {
            Message::Ping(number) => (0, Some(*number), None),
            Message::Ack(number) => (1, Some(*number), None),
            Message::PingReq { target, probe_number } => (2, Some(*probe_number), Some(target)),
            Message::IndirectPing { origin, probe_number } => (3, Some(*probe_number), Some(origin)),
            Message::IndirectAck { target, probe_number } => (4, Some(*probe_number), Some(target)),
            Message::ForwardedAck { origin, probe_number } => (5, Some(*probe_number), Some(origin)),
            Message::Announce => (6, None, None),
            Message::Feed => (7, None, None),
            Message::Gossip => (8, None, None),
            // foca makes none, and none is read.
            Message::Broadcast => (9, None, None),
            Message::TurnUndead => (10, None, None),
        };
        out.put_u8(tag);
        out.extend(number);
        peer.inspect(|peer| Self::put_peer(peer, out));
    }

    /// All or nothing, as foca asks.
    fn flush(encoded: &[u8], mut buf: impl BufMut) -> Result<(), PacketError> {
        if buf.remaining_mut() < encoded.len() {
            return Err(PacketError::Full);
        }
        buf.put_slice(encoded);
        Ok(())
    }
}

impl Codec<Peer> for PeerCodec {
    type Error = PacketError;

    fn encode_header(&mut self, header: &Header<Peer>, buf: impl BufMut) -> Result<(), PacketError> {
        let mut out = Vec::with_capacity(LONGEST);
        Self::put_peer(&header.src, &mut out);
        put_varint(u64::from(header.src_incarnation), &mut out);
        Self::put_peer(&header.dst, &mut out);
        Self::put_message(&header.message, &mut out);
        Self::flush(&out, buf)
    }

    fn decode_header(&mut self, mut buf: impl Buf) -> Result<Header<Peer>, PacketError> {
        let src = self.take_peer(&mut buf)?;
        let src_incarnation = u16::try_from(take_varint(&mut buf)?).map_err(|_| PacketError::Range)?;
        let dst = self.take_peer(&mut buf)?;
        let message = self.take_message(&mut buf)?;
        Ok(Header { src, src_incarnation, dst, message })
    }

    fn encode_member(&mut self, member: &Member<Peer>, buf: impl BufMut) -> Result<(), PacketError> {
        let mut out = Vec::with_capacity(LONGEST);
        Self::put_peer(member.id(), &mut out);
        put_varint(u64::from(member.incarnation()), &mut out);
        out.put_u8(match member.state() {
            State::Alive => 0,
            State::Suspect => 1,
            State::Down => 2,
        });
        Self::flush(&out, buf)
    }

    fn decode_member(&mut self, mut buf: impl Buf) -> Result<Member<Peer>, PacketError> {
        let peer = self.take_peer(&mut buf)?;
        let incarnation = u16::try_from(take_varint(&mut buf)?).map_err(|_| PacketError::Range)?;
        let state = match take_octet(&mut buf)? {
            0 => State::Alive,
            1 => State::Suspect,
            2 => State::Down,
            _ => return Err(PacketError::Tag),
        };
        Ok(Member::new(peer, incarnation, state))
    }
}

/// LEB128: seven bits an octet, the lowest first.
fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

fn take_varint(from: &mut impl Buf) -> Result<u64, PacketError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let octet = take_octet(from)?;
        let bits = u64::from(octet & 0x7f);
        if bits << shift >> shift != bits {
            return Err(PacketError::Range);
        }
        value |= bits << shift;
        if octet < 0x80 {
            return Ok(value);
        }
    }
    Err(PacketError::Range)
}

fn take_octet(from: &mut impl Buf) -> Result<u8, PacketError> {
    from.try_get_u8().map_err(|_| PacketError::Truncated)
}
