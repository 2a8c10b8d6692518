//! Whole hosts: the real daemon and the real tool in network namespaces, each with its own addresses, on one bridge.
//!
//! Needs `ip`, `nft`, `nsenter`, `unshare`, `setpriv` and libfaketime, and either root or user namespaces for everybody.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail as tests do")]

mod bare;
mod clock;
mod cluster;
mod disk;
mod host;
mod joining;
mod killing;
mod load;
mod parting;
#[path = "../programs/said.rs"]
mod said;
mod wait;
mod world;
