//! Who is connected, who is being dialed, which addresses are left alone for a while. Decides; does nothing itself.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hivemind_core::ids::PublicKey;
use hivemind_core::machine::Destination;
use hivemind_core::rng::Rng;
use hivemind_core::wire::frame::Channel;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::backlog::{Backlog, QueueIn};
use super::counters::Discard;
use super::settings::TransportSettings;

/// More connections of one peer than a simultaneous dial and a restart explain: the oldest is closed.
const MAX_PER_PEER: usize = 4;
/// The most peers that are dialed, or wait to be.
const MAX_DIALING: usize = 256;
/// The most addresses that are remembered as not answering.
const MAX_RESTING: usize = 4096;

/// An established connection.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) peer: PublicKey,
    /// The start of the peer's transport: a restarted process has another one.
    pub(super) instance: u64,
    /// Whether this side made it.
    pub(super) dialed: bool,
    pub(super) connection: quinn::Connection,
    pub(super) ordered: QueueIn,
    pub(super) bulk: QueueIn,
    /// Another one took its place.
    pub(super) retired: Notify,
}

impl Live {
    /// Where the peer is now, as IPv4 where it is that.
    pub(super) fn remote(&self) -> SocketAddr {
        canonical(self.connection.remote_address())
    }
}

/// An IPv4 address that a dual-stack socket shows as IPv6, as it is usually written.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whom a dial is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Target {
    /// The owner of this key.
    Key(PublicKey),
    /// Whoever listens there.
    Address(SocketAddr),
}

/// What is to be done with a frame.
#[derive(Debug)]
pub(super) enum Route {
    /// Send it here.
    Live(Arc<Live>, Bytes),
    /// It waits, after so many others were dropped for it.
    Waits { dropped: usize },
    /// It waits, and this is to be dialed.
    Dial { target: Target, addresses: Vec<SocketAddr> },
    /// It can not be sent.
    Discard(Discard),
}

/// What follows from a new connection.
#[derive(Debug, Default)]
pub(super) struct Adopted {
    /// What waited for it.
    pub(super) waited: Vec<(Channel, Bytes)>,
    /// To be closed at once: they lead to an earlier process, or are too many.
    pub(super) closed: Vec<Arc<Live>>,
    /// To be closed by this side after a while: another one does the work.
    pub(super) retired: Vec<Arc<Live>>,
}

#[derive(Debug)]
struct Rest {
    failures: u32,
    until: Instant,
}

#[derive(Debug)]
pub(super) struct Registry {
    own: PublicKey,
    peers: HashMap<PublicKey, Vec<Arc<Live>>>,
    dialing: HashMap<Target, Backlog>,
    resting: HashMap<SocketAddr, Rest>,
    rng: Rng,
    closed: bool,
}

impl Registry {
    pub(super) fn new(own: PublicKey, seed: u64) -> Self {
        let (peers, dialing, resting) = (HashMap::new(), HashMap::new(), HashMap::new());
        Registry { own, peers, dialing, resting, rng: Rng::new(seed), closed: false }
    }

    /// How many connections there are.
    pub(super) fn open(&self) -> usize {
        self.peers.values().map(Vec::len).sum()
    }

    /// Finds the way of a frame.
    pub(super) fn route(&mut self, to: &Destination, channel: Channel, bytes: Bytes, settings: &TransportSettings) -> Route {
        if self.closed {
            return Route::Discard(Discard::Closed);
        }
        if let Some(live) = self.connected(to) {
            return Route::Live(live, bytes);
        }
        let Some(target) = to.key.map(Target::Key).or(to.addresses.first().copied().map(Target::Address)) else {
            return Route::Discard(Discard::NoRoute);
        };
        if let Some(backlog) = self.dialing.get_mut(&target) {
            return Route::Waits { dropped: backlog.push(channel, bytes, settings.backlog_frames, settings.queue_bytes) };
        }
        if to.addresses.is_empty() {
            return Route::Discard(Discard::NoRoute);
        }
        let addresses = self.rested(&to.addresses, Instant::now());
        if addresses.is_empty() || self.dialing.len() >= MAX_DIALING {
            return Route::Discard(Discard::Unreachable);
        }
        let mut backlog = Backlog::default();
        backlog.push(channel, bytes, settings.backlog_frames, settings.queue_bytes);
        self.dialing.insert(target, backlog);
        Route::Dial { target, addresses }
    }

