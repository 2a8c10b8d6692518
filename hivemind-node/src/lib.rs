#![doc = include_str!("../README.md")]

pub mod authority;
pub mod keys;
pub mod storage;
mod tasks;
pub mod transport;
