//! The one place that knows bincode: every value goes through a limit, and trailing bytes are refused.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::WireError;

/// The largest section of a config, encoded: 64 KiB.
pub const SECTION_LIMIT: usize = 64 << 10;

/// The largest value that is encoded at all: a chunk of a snapshot, with room: 64 MiB.
const ENCODE_LIMIT: usize = 64 << 20;

const fn config<const LIMIT: usize>() -> Configuration<LittleEndian, Varint, Limit<LIMIT>> {
    bincode::config::standard().with_limit::<LIMIT>()
}

/// Encodes a value of ours.
///
/// # Panics
/// Where `value` is larger than 64 MiB or its `Serialize` fails: both are bugs of this program, since
/// every type of the wire has a limit below that and derives its `Serialize`.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, config::<ENCODE_LIMIT>()).expect("types of the wire encode, and have limits")
}

/// Encodes a value of ours behind what is in `out` already: a frame is put together in one buffer.
///
/// # Panics
/// As [`encode`].
pub fn encode_into<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    bincode::serde::encode_into_writer(value, Appender(out), config::<ENCODE_LIMIT>()).expect("types of the wire encode, and have limits");
}

/// Puts what is encoded at the end of a vector.
struct Appender<'a>(&'a mut Vec<u8>);

impl Writer for Appender<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Decodes a value of at most `LIMIT` bytes that fills `bytes` to their end.
///
/// # Errors
/// [`WireError`]: too large, malformed, or followed by more.
pub fn decode<T: DeserializeOwned, const LIMIT: usize>(bytes: &[u8]) -> Result<T, WireError> {
    if bytes.len() > LIMIT {
        return Err(WireError::TooLarge { length: bytes.len(), limit: LIMIT });
    }
    let (value, read) = bincode::serde::decode_from_slice::<T, _>(bytes, config::<LIMIT>()).map_err(|_| WireError::Malformed)?;
    match bytes.len() - read {
        0 => Ok(value),
        extra => Err(WireError::Trailing { extra }),
    }
}

/// Decodes a value of at most `LIMIT` bytes from the start of `bytes`, and says how many it took.
///
/// # Errors
/// [`WireError::Malformed`].
pub fn decode_prefix<T: DeserializeOwned, const LIMIT: usize>(bytes: &[u8]) -> Result<(T, usize), WireError> {
    bincode::serde::decode_from_slice(bytes, config::<LIMIT>()).map_err(|_| WireError::Malformed)
}

/// Decodes a section's content, of at most [`SECTION_LIMIT`] bytes.
///
/// # Errors
/// As [`decode`].
pub fn decode_section<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    decode::<T, SECTION_LIMIT>(bytes)
}
