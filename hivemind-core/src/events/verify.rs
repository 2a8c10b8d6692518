//! Believing a batch of events: only what a voter vouches for, voter by voter.

use thiserror::Error;

use crate::facts::{Facts, FoldError};
use crate::ids::{Index, Position};
use crate::keys::Keys;
use crate::wire::event::{Checkpoint, Event, LogEvent};
use crate::wire::message::EventBatch;

/// Why a batch is not believed. The sender is at fault, or it speaks of voters that this node does not
/// know yet. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Disbelief {
    #[error("the batch starts at {found}, after {known}")]
    Gap { known: Index, found: Index },
    #[error("an event does not fit: {0}")]
    Fold(#[from] FoldError),
    #[error("a checkpoint is not signed by a voter that is known")]
    Signer,
    #[error("a checkpoint's chain is not that of the events")]
    Chain,
    #[error("no checkpoint covers the end of the events")]
    Uncovered,
}

/// An event that is believed, with what it says and the position after it.
#[derive(Clone, Debug)]
pub(super) struct Believed {
    pub(super) logged: LogEvent,
    pub(super) event: Event,
    pub(super) after: Position,
}

/// Whether `checkpoint` states `position`, signed by one that votes by `facts`.
pub(super) fn vouches(checkpoint: &Checkpoint, position: &Position, facts: &Facts, keys: &dyn Keys) -> Result<(), Disbelief> {
    let states = checkpoint.epoch == position.epoch && checkpoint.index == position.index && checkpoint.chain == position.chain;
    if !states || checkpoint.cluster != facts.cluster() {
        return Err(Disbelief::Chain);
    }
    let signer = facts.member(checkpoint.voter).filter(|_| facts.is_voter(checkpoint.voter)).ok_or(Disbelief::Signer)?;
    if !keys.verify(&signer.key, &checkpoint.signed_digest(), &checkpoint.signature) {
        return Err(Disbelief::Signer);
    }
    Ok(())
}

/// Folds what is new in `batch` into a copy of `facts`. Each checkpoint must be signed by a voter of the
/// facts that the one before it proved, so that no range can appoint its own witness.
pub(super) fn believe(facts: &Facts, batch: &EventBatch, keys: &dyn Keys) -> Result<(Facts, Vec<Believed>), Disbelief> {
    let known = facts.position().index;
    let mut trial = facts.clone();
    let mut proven = facts.clone();
    let mut believed = Vec::new();
    let mut checkpoints = batch.checkpoints.iter().filter(|checkpoint| checkpoint.index > known).peekable();
    for logged in batch.events.iter().filter(|logged| logged.index > known) {
        if logged.index > trial.position().index.next() {
            return Err(Disbelief::Gap { known: trial.position().index, found: logged.index });
        }
        let event = trial.apply(logged)?;
        let after = trial.position();
        believed.push(Believed { logged: logged.clone(), event, after });
        while let Some(checkpoint) = checkpoints.next_if(|checkpoint| checkpoint.index <= after.index) {
            vouches(checkpoint, &after, &proven, keys)?;
            proven = trial.clone();
        }
    }
    if trial.position().index != proven.position().index {
        return Err(Disbelief::Uncovered);
    }
    Ok((proven, believed))
}
