//! The gate of a cluster: its policy, its tokens, and the keys that were admitted. Voters keep it, and a voter-to-be
//! gets it with its snapshot; no event tells of it.

use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::{NodeName, PublicKey};
use crate::time::Timestamp;
use crate::wire::access::{AdmissionPolicy, Enrolled, Token};
use crate::wire::persistent;

/// Who is let in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Gate {
    pub(super) policy: AdmissionPolicy,
    /// By the public half of their keys.
    #[serde(with = "persistent::map")]
    pub(super) tokens: OrdMap<PublicKey, Token>,
    pub(super) roll: Roll,
}

impl Gate {
    pub(super) fn new(policy: AdmissionPolicy) -> Self {
        Gate { policy, tokens: OrdMap::new(), roll: Roll::default() }
    }

    /// Forgets the tokens whose time is over.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.tokens = std::mem::take(&mut self.tokens).into_iter().filter(|(_, token)| token.expires > now).collect();
    }
}

/// The enrolled keys, each with a name of its own. Clones share structure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(PublicKey, Enrolled)>", into = "Vec<(PublicKey, Enrolled)>")]
pub(super) struct Roll {
    keys: OrdMap<PublicKey, Enrolled>,
    names: OrdMap<NodeName, PublicKey>,
}

/// Two entries of a roll have one key or one name: whoever wrote it down is at fault.
#[derive(Debug, Error)]
#[error("two enrolled keys share a name, or one is there twice")]
pub(super) struct TwiceEnrolled;

impl Roll {
    pub(super) fn get(&self, key: &PublicKey) -> Option<&Enrolled> {
        self.keys.get(key)
    }

    /// Whose name this is.
    pub(super) fn owner(&self, name: &NodeName) -> Option<PublicKey> {
        self.names.get(name).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// By key.
    pub(super) fn entries(&self) -> &OrdMap<PublicKey, Enrolled> {
        &self.keys
    }

    /// Enrolls a key, anew where it is enrolled. The name must be nobody else's.
    pub(super) fn insert(&mut self, key: PublicKey, enrolled: Enrolled) {
        self.remove(&key);
        self.names.insert(enrolled.name.clone(), key);
        self.keys.insert(key, enrolled);
    }

    pub(super) fn remove(&mut self, key: &PublicKey) {
        if let Some(gone) = self.keys.remove(key) {
            self.names.remove(&gone.name);
        }
    }
}

impl TryFrom<Vec<(PublicKey, Enrolled)>> for Roll {
    type Error = TwiceEnrolled;

    fn try_from(listed: Vec<(PublicKey, Enrolled)>) -> Result<Self, TwiceEnrolled> {
        let count = listed.len();
        let names: OrdMap<_, _> = listed.iter().map(|(key, enrolled)| (enrolled.name.clone(), *key)).collect();
        let keys: OrdMap<_, _> = listed.into_iter().collect();
        if [keys.len(), names.len()] == [count; 2] { Ok(Roll { keys, names }) } else { Err(TwiceEnrolled) }
    }
}

impl From<Roll> for Vec<(PublicKey, Enrolled)> {
    fn from(roll: Roll) -> Self {
        roll.keys.into_iter().collect()
    }
}
