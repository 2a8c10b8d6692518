//! The installed roles of one node, run over what changed.
//!
//! A role that panics is isolated: its last desired state stays in force, the others go on, and it is run again from
//! nothing after a pause that doubles with each further panic. A record that one role can not stand is then a role that
//! stands still, and not a node that does nothing but fall over it (Fly.io, September 2024).

use std::time::Duration;

use super::installed::Panicked;
use super::{AnyDesired, InstalledRole, Requests, RoleEvent, RoleSpec};
use crate::time::Time;
use crate::view::{Changed, View};

/// The first pause after a panic; doubled with each further one in a row.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The longest.
const PAUSE_MOST: Duration = Duration::from_secs(30);

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

/// A role, how it fares, and when it may run again.
#[derive(Debug)]
struct Slot {
    role: InstalledRole,
    status: RoleStatus,
    /// After a panic: the pause that follows it, and when that is over.
    paused: Option<(Duration, Time)>,
}

impl Slot {
    /// What it falls over while it is paused anyway does not make the pause longer.
    fn panicked(&mut self, panicked: Panicked, now: Time) {
        self.status.panics += 1;
        self.status.failing = Some(panicked.0);
        if self.is_paused(now) {
            return;
        }
        let pause = self.paused.map_or(PAUSE_FIRST, |(last, _)| (last * 2).min(PAUSE_MOST));
        self.paused = Some((pause, now + pause));
    }

    fn is_paused(&self, now: Time) -> bool {
        self.paused.is_some_and(|(_, until)| now < until)
    }
}

/// All roles of a node.
#[derive(Debug, Default)]
pub struct Roles {
    installed: Vec<Slot>,
    pending: Changed,
    /// A run is timed: what moves until then is part of it.
    timed: bool,
}

impl Roles {
    /// Installs roles, in this order.
    pub fn new(roles: Vec<InstalledRole>) -> Self {
        let installed = roles.into_iter().map(|role| Slot { role, status: RoleStatus::default(), paused: None }).collect();
        Roles { installed, pending: Changed::everything(), timed: false }
    }

    /// What the cluster is told of them.
    pub fn specs(&self) -> Vec<RoleSpec> {
        self.installed.iter().map(|slot| slot.role.spec().clone()).collect()
    }

    /// How each fares.
    pub fn statuses(&self) -> impl Iterator<Item = (&RoleSpec, &RoleStatus)> {
        self.installed.iter().map(|slot| (slot.role.spec(), &slot.status))
    }

    /// Gathers what moved; true where a run must be timed, since none is yet.
    pub fn gather(&mut self, changed: Changed) -> bool {
        self.pending.merge(changed);
        let untimed = !self.timed && !self.pending.is_empty();
        self.timed |= untimed;
        untimed
    }

    /// Runs every role over what was gathered, but those that panicked lately: they start from nothing when their pause is
    /// over ([`Roles::next_retry`]).
    pub fn run(&mut self, view: &View, now: Time) -> Vec<DesiredState> {
        let changed = std::mem::take(&mut self.pending);
        self.timed = false;
        let mut states = Vec::new();
        for (at, slot) in self.installed.iter_mut().enumerate() {
            if slot.is_paused(now) {
                continue;
            }
            let from_nothing = Changed::everything();
            let changed = if slot.paused.is_some() { &from_nothing } else { &changed };
            if changed.is_empty() {
                continue;
            }
            match slot.role.run(view, changed) {
                Ok(desired) => {
                    slot.status.failing = None;
                    slot.paused = None;
                    states.extend(desired.map(|desired| DesiredState { role: at, desired }));
                }
                Err(panicked) => slot.panicked(panicked, now),
            }
        }
        states
    }

    /// When the first of those that panicked may run again. Call [`Roles::run`] then, whether or not something moved.
    pub fn next_retry(&self) -> Option<Time> {
        self.installed.iter().filter_map(|slot| slot.paused).map(|(_, until)| until).min()
    }

    /// Lets all hear of `event`; what each asks for.
    pub fn hear(&mut self, event: RoleEvent<'_>, view: &View, now: Time) -> Vec<(usize, Requests)> {
        (0..self.installed.len()).map(|role| (role, self.hear_one(role, event, view, now))).collect()
    }

    /// Lets one role hear of `event`; what it asks for.
    pub fn hear_one(&mut self, role: usize, event: RoleEvent<'_>, view: &View, now: Time) -> Requests {
        let mut requests = Requests::default();
        let slot = &mut self.installed[role];
        if let Err(panicked) = slot.role.hear(event, view, &mut requests) {
            slot.panicked(panicked, now);
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
