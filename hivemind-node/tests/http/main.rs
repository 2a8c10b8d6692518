//! The HTTP interface of real nodes, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail as tests do")]

mod actions;
mod answers;
mod client;
mod features;
mod figures;
mod grants;
mod listening;
mod nodes;
mod refusals;
mod restarts;
mod rights;
mod streams;
mod tls;
mod voters;
mod why;
