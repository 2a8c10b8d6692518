#![doc = include_str!("../README.md")]

pub mod authority;
mod driver;
mod feed;
pub mod http;
pub mod keys;
mod node;
mod reconciler;
pub mod storage;
mod tasks;
pub mod transport;

pub use driver::{AppliedEvent, NodeStatus, RoleReport, StopReason};
pub use feed::{Feed, Heard};
pub use node::{DEFAULT_PORT, Node, NodeBuilder, NodeHandle, PublishFailure, ReadFailure, StartFailure};
pub use reconciler::ApplyStatus;
