//! Connects all ends of a node, and lets everything run.

use std::path::PathBuf;
use std::sync::Arc;

use hivemind_core::ids::NodeName;
use hivemind_core::rng::Rng;
use tokio::sync::{mpsc, oneshot, watch};

use super::{Node, NodeHandle};
use crate::authority::NodeIdentity;
use crate::driver::{Driver, Inlets, Outlets};
use crate::enroll::{self, Custody, Desk, Renewal, Safe};
use crate::feed::Source;
use crate::reconciler::{ApplyStatus, Reconcile};
use crate::seeds::{LookUps, Seed};
use crate::tasks::Tasks;
use crate::transport::{Inbox, Transport};

/// The most requests that wait for the machine.
const REQUESTS: usize = 256;

/// Starts all that a node consists of.
pub(super) fn run(
    driver: Driver,
    incoming: Inbox,
    transport: Transport,
    reconcilers: Vec<Option<Box<dyn Reconcile>>>,
    safe: Option<Arc<Safe>>,
) -> Node {
    let tasks = Tasks::new();
    let mut desired = Vec::new();
    let mut applies = Vec::new();
    for reconciler in reconcilers {
        let (wish, apply) = reconciler.map(|reconciler| start_reconciler(reconciler, &tasks)).unzip();
        desired.push(wish);
        applies.push(apply);
    }
    let (requests_in, requests) = mpsc::channel(REQUESTS);
    let (ending, ended) = oneshot::channel();
    let (view_in, view) = watch::channel(None);
    let (account_in, account) = watch::channel(driver.account());
    let (stopped_in, stopped) = watch::channel(None);
    let outlets =
        Outlets { view: view_in, account: account_in, stopped: stopped_in, events: Source::new(), reports: Source::new(), desired };
    let handle = NodeHandle {
        requests: requests_in,
        view,
        account,
        applies: applies.into(),
        stopped,
        events: outlets.events.ears(),
        reports: outlets.reports.ears(),
        transport: transport.clone(),
        clock: driver.clock(),
        safe,
    };
    driver.start(Inlets { incoming, requests, ending: ended }, outlets, transport.clone(), &tasks);
    Node { handle, transport, tasks, ending }
}

type Wishes = watch::Sender<Option<hivemind_core::role::AnyDesired>>;

fn start_reconciler(reconciler: Box<dyn Reconcile>, tasks: &Tasks) -> (Wishes, watch::Receiver<ApplyStatus>) {
    let (wishes, desired) = watch::channel(None);
    let (status, apply) = watch::channel(ApplyStatus::default());
    reconciler.start(desired, status, tasks);
    (wishes, apply)
}

/// Looks the names among the seeds up, where there are any, as long as the node runs.
pub(super) fn look_names_up(node: &Node, name: NodeName, seeds: Vec<Seed>) {
    if seeds.iter().any(|seed| seed.address().is_none()) {
        node.tasks.spawn(LookUps::new(name, seeds, node.handle.clone()).run());
    }
}

/// What deals with certificates beside a running node.
pub(super) struct Office {
    pub(super) name: NodeName,
    pub(super) identity: NodeIdentity,
    pub(super) safe: Arc<Safe>,
    pub(super) folder: Option<PathBuf>,
    pub(super) seeds: Vec<Seed>,
    pub(super) chance: u64,
    pub(super) named: bool,
}

/// Sees to certificates as long as the node runs.
pub(super) fn office(node: &Node, office: Office) {
    let Office { name, identity, safe, folder, seeds, chance, named } = office;
    let (handle, transport, tasks) = (&node.handle, &node.transport, &node.tasks);
    let desk = Desk { handle: handle.clone(), safe: safe.clone(), keys: identity.keys().clone() };
    tasks.spawn(desk.serve(transport.enrollments(enroll::AT_ONCE), tasks.clone()));
    tasks.spawn(Custody { name: name.clone(), safe: safe.clone(), handle: handle.clone() }.run());
    let (handle, transport, rng) = (handle.clone(), transport.clone(), Rng::new(chance));
    tasks.spawn(Renewal { name, identity, safe, handle, transport, folder, seeds, rng, named }.run());
}