    fn connected(&self, to: &Destination) -> Option<Arc<Live>> {
        match &to.key {
            Some(key) => self.preferred(key),
            None => {
                let peers = self.peers.iter().find(|(_, lives)| lives.iter().any(|live| to.addresses.contains(&live.remote())));
                peers.and_then(|(key, _)| self.preferred(key))
            }
        }
    }

    /// Of several connections to a peer, both ends use the one that the smaller key made: so that two
    /// that dial each other at the same time end with one.
    fn preferred(&self, peer: &PublicKey) -> Option<Arc<Live>> {
        let lives = self.peers.get(peer)?;
        let ours_wins = self.own < *peer;
        lives.iter().find(|live| live.dialed == ours_wins).or(lives.first()).cloned()
    }

    /// Whether a dial has become needless.
    pub(super) fn is_connected(&self, target: &Target) -> bool {
        match target {
            Target::Key(key) => self.peers.contains_key(key),
            Target::Address(at) => self.peers.values().flatten().any(|live| live.remote() == *at),
        }
    }

    /// Takes a new connection in; refused once the transport is closed.
    pub(super) fn adopt(&mut self, live: &Arc<Live>) -> Option<Adopted> {
        if self.closed {
            return None;
        }
        let mut adopted = Adopted::default();
        let lives = self.peers.entry(live.peer).or_default();
        adopted.closed.extend(lives.extract_if(.., |old| old.instance != live.instance));
        if lives.len() >= MAX_PER_PEER {
            adopted.closed.push(lives.remove(0));
        }
        lives.push(live.clone());
        let preferred = self.preferred(&live.peer).expect("one was just added");
        // Only the side that made a connection retires it: the other may not know yet that there are two.
        let needless = self.peers[&live.peer].iter().filter(|other| other.dialed && !Arc::ptr_eq(other, &preferred));
        adopted.retired.extend(needless.cloned());
        let remote = live.remote();
        self.resting.remove(&remote);
        for target in [Target::Key(live.peer), Target::Address(remote)] {
            adopted.waited.extend(self.dialing.get_mut(&target).map(Backlog::take).unwrap_or_default());
        }
        Some(adopted)
    }

    /// Forgets a connection that ended; true where it was its peer's last one and somebody still cares.
    pub(super) fn forget(&mut self, live: &Arc<Live>) -> bool {
        let Some(lives) = self.peers.get_mut(&live.peer) else { return false };
        let before = lives.len();
        lives.retain(|other| !Arc::ptr_eq(other, live));
        let was_last = lives.is_empty() && before > 0;
        if was_last {
            self.peers.remove(&live.peer);
        }
        was_last && !self.closed
    }

    /// Whether there is neither a connection to a peer any more nor a stop that explains it.
    pub(super) fn is_lost(&self, target: &Target) -> bool {
        !self.closed && !self.is_connected(target)
    }

    /// A dial ended: what still waits for it.
    pub(super) fn dialed(&mut self, target: &Target) -> VecDeque<(Channel, Bytes)> {
        self.dialing.remove(target).map(|mut backlog| backlog.take()).unwrap_or_default()
    }

