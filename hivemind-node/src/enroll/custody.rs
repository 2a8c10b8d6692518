//! The authority's key is with the voters, and with nobody else. It comes to each new voter from another one, over a connection on which
//! each has proven its key to the other; so does that of an authority that is to follow. Who votes no more forgets it, once it is kept
//! without him.

use std::sync::Arc;
use std::time::Duration;

use hivemind_core::ids::{Digest256, NodeName};
use hivemind_core::view::View;
use hivemind_core::wire::command::{Command, Outcome};
use tokio::time::timeout;

use super::caller::{Caller, PATIENCE};
use super::desk::voter_addresses;
use super::error::EnrollFailure;
use super::safe::Safe;
use super::trust::is_trusted;
use super::words::{Answer, MAX_VOTERS, Request};
use crate::authority::{Authority, AuthorityFolderError};
use crate::node::NodeHandle;

/// After a failure it is tried again after this.
const RETRY: Duration = Duration::from_secs(5);

/// Keeps the keys that a voter must have, and no others.
pub(crate) struct Custody {
    pub(crate) name: NodeName,
    pub(crate) safe: Arc<Safe>,
    pub(crate) handle: NodeHandle,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Duty {
    /// Get the key of the authority that issues. `None`: of that of the birth.
    Fetch(Option<Digest256>),
    /// Get the key of the one that is to follow.
    FetchNext(Digest256),
    /// The one that was to follow issues: this node does so too.
    Follow,
    /// Tell everybody that this voter can issue.
    Say(Digest256),
    /// This node votes no more.
    Forget,
}

impl Custody {
    /// Runs until the node stops.
    pub(crate) async fn run(self) {
        tokio::select! {
            _ = self.handle.stopped() => {}
            () = self.keep() => {}
        }
    }

    async fn keep(&self) {
        if self.safe.is_given() {
            return;
        }
        while let Some(view) = self.handle.view_where(|view| self.duty(view).is_some()).await {
            let Some(duty) = self.duty(&view) else { continue };
            if let Err(error) = self.perform(duty, &view).await {
                tracing::warn!(node = %self.name, "the authority's key is not where it should be: {error}");
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    fn duty(&self, view: &View) -> Option<Duty> {
        let (facts, trust) = (&view.facts, view.facts.trust());
        let present = self.safe.authority().map(|authority| authority.digest());
        if !facts.voters().contains_key(&view.node) {
            return (present.is_some() && facts.is_key_kept()).then_some(Duty::Forget);
        }
        let said = |authority| (trust.held_by(view.node) != Some(authority)).then_some(Duty::Say(authority));
        // Whom nobody may trust is not worth the key of whom all trust.
        let roots = self.handle.identity().roots().to_vec();
        let current = trust.current().filter(|current| is_trusted(current, trust.bridge(), &roots)).map(|current| current.digest());
        match current.filter(|current| present != Some(*current)) {
            Some(current) if self.safe.find(current).is_some() => return Some(Duty::Follow),
            Some(current) => return Some(Duty::Fetch(Some(current))),
            None if present.is_none() && trust.current().is_none() => return Some(Duty::Fetch(None)),
            None => {}
        }
        let next = trust.next().filter(|next| is_trusted(&next.certificate, Some(&next.bridge), &roots));
        match next.map(|next| next.certificate.digest()) {
            Some(next) if self.safe.find(next).is_none() => Some(Duty::FetchNext(next)),
            Some(next) => said(next),
            // A cluster of one has nobody to tell.
            None if facts.voters().len() > 1 => present.and_then(said),
            None => None,
        }
    }

    async fn perform(&self, duty: Duty, view: &View) -> Result<(), EnrollFailure> {
        match duty {
            Duty::Fetch(wanted) => {
                let fetched = self.fetch(view, wanted).await?;
                self.on_disk(move |safe| {
                    // Whatever it is cut short by, there is a whole one.
                    if safe.authority().is_none() {
                        return safe.put(fetched);
                    }
                    safe.put_next(fetched)?;
                    safe.follow()
                })
                .await?;
                tracing::info!(node = %self.name, "this voter has the authority's key from now on");
            }
            Duty::FetchNext(wanted) => {
                let fetched = self.fetch(view, Some(wanted)).await?;
                self.on_disk(move |safe| safe.put_next(fetched)).await?;
            }
            Duty::Follow => {
                self.on_disk(Safe::follow).await?;
                tracing::info!(node = %self.name, "this voter issues certificates by the new authority from now on");
            }
            Duty::Say(authority) => self.say(view, authority).await,
            Duty::Forget => {
                self.on_disk(Safe::empty).await?;
                tracing::info!(node = %self.name, "this node votes no more, and has forgotten the authority's key");
            }
        }
        Ok(())
    }

    async fn on_disk(
        &self,
        change: impl FnOnce(&Safe) -> Result<(), AuthorityFolderError> + Send + 'static,
    ) -> Result<(), AuthorityFolderError> {
        let safe = self.safe.clone();
        tokio::task::spawn_blocking(move || change(&safe)).await.expect("files are changed without panics, and that is not aborted")
    }

    /// What came of it shows in the facts.
    async fn say(&self, view: &View, authority: Digest256) {
        let node = view.node;
        let is_said = |view: &View| view.facts.trust().held_by(node) == Some(authority) || !view.facts.voters().contains_key(&node);
        if let Outcome::Committed { .. } = self.handle.propose(Command::AuthorityHeld { node, authority }).await {
            // Where it does not show in time it is said again, which does no harm.
            let _ = timeout(RETRY, self.handle.view_where(is_said)).await;
        } else {
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn fetch(&self, view: &View, wanted: Option<Digest256>) -> Result<Arc<Authority>, EnrollFailure> {
        let caller = Caller::member(&self.handle.identity())?;
        // One that votes no more keeps the key until the others have it.
        let eligible = view.facts.members().values().filter(|member| member.voter_eligible && member.node != view.node);
        let mut at = voter_addresses(view);
        at.extend(
            eligible.filter_map(|member| member.addresses.first().copied()).filter(|address| !at.contains(address)).collect::<Vec<_>>(),
        );
        at.truncate(MAX_VOTERS);
        let (answer, _) = caller.ask(&at, |_| Request::AuthorityKey { authority: wanted }, PATIENCE).await?;
        let pem = match answer {
            Answer::AuthorityKey { pem } => pem,
            Answer::Refused(refusal) => return Err(EnrollFailure::Refused(refusal)),
            Answer::Issued { .. } | Answer::Elsewhere { .. } | Answer::Later => return Err(EnrollFailure::Answer),
        };
        let authority = Authority::from_whole_pem(&pem).map_err(|_| EnrollFailure::Answer)?;
        let is_wanted = match wanted {
            Some(wanted) => authority.digest() == wanted,
            None => self.handle.identity().roots().contains(authority.certificate()),
        };
        if is_wanted { Ok(Arc::new(authority)) } else { Err(EnrollFailure::Answer) }
    }
}
