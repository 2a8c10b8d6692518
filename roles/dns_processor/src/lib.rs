#![doc = include_str!("../README.md")]

pub mod answer;
pub mod name;
pub mod role;
#[cfg(feature = "io")]
pub mod server;
pub mod zone;