    /// An address did not answer, or not with the key that was expected.
    pub(super) fn failed(&mut self, address: SocketAddr, settings: &TransportSettings) {
        let now = Instant::now();
        if self.resting.len() >= MAX_RESTING {
            self.resting.retain(|_, rest| rest.until > now);
        }
        let failures = self.resting.get(&address).map_or(0, |rest| rest.failures).saturating_add(1);
        let pause = settings.backoff_first.saturating_mul(1 << failures.min(16).saturating_sub(1)).min(settings.backoff_most);
        let pause = pause / 2 + self.rng.duration_below(pause / 2 + Duration::from_nanos(1));
        if self.resting.len() < MAX_RESTING || self.resting.contains_key(&address) {
            self.resting.insert(address, Rest { failures, until: now + pause });
        }
    }

    fn rested(&self, addresses: &[SocketAddr], now: Instant) -> Vec<SocketAddr> {
        addresses.iter().copied().filter(|address| self.resting.get(address).is_none_or(|rest| rest.until <= now)).collect()
    }

    /// Takes no more connections or frames. Says how many frames waited.
    pub(super) fn close(&mut self) -> usize {
        self.closed = true;
        self.dialing.values().map(Backlog::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(key: Option<u8>, addresses: &[&str]) -> Destination {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Destination { key: key.map(|number| PublicKey([number; 32])), addresses }
    }

    fn route(registry: &mut Registry, to: &Destination) -> Route {
        registry.route(to, Channel::Ordered, Bytes::from_static(b"x"), &TransportSettings::default())
    }

    #[test]
    fn the_first_frame_dials_and_the_next_one_waits() {
        let mut registry = Registry::new(PublicKey([1; 32]), 1);
        let peer = to(Some(2), &["127.0.0.1:1", "127.0.0.1:2"]);
        assert!(matches!(route(&mut registry, &peer), Route::Dial { addresses, .. } if addresses == peer.addresses));
        assert!(matches!(route(&mut registry, &peer), Route::Waits { dropped: 0 }));
        assert_eq!(registry.dialed(&Target::Key(PublicKey([2; 32]))).len(), 2);
        assert!(matches!(route(&mut registry, &peer), Route::Dial { .. }));
    }

    #[test]
    fn without_an_address_there_is_no_route() {
        let mut registry = Registry::new(PublicKey([1; 32]), 1);
        assert!(matches!(route(&mut registry, &to(Some(2), &[])), Route::Discard(Discard::NoRoute)));
        assert!(matches!(route(&mut registry, &to(None, &[])), Route::Discard(Discard::NoRoute)));
    }

    #[test]
    fn an_address_that_failed_rests_and_the_next_one_is_tried() {
        let mut registry = Registry::new(PublicKey([1; 32]), 1);
        let peer = to(Some(2), &["127.0.0.1:1", "127.0.0.1:2"]);
        let settings = TransportSettings { backoff_first: Duration::from_secs(60), ..TransportSettings::default() };
        let settings = TransportSettings { backoff_most: Duration::from_secs(60), ..settings };
        registry.failed(peer.addresses[0], &settings);
        assert!(matches!(route(&mut registry, &peer), Route::Dial { addresses, .. } if addresses == peer.addresses[1..]));
        registry.dialed(&Target::Key(PublicKey([2; 32])));
        registry.failed(peer.addresses[1], &settings);
        assert!(matches!(route(&mut registry, &peer), Route::Discard(Discard::Unreachable)));
    }

    #[test]
    fn dials_are_bounded() {
        let mut registry = Registry::new(PublicKey([1; 32]), 1);
        for port in 1..=MAX_DIALING {
            assert!(matches!(route(&mut registry, &to(None, &[&format!("127.0.0.1:{port}")])), Route::Dial { .. }));
        }
        assert!(matches!(route(&mut registry, &to(None, &["127.0.0.2:1"])), Route::Discard(Discard::Unreachable)));
    }

    #[test]
    fn a_closed_registry_takes_nothing() {
        let mut registry = Registry::new(PublicKey([1; 32]), 1);
        route(&mut registry, &to(Some(2), &["127.0.0.1:1"]));
        assert_eq!(registry.close(), 1);
        assert!(matches!(route(&mut registry, &to(Some(2), &["127.0.0.1:1"])), Route::Discard(Discard::Closed)));
    }
}
