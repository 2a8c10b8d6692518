//! What this subsystem promises, in virtual time.

mod claims;
mod far;
mod net;
mod overlap;
mod script;
mod town;
mod watch;
mod wire;
