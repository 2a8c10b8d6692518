//! What the HTTP interface counts of itself.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a connection did not get to HTTP.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unshaken {
    /// Its handshake failed.
    Tls,
    /// Its handshake took too long.
    Slow,
    /// Its address makes too many, or has as many as it may.
    TooMany,
    /// It spoke without TLS.
    Plain,
}

impl Unshaken {
    /// All of them, in their order.
    pub(super) const ALL: [Unshaken; 4] = [Unshaken::Tls, Unshaken::Slow, Unshaken::TooMany, Unshaken::Plain];

    /// In a label.
    pub(super) fn name(self) -> &'static str {
        match self {
            Unshaken::Tls => "tls",
            Unshaken::Slow => "slow",
            Unshaken::TooMany => "too_many",
            Unshaken::Plain => "plain",
        }
    }
}

/// Of one server, since its start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// By the first digit of the status.
    answers: [AtomicU64; 6],
    connections: AtomicU64,
    streams: AtomicU64,
    /// By why.
    unshaken: [AtomicU64; Unshaken::ALL.len()],
}

impl Counts {
    pub(super) fn answered(&self, status: u16) {
        self.answers[usize::from(status / 100).min(5)].fetch_add(1, Ordering::Relaxed);
    }

    /// The classes that there are, with how often each was answered.
    pub(super) fn answers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let of = |(class, digit): (&'static str, usize)| (class, self.answers[digit].load(Ordering::Relaxed));
        [("2xx", 2), ("4xx", 4), ("5xx", 5)].into_iter().map(of)
    }

    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub(super) fn unshaken(&self, why: Unshaken) {
        self.unshaken[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often each kept a connection from HTTP.
    pub(super) fn handshake_failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Unshaken::ALL.into_iter().map(|why| (why.name(), self.unshaken[why as usize].load(Ordering::Relaxed)))
    }

    pub(super) fn streamed(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn streams(&self) -> u64 {
        self.streams.load(Ordering::Relaxed)
    }
}
