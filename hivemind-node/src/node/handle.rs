//! What the rest of a program speaks to a node through.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hivemind_core::context::Report;
use hivemind_core::ids::{NodeId, NodeName, Position, PublicKey, Seq};
#[cfg(feature = "http")]
use hivemind_core::time::Timestamp;
use hivemind_core::view::View;
use hivemind_core::wire::access::{Admitted, KnownToken};
use hivemind_core::wire::command::{Command, Outcome, VoterWish};
use hivemind_core::wire::config::Section;
use hivemind_core::wire::event::LogEvent;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::error::{PublishFailure, ReadFailure};
use crate::authority::{NodeIdentity, Validity};
use crate::driver::{Account, AppliedEvent, Clock, Look, NodeStatus, Request, RoleReport, StopReason};
use crate::enroll::Safe;
use crate::feed::{Ears, Feed};
use crate::reconciler::ApplyStatus;
use crate::transport::Transport;

/// One sender and the latest snapshots. Clones speak to the same node; holding one keeps no node alive.
#[derive(Clone, Debug)]
pub struct NodeHandle {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) view: watch::Receiver<Option<Arc<View>>>,
    pub(super) account: watch::Receiver<Account>,
    pub(super) applies: Arc<[Option<watch::Receiver<ApplyStatus>>]>,
    pub(super) stopped: watch::Receiver<Option<StopReason>>,
    pub(super) events: Ears<AppliedEvent>,
    pub(super) reports: Ears<Arc<Report>>,
    pub(super) transport: Transport,
    pub(super) clock: Clock,
    /// The authorities that this node can issue by, where it may.
    pub(super) safe: Option<Arc<Safe>>,
}

impl NodeHandle {
    /// What the node knows now; `None` until it is a member for the first time. Never waits.
    pub fn view(&self) -> Option<Arc<View>> {
        self.view.borrow().clone()
    }

    /// Waits for a view that this handle has not seen yet. `None` once the node has stopped. Nothing is
    /// lost where it is not polled to its end.
    pub async fn changed(&mut self) -> Option<Arc<View>> {
        loop {
            self.view.changed().await.ok()?;
            let view = self.view.borrow_and_update().clone();
            if view.is_some() {
                return view;
            }
        }
    }

    /// Waits until the view is as `reached` says. `None` once the node has stopped.
    pub async fn view_where(&self, mut reached: impl FnMut(&View) -> bool) -> Option<Arc<View>> {
        let mut view = self.view.clone();
        let found = view.wait_for(|view| view.as_deref().is_some_and(&mut reached)).await.ok()?;
        found.clone()
    }

    /// The node's own account of itself. Never waits.
    pub fn status(&self) -> NodeStatus {
        let account = self.account.borrow().clone();
        self.assemble(account)
    }

    /// How long ago the node heard a new sign of life of the leader, or became a member, whichever was later. Before that: how
    /// long it runs. The account is brought up to date with each burst of input, so this may be that much too long.
    pub fn leader_heard_ago(&self) -> Duration {
        let heard = self.account.borrow().leader_heard;
        Instant::now().saturating_duration_since(self.clock.instant(heard))
    }

    /// When the certificate that the node shows is valid; `None` where its roots did not issue it.
    pub fn certificate(&self) -> Option<Validity> {
        self.transport.certificate()
    }

    /// What the node proves itself with, and whom it accepts, as of now.
    pub(crate) fn identity(&self) -> NodeIdentity {
        self.transport.identity()
    }

    /// The certificate that the node shows, whichever that is at the time.
    #[cfg(feature = "http")]
    pub(crate) fn shown(&self) -> Arc<dyn rustls::server::ResolvesServerCert> {
        self.transport.shown()
    }

    /// Waits until the account is as `reached` says. What only the transport or an io half counts does
    /// not end the wait by itself. `None` once the node has stopped.
    pub async fn status_where(&self, mut reached: impl FnMut(&NodeStatus) -> bool) -> Option<NodeStatus> {
        let mut account = self.account.clone();
        let found = account.wait_for(|account| reached(&self.assemble(account.clone()))).await.ok()?.clone();
        Some(self.assemble(found))
    }

