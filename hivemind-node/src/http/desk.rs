//! What every request of one server shares.

use std::sync::{Arc, Mutex, PoisonError};

use hivemind_core::view::View;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::call::Peer;
use super::counts::Counts;
use super::failure::Failure;
use super::journal::Journal;
use super::model::ProblemKind;
use super::rate::Rates;
use super::request_id::RequestIds;
use super::settings::HttpSettings;
use crate::node::NodeHandle;
use crate::tasks::Tasks;

/// Says when the server is to stop.
#[derive(Clone, Debug)]
pub(super) struct Stopping(pub(super) watch::Receiver<bool>);

impl Stopping {
    /// Waits until the server is stopped, or was dropped.
    pub(super) async fn stopped(&mut self) {
        // The sender is gone only with the server.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}

/// The node, who may speak to it, and what is counted.
pub(super) struct Desk {
    pub(super) handle: NodeHandle,
    pub(super) settings: HttpSettings,
    pub(super) journal: Arc<Journal>,
    pub(super) counts: Counts,
    pub(super) ids: RequestIds,
    /// One permit for each stream that may be open.
    pub(super) streams: Arc<Semaphore>,
    pub(super) tasks: Tasks,
    pub(super) stopping: Stopping,
    rates: Mutex<Rates>,
}

impl Desk {
    pub(super) fn new(handle: NodeHandle, settings: HttpSettings, tasks: Tasks, stopping: Stopping) -> Self {
        let limits = settings.limits;
        let journal = Arc::new(Journal::new(limits.events, handle.wall()));
        Desk {
            handle,
            journal,
            counts: Counts::default(),
            ids: RequestIds::new(),
            streams: Arc::new(Semaphore::new(limits.streams)),
            tasks,
            stopping,
            rates: Mutex::new(Rates::new(limits.rate, limits.burst)),
            settings,
        }
    }

    /// What the node knows.
    pub(super) fn view(&self) -> Result<Arc<View>, Failure> {
        if let Some(reason) = self.handle.status().stopped {
            return Err(Failure::new(ProblemKind::Unavailable, format!("the node has stopped: {reason}")));
        }
        let joining = || Failure::new(ProblemKind::Unavailable, "the node is no member yet; /readyz says when it is").retry_after(1);
        self.handle.view().ok_or_else(joining)
    }

    /// Counts a request of `peer`.
    pub(super) fn admit(&self, peer: Peer) -> Result<(), Failure> {
        let peer = match peer {
            Peer::Net(address) => address.ip(),
            // An operator may ask as often as he likes.
            Peer::Socket(_) => return Ok(()),
        };
        let taken = self.rates.lock().unwrap_or_else(PoisonError::into_inner).take(peer, Instant::now());
        let too_many = |wait: std::time::Duration| {
            let seconds = wait.as_secs() + 1;
            Failure::new(ProblemKind::TooMany, "this address asks too often").retry_after(seconds)
        };
        taken.map_err(too_many)
    }
}
