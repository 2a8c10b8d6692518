//! Errors of values that come from outside, by what is wrong with them.

use thiserror::Error;

/// Why a text is not a [`NodeName`](crate::ids::NodeName) or [`SectionKind`](crate::ids::SectionKind).
/// The caller's input is at fault; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("the name is empty; give 1 to 63 of a-z, 0-9 and '-'")]
    Empty,
    /// More octets than a DNS label or a kind may have.
    #[error("the name has {length} octets; 63 is the most a DNS label may have (32 for a section kind)")]
    TooLong {
        /// The octets given.
        length: usize,
    },
    /// A character that is not allowed.
    #[error("the name has the character {found:?}; only a-z, 0-9 and '-' are allowed")]
    Character {
        /// The first such character.
        found: char,
    },
    /// A hyphen at an end.
    #[error("the name starts or ends with '-'; a DNS label may not")]
    Hyphen,
}

/// Why bytes are not a value of the wire. The sender is at fault; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// No bytes at all.
    #[error("an empty frame")]
    Empty,
    /// More bytes than this kind of frame may have.
    #[error("a frame of {length} bytes; at most {limit} are accepted")]
    TooLarge {
        /// The bytes that came.
        length: usize,
        /// The bytes accepted.
        limit: usize,
    },
    /// A version this build does not speak.
    #[error("wire version {found}; this node speaks {speaks}")]
    Version {
        /// The sender's version.
        found: u8,
        /// This build's version.
        speaks: u8,
    },
    /// Truncated, or not a value of the type.
    #[error("bytes that do not decode")]
    Malformed,
    /// A value, and then more.
    #[error("{extra} bytes after the end of the value")]
    Trailing {
        /// How many.
        extra: usize,
    },
}
