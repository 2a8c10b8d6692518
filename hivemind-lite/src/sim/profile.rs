//! What a simulated network and its disks do to messages and writes: plain data.

use std::time::Duration;

use clap::ValueEnum;
use hivemind_core::rng::Rng;

/// Which faults a run has, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Faults {
    /// LAN latencies, nothing is lost.
    None,
    /// LAN latencies with 1 % loss, jitter, rare duplicates, and processes that crash between the measurements.
    Lan,
}

impl Faults {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Faults::None => "none",
            Faults::Lan => "lan",
        }
    }

    /// What it does to messages and writes.
    pub fn profile(self) -> Profile {
        match self {
            Faults::None => Profile::default(),
            Faults::Lan => {
                Profile { loss_ppm: 10_000, duplicate_ppm: 1_000, late_ppm: 5_000, late: Duration::from_millis(20), ..Profile::default() }
            }
        }
    }
}

/// The behaviour of the links and disks of a world. The default is a LAN without faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// One way, at least.
    pub latency_min: Duration,
    /// One way, below this. Each packet draws its own, so that datagrams overtake each other.
    pub latency_max: Duration,
    /// Nanoseconds that each byte adds: 8 is 1 Gbit/s.
    pub byte_nanos: u64,
    /// Packets lost, in a million. A datagram is gone; a stream is delayed by `retransmit`, each time.
    pub loss_ppm: u32,
    /// Datagrams that arrive twice, in a million.
    pub duplicate_ppm: u32,
    /// Packets that are late by up to `late`, in a million.
    pub late_ppm: u32,
    /// See `late_ppm`.
    pub late: Duration,
    /// After this a lost packet of a stream is sent again: QUIC's probe timeout on a LAN with the 25 ms
    /// that an acknowledgement may wait (RFC 9002 section 6.2).
    pub retransmit: Duration,
    /// An attempt to connect to a dead or unreachable node is given up after this.
    pub connect_timeout: Duration,
    /// A connection whose other side is silent breaks so long after something was sent on it.
    pub idle_timeout: Duration,
    /// A write is durable after at least this.
    pub disk_min: Duration,
    /// And before this.
    pub disk_max: Duration,
}

impl Default for Profile {
    fn default() -> Self {
        Profile {
            latency_min: Duration::from_micros(200),
            latency_max: Duration::from_millis(2),
            byte_nanos: 8,
            loss_ppm: 0,
            duplicate_ppm: 0,
            late_ppm: 0,
            late: Duration::ZERO,
            retransmit: Duration::from_millis(30),
            connect_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(30),
            disk_min: Duration::from_micros(100),
            disk_max: Duration::from_millis(1),
        }
    }
}

impl Profile {
    /// The way of one packet of `length` bytes that is not lost.
    pub fn latency(&self, length: usize, rng: &mut Rng) -> Duration {
        let spread = self.latency_max.saturating_sub(self.latency_min);
        let mut latency = self.latency_min + rng.duration_below(spread) + Duration::from_nanos(self.byte_nanos * length as u64);
        if self.late_ppm > 0 && rng.chance_ppm(self.late_ppm) {
            latency += rng.duration_below(self.late);
        }
        latency
    }

    /// The way of `length` bytes of a stream: a loss delays them.
    pub fn stream_latency(&self, length: usize, rng: &mut Rng) -> Duration {
        let mut latency = self.latency(length, rng);
        while self.loses(rng) {
            latency += self.retransmit;
        }
        latency
    }

    /// Whether one packet is lost.
    pub fn loses(&self, rng: &mut Rng) -> bool {
        self.loss_ppm > 0 && rng.chance_ppm(self.loss_ppm)
    }

    /// How long one write takes.
    pub fn disk_delay(&self, rng: &mut Rng) -> Duration {
        self.disk_min + rng.duration_below(self.disk_max.saturating_sub(self.disk_min))
    }
}
