#![doc = include_str!("../README.md")]

pub mod answer;
#[cfg(feature = "io")]
pub mod memory;
pub mod name;
pub mod role;
#[cfg(feature = "io")]
pub mod server;
pub mod zone;
