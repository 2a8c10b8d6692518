//! What a transport counts. Every frame and connection that it drops or refuses is in here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use hivemind_core::wire::frame::Channel;

/// Why a frame was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Discard {
    /// No connection to its recipient, and no address to make one to.
    NoRoute,
    /// Its recipient could not be reached, just now or a moment ago.
    Unreachable,
    /// Too many frames waited for a connection to be made.
    BacklogFull,
    /// Its recipient takes frames more slowly than they come.
    QueueFull,
    /// It is larger than its channel carries.
    TooLarge,
    /// The connection was closed with the frame on its way.
    Closed,
    /// The [`Filter`](super::Filter) blocks its other end.
    Blocked,
}

impl Discard {
    /// In the order of declaration, which is that of the counts.
    pub const ALL: [Discard; 7] = [
        Discard::NoRoute,
        Discard::Unreachable,
        Discard::BacklogFull,
        Discard::QueueFull,
        Discard::TooLarge,
        Discard::Closed,
        Discard::Blocked,
    ];

    /// As it stands in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Discard::NoRoute => "no_route",
            Discard::Unreachable => "unreachable",
            Discard::BacklogFull => "backlog_full",
            Discard::QueueFull => "queue_full",
            Discard::TooLarge => "too_large",
            Discard::Closed => "closed",
            Discard::Blocked => "blocked",
        }
    }
}

/// Why a connection was refused or closed by this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refused {
    /// The peer showed no certificate.
    NoCertificate,
    /// The peer's certificate is of another authority, or the peer says so of ours.
    OtherAuthority,
    /// The handshake failed in another way, or took too long: garbage, another protocol, a port scan.
    Handshake,
    /// The peer that answered has another key than the one that was called.
    OtherKey,
    /// It is this node itself.
    Own,
    /// There are as many connections, or handshakes, as may be.
    TooMany,
    /// The peer sent what is no frame: too large, or cut off.
    Malformed,
    /// A node wants to enroll, and this one enrolls nobody.
    NotEnrolling,
    /// The peer speaks no version of the wire that this node speaks.
    OtherVersion,
}

impl Refused {
    /// In the order of declaration, which is that of the counts.
    pub const ALL: [Refused; 9] = [
        Refused::NoCertificate,
        Refused::OtherAuthority,
        Refused::Handshake,
        Refused::OtherKey,
        Refused::Own,
        Refused::TooMany,
        Refused::Malformed,
        Refused::NotEnrolling,
        Refused::OtherVersion,
    ];

    /// As it stands in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Refused::NoCertificate => "no_certificate",
            Refused::OtherAuthority => "other_authority",
            Refused::Handshake => "handshake",
            Refused::OtherKey => "other_key",
            Refused::Own => "own",
            Refused::TooMany => "too_many",
            Refused::Malformed => "malformed",
            Refused::NotEnrolling => "not_enrolling",
            Refused::OtherVersion => "other_version",
        }
    }
}

/// Frames, and the bytes in them (without what QUIC adds).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// How many.
    pub frames: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// The flows of the three channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flows {
    /// Of [`Channel::Datagram`].
    pub datagram: Flow,
    /// Of [`Channel::Ordered`].
    pub ordered: Flow,
    /// Of [`Channel::Bulk`].
    pub bulk: Flow,
}

/// What a transport counted since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransportStats {
    /// Connections that are open now.
    pub open: usize,
    /// Connections made by this side.
    pub dialed: u64,
    /// Connections made by others.
    pub accepted: u64,
    /// Attempts to connect that failed.
    pub dial_failures: u64,
    /// Datagrams that went by stream, since the path carries only smaller ones.
    pub datagrams_by_stream: u64,
    /// What was sent.
    pub sent: Flows,
    /// What came.
    pub received: Flows,
    /// Frames dropped, by reason; reasons that never happened are left out.
    pub discarded: BTreeMap<Discard, u64>,
    /// Connections refused, by reason; reasons that never happened are left out.
    pub refused: BTreeMap<Refused, u64>,
}

#[derive(Debug, Default)]
struct Meter {
    frames: AtomicU64,
    bytes: AtomicU64,
}

impl Meter {
    fn add(&self, bytes: usize) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn flow(&self) -> Flow {
        Flow { frames: self.frames.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }
}

#[derive(Debug, Default)]
struct Meters {
    datagram: Meter,
    ordered: Meter,
    bulk: Meter,
}

impl Meters {
    fn of(&self, channel: Channel) -> &Meter {
        match channel {
            Channel::Datagram => &self.datagram,
            Channel::Ordered => &self.ordered,
            Channel::Bulk => &self.bulk,
        }
    }

    fn flows(&self) -> Flows {
        Flows { datagram: self.datagram.flow(), ordered: self.ordered.flow(), bulk: self.bulk.flow() }
    }
}

/// The live counters behind [`TransportStats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) dialed: AtomicU64,
    pub(super) accepted: AtomicU64,
    pub(super) dial_failures: AtomicU64,
    pub(super) datagrams_by_stream: AtomicU64,
    sent: Meters,
    received: Meters,
    discarded: [AtomicU64; Discard::ALL.len()],
    refused: [AtomicU64; Refused::ALL.len()],
}

impl Counters {
    pub(super) fn sent(&self, channel: Channel, bytes: usize) {
        self.sent.of(channel).add(bytes);
    }

    pub(super) fn received(&self, channel: Channel, bytes: usize) {
        self.received.of(channel).add(bytes);
    }

    pub(super) fn discarded(&self, why: Discard, frames: usize) {
        self.discarded[why as usize].fetch_add(frames as u64, Ordering::Relaxed);
    }

    pub(super) fn refused(&self, why: Refused) {
        self.refused[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stats(&self, open: usize) -> TransportStats {
        TransportStats {
            open,
            dialed: self.dialed.load(Ordering::Relaxed),
            accepted: self.accepted.load(Ordering::Relaxed),
            dial_failures: self.dial_failures.load(Ordering::Relaxed),
            datagrams_by_stream: self.datagrams_by_stream.load(Ordering::Relaxed),
            sent: self.sent.flows(),
            received: self.received.flows(),
            discarded: happened(&Discard::ALL, &self.discarded),
            refused: happened(&Refused::ALL, &self.refused),
        }
    }
}

fn happened<K: Copy + Ord>(reasons: &[K], counts: &[AtomicU64]) -> BTreeMap<K, u64> {
    let counts = counts.iter().map(|count| count.load(Ordering::Relaxed));
    reasons.iter().copied().zip(counts).filter(|(_, count)| *count > 0).collect()
}
