//! A role with its type forgotten, so that a node holds several.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{AnyDesired, Requests, Role, RoleEvent, RoleSpec};
use crate::view::{Changed, View};

/// A role as the machine runs it.
pub struct InstalledRole {
    spec: RoleSpec,
    inner: Box<dyn Erased>,
}

/// A role panicked. It is isolated: its last desired state stays in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Panicked(pub(super) String);

impl InstalledRole {
    /// Takes a role in.
    pub fn new<R: Role>(role: R) -> Self {
        let spec = role.spec();
        InstalledRole { spec, inner: Box::new(Holder { role, last: None }) }
    }

    /// What it is, as far as the cluster knows.
    pub fn spec(&self) -> &RoleSpec {
        &self.spec
    }

    /// The new desired state, where it differs from the last.
    pub(super) fn run(&mut self, view: &View, changed: &Changed) -> Result<Option<AnyDesired>, Panicked> {
        contain(|| self.inner.run(view, changed))
    }

    /// Lets it hear of `event`.
    pub(super) fn hear(&mut self, event: RoleEvent<'_>, view: &View, requests: &mut Requests) -> Result<(), Panicked> {
        contain(|| self.inner.hear(event, view, requests))
    }
}

impl std::fmt::Debug for InstalledRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InstalledRole({})", self.spec.name)
    }
}

trait Erased: Send {
    fn run(&mut self, view: &View, changed: &Changed) -> Option<AnyDesired>;
    fn hear(&mut self, event: RoleEvent<'_>, view: &View, requests: &mut Requests);
}

struct Holder<R: Role> {
    role: R,
    last: Option<R::Desired>,
}

impl<R: Role> Erased for Holder<R> {
    fn run(&mut self, view: &View, changed: &Changed) -> Option<AnyDesired> {
        let desired = self.role.desired(view, changed, self.last.as_ref());
        if self.last.as_ref() == Some(&desired) {
            return None;
        }
        self.last = Some(desired.clone());
        Some(Arc::new(desired))
    }

    fn hear(&mut self, event: RoleEvent<'_>, view: &View, requests: &mut Requests) {
        self.role.on_event(event, view, requests);
    }
}

/// A role's panic must not take the node with it. What it left half done is its own `last` and itself:
/// the next run is made from nothing.
fn contain<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        Panicked(text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned()))
    })
}
