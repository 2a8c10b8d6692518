//! The installed roles of one node, run over what changed.

use super::{AnyDesired, InstalledRole, Requests, RoleEvent, RoleSpec};
use crate::view::{Changed, View};

/// A role's new desired state.
#[derive(Clone, Debug)]
pub struct DesiredState {
    /// The role, in order of installation.
    pub role: usize,
    /// What it wants.
    pub desired: AnyDesired,
}

/// How a role fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleStatus {
    /// How often it panicked since the start.
    pub panics: u64,
    /// What its last panic said, until a run succeeds.
    pub failing: Option<String>,
}

/// All roles of a node.
#[derive(Debug, Default)]
pub struct Roles {
    installed: Vec<(InstalledRole, RoleStatus)>,
    pending: Changed,
    /// A run is timed: what moves until then is part of it.
    timed: bool,
}

impl Roles {
    /// Installs roles, in this order.
    pub fn new(roles: Vec<InstalledRole>) -> Self {
        let installed = roles.into_iter().map(|role| (role, RoleStatus::default())).collect();
        Roles { installed, pending: Changed::everything(), timed: false }
    }

    /// What the cluster is told of them.
    pub fn specs(&self) -> Vec<RoleSpec> {
        self.installed.iter().map(|(role, _)| role.spec().clone()).collect()
    }

    /// How each fares.
    pub fn statuses(&self) -> impl Iterator<Item = (&RoleSpec, &RoleStatus)> {
        self.installed.iter().map(|(role, status)| (role.spec(), status))
    }

    /// Gathers what moved; true where a run must be timed, since none is yet.
    pub fn gather(&mut self, changed: Changed) -> bool {
        self.pending.merge(changed);
        let untimed = !self.timed && !self.pending.is_empty();
        self.timed |= untimed;
        untimed
    }

    /// Runs every role over what was gathered. One that panicked last time starts from nothing.
    pub fn run(&mut self, view: &View) -> Vec<DesiredState> {
        let changed = std::mem::take(&mut self.pending);
        self.timed = false;
        let mut states = Vec::new();
        for (at, (role, status)) in self.installed.iter_mut().enumerate() {
            let from_nothing = Changed::everything();
            let changed = if status.failing.is_some() { &from_nothing } else { &changed };
            match role.run(view, changed) {
                Ok(desired) => {
                    status.failing = None;
                    states.extend(desired.map(|desired| DesiredState { role: at, desired }));
                }
                Err(panicked) => {
                    status.panics += 1;
                    status.failing = Some(panicked.0);
                }
            }
        }
        states
    }

    /// Lets all hear of `event`; what each asks for.
    pub fn hear(&mut self, event: RoleEvent<'_>, view: &View) -> Vec<(usize, Requests)> {
        (0..self.installed.len()).map(|role| (role, self.hear_one(role, event, view))).collect()
    }

    /// Lets one role hear of `event`; what it asks for.
    pub fn hear_one(&mut self, role: usize, event: RoleEvent<'_>, view: &View) -> Requests {
        let mut requests = Requests::default();
        let (installed, status) = &mut self.installed[role];
        if let Err(panicked) = installed.hear(event, view, &mut requests) {
            status.panics += 1;
            status.failing = Some(panicked.0);
            return Requests::default();
        }
        requests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_change_after_the_start_times_a_run_and_the_next_ones_join_it() {
        let mut roles = Roles::new(Vec::new());
        let moved = || Changed { condition: true, ..Changed::default() };
        assert!(roles.gather(moved()));
        assert!(!roles.gather(moved()));
    }
}
