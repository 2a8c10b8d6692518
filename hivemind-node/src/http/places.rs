//! How many connections one address may have where anybody may knock: who holds all it may keeps nobody else out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::owner::owner;

/// One address may have one of so many places.
const SHARE: usize = 8;

/// Who has how many of the places of one door. Clones are one.
#[derive(Clone, Debug)]
pub(super) struct Places {
    most: usize,
    taken: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
}

impl Places {
    /// Of so many in all.
    pub(super) fn new(all: usize) -> Self {
        Places { most: (all / SHARE).max(1), taken: Arc::default() }
    }

    /// A place for one who comes from there, until it is dropped; none where its owner has as many as it may.
    pub(super) fn take(&self, from: IpAddr) -> Option<Place> {
        let owner = owner(from);
        let mut taken = self.taken();
        let count = taken.entry(owner).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(taken);
        Some(Place { owner, places: self.clone() })
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One place that is taken.
#[derive(Debug)]
pub(super) struct Place {
    owner: IpAddr,
    places: Places,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        let Some(count) = taken.get_mut(&self.owner) else { return };
        *count -= 1;
        if *count == 0 {
            taken.remove(&self.owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_has_its_share_and_what_it_leaves_is_free_again() {
        let places = Places::new(16);
        let of = |text: &str| places.take(text.parse().unwrap());
        let (first, _second) = (of("192.0.2.1").unwrap(), of("::ffff:192.0.2.1").unwrap());
        assert!(of("192.0.2.1").is_none());
        let _other = of("192.0.2.2").unwrap();
        drop(first);
        let _again = of("192.0.2.1").unwrap();
        let _network = (of("2001:db8::1").unwrap(), of("2001:db8::2").unwrap());
        assert!(of("2001:db8::3").is_none(), "a host has a whole /64");
        drop((_second, _other, _again, _network));
        assert!(places.taken().is_empty(), "who is gone takes no room");
        assert!(Places::new(1).take([192, 0, 2, 1].into()).is_some());
    }
}
