//! The Debian package: built from the programs of this build, installed, run, removed and purged, in a copy of this machine's files
//! that is thrown away; once more under a systemd that is booted there. Needs root, or sudo without a question.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail as tests do")]

mod booted;
mod installed;
#[path = "../programs/said.rs"]
mod said;
mod sandbox;
mod unit;
