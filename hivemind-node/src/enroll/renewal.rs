//! Renewal: a node's certificate is replaced at half of its life, while its connections go on.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hivemind_core::ids::NodeName;
use hivemind_core::rng::Rng;
use tokio::time::Instant;

use super::desk::voter_addresses;
use super::error::EnrollFailure;
use super::safe::Safe;
use super::{again, save};
use crate::authority::NodeIdentity;
use crate::node::NodeHandle;
use crate::transport::Transport;

/// After a failure it is tried again after so long, doubled each time.
const RETRY: Duration = Duration::from_secs(2);
/// At most so long.
const RETRY_MOST: Duration = Duration::from_secs(600);

/// Keeps the certificate of a node young.
pub(crate) struct Renewal {
    pub(crate) name: NodeName,
    pub(crate) identity: NodeIdentity,
    pub(crate) safe: Arc<Safe>,
    pub(crate) handle: NodeHandle,
    pub(crate) transport: Transport,
    /// Where it is kept, if it is.
    pub(crate) folder: Option<PathBuf>,
    /// Whom to ask while there is no view.
    pub(crate) seeds: Vec<SocketAddr>,
    pub(crate) rng: Rng,
}

impl Renewal {
    /// Runs until the node stops.
    pub(crate) async fn run(mut self) {
        let handle = self.handle.clone();
        tokio::select! {
            _ = handle.stopped() => {}
            () = self.keep_young() => {}
        }
    }

    async fn keep_young(&mut self) {
        let mut due = Instant::now() + self.until_half_life();
        let mut retry = RETRY;
        loop {
            tokio::time::sleep_until(due).await;
            match self.renew().await {
                Ok(()) => {
                    // By this clock, not the wall's: one that is off must not renew without end.
                    let life = self.identity.validity().map(|validity| validity.life()).unwrap_or_default();
                    due = Instant::now() + (life / 2).max(Duration::from_millis(500));
                    retry = RETRY;
                }
                Err(error) => {
                    tracing::warn!(node = %self.name, "the certificate is not renewed: {error}");
                    due = Instant::now() + retry + self.rng.duration_below(retry);
                    retry = (retry * 2).min(RETRY_MOST);
                }
            }
        }
    }

    /// How long the certificate is young: not at all, where the clock is before it or behind its half.
    #[expect(clippy::disallowed_methods, reason = "a certificate has dates")]
    fn until_half_life(&self) -> Duration {
        let now = SystemTime::now();
        match self.identity.validity() {
            Some(validity) if now >= validity.from => validity.half_life().duration_since(now).unwrap_or_default(),
            Some(_) | None => Duration::ZERO,
        }
    }

    async fn renew(&mut self) -> Result<(), EnrollFailure> {
        let renewed = match self.safe.authority() {
            Some(authority) => authority.issue(self.identity.keys().clone(), &self.name)?,
            None => {
                let mut at = self.handle.view().map(|view| voter_addresses(&view)).unwrap_or_default();
                at.extend(self.seeds.iter().copied().filter(|seed| !at.contains(seed)).collect::<Vec<_>>());
                again(&self.identity, &self.name, &at).await?
            }
        };
        if let Some(folder) = &self.folder {
            save(folder, &renewed)?;
        }
        self.transport.renew(&renewed)?;
        tracing::info!(node = %self.name, "the certificate was renewed");
        self.identity = renewed;
        Ok(())
    }
}
