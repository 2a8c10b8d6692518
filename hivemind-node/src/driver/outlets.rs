//! Where what a machine has to say goes: snapshots that show the latest, feeds that show each.

use std::sync::Arc;

use hivemind_core::context::Report;
use hivemind_core::ids::Position;
use hivemind_core::machine::{Machine, Status};
use hivemind_core::role::{AnyDesired, RoleSpec, RoleStatus};
use hivemind_core::time::Time;
use hivemind_core::view::View;
use hivemind_core::wire::event::{Event, LogEvent};
use tokio::sync::watch;

use super::StopReason;
use crate::authority::Validity;
use crate::feed::Source;
use crate::reconciler::ApplyStatus;
use crate::transport::TransportStats;

/// An event that this node applied.
#[derive(Clone, Debug, PartialEq)]
pub struct AppliedEvent {
    /// The position after it.
    pub position: Position,
    /// As logged.
    pub logged: LogEvent,
    /// What it says.
    pub event: Arc<Event>,
}

/// A node's own account of itself, for people and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// The machine's.
    pub machine: Status,
    /// Each role's, in order of installation.
    pub roles: Vec<RoleReport>,
    /// The transport's counters, at the moment that the status was asked for.
    pub transport: TransportStats,
    /// When the certificate that it shows is valid. It is renewed at half of its life.
    pub certificate: Option<Validity>,
    /// Why the node stopped, once it has.
    pub stopped: Option<StopReason>,
}

/// How a role fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleReport {
    /// What it is.
    pub spec: RoleSpec,
    /// Its pure half.
    pub role: RoleStatus,
    /// Its io half, where it has one.
    pub apply: Option<ApplyStatus>,
}

/// What the machine said last of itself and its roles.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) machine: Status,
    pub(crate) roles: Vec<(RoleSpec, RoleStatus)>,
    /// When the machine heard last that the leader lives. Moves all the time, so nobody is woken for it.
    pub(crate) leader_heard: Time,
}

impl Account {
    pub(crate) fn of(machine: &Machine) -> Self {
        let roles = machine.roles().map(|(spec, status)| (spec.clone(), status.clone())).collect();
        Account { machine: machine.status(), roles, leader_heard: machine.leader_heard() }
    }
}

/// The near ends.
pub(crate) struct Outlets {
    pub(crate) view: watch::Sender<Option<Arc<View>>>,
    pub(crate) account: watch::Sender<Account>,
    pub(crate) stopped: watch::Sender<Option<StopReason>>,
    pub(crate) events: Source<AppliedEvent>,
    pub(crate) reports: Source<Arc<Report>>,
    /// In order of installation; `None` for a role without an io half.
    pub(crate) desired: Vec<Option<watch::Sender<Option<AnyDesired>>>>,
}

impl Outlets {
    pub(crate) fn account(&self, machine: &Machine) {
        let now = Account::of(machine);
        self.account.send_if_modified(|last| {
            let differs = (&last.machine, &last.roles) != (&now.machine, &now.roles);
            *last = now;
            differs
        });
    }
}
