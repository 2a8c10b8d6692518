//! The sans-IO state machine of one node.

mod io;
mod startup;

use std::sync::Arc;

pub use io::{Destination, Effect, HaltReason, Input, Phase, PublishError, Reply, Status};
pub use startup::{Birth, StartError, Startup};

use crate::role::{RoleSpec, RoleStatus};
use crate::time::{Now, Time};
use crate::view::View;

/// One node.
pub struct Machine {}

impl Machine {
    /// Makes a machine; then poll its effects.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn new(_startup: Startup, _now: Now) -> Result<Machine, StartError> {
        Ok(Machine {})
    }

    /// Takes what happened. Poll [`Machine::poll_effect`] until empty afterwards, then [`Machine::poll_timeout`].
    pub fn handle(&mut self, _input: Input, _now: Now) {}

    /// The next thing to be done.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        None
    }

    /// When to call with [`Input::Timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<Time> {
        None
    }

    /// The node's own account of itself.
    pub fn status(&self) -> Status {
        unimplemented!()
    }

    /// Its view, once it has one.
    pub fn view(&self) -> Option<&Arc<View>> {
        None
    }

    /// How each role fares.
    pub fn roles(&self) -> Vec<(&RoleSpec, &RoleStatus)> {
        Vec::new()
    }
}
