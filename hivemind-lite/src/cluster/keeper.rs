//! What the rest of the program knows of a node, and how it tells the node's task what to do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hivemind_core::ids::{NodeId, NodeName, Seq};
use hivemind_core::wire::config::Section;
use hivemind_dns_processor::server::{BindError, Server};
use hivemind_node::http::BindFailure;
use hivemind_node::{NodeHandle, StartFailure};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::gauge::Served;
use super::kept::Kept;
use super::shared::Shared;
use crate::show::{Kind, Life};

/// Orders that wait for the ones before them.
const WAITING_ORDERS: usize = 64;

/// What a node is for.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) name: NodeName,
    pub(super) kind: Kind,
    /// Where a dns_processor answers.
    pub(super) dns: Option<SocketAddr>,
}

/// Why an order was not carried out. Nothing changed, except where it says so.
#[derive(Debug, Error)]
pub(crate) enum OrderError {
    /// There is nothing to stop.
    #[error("{0} does not run")]
    NotRunning(NodeName),
    /// There is nothing to start.
    #[error("{0} runs already")]
    Running(NodeName),
    /// There is nothing that it could publish.
    #[error("{0} has no host file; put one into the folder of host files, and it starts by itself")]
    NoFile(NodeName),
    /// Its DNS address can not be had.
    #[error("--dns-listen: {0}")]
    Dns(#[from] BindError),
    /// Its HTTP address can not be had.
    #[error(transparent)]
    Http(#[from] BindFailure),
    /// The library did not start it.
    #[error("{name} did not start: {source}")]
    Start {
        /// Which node.
        name: NodeName,
        /// Why.
        source: StartFailure,
    },
    /// The control plane said no.
    #[error("{name} did not leave: {why}")]
    NotLeft {
        /// Which node.
        name: NodeName,
        /// Why.
        why: String,
    },
    /// The process ends.
    #[error("the cluster is stopping")]
    Stopping,
}

type Answer = oneshot::Sender<Result<(), OrderError>>;
pub(super) type Answered = oneshot::Receiver<Result<(), OrderError>>;

/// Waits until an order is carried out.
pub(super) async fn carried_out(answered: Answered) -> Result<(), OrderError> {
    answered.await.unwrap_or(Err(OrderError::Stopping))
}

/// What a node is told to do.
#[derive(Debug)]
pub(super) enum Order {
    /// Start it.
    Start(Answer),
    /// Start a host whose file is wrong with what it published before.
    Resume(Answer),
    /// Stop it as a crash would.
    Kill(Answer),
    /// End its membership, proposed through the handle, then stop it.
    Leave { member: Option<(NodeId, NodeHandle)>, answer: Answer },
    /// As [`Order::Leave`], because its host file is gone.
    Retire { member: Option<(NodeId, NodeHandle)>, answer: Answer },
    /// Publish this; start it, where it is not there.
    Publish(Vec<Section>),
    /// Cut it off from all others, or let it reach them again.
    Isolate(bool, Answer),
    /// Stop it for good, with its task.
    Stop(Answer),
}

/// What is known of a node at any time.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) life: Life,
    pub(super) isolated: bool,
    /// While it runs.
    pub(super) handle: Option<NodeHandle>,
    /// The version published last, and when.
    pub(super) published: Option<(Seq, Instant)>,
}

/// The rest of the program's side of a kept node.
#[derive(Clone)]
pub(super) struct Keeper {
    pub(super) plan: Arc<Plan>,
    orders: mpsc::Sender<Order>,
    shown: watch::Receiver<Shown>,
    server: ServerSlot,
    served: watch::Receiver<Served>,
    shared: Arc<Shared>,
}

impl Keeper {
    /// Begins to keep a node, which is not started by this. `server` is bound already where it answers DNS.
    pub(super) fn new(plan: Plan, server: Option<Server>, shared: Arc<Shared>) -> Self {
        let (orders, taken) = mpsc::channel(WAITING_ORDERS);
        let (show, shown) = watch::channel(Shown { life: Life::Starting, isolated: false, handle: None, published: None });
        let (serve, served) = watch::channel(Served::default());
        let plan = Arc::new(plan);
        let server = ServerSlot(Arc::new(Mutex::new(server)));
        let task = Kept::new(plan.clone(), shared.clone(), show, serve, server.clone());
        tokio::spawn(task.run(taken));
        Keeper { plan, orders, shown, server, served, shared }
    }

    /// Gives an order, and waits until it is carried out.
    pub(super) async fn order(&self, order: impl FnOnce(Answer) -> Order) -> Result<(), OrderError> {
        carried_out(self.ordered(order).await).await
    }

    /// Gives an order, and does not wait for it: [`carried_out`] does.
    pub(super) async fn ordered(&self, order: impl FnOnce(Answer) -> Order) -> Answered {
        let (answer, answered) = oneshot::channel();
        // Where the task is gone, so is the answer.
        let _ = self.orders.send(order(answer)).await;
        answered
    }

    /// Where it listens for peers, or did last.
    pub(super) fn place(&self) -> Option<SocketAddr> {
        self.shared.place_of(&self.plan.name)
    }

    /// Publishes sections, after what was ordered before.
    pub(super) async fn publish(&self, sections: Vec<Section>) {
        // Where the task is gone the process ends.
        let _ = self.orders.send(Order::Publish(sections)).await;
    }

    /// What is known of it now.
    pub(super) fn shown(&self) -> Shown {
        self.shown.borrow().clone()
    }

    /// The zone that it serves.
    pub(super) fn served(&self) -> Served {
        *self.served.borrow()
    }

    /// Where it answers DNS now, and how many queries it has answered.
    pub(super) fn answered(&self) -> Vec<(SocketAddr, u64)> {
        let server = self.server.lock();
        let Some(server) = server.as_ref() else { return Vec::new() };
        let counted = server.statistics();
        let answered = [
            counted.answers,
            counted.no_data,
            counted.nx_domain,
            counted.serv_fail,
            counted.refused,
            counted.form_err,
            counted.not_imp,
            counted.bad_vers,
        ];
        server.addresses().iter().map(|address| (*address, answered.iter().sum())).collect()
    }
}

/// The DNS server of a node, while it answers.
#[derive(Clone, Debug)]
pub(super) struct ServerSlot(Arc<Mutex<Option<Server>>>);

impl ServerSlot {
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Server>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends answering; the address is free afterwards.
    pub(super) async fn stop(&self) {
        let server = self.lock().take();
        if let Some(server) = server {
            server.stop().await;
        }
    }
}
