//! Another authority: asked for here, carried out by all voters.

use std::sync::Arc;

use hivemind_core::ids::Position;
use hivemind_core::wire::command::{Command, Outcome, Refusal};
use hivemind_core::wire::trust::{CertificateBytes, CertificateLength, Successor};
use thiserror::Error;

use super::NodeHandle;
use crate::authority::{Authority, AuthorityError, AuthorityFolderError, Fingerprint, leads};
use crate::enroll::Safe;

/// Why no other authority was announced. Nothing changed, except where it says so.
#[derive(Debug, Error)]
pub enum RotationFailure {
    /// This node issues no certificates.
    #[error("this node does not hold the authority's key; ask one of the voters")]
    NotHeld,
    /// The program that embeds this node brought the authority.
    #[error("the authority of this node is kept by the program that started it, and is not rotated by the cluster")]
    Given,
    /// There is another one already, which this voter has told the others of.
    #[error("another authority ({0}) is announced already, and takes over as soon as a majority of the voters hold its key")]
    UnderWay(Fingerprint),
    /// It could not be made.
    #[error(transparent)]
    Made(#[from] AuthorityError),
    /// Its certificate is longer than any that is made here.
    #[error(transparent)]
    Length(#[from] CertificateLength),
    /// It could not be kept.
    #[error(transparent)]
    Kept(#[from] AuthorityFolderError),
    /// The control plane said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It may have been announced, or may yet be. Look before you ask again.
    #[error("it is not known whether the new authority was announced; look at `hivemind authority show` before you ask again")]
    OutcomeUnknown,
}

impl NodeHandle {
    /// Makes an authority that is to follow the present one, and announces it. All nodes trust both from then on; it takes over once a
    /// majority of the voters hold its key, and every node is issued a new certificate soon after. The former one is trusted until
    /// [`retire_authority`](Self::retire_authority).
    ///
    /// # Errors
    /// [`RotationFailure`].
    pub async fn rotate_authority(&self) -> Result<(Fingerprint, Position), RotationFailure> {
        let safe = self.safe.clone().ok_or(RotationFailure::NotHeld)?;
        let _alone = safe.rotating.lock().await;
        let present = self.rotatable()?;
        // Another one was made before, and it may yet be announced: its key must not be lost.
        let made = safe.next().filter(|next| next.bridge().is_some_and(|bridge| leads(bridge, present.certificate(), next.certificate())));
        let next = match made {
            Some(made) => made,
            None => {
                let next = Arc::new(present.successor()?);
                keep(safe.clone(), next.clone()).await?;
                next
            }
        };
        let command = announcement(&present, &next)?;
        let fingerprint = next.fingerprint();
        match self.propose(command).await {
            Outcome::Committed { position } => Ok((fingerprint, position)),
            Outcome::Refused(refusal) => Err(refusal.into()),
            Outcome::OutcomeUnknown => Err(RotationFailure::OutcomeUnknown),
        }
    }

    /// The authority that another one may follow now, as far as this node knows.
    ///
    /// # Errors
    /// Why none may.
    pub(crate) fn rotatable(&self) -> Result<Arc<Authority>, RotationFailure> {
        let safe = self.safe.as_ref().ok_or(RotationFailure::NotHeld)?;
        let (Some(present), Some(view)) = (safe.authority(), self.view()) else { return Err(RotationFailure::NotHeld) };
        let trust = view.facts.trust();
        if safe.is_given() {
            return Err(RotationFailure::Given);
        }
        if trust.former().is_some() {
            return Err(Refusal::FormerTrusted.into());
        }
        match trust.next().and_then(|next| safe.find(next.certificate.digest())) {
            Some(announced) => Err(RotationFailure::UnderWay(announced.fingerprint())),
            None => Ok(present),
        }
    }

    /// Trusts the former authority no more: its certificates let nobody in from then on. With `early` also before
    /// [`AUTHORITY_OVERLAP`](hivemind_core::wire::command::AUTHORITY_OVERLAP) is over.
    pub async fn retire_authority(&self, early: bool) -> Outcome {
        self.propose(Command::AuthorityRetire { early }).await
    }
}

fn announcement(present: &Authority, next: &Authority) -> Result<Command, RotationFailure> {
    let bridge = next.bridge().expect("one that follows another is made with a bridge");
    let next = Successor { certificate: CertificateBytes::new(next.certificate())?, bridge: CertificateBytes::new(bridge)? };
    Ok(Command::AuthorityNext { present: CertificateBytes::new(present.certificate())?, next })
}

/// Before anybody hears of it: it must not be lost.
async fn keep(safe: Arc<Safe>, next: Arc<Authority>) -> Result<(), AuthorityFolderError> {
    tokio::task::spawn_blocking(move || safe.put_next(next)).await.expect("files are written without panics, and that is not aborted")
}
