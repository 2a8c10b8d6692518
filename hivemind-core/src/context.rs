//! What every subsystem is handed with each input, and where it puts what it wants done.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::ids::{BootNonce, NodeId, PublicKey};
use crate::keys::Keys;
use crate::rng::Rng;
use crate::settings::Settings;
use crate::storage::Write;
use crate::time::Now;
use crate::timers::{Timer, Timers};
use crate::wire::frame::Channel;
use crate::wire::message::Message;

/// Whom a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// A member; the machine knows its key and addresses.
    Node(NodeId),
    /// Whoever has this key and is connected: the answer to one who is no member.
    Key(PublicKey),
    /// Whoever listens there: a seed.
    Address(SocketAddr),
    /// Whoever has this key, there: one that was a member until now.
    Former {
        /// Its key.
        key: PublicKey,
        /// Where it listened.
        address: SocketAddr,
    },
}

/// A message on its way out; the machine adds the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Whom it is for.
    pub to: Recipient,
    /// How it travels.
    pub channel: Channel,
    /// What it says.
    pub message: Message,
}

/// What a person should know; the driver logs and counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Bytes from the network were dropped.
    Dropped {
        /// The key that the sender's connection was proven with.
        peer: PublicKey,
        /// Why.
        why: Junk,
    },
    /// The node's phase changed, in words.
    Phase(String),
    /// Two different configs carry one seq; the larger hash is in force.
    ConflictingConfig {
        /// Whose.
        node: NodeId,
    },
    /// This node's own version was seen at or above its own: it jumped above.
    SeqJumped,
    /// Two nodes disagree about history.
    Fork {
        /// The other; the node itself where its own part of the control plane commits something else than voters have signed.
        with: NodeId,
    },
    /// A member told the leader, which this node is, that it can not reach another. Once for as long as it says so.
    Accused {
        /// Who does not answer.
        suspect: NodeId,
        /// Whose probes fail.
        observer: NodeId,
    },
    /// Two live processes use one id.
    DuplicateNode {
        /// Which id.
        node: NodeId,
    },
    /// A limit was reached and something was dropped or put off.
    Limit(&'static str),
    /// A rebuildable record could not be read; it is rebuilt.
    CacheDamaged(&'static str),
}

/// Why bytes from the network were dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Junk {
    /// They are no frame of this version.
    Wire(crate::error::WireError),
    /// Of another cluster, generation or tag.
    Foreign,
    /// The header names a member that has another key than the sender's connection.
    NotItsKey,
    /// Of a sender that is no member, and may not say this.
    NotAMember,
    /// Of a member that this node holds no record of, and by whom it takes only what needs no belief.
    OutOfScope,
    /// An old start of its sender.
    OldBoot,
    /// Not possible in a run of this protocol, or badly signed.
    Invalid(&'static str),
}

/// Where subsystems put what they want done; the machine turns it into effects.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Messages, in order.
    pub sends: VecDeque<Outgoing>,
    /// Writes that nothing waits for, in order.
    pub writes: Vec<Write>,
    /// For people.
    pub reports: VecDeque<Report>,
}

/// Handed to a subsystem with each input.
pub struct Context<'a> {
    /// Both clocks.
    pub now: Now,
    /// This node; [`NodeId::NONE`] before its first join is granted.
    pub node: NodeId,
    /// This start.
    pub boot: BootNonce,
    /// How the node is tuned.
    pub settings: &'a Settings,
    /// The own key and others' signatures.
    pub keys: &'a dyn Keys,
    /// Chance.
    pub rng: &'a mut Rng,
    /// What is to be done.
    pub out: &'a mut Outbox,
    /// What is waited for.
    pub timers: &'a mut Timers,
}

impl Context<'_> {
    /// Sends to a member.
    pub fn send(&mut self, to: NodeId, channel: Channel, message: Message) {
        self.send_to(Recipient::Node(to), channel, message);
    }

    /// Sends to anyone.
    pub fn send_to(&mut self, to: Recipient, channel: Channel, message: Message) {
        self.out.sends.push_back(Outgoing { to, channel, message });
    }

    /// Sets a timer.
    pub fn after(&mut self, delay: Duration, timer: Timer) {
        self.timers.set(self.now.time + delay, timer);
    }

    /// Tells people.
    pub fn report(&mut self, report: Report) {
        self.out.reports.push_back(report);
    }

    /// Reports that something from `peer` was dropped.
    pub fn junk(&mut self, peer: PublicKey, why: Junk) {
        self.report(Report::Dropped { peer, why });
    }

    /// Keeps something that nothing waits for.
    pub fn write(&mut self, write: Write) {
        self.out.writes.push(write);
    }
}
