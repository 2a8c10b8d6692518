//! What a role is, and running the installed roles over the view.
//!
//! A role is level-triggered: a pure function from view to desired state, and a separate half, outside
//! core, that makes it so.

mod installed;
mod runner;

use std::any::Any;
use std::error::Error;
use std::sync::Arc;

pub use installed::InstalledRole;
pub use runner::{DesiredState, RoleStatus, Roles};

use crate::ids::RequestId;
use crate::view::{Changed, View};
use crate::wire::command::{Command, Outcome};
use crate::wire::config::Section;
use crate::wire::event::Event;
pub use crate::wire::member::RoleSpec;

/// The pure half of a role.
pub trait Role: Send + 'static {
    /// What the outside world should be; `()` where the role only publishes. Cloning must be cheap: share structure.
    type Desired: Clone + PartialEq + Send + Sync + 'static;

    /// Its name and lists. Must always return the same.
    fn spec(&self) -> RoleSpec;

    /// What the outside world should be under `view`. Pure. `changed` is a superset of what moved since
    /// `last` was made; with `last` absent, or `changed.everything`, it is made from nothing. The result
    /// must equal one made from nothing.
    fn desired(&self, view: &View, changed: &Changed, last: Option<&Self::Desired>) -> Self::Desired;

    /// Hears of something that happened, and may ask for something to be done.
    fn on_event(&mut self, event: RoleEvent<'_>, view: &View, requests: &mut Requests) {
        let _ = (event, view, requests);
    }
}

/// The half of a role that changes the outside world. Idempotent; left out in simulation.
pub trait Apply<D>: Send + 'static {
    /// Why it could not be applied. It is reported in the status and tried again with backoff.
    type Error: Error + Send + Sync + 'static;

    /// Makes the outside world as `desired` says.
    fn apply(&mut self, desired: Arc<D>) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// What a role hears of.
#[derive(Clone, Copy, Debug)]
pub enum RoleEvent<'a> {
    /// The node is a member (again): at the first join, after a resume and after a re-join.
    Member,
    /// An event was applied.
    Event(&'a Event),
    /// What became of a proposal of this role.
    Outcome {
        /// As it was given to [`Requests::propose`].
        request: RequestId,
        /// What became of it.
        outcome: &'a Outcome,
    },
}

/// What a role asks for while it hears of an event.
#[derive(Debug, Default)]
pub struct Requests {
    pub(crate) publish: Vec<Section>,
    pub(crate) propose: Vec<(RequestId, Command)>,
}

impl Requests {
    /// Replaces the host's sections of these kinds: stored here, eventually everywhere.
    pub fn publish(&mut self, sections: impl IntoIterator<Item = Section>) {
        self.publish.extend(sections);
    }

    /// Proposes a command: agreed once. [`RoleEvent::Outcome`] brings what became of it, under the
    /// role's own name for it.
    pub fn propose(&mut self, request: RequestId, command: Command) {
        self.propose.push((request, command));
    }
}

/// A role's desired state, of a type that only the role's two halves know.
pub type AnyDesired = Arc<dyn Any + Send + Sync>;
