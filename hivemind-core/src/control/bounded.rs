//! A map that forgets its oldest entries: what the applied state remembers must have a limit, and
//! every voter must forget the same things.

use imbl::{OrdMap, Vector};
use serde::{Deserialize, Serialize};

/// At most `LIMIT` entries; inserting one more forgets the one that was inserted first. Clones share structure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(K, V)>", into = "Vec<(K, V)>")]
#[serde(bound(serialize = "K: Ord + Clone + Serialize, V: Clone + Serialize"))]
#[serde(bound(deserialize = "K: Ord + Clone + Deserialize<'de>, V: Clone + Deserialize<'de>"))]
pub(super) struct Bounded<K: Ord + Clone, V: Clone, const LIMIT: usize> {
    entries: OrdMap<K, V>,
    order: Vector<K>,
}

impl<K: Ord + Clone, V: Clone, const LIMIT: usize> Bounded<K, V, LIMIT> {
    pub(super) fn new() -> Self {
        Bounded { entries: OrdMap::new(), order: Vector::new() }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// The entry that was inserted as the `place`th of those that are left, from 0.
    pub(super) fn at(&self, place: usize) -> Option<(&K, &V)> {
        let key = self.order.get(place)?;
        self.entries.get(key).map(|value| (key, value))
    }

    /// A key that is there already keeps its place in the order.
    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.entries.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > LIMIT {
            let oldest = self.order.pop_front().expect("longer than its limit, so not empty");
            self.entries.remove(&oldest);
        }
    }
}

impl<K: Ord + Clone, V: Clone, const LIMIT: usize> From<Vec<(K, V)>> for Bounded<K, V, LIMIT> {
    fn from(listed: Vec<(K, V)>) -> Self {
        let mut bounded = Bounded::new();
        for (key, value) in listed {
            bounded.insert(key, value);
        }
        bounded
    }
}

impl<K: Ord + Clone, V: Clone, const LIMIT: usize> From<Bounded<K, V, LIMIT>> for Vec<(K, V)> {
    fn from(bounded: Bounded<K, V, LIMIT>) -> Self {
        let pairs = (0..bounded.len()).filter_map(|place| bounded.at(place));
        pairs.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Bounded;

    #[test]
    fn the_oldest_is_forgotten_first_and_the_order_survives_the_list() {
        let mut map: Bounded<u8, u8, 2> = Bounded::new();
        map.insert(9, 1);
        map.insert(3, 2);
        map.insert(9, 3);
        let listed: Vec<(u8, u8)> = map.clone().into();
        assert_eq!(listed, vec![(9, 3), (3, 2)]);
        let mut again: Bounded<u8, u8, 2> = listed.into();
        again.insert(5, 4);
        assert_eq!((again.get(&9), again.get(&3), again.get(&5)), (None, Some(&2), Some(&4)));
    }
}
