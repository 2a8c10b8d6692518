//! Whole numbers as JSON Schema has them: `266.0` is one too.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::Deserializer;
use serde::de::{Error, Unexpected, Visitor};

struct Whole<T>(PhantomData<T>);

impl<T: FromStr> Visitor<'_> for Whole<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number within its range")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        number.to_string().parse().map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    /// What is whole is shown without a point.
    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        number.to_string().parse().map_err(|_| E::invalid_value(Unexpected::Float(number), &self))
    }
}

/// Takes a whole number, however it is written.
pub(super) fn whole<'de, T: FromStr, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(Whole(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_whole_by_its_value_and_not_by_how_it_is_written() {
        let read = |json: &str| whole::<u32, _>(&mut serde_json::Deserializer::from_str(json)).ok();
        assert_eq!(["7", "7.0", "7e0", "4294967295"].map(read), [Some(7), Some(7), Some(7), Some(u32::MAX)]);
        assert_eq!(["7.5", "-1", "4294967296", "1e300", "\"7\"", "null"].map(read), [None; 6]);
    }
}
