//! Persistent maps and sets on the wire. imbl's own `Deserialize` reserves room for as many entries as the sender claims,
//! which a frame of some bytes can make more than any memory: so its serde feature is off, and they are read through the
//! standard library's, which believe no claim.

use imbl::{OrdMap, OrdSet};

/// `#[serde(with = "ordered::map")]`
pub(crate) mod map {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::OrdMap;

    pub(crate) fn serialize<K: Ord + Serialize, V: Serialize, S: Serializer>(map: &OrdMap<K, V>, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(map.iter().collect::<Vec<_>>())
    }

    pub(crate) fn deserialize<'de, K, V, D>(from: D) -> Result<OrdMap<K, V>, D::Error>
    where
        K: Ord + Clone + Deserialize<'de>,
        V: Clone + Deserialize<'de>,
        D: Deserializer<'de>,
    {
        BTreeMap::deserialize(from).map(|read| read.into_iter().collect())
    }
}

/// `#[serde(with = "ordered::set")]`
pub(crate) mod set {
    use std::collections::BTreeSet;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::OrdSet;

    pub(crate) fn serialize<T: Ord + Serialize, S: Serializer>(set: &OrdSet<T>, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(set.iter().collect::<Vec<_>>())
    }

    pub(crate) fn deserialize<'de, T: Ord + Clone + Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<OrdSet<T>, D::Error> {
        BTreeSet::deserialize(from).map(|read| read.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use imbl::{OrdMap, OrdSet};
    use serde::{Deserialize, Serialize};

    use crate::error::WireError;
    use crate::wire::codec;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Both {
        #[serde(with = "super::map")]
        map: OrdMap<u16, u8>,
        #[serde(with = "super::set")]
        set: OrdSet<u64>,
    }

    #[test]
    fn maps_and_sets_come_back_as_they_were() {
        let both = Both { map: [(7, 1), (3, 2)].into_iter().collect(), set: [9, 4].into_iter().collect() };
        assert_eq!(codec::decode::<Both, 1024>(&codec::encode(&both)), Ok(both));
    }

    #[test]
    fn a_claim_of_more_entries_than_there_is_memory_is_only_an_error() {
        // bincode's mark of a number of 64 bits, and a length that no machine has room for.
        let mut claim = vec![0xfd];
        claim.extend((1_u64 << 52).to_le_bytes());
        assert_eq!(codec::decode::<Both, 1024>(&claim), Err(WireError::Malformed));
        claim.insert(0, 0);
        assert_eq!(codec::decode::<Both, 1024>(&claim), Err(WireError::Malformed));
    }
}
