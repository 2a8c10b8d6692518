#![doc = include_str!("../README.md")]

pub mod context;
pub mod error;
pub mod facts;
pub mod ids;
pub mod keys;
pub mod machine;
pub mod rng;
pub mod role;
pub mod settings;
pub mod storage;
pub mod time;
pub mod timers;
pub mod view;
pub mod wire;
