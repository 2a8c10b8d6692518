//! Configs: what a host publishes, under a sequence number that only it may raise.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::codec;
use crate::ids::{Digest256, NodeId, PublicKey, SectionKind, Seq};
use crate::keys::{self, Keys, Purpose, Signature};

/// The most sections of one config: one per kind.
pub const MAX_SECTIONS: usize = 32;
/// The largest config, encoded.
pub const CONFIG_LIMIT: usize = 256 << 10;

/// One kind of content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Its kind. At most one section of a kind in a config.
    pub kind: SectionKind,
    /// Opaque to the cluster. At most [`codec::SECTION_LIMIT`] bytes.
    pub body: Bytes,
}

/// What a host publishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostConfig {
    /// The host's membership.
    pub node: NodeId,
    /// The version.
    pub seq: Seq,
    /// In the order of their kinds.
    pub sections: Vec<Section>,
}

impl HostConfig {
    /// The section of `kind`.
    pub fn section(&self, kind: &SectionKind) -> Option<&Section> {
        self.sections.iter().find(|section| &section.kind == kind)
    }

    /// The hash over the whole config.
    pub fn content_hash(&self) -> Digest256 {
        keys::hash(&[b"hivemind content 1\0", &codec::encode(self)])
    }
}

/// A config, its hash, and the host's signature over it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedConfig {
    /// What is published.
    pub config: HostConfig,
    /// By the host's key.
    pub signature: Signature,
}

impl SignedConfig {
    /// Signs `config`.
    pub fn new(config: HostConfig, keys: &dyn Keys) -> Self {
        let signature = keys.sign(&Self::digest(&config));
        SignedConfig { config, signature }
    }

    fn digest(config: &HostConfig) -> Digest256 {
        Purpose::Config.digest(&config.content_hash().0)
    }

    /// Whether the owner of `key` signed exactly this.
    pub fn is_signed_by(&self, key: &PublicKey, keys: &dyn Keys) -> bool {
        keys.verify(key, &Self::digest(&self.config), &self.signature)
    }
}

/// What is compared before anything is sent: who, which version, which content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConfigDigest {
    /// The host's membership.
    pub node: NodeId,
    /// The version.
    pub seq: Seq,
    /// [`HostConfig::content_hash`].
    pub hash: Digest256,
}