    fn assemble(&self, account: Account) -> NodeStatus {
        let applies = self.applies.iter().map(|apply| apply.as_ref().map(|apply| apply.borrow().clone()));
        let roles = account.roles.into_iter().zip(applies);
        NodeStatus {
            machine: account.machine,
            roles: roles.map(|((spec, role), apply)| RoleReport { spec, role, apply }).collect(),
            transport: self.transport.stats(),
            certificate: self.certificate(),
            stopped: self.stopped.borrow().clone(),
        }
    }

    /// Replaces the host's sections of these kinds; one with an empty body goes away. When this returns,
    /// the config is durable on this node, and will be everywhere.
    ///
    /// # Errors
    /// [`PublishFailure`].
    pub async fn publish(&self, sections: Vec<Section>) -> Result<Seq, PublishFailure> {
        let (answer, answered) = oneshot::channel();
        let asked = self.requests.send(Request::Publish { sections, answer }).await;
        asked.map_err(|_| PublishFailure::Stopped)?;
        Ok(answered.await.map_err(|_| PublishFailure::Stopped)??)
    }

    /// Tells the machine where members may listen, from now on.
    pub(crate) async fn learn_seeds(&self, addresses: Vec<SocketAddr>) {
        // A node that has stopped seeks nobody.
        let _ = self.requests.send(Request::Seeds(addresses)).await;
    }

    /// Proposes a command to the control plane: agreed once, never tried again silently.
    pub async fn propose(&self, command: Command) -> Outcome {
        let (answer, answered) = oneshot::channel();
        if self.requests.send(Request::Propose { command, answer }).await.is_err() {
            return Outcome::OutcomeUnknown;
        }
        answered.await.unwrap_or(Outcome::OutcomeUnknown)
    }

    /// Waits until the view holds all that was committed before this was called: what
    /// [`NodeHandle::view`] shows then is linearizable.
    ///
    /// # Errors
    /// [`ReadFailure`].
    pub async fn read(&self) -> Result<Position, ReadFailure> {
        let (answer, answered) = oneshot::channel();
        let asked = self.requests.send(Request::Read { answer }).await;
        asked.map_err(|_| ReadFailure::Stopped)?;
        answered.await.map_err(|_| ReadFailure::Stopped)?.ok_or(ReadFailure::Unavailable)
    }

    /// The join tokens. Voters alone know them: `None` from any other node, and from one that has stopped.
    pub async fn tokens(&self) -> Option<Vec<KnownToken>> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Look(Look::Tokens { answer })).await.ok()?;
        answered.await.ok()?
    }

    /// The hosts that were admitted and are no members: they never ran, or left for failure. Voters alone know them: `None` from any
    /// other node, and from one that has stopped.
    pub async fn admitted(&self) -> Option<Vec<Admitted>> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Look(Look::Admitted { answer })).await.ok()?;
        answered.await.ok()?
    }

    /// What operators wish of members' votes. Voters alone know it: `None` from any other node, and from one that has stopped.
    pub async fn voter_wishes(&self) -> Option<Vec<(NodeId, VoterWish)>> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Look(Look::VoterWishes { answer })).await.ok()?;
        answered.await.ok()?
    }

    /// The last events of the log, as far as this node keeps them, oldest first. None of a node that has stopped.
    pub async fn history(&self) -> Vec<LogEvent> {
        let (answer, answered) = oneshot::channel();
        if self.requests.send(Request::Look(Look::History { answer })).await.is_err() {
            return Vec::new();
        }
        answered.await.unwrap_or_default()
    }

    /// What this machine's wall clock says now.
    #[cfg(feature = "http")]
    pub(crate) fn wall(&self) -> Timestamp {
        self.clock.now().wall
    }

    /// Under which name a key is admitted, as far as this node knows. Only voters know of all that are enrolled.
    pub async fn admitted_name(&self, key: PublicKey) -> Option<NodeName> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Look(Look::AdmittedName { key, answer })).await.ok()?;
        answered.await.ok()?
    }

    /// The events that the node applies from now on.
    pub fn events(&self) -> Feed<AppliedEvent> {
        self.events.listen()
    }

    /// What the node reports from now on. It is logged as well.
    pub fn reports(&self) -> Feed<Arc<Report>> {
        self.reports.listen()
    }

    /// Waits until the node has stopped, and says why.
    pub async fn stopped(&self) -> StopReason {
        let mut stopped = self.stopped.clone();
        let reason = stopped.wait_for(Option::is_some).await.map(|reason| reason.clone());
        // The sender goes without a word only where the runtime is shut down under the node.
        reason.ok().flatten().unwrap_or(StopReason::Killed)
    }
}
