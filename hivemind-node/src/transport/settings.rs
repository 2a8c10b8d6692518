//! How a transport is tuned.

use std::collections::BTreeSet;
use std::time::Duration;

use hivemind_core::wire::feature::FeatureName;

use super::greeting::WireVersions;

/// The tuning of a transport. [`TransportSettings::default`] suits a LAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportSettings {
    /// A connection without a packet for this long is closed; nothing is sent to keep one alive.
    /// Default 150 s: three rounds of probes through a full neighborhood of 48, one a second. Raising it
    /// keeps connections (some 40 KB each) that are used rarely; lowering it below one round makes
    /// neighbors connect anew for each probe.
    pub idle_timeout: Duration,
    /// A handshake that takes longer failed. Default 3 s. Raising it forgives slow peers; lowering it
    /// tries the next address sooner.
    pub handshake_timeout: Duration,
    /// A frame of the bulk channel that is not complete after this is given up, and its connection
    /// closed. Default 10 s. Raising it forgives slow links; lowering it frees what a stalled peer holds.
    pub frame_timeout: Duration,
    /// Received frames that wait for the machine. Default 1,024. When it is full, nothing is read any
    /// more, and peers are slowed down.
    pub inbox: usize,
    /// The most bytes of received frames that wait for the machine. Default 64 MiB, which is 16 frames of the largest size; when they
    /// are there, nothing is read any more either. Raising it costs memory, which any member can fill.
    pub inbox_bytes: usize,
    /// The most frames that wait for one connection to be made. Default 64; the oldest datagram is
    /// dropped first.
    pub backlog_frames: usize,
    /// The most bytes of frames that wait for one connection, on each channel. Default 8 MiB. Raising
    /// it carries longer bursts to a slow peer; lowering it saves memory.
    pub queue_bytes: usize,
    /// The most connections. Default 512. Raising it costs some 40 KB each.
    pub max_connections: usize,
    /// The most handshakes of others at once. Default 64. From half of that on, a peer must first
    /// prove that its address is its own (QUIC Retry, RFC 9000 section 8.1.2).
    pub max_handshakes: usize,
    /// The most own attempts to connect at once. Default 32; more wait.
    pub max_dials: usize,
    /// An address that did not answer is left alone for this long, doubled with each failure, with
    /// jitter. Default 100 ms. Raising it spares the network; lowering it finds a peer back sooner.
    pub backoff_first: Duration,
    /// At most so long. Default 2 s.
    pub backoff_most: Duration,
    /// The versions of the wire that peers are told. Default: those of this build. Another range than the machine speaks makes peers that
    /// can not be understood; it is here for tests of an upgrade.
    pub wire: WireVersions,
    /// The optional features that peers are told. Default: none; a node tells those of its machine's settings.
    pub features: BTreeSet<FeatureName>,
}

impl Default for TransportSettings {
    fn default() -> Self {
        TransportSettings {
            idle_timeout: Duration::from_secs(150),
            handshake_timeout: Duration::from_secs(3),
            frame_timeout: Duration::from_secs(10),
            inbox: 1024,
            inbox_bytes: 64 << 20,
            backlog_frames: 64,
            queue_bytes: 8 << 20,
            max_connections: 512,
            max_handshakes: 64,
            max_dials: 32,
            backoff_first: Duration::from_millis(100),
            backoff_most: Duration::from_secs(2),
            wire: WireVersions::OWN,
            features: BTreeSet::new(),
        }
    }
}
