//! wire
pub mod codec;
