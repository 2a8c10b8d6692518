//! Bugs that are planted on purpose, so that tests show that the simulator's checkers find them.
//!
//! Each is one line at the place where the protocol would be wrong: `if planted::has(settings, Planted::X)`. Without the feature
//! `planted`, which tests alone turn on, that is `if false`.

use crate::settings::Settings;
use crate::view::{Changed, View};

/// A bug, and the invariant that it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// S1: a view misses what members said of their restarts.
    ViewSkipsEvent,
    /// S2: applying a command reads the voter's own clock.
    ApplyReadsClock,
    /// S3: of the events that arrive together the first is not handed on.
    EventSkipped,
    /// S4: a consumer takes whatever config comes last.
    OlderConfigTaken,
    /// S5: a host that SWIM calls down is dropped from the view.
    SwimDecides,
    /// S6: what comes from below the floor is taken.
    FenceOpen,
    /// S7: a voter answers a linearizable read from what it has applied itself.
    StaleRead,
    /// S8: a voter says that its log is durable when it has only been told to write it.
    AcknowledgedEarly,
    /// L1: a config that was not answered is not offered again, and consumers do not compare.
    ConfigsNeverRepaired,
    /// L2: one observer is enough for a leave.
    OneObserverSuffices,
    /// L2: nobody is ever proposed to leave.
    NobodyLeaves,
}

/// Whether this machine has a bug.
#[cfg(feature = "planted")]
pub fn has(settings: &Settings, bug: Planted) -> bool {
    settings.planted == Some(bug)
}

/// No machine has a bug of these.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub(crate) const fn has(_: &Settings, _: Planted) -> bool {
    false
}

/// What bugs do to a view before it is shown.
#[cfg(feature = "planted")]
pub(crate) fn spoil(settings: &Settings, view: &mut View, changed: &mut Changed) {
    if has(settings, Planted::ViewSkipsEvent) {
        view.facts.forget_restarts();
    }
    if has(settings, Planted::SwimDecides) {
        let gone: Vec<_> = view.unreachable.iter().copied().filter(|node| view.configs.contains_key(node)).collect();
        for node in gone {
            view.configs.remove(&node);
            changed.configs.insert(node);
        }
    }
}

/// Nothing is done to a view.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub(crate) const fn spoil(_: &Settings, _: &mut View, _: &mut Changed) {}
