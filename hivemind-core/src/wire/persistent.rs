//! Persistent maps and sets on the wire. imbl's own reading reserves room for as many entries as the
//! sender says there are: a few bytes could ask for all memory. Serde's lists grow as they are read.

/// For `#[serde(with = "...")]` on an [`imbl::OrdMap`].
pub mod map {
    use imbl::OrdMap;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// As imbl writes it: a map.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<K, V, S>(map: &OrdMap<K, V>, to: S) -> Result<S::Ok, S::Error>
    where
        K: Ord + Clone + Serialize,
        V: Clone + Serialize,
        S: Serializer,
    {
        to.collect_seq(map.iter())
    }

    /// In whatever order they come.
    ///
    /// # Errors
    /// The deserializer's.
    pub fn deserialize<'de, K, V, D>(from: D) -> Result<OrdMap<K, V>, D::Error>
    where
        K: Ord + Clone + Deserialize<'de>,
        V: Clone + Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Vec::<(K, V)>::deserialize(from).map(|entries| entries.into_iter().collect())
    }
}

/// For `#[serde(with = "...")]` on an [`imbl::OrdSet`].
pub mod set {
    use imbl::OrdSet;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// As a list.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<T, S>(set: &OrdSet<T>, to: S) -> Result<S::Ok, S::Error>
    where
        T: Ord + Clone + Serialize,
        S: Serializer,
    {
        to.collect_seq(set.iter())
    }

    /// In whatever order they come.
    ///
    /// # Errors
    /// The deserializer's.
    pub fn deserialize<'de, T, D>(from: D) -> Result<OrdSet<T>, D::Error>
    where
        T: Ord + Clone + Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Vec::<T>::deserialize(from).map(|entries| entries.into_iter().collect())
    }
}

/// For `#[serde(with = "...")]` on an [`imbl::Vector`].
pub mod list {
    use imbl::Vector;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// As a list.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<T, S>(list: &Vector<T>, to: S) -> Result<S::Ok, S::Error>
    where
        T: Clone + Serialize,
        S: Serializer,
    {
        to.collect_seq(list.iter())
    }

    /// In their order.
    ///
    /// # Errors
    /// The deserializer's.
    pub fn deserialize<'de, T, D>(from: D) -> Result<Vector<T>, D::Error>
    where
        T: Clone + Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Vec::<T>::deserialize(from).map(Vector::from)
    }
}

#[cfg(test)]
mod tests {
    use imbl::{OrdMap, OrdSet, Vector};
    use serde::{Deserialize, Serialize};

    use crate::error::WireError;
    use crate::wire::codec;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Both {
        #[serde(with = "super::map")]
        map: OrdMap<u64, u8>,
        #[serde(with = "super::set")]
        set: OrdSet<u64>,
        #[serde(with = "super::list")]
        list: Vector<u64>,
    }

    #[test]
    fn they_come_back_as_they_were() {
        let both = Both {
            map: [(3_u64, 1_u8), (1, 2)].into_iter().collect(),
            set: [9_u64, 8].into_iter().collect(),
            list: Vector::from(vec![7, 3]),
        };
        assert_eq!(codec::decode::<Both, 1024>(&codec::encode(&both)), Ok(both));
    }

    #[test]
    fn a_length_that_is_a_lie_takes_no_memory() {
        // The largest length that bincode's integers can state, and nothing behind it.
        let bytes = [&[253_u8][..], &u64::MAX.to_le_bytes()].concat();
        assert_eq!(codec::decode::<Both, 1024>(&bytes), Err(WireError::Malformed));
    }
}
