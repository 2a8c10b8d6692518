//! A snapshot in the making. The state is held as it was when it began, which costs nothing since its
//! maps share structure, and is encoded in slices: the voter goes on with everything else meanwhile.

use std::ops::Bound;

use serde::Serialize;

use super::applied::Applied;
use super::configuration::Configuration;
use super::snapshot::VERSION;
use crate::facts::{FactsCursor, put_entries};
use crate::ids::{Digest256, PublicKey};
use crate::keys::Hasher;
use crate::wire::codec;

/// What is encoded next. The order is that of the fields of [`Applied`].
#[derive(Clone, Copy, Debug)]
enum Stage {
    Facts(FactsCursor),
    /// The grants from a place on.
    Grants(usize),
    /// The tokens behind one.
    Tokens(Option<PublicKey>),
    /// The enrolled keys behind one.
    Enrolled(Option<PublicKey>),
    /// The revoked keys behind one.
    Revoked(Option<PublicKey>),
    /// The outcomes from a place on.
    Outcomes(usize),
    /// The wishes behind one.
    Wishes(Option<PublicKey>),
    /// The events of the tail from a place on.
    Events(usize),
}

/// A snapshot in the making.
pub(super) struct Making {
    applied: Applied,
    index: u64,
    bytes: Vec<u8>,
    hasher: Hasher,
    /// `None`: it is whole.
    stage: Option<Stage>,
}

/// A snapshot that is whole.
pub(super) struct Made {
    /// The last Raft entry in it.
    pub(super) index: u64,
    pub(super) configuration: Configuration,
    pub(super) data: Vec<u8>,
    /// Of `data`.
    pub(super) digest: Digest256,
}

impl Making {
    /// Begins with the state at a Raft index.
    pub(super) fn begin(applied: Applied, index: u64) -> Making {
        let mut hasher = Hasher::default();
        hasher.update(&[VERSION]);
        Making { applied, index, bytes: vec![VERSION], hasher, stage: Some(Stage::Facts(FactsCursor::default())) }
    }

    /// The Raft index that it is of.
    pub(super) fn index(&self) -> u64 {
        self.index
    }

    /// Encodes some `budget` bytes more, by one record above it at most. Says whether it is whole.
    pub(super) fn go_on(&mut self, budget: usize) -> bool {
        let begin = self.bytes.len();
        while let Some(stage) = self.stage {
            let done = self.bytes.len() - begin;
            if done >= budget {
                break;
            }
            self.stage = self.encode(stage, budget - done);
        }
        self.hasher.update(&self.bytes[begin..]);
        self.stage.is_none()
    }

    /// What came of it, once it is whole.
    pub(super) fn made(self) -> Made {
        let Making { applied, index, bytes, hasher, stage: _ } = self;
        Made { index, configuration: applied.configuration(), data: bytes, digest: hasher.digest() }
    }

    fn encode(&mut self, stage: Stage, budget: usize) -> Option<Stage> {
        let registry = &self.applied.registry;
        let bytes = &mut self.bytes;
        match stage {
            Stage::Facts(at) => {
                if let Some(next) = self.applied.facts.encode_slice(at, budget, bytes) {
                    return Some(Stage::Facts(next));
                }
                put(&registry.counter, bytes);
                put(&(registry.grants.len() as u64), bytes);
                Some(Stage::Grants(0))
            }
            Stage::Grants(from) => {
                if let Some(next) = put_from(from, budget, bytes, |place| registry.grants.at(place)) {
                    return Some(Stage::Grants(next));
                }
                put(&registry.gate.policy, bytes);
                put(&(registry.gate.tokens.len() as u64), bytes);
                Some(Stage::Tokens(None))
            }
            Stage::Tokens(after) => {
                if let Some(last) = put_entries(&registry.gate.tokens, after, budget, bytes, |entry, bytes| put(&entry, bytes)) {
                    return Some(Stage::Tokens(Some(last)));
                }
                put(&(registry.gate.roll.len() as u64), bytes);
                Some(Stage::Enrolled(None))
            }
            Stage::Enrolled(after) => {
                if let Some(last) = put_entries(registry.gate.roll.entries(), after, budget, bytes, |entry, bytes| put(&entry, bytes)) {
                    return Some(Stage::Enrolled(Some(last)));
                }
                put(&(registry.revoked.len() as u64), bytes);
                Some(Stage::Revoked(None))
            }
            Stage::Revoked(after) => {
                let full = bytes.len().saturating_add(budget);
                let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
                for key in registry.revoked.range((begin, Bound::Unbounded)) {
                    put(key, bytes);
                    if bytes.len() >= full {
                        return Some(Stage::Revoked(Some(*key)));
                    }
                }
                put(&registry.time, bytes);
                put(&(registry.outcomes.len() as u64), bytes);
                Some(Stage::Outcomes(0))
            }
            Stage::Outcomes(from) => {
                if let Some(next) = put_from(from, budget, bytes, |place| registry.outcomes.at(place)) {
                    return Some(Stage::Outcomes(next));
                }
                put(&registry.joint, bytes);
                put(&(registry.wishes.len() as u64), bytes);
                Some(Stage::Wishes(None))
            }
            Stage::Wishes(after) => {
                if let Some(last) = put_entries(&registry.wishes, after, budget, bytes, |entry, bytes| put(&entry, bytes)) {
                    return Some(Stage::Wishes(Some(last)));
                }
                put(&registry.followed, bytes);
                put(&(self.applied.tail.len() as u64), bytes);
                Some(Stage::Events(0))
            }
            Stage::Events(from) => {
                if let Some(next) = put_from(from, budget, bytes, |place| self.applied.tail.at(place)) {
                    return Some(Stage::Events(next));
                }
                put(&self.applied.tail.bytes(), bytes);
                None
            }
        }
    }
}

fn put<T: Serialize + ?Sized>(value: &T, into: &mut Vec<u8>) {
    into.extend(codec::encode(value));
}

/// Encodes what stands from a place on, until some `budget` bytes are written: where to go on, or nowhere.
fn put_from<T: Serialize>(from: usize, budget: usize, into: &mut Vec<u8>, at: impl Fn(usize) -> Option<T>) -> Option<usize> {
    let full = into.len().saturating_add(budget);
    for place in from.. {
        put(&at(place)?, into);
        if into.len() >= full {
            return Some(place + 1);
        }
    }
    None
}
