#![doc = include_str!("../README.md")]

pub mod configs;
pub mod context;
pub mod control;
pub mod error;
pub mod events;
pub mod facts;
#[cfg(test)]
mod fixture;
pub mod ids;
pub mod keys;
pub mod machine;
pub mod membership;
pub mod planted;
mod rank;
pub mod rng;
pub mod role;
pub mod settings;
pub mod storage;
pub mod time;
pub mod timers;
pub mod view;
pub mod wire;
