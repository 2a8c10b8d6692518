//! What this subsystem promises, in virtual time.

mod claims;
mod net;
mod script;
mod wire;
