#![doc = include_str!("../README.md")]

pub mod authority;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
pub mod daemon;
mod driver;
pub mod enroll;
mod feed;
pub mod http;
pub mod keys;
#[cfg(feature = "http")]
mod nearest;
mod node;
mod owner;
mod reconciler;
mod seeds;
#[cfg(feature = "cli")]
pub mod settings_file;
pub mod storage;
mod tasks;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transport;

pub use driver::{AppliedEvent, NodeStatus, RoleReport, StopReason};
pub use feed::{Feed, Heard};
pub use node::{
    CredentialSecret, DEFAULT_PORT, NewCredential, Node, NodeBuilder, NodeHandle, PublishFailure, ReadFailure, RotationFailure,
    SecretFailure, StartFailure, TokenWish,
};
pub use reconciler::ApplyStatus;
pub use seeds::{Seed, SeedError};

/// The manual for embedders: its programs are compiled and run.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../../docs/embedding.md")]
mod embedding {}
