//! What is left of the instance of a former neighborhood: it answers, for a while.
//!
//! Members hear of a change of neighborhoods one after the other. Who has not yet heard of it probes on in
//! the old one, and must not find it silent. So a node that has goes on acknowledging there; it asks
//! nothing, passes nothing on and believes nothing.

use std::collections::BTreeSet;

use bytes::Bytes;
use foca::{Header, Message, State};

use super::packet::{Packet, PeerCodec};
use super::peer::Peer;
use crate::context::Junk;
use crate::ids::{Index, NeighborhoodId, NodeId};

/// The answering machine of a former neighborhood.
pub(super) struct Retired {
    number: u64,
    codec: PeerCodec,
    own: Peer,
    incarnation: u16,
    peers: BTreeSet<NodeId>,
}

impl Retired {
    /// Of the instance `number`, in which this node was `own` among `peers`.
    pub(super) fn new(number: u64, codec: PeerCodec, own: Peer, peers: BTreeSet<NodeId>) -> Self {
        Retired { number, codec, own, incarnation: 0, peers }
    }

    /// The instance that it was.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Which neighborhood, and the event that made it.
    pub(super) fn home(&self) -> (NeighborhoodId, Index) {
        (self.codec.neighborhood, self.codec.created)
    }

    /// One of them is no member any more.
    pub(super) fn dismiss(&mut self, node: NodeId) {
        self.peers.remove(&node);
    }

    /// The answer to a packet that came from `from`, if it asks for one.
    ///
    /// # Errors
    /// [`Junk`]: it is of no member of that neighborhood, or no packet.
    pub(super) fn answer(&mut self, from: NodeId, bytes: &Bytes) -> Result<Option<Bytes>, Junk> {
        if !self.peers.contains(&from) {
            return Err(Junk::NotAMember);
        }
        let packet = Packet::decode(bytes, self.codec).map_err(|_| Junk::Invalid("a SWIM packet that does not decode"))?;
        if packet.header.src.node != from || packet.header.dst.node != self.own.node {
            return Err(Junk::Invalid("a SWIM packet in another's name"));
        }
        // A suspicion is refuted as SWIM does it: by an answer under a higher incarnation.
        for update in packet.updates.iter().filter(|update| *update.id() == self.own && update.state() == State::Suspect) {
            self.incarnation = self.incarnation.max(update.incarnation().saturating_add(1));
        }
        let message = match packet.header.message {
            Message::Ping(number) => Some(Message::Ack(number)),
            Message::IndirectPing { origin, probe_number } => Some(Message::IndirectAck { target: origin, probe_number }),
            Message::Ack(_)
            | Message::PingReq { .. }
            | Message::IndirectAck { .. }
            | Message::ForwardedAck { .. }
            | Message::Announce
            | Message::Feed
            | Message::Gossip
            | Message::Broadcast
            | Message::TurnUndead => None,
        };
        let reply = message.map(|message| Packet {
            header: Header { src: self.own, src_incarnation: self.incarnation, dst: packet.header.src, message },
            updates: Vec::new(),
        });
        let bytes = reply.map(|reply| reply.encode_for_foca(self.codec).expect("identities that were just read, and no updates, fit"));
        Ok(bytes.map(Bytes::from))
    }
}
