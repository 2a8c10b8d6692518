#![doc = include_str!("../README.md")]

pub mod authority;
pub mod keys;
mod tasks;
pub mod transport;
