//! Who is attended to at the desk: so many at once, few of them from one source, and some places are the members' alone.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hivemind_core::ids::PublicKey;
use tokio::time::Instant;

use crate::owner::owner;

/// So many are attended to at once.
pub(crate) const AT_ONCE: usize = 16;
/// So many of these places are kept for members: strangers do not keep them from renewing.
const KEPT: usize = 4;
/// One source has at most so many places.
const PER_SOURCE_AT_ONCE: usize = 4;
/// From one source so many may ask in a window: a rack behind one address that is set up at once.
const PER_SOURCE: u32 = 60;
const WINDOW: Duration = Duration::from_secs(60);
/// So many sources are kept count of. Where there are more, the one that was counted for longest begins anew.
const MAX_SOURCES: usize = 1024;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// Whoever is there: known by the address alone.
    Stranger(IpAddr),
    /// A member of the cluster, who has proven it.
    Member(PublicKey),
}

/// All places.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    strangers: Sources<IpAddr>,
    members: Sources<PublicKey>,
}

impl Places {
    /// A place, if there is one for who asks; never waits.
    pub(super) fn take(&self, asks: Asks, now: Instant) -> Option<Place> {
        let asks = match asks {
            Asks::Stranger(address) => Asks::Stranger(owner(address)),
            Asks::Member(_) => asks,
        };
        let mut taken = self.taken();
        let strangers = taken.strangers.attended;
        let is_full = strangers + taken.members.attended >= AT_ONCE;
        let is_admitted = match asks {
            Asks::Stranger(source) => !is_full && strangers < AT_ONCE - KEPT && taken.strangers.admit(source, now),
            Asks::Member(key) => !is_full && taken.members.admit(key, now),
        };
        is_admitted.then(|| Place { places: self.clone(), asks })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place, until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    asks: Asks,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        match self.asks {
            Asks::Stranger(source) => taken.strangers.leave(&source),
            Asks::Member(key) => taken.members.leave(&key),
        }
    }
}

/// Who asked how often, and how many are attended to.
#[derive(Debug)]
struct Sources<S> {
    known: HashMap<S, Source>,
    attended: usize,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    since: Instant,
    count: u32,
    attended: usize,
}

impl<S> Default for Sources<S> {
    fn default() -> Self {
        Sources { known: HashMap::new(), attended: 0 }
    }
}

impl<S: Copy + Eq + Hash> Sources<S> {
    /// Whether one more is attended to from there now; then it counts.
    fn admit(&mut self, source: S, now: Instant) -> bool {
        if self.known.len() >= MAX_SOURCES && !self.known.contains_key(&source) {
            let idle = self.known.iter().filter(|(_, one)| one.attended == 0);
            let oldest = idle.min_by_key(|(_, one)| one.since).map(|(source, _)| *source);
            oldest.and_then(|oldest| self.known.remove(&oldest));
        }
        let one = self.known.entry(source).or_insert(Source { since: now, count: 0, attended: 0 });
        if now.saturating_duration_since(one.since) >= WINDOW {
            (one.since, one.count) = (now, 0);
        }
        if one.attended >= PER_SOURCE_AT_ONCE || one.count >= PER_SOURCE {
            return false;
        }
        one.count += 1;
        one.attended += 1;
        self.attended += 1;
        true
    }

    fn leave(&mut self, source: &S) {
        if let Some(one) = self.known.get_mut(source) {
            one.attended -= 1;
        }
        self.attended -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(text: &str) -> Asks {
        Asks::Stranger(text.parse().unwrap())
    }

    fn numbered(number: usize) -> Asks {
        let [.., high, low] = number.to_be_bytes();
        Asks::Stranger(IpAddr::from([10, 0, high, low]))
    }

    #[tokio::test]
    async fn one_source_asks_so_often_and_the_next_window_is_another() {
        let (places, now) = (Places::default(), Instant::now());
        let one = stranger("10.0.0.1");
        assert!((0..PER_SOURCE).all(|_| places.take(one, now).is_some()));
        assert!(places.take(one, now).is_none());
        assert!(places.take(stranger("10.0.0.2"), now).is_some());
        assert!(places.take(one, now + WINDOW).is_some());
    }

    #[tokio::test]
    async fn one_source_has_few_places_and_all_addresses_of_a_network_are_one() {
        let (places, now) = (Places::default(), Instant::now());
        let mut held: Vec<_> = (1..=9).filter_map(|number| places.take(stranger(&format!("2001:db8::{number}")), now)).collect();
        assert_eq!(held.len(), PER_SOURCE_AT_ONCE);
        assert!(places.take(stranger("2001:db8:0:1::1"), now).is_some(), "another network");
        held.pop();
        assert!(places.take(stranger("2001:db8::1"), now).is_some(), "who leaves makes room");
    }

    #[tokio::test]
    async fn strangers_leave_places_to_members_and_none_counts_that_had_no_place() {
        let (places, now) = (Places::default(), Instant::now());
        let strangers: Vec<_> = (0..100).filter_map(|number| places.take(numbered(number), now)).collect();
        assert_eq!(strangers.len(), AT_ONCE - KEPT);
        let members: Vec<_> = (0..100).filter_map(|number| places.take(Asks::Member(PublicKey([number; 32])), now)).collect();
        assert_eq!(members.len(), KEPT);
        let late = numbered(99);
        assert!((0..2 * PER_SOURCE).all(|_| places.take(late, now).is_none()));
        drop((strangers, members));
        assert!(places.take(late, now).is_some());
    }

    #[tokio::test]
    async fn many_sources_take_bounded_memory_and_another_one_is_attended_to() {
        let (places, now) = (Places::default(), Instant::now());
        assert!((0..2 * MAX_SOURCES).all(|number| places.take(numbered(number), now).is_some()));
        assert_eq!(places.taken().strangers.known.len(), MAX_SOURCES);
    }
}
