//! What a simulated network, its disks and its misfortunes are like: plain data.
//!
//! `docs/simulator.md` holds the same numbers as a table, which a test compares with this code.

use std::time::Duration;

use clap::ValueEnum;
use hivemind_core::rng::Rng;

use super::mishap::Rates;

/// Which faults a run has, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Faults {
    /// LAN latencies, nothing is lost.
    None,
    /// LAN latencies with 1 % loss, jitter, rare duplicates, and processes that crash and restart.
    Lan,
    /// Latencies of distant sites with 1 % loss, much jitter, partitions, slow nodes, and clocks that drift.
    Wan,
    /// Everything that can go wrong, often.
    Chaos,
}

impl Faults {
    /// All of them, from harmless to worst.
    pub const ALL: [Faults; 4] = [Faults::None, Faults::Lan, Faults::Wan, Faults::Chaos];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Faults::None => "none",
            Faults::Lan => "lan",
            Faults::Wan => "wan",
            Faults::Chaos => "chaos",
        }
    }

    /// What it does to messages, writes and nodes.
    pub fn profile(self) -> Profile {
        match self {
            Faults::None => Profile::default(),
            Faults::Lan => Profile {
                loss_ppm: 10_000,
                duplicate_ppm: 1_000,
                late_ppm: 5_000,
                late: Duration::from_millis(20),
                rates: Rates::LAN,
                ..Profile::default()
            },
            Faults::Wan => Profile {
                latency_min: Duration::from_millis(5),
                latency_max: Duration::from_millis(40),
                byte_nanos: 80,
                loss_ppm: 10_000,
                duplicate_ppm: 1_000,
                late_ppm: 20_000,
                late: Duration::from_millis(100),
                retransmit: Duration::from_millis(120),
                drift_ppm: 50,
                rates: Rates::WAN,
                ..Profile::default()
            },
            Faults::Chaos => Profile {
                latency_max: Duration::from_millis(10),
                loss_ppm: 30_000,
                duplicate_ppm: 10_000,
                late_ppm: 50_000,
                late: Duration::from_millis(150),
                disk_max: Duration::from_millis(40),
                drift_ppm: 500,
                rates: Rates::CHAOS,
                ..Profile::default()
            },
        }
    }
}

/// The behaviour of the links, disks and clocks of a world, and how often something goes wrong there. The default is a
/// LAN without faults.
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
    /// Packets that are late by up to `late`, in a million: they are overtaken by many others.
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
    /// Each node's monotonic clock runs fast or slow by up to so many millionths.
    pub drift_ppm: u32,
    /// How often what happens to nodes and links.
    pub rates: Rates,
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
            drift_ppm: 0,
            rates: Rates::NONE,
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

    /// Whether one packet is lost, on a link that loses `also_ppm` more than others.
    pub fn loses(&self, also_ppm: u32, rng: &mut Rng) -> bool {
        let ppm = self.loss_ppm.saturating_add(also_ppm);
        ppm > 0 && rng.chance_ppm(ppm)
    }

    /// The way of `length` bytes of a stream: a loss delays them. `also_ppm` as for [`Profile::loses`].
    pub fn stream_latency(&self, length: usize, also_ppm: u32, rng: &mut Rng) -> Duration {
        let mut latency = self.latency(length, rng);
        while self.loses(also_ppm, rng) {
            latency += self.retransmit;
        }
        latency
    }

    /// How long one write takes.
    pub fn disk_delay(&self, rng: &mut Rng) -> Duration {
        self.disk_min + rng.duration_below(self.disk_max.saturating_sub(self.disk_min))
    }

    /// The same links, disks and clocks with nothing going wrong there: what is calm after the chaos.
    pub fn calmed(&self) -> Profile {
        Profile { loss_ppm: 0, duplicate_ppm: 0, late_ppm: 0, rates: Rates::NONE, ..self.clone() }
    }

    /// Its rows of the table in `docs/simulator.md`: what, and how much.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let ms = |duration: Duration| format!("{} ms", duration.as_secs_f64() * 1e3);
        let percent = |ppm: u32| format!("{} %", f64::from(ppm) / 1e4);
        let mut rows = vec![
            ("delay of a packet, one way", format!("{} to {}", ms(self.latency_min), ms(self.latency_max))),
            ("time that a byte adds", format!("{} ns", self.byte_nanos)),
            ("packets lost (a stream is delayed instead)", percent(self.loss_ppm)),
            ("delay of a stream for each loss", ms(self.retransmit)),
            ("datagrams that arrive twice", percent(self.duplicate_ppm)),
            ("packets that are late, and overtaken", percent(self.late_ppm)),
            ("they are late by up to", ms(self.late)),
            ("an attempt to connect is given up after", ms(self.connect_timeout)),
            ("a connection to a dead node breaks after", ms(self.idle_timeout)),
            ("a write is durable after", format!("{} to {}", ms(self.disk_min), ms(self.disk_max))),
            ("a monotonic clock is wrong by up to", format!("{} ppm", self.drift_ppm)),
        ];
        rows.extend(self.rates.rows());
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> String {
        let profiles = Faults::ALL.map(Faults::profile);
        let columns = profiles.each_ref().map(Profile::rows);
        let mut out = format!("| | {} |\n|---|", Faults::ALL.map(|faults| format!("`{}`", faults.name())).join(" | "));
        out.push_str(&"---|".repeat(columns.len()));
        out.push('\n');
        for (number, (what, _)) in columns[0].iter().enumerate() {
            let cells = columns.each_ref().map(|rows| rows[number].1.clone());
            out.push_str(&format!("| {what} | {} |\n", cells.join(" | ")));
        }
        out
    }

    #[test]
    fn the_documented_rates_are_those_of_the_code() {
        let book = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/simulator.md"));
        assert!(book.contains(&table()), "docs/simulator.md should hold this table:\n{}", table());
    }

    #[test]
    fn each_profile_is_at_least_as_bad_as_the_one_before_it() {
        let total = |faults: Faults| faults.profile().rates.all().map(|(_, rate)| rate).sum::<u32>();
        assert!(Faults::ALL.windows(2).all(|pair| total(pair[0]) < total(pair[1])));
        let calm = Faults::Chaos.profile().calmed();
        assert_eq!((calm.loss_ppm, calm.rates), (0, Rates::NONE));
    }
}
