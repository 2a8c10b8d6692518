//! A map that forgets its oldest entries: what the applied state remembers must have a limit, and
//! every voter must forget the same things.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// At most `LIMIT` entries; inserting one more forgets the one that was inserted first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(K, V)>", into = "Vec<(K, V)>")]
#[serde(bound(serialize = "K: Ord + Clone + Serialize, V: Clone + Serialize"))]
#[serde(bound(deserialize = "K: Ord + Clone + Deserialize<'de>, V: Clone + Deserialize<'de>"))]
pub(super) struct Bounded<K: Ord + Clone, V: Clone, const LIMIT: usize> {
    entries: BTreeMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Ord + Clone, V: Clone, const LIMIT: usize> Bounded<K, V, LIMIT> {
    pub(super) fn new() -> Self {
        Bounded { entries: BTreeMap::new(), order: VecDeque::new() }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
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
    fn from(mut bounded: Bounded<K, V, LIMIT>) -> Self {
        let order = std::mem::take(&mut bounded.order);
        order.into_iter().filter_map(|key| bounded.entries.remove(&key).map(|value| (key, value))).collect()
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
