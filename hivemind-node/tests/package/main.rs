//! The Debian package: built from the programs of this build, installed, run, removed and purged, in a copy of this machine's files
//! that is thrown away. What only a booted systemd can show is named in `docs/operating.md`.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail as tests do")]

mod installed;
#[path = "../programs/said.rs"]
mod said;
mod sandbox;
mod unit;
