//! The real programs: the daemon and the tool, each in a folder of its own, over loopback.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail as tests do")]

mod admitted;
mod authority;
mod bad_input;
mod day;
mod doctor;
mod follow;
mod host;
mod host_files;
mod https;
mod last_good;
mod log;
mod manual;
mod outcome;
mod said;
mod seeds;
mod service;
mod terminal;
#[path = "../hosts/wait.rs"]
mod wait;
mod words;
