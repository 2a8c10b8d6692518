//! Messages between nodes: their types, their framing, versions and limits.

pub mod access;
pub mod codec;
pub mod command;
pub mod config;
pub mod event;
pub mod feature;
pub mod frame;
pub mod member;
pub mod message;
pub mod persistent;
pub mod trust;
