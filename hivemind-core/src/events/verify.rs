//! Believing a batch of events: only what a voter vouches for, voter by voter.
//!
//! The chain of a batch is worked out first, without the facts: one signature at its end then proves all of it, and nothing
//! that is not proven is ever folded.

use thiserror::Error;

use crate::facts::Facts;
use crate::ids::{Digest256, Index, Position};
use crate::keys::Keys;
use crate::wire::event::{Checkpoint, LogEvent};

/// Why a batch is not believed. The sender is at fault, or it speaks of voters that this node does not
/// know yet. What was proven before stays applied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Disbelief {
    #[error("the batch starts or goes on at {found}, after {known}")]
    Gap { known: Index, found: Index },
    #[error("no checkpoint is of a voter that is known")]
    Signer,
    #[error("a checkpoint's signature is not that of its voter")]
    Forged,
    #[error("a checkpoint's chain is not that of the events")]
    Chain,
    #[error("no checkpoint covers the end of the events")]
    Uncovered,
}

/// Whether `checkpoint` states `position`, signed by one that votes by `facts`.
pub(super) fn vouches(checkpoint: &Checkpoint, position: &Position, facts: &Facts, keys: &dyn Keys) -> Result<(), Disbelief> {
    let states = checkpoint.epoch == position.epoch && checkpoint.index == position.index && checkpoint.chain == position.chain;
    if !states || checkpoint.cluster != facts.cluster() {
        return Err(Disbelief::Chain);
    }
    is_signed(checkpoint, facts, keys)
}

fn is_signed(checkpoint: &Checkpoint, facts: &Facts, keys: &dyn Keys) -> Result<(), Disbelief> {
    let signer = facts.member(checkpoint.voter).filter(|_| facts.is_voter(checkpoint.voter)).ok_or(Disbelief::Signer)?;
    match keys.verify(&signer.key, &checkpoint.signed_digest(), &checkpoint.signature) {
        true => Ok(()),
        false => Err(Disbelief::Forged),
    }
}

/// The chain hash after each of `events`, which go on from `known`.
pub(super) fn chains(known: &Position, events: &[LogEvent]) -> Result<Vec<Digest256>, Disbelief> {
    let mut last = (known.index, known.chain);
    events
        .iter()
        .map(|logged| {
            if logged.index != last.0.next() {
                return Err(Disbelief::Gap { known: last.0, found: logged.index });
            }
            last = (logged.index, logged.chain_after(&last.1));
            Ok(last.1)
        })
        .collect()
}

/// The furthest of `checkpoints` that one who votes by `facts` signed, if it states the chain of the events: the last of them
/// is number `ends` of its log. One signature is checked at most. Between two that are proven the facts move on, so that
/// no range can appoint its own witness.
pub(super) fn prove<'a>(
    facts: &Facts,
    ends: Index,
    chains: &[Digest256],
    checkpoints: &'a [Checkpoint],
    keys: &dyn Keys,
) -> Result<&'a Checkpoint, Disbelief> {
    let (epoch, known) = (facts.epoch(), facts.position().index);
    if checkpoints.last().is_none_or(|last| last.index != ends) {
        return Err(Disbelief::Uncovered);
    }
    let votes = |checkpoint: &&Checkpoint| checkpoint.index > known && checkpoint.index <= ends && facts.is_voter(checkpoint.voter);
    let furthest = checkpoints.iter().rev().find(votes).ok_or(Disbelief::Signer)?;
    let behind = (ends.0 - furthest.index.0) as usize;
    let states = chains.len().checked_sub(behind + 1).map(|at| chains[at]) == Some(furthest.chain);
    let own = (facts.cluster(), epoch.generation, epoch.tag) == (furthest.cluster, furthest.epoch.generation, furthest.epoch.tag);
    if !states || !own {
        return Err(Disbelief::Chain);
    }
    is_signed(furthest, facts, keys)?;
    Ok(furthest)
}
