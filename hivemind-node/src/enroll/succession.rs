//! The authority's key comes to each new voter: from another voter, over a connection on which each has proven its key to
//! the other.

use std::sync::Arc;
use std::time::Duration;

use hivemind_core::ids::NodeName;
use hivemind_core::view::View;
use rustls::pki_types::CertificateDer;

use super::caller::{Caller, PATIENCE};
use super::desk::voter_addresses;
use super::error::EnrollFailure;
use super::safe::Safe;
use super::words::{Answer, Request};
use crate::authority::{Authority, NodeIdentity};
use crate::node::NodeHandle;

/// After a failure it is tried again after this.
const RETRY: Duration = Duration::from_secs(5);

/// Brings the authority's key to a node that becomes a voter.
pub(crate) struct Succession {
    pub(crate) name: NodeName,
    pub(crate) identity: NodeIdentity,
    pub(crate) safe: Arc<Safe>,
    pub(crate) handle: NodeHandle,
}

impl Succession {
    /// Runs until the node has the key, or stops.
    pub(crate) async fn run(self) {
        tokio::select! {
            _ = self.handle.stopped() => {}
            () = self.succeed() => {}
        }
    }

    async fn succeed(&self) {
        while self.safe.authority().is_none() {
            // From the moment on that it follows the log: the others may be gone once it votes.
            let has_part = |view: &View| view.facts.voters().contains_key(&view.node);
            let Some(view) = self.handle.view_where(has_part).await else { return };
            match self.fetch(&view).await {
                Ok(()) => tracing::info!(node = %self.name, "this voter has the authority's key from now on"),
                Err(error) => {
                    tracing::warn!(node = %self.name, "this voter does not get the authority's key: {error}");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn fetch(&self, view: &View) -> Result<(), EnrollFailure> {
        let caller = Caller::member(&self.identity)?;
        let (answer, root) = caller.ask(&voter_addresses(view), |_| Request::AuthorityKey, PATIENCE).await?;
        let pem = match answer {
            Answer::AuthorityKey { pem } => pem,
            Answer::Refused(refusal) => return Err(EnrollFailure::Refused(refusal)),
            Answer::Issued { .. } | Answer::Elsewhere { .. } | Answer::Later => return Err(EnrollFailure::Answer),
        };
        let certificate: CertificateDer<'static> = root.certificate;
        let authority = Authority::from_parts(certificate, &pem).map_err(|_| EnrollFailure::Answer)?;
        Ok(self.safe.put(Arc::new(authority))?)
    }
}
