//! The rules of hivemind.
pub mod error;
pub mod ids;
pub mod rng;
pub mod time;
pub mod wire;
