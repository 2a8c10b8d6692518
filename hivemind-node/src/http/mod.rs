//! The HTTP interface of a node: what the operator's tool, programs and browsers speak to. `docs/http.md` is its manual.
//!
//! [`HttpListener::bind`] takes an address, [`HttpListener::serve`] lets a node be spoken to there. The routes, and the document that
//! describes them, are one table: `operations.rs`. A request passes `gate.rs` (id, host and origin, rate, log), axum's
//! router, and `call.rs` (right, query, body, consistency), and is then one call of a function in `routes/`.
//!
//! [`model`] is what is answered; it is there without the feature `http` too, for clients.

#[cfg(feature = "http")]
mod accept;
#[cfg(feature = "http")]
mod access;
#[cfg(feature = "http")]
mod answer;
#[cfg(feature = "http")]
mod body;
#[cfg(feature = "http")]
mod call;
#[cfg(feature = "http")]
mod chronicle;
#[cfg(feature = "http")]
mod connection;
#[cfg(feature = "http")]
mod counts;
#[cfg(feature = "http")]
mod cursor;
#[cfg(feature = "http")]
mod desk;
#[cfg(feature = "http")]
mod failure;
#[cfg(feature = "http")]
mod gate;
#[cfg(feature = "http")]
mod head;
#[cfg(feature = "http")]
mod journal;
pub mod model;
#[cfg(feature = "http")]
mod observer;
#[cfg(feature = "http")]
mod openapi;
#[cfg(feature = "http")]
mod operations;
#[cfg(feature = "http")]
mod origin;
#[cfg(feature = "http")]
mod parameters;
#[cfg(feature = "http")]
mod places;
#[cfg(feature = "http")]
mod rate;
#[cfg(feature = "http")]
mod request_id;
#[cfg(feature = "http")]
mod routes;
#[cfg(feature = "http")]
mod sections;
#[cfg(feature = "http")]
mod server;
#[cfg(feature = "http")]
mod settings;
#[cfg(feature = "http")]
mod socket;
#[cfg(feature = "http")]
mod stalling;
#[cfg(feature = "http")]
mod stream;
#[cfg(feature = "http")]
mod tls;

#[cfg(feature = "http")]
pub use observer::Observer;
#[cfg(feature = "http")]
pub use openapi::document;
#[cfg(feature = "http")]
pub use server::{BindFailure, HttpListener, HttpServer};
#[cfg(feature = "http")]
pub use settings::{Anonymous, DEFAULT_HTTP_PORT, HttpSettings, Limits};
#[cfg(feature = "http")]
pub use socket::SocketFailure;
#[cfg(feature = "cli")]
pub(crate) use tls::is_beyond_this_machine;
