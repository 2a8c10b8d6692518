//! Keys, signatures and hashes. The signing scheme is an argument of the machine: Ed25519 on real
//! nodes, a cheap deterministic one in simulations of many.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::{Digest256, PublicKey};

/// A signature of the machine's scheme.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(pub [u8; 64]);

impl Serialize for Signature {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (low, high) = self.0.split_at(32);
        (<[u8; 32]>::try_from(low).expect("half of 64"), <[u8; 32]>::try_from(high).expect("half of 64")).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (low, high) = <([u8; 32], [u8; 32])>::deserialize(from)?;
        let mut whole = [0; 64];
        whole[..32].copy_from_slice(&low);
        whole[32..].copy_from_slice(&high);
        Ok(Signature(whole))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sig{:02x}{:02x}", self.0[0], self.0[1])
    }
}

/// What a signature is made for. It is hashed before the content, so that a signature of one thing is
/// never one of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A voter's checkpoint of the event chain.
    Checkpoint,
    /// A host's config.
    Config,
    /// A request to join.
    Join,
    /// A node's own addresses.
    Addresses,
    /// An enrollment, by the key of a join token.
    Enrollment,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Purpose::Checkpoint => b"hivemind checkpoint 1\0",
            Purpose::Config => b"hivemind config 1\0",
            Purpose::Join => b"hivemind join 1\0",
            Purpose::Addresses => b"hivemind addresses 1\0",
            Purpose::Enrollment => b"hivemind enrollment 1\0",
        }
    }

    /// The digest that is signed for `content`.
    pub fn digest(self, content: &[u8]) -> Digest256 {
        hash(&[self.label(), content])
    }
}

/// A node's own key, and the check of others' signatures.
pub trait Keys: Send + Sync + 'static {
    /// The public half of the own key.
    fn public(&self) -> PublicKey;

    /// Signs a digest with the own key.
    fn sign(&self, digest: &Digest256) -> Signature;

    /// Whether `signature` was made over `digest` by the owner of `key`.
    fn verify(&self, key: &PublicKey, digest: &Digest256, signature: &Signature) -> bool;
}

/// SHA-256 over what comes piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The hash over all pieces.
    pub fn digest(self) -> Digest256 {
        Digest256(self.0.finalize().into())
    }
}

/// SHA-256 over `parts`, one after another.
pub fn hash(parts: &[&[u8]]) -> Digest256 {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    Digest256(hasher.finalize().into())
}
