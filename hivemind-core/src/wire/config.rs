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
    /// Its version.
    pub fn digest(&self) -> ConfigDigest {
        ConfigDigest { node: self.node, seq: self.seq, hash: self.content_hash() }
    }

    /// Whether it keeps the limits: sections one per kind, in order, none too large.
    pub fn is_within_limits(&self) -> bool {
        let ordered = self.sections.windows(2).all(|pair| pair[0].kind < pair[1].kind);
        let small = self.sections.iter().all(|section| section.body.len() <= codec::SECTION_LIMIT);
        let total: usize = self.sections.iter().map(|section| section.body.len()).sum();
        ordered && small && total <= CONFIG_LIMIT && self.sections.len() <= MAX_SECTIONS
    }

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

/// A config as a consumer or neighbor holds it: in force for `member`. Where the host re-joined and has
/// not published since, the config still names its former id; the same key signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldConfig {
    /// The member that it is in force for.
    pub member: NodeId,
    /// What it published.
    pub config: SignedConfig,
}

/// A config's version: later is greater. Ids grow with each join, so a config of a later membership is
/// above all of an earlier one; equal seq with other content: the larger hash wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConfigDigest {
    /// The host's membership.
    pub node: NodeId,
    /// The version.
    pub seq: Seq,
    /// [`HostConfig::content_hash`].
    pub hash: Digest256,
}

/// The version of a config that is held, as it stands in long lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldVersion {
    /// The member that it is in force for.
    pub member: NodeId,
    /// The membership that published it, where that is an earlier one.
    pub former: Option<NodeId>,
    /// The version.
    pub seq: Seq,
    /// The first bits of the content's hash: they order almost all contents of one version.
    pub hash: u64,
}

impl HeldVersion {
    /// How `version`, in force for `member`, stands in a list.
    pub fn of(member: NodeId, version: &ConfigDigest) -> Self {
        let former = (version.node != member).then_some(version.node);
        HeldVersion { member, former, seq: version.seq, hash: version.hash.prefix() }
    }

    /// What orders the versions of one member: later is greater.
    pub fn order(&self) -> (NodeId, Seq, u64) {
        (self.former.unwrap_or(self.member), self.seq, self.hash)
    }
}

/// A bucket of a summary, with a hash for each of its leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeafHashes {
    /// Which bucket.
    pub bucket: u8,
    /// A power of two of them, at most 256.
    pub hashes: Vec<u32>,
}

/// Some leaves of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaves {
    /// Which bucket.
    pub bucket: u8,
    /// It is split into two to the power of this; at most 8.
    pub width_log2: u8,
    /// Which of them.
    pub at: Vec<u8>,
}
