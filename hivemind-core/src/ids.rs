//! The identifiers of the protocol: each a type of its own, none ever used again for another thing.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::NameError;

/// The identity of a cluster, drawn at random when it is born. Every frame carries it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterId(pub u64);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClusterId({self})")
    }
}

/// The identity of a member, given by the control plane at each join and never used again.
///
/// 16 bits of generation (raised by a disaster recovery) above 48 bits of counter, so that ids given
/// before and after a recovery can not be equal. Zero is never given: a frame from `NodeId::NONE`
/// comes from a node that is not a member yet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(u64);

impl NodeId {
    /// The sender of a frame from a node that has no id yet.
    pub const NONE: NodeId = NodeId(0);
    const COUNTER_BITS: u32 = 48;

    /// An id of `generation` with `counter` (the low 48 bits of it).
    pub const fn new(generation: u16, counter: u64) -> Self {
        NodeId(((generation as u64) << Self::COUNTER_BITS) | (counter & ((1 << Self::COUNTER_BITS) - 1)))
    }

    /// The number as it stands in Raft messages and on disk.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The id of a number taken from a Raft message.
    pub const fn from_u64(raw: u64) -> Self {
        NodeId(raw)
    }

    /// The generation that gave this id.
    pub const fn generation(self) -> u16 {
        (self.0 >> Self::COUNTER_BITS) as u16
    }

    /// The counter within the generation.
    pub const fn counter(self) -> u64 {
        self.0 & ((1 << Self::COUNTER_BITS) - 1)
    }

    /// Whether this is [`NodeId::NONE`].
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.generation(), self.counter())
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{self}")
    }
}

/// Which start of a process a frame comes from: the count of starts (synced to disk before the first
/// frame) above 32 random bits. A later start of one node is always greater; two live ones for one
/// [`NodeId`] mean a cloned disk.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BootNonce(pub u64);

impl BootNonce {
    /// The nonce of start number `count`, with `chance` for its low bits.
    pub const fn new(count: u32, chance: u32) -> Self {
        BootNonce(((count as u64) << 32) | chance as u64)
    }

    /// How many starts this node had, this one included.
    pub const fn count(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl fmt::Debug for BootNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "boot{}:{:08x}", self.count(), self.0 as u32)
    }
}

/// The number of a neighborhood.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NeighborhoodId(pub u32);

impl fmt::Debug for NeighborhoodId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hood{}", self.0)
    }
}

/// The version of history that positions are counted in. Equal only if all three parts are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// Raised at a disaster recovery.
    pub generation: u16,
    /// Raised whenever history is collected.
    pub number: u32,
    /// Drawn at random at birth and at recovery: two recoveries of one generation differ here.
    pub tag: u64,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.generation, self.number)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{self}")
    }
}

/// The place of an event in the event log: contiguous, from 1, never restarting within a generation.
/// Index 0 is the state at birth.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Index(pub u64);

impl Index {
    /// The index after this one. A log never reaches the last one, but a sender may name it: it stays there.
    pub const fn next(self) -> Self {
        Index(self.0.saturating_add(1))
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "i{}", self.0)
    }
}

/// The version of a host's config. Only that host raises it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// A SHA-256 digest: of the event chain, or of a config's content.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest256(pub [u8; 32]);

impl Digest256 {
    /// The first eight bytes: enough to tell two chains apart at a glance, not to prove anything.
    pub fn prefix(&self) -> u64 {
        let mut eight = [0; 8];
        eight.copy_from_slice(&self.0[..8]);
        u64::from_be_bytes(eight)
    }
}

impl fmt::Display for Digest256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:08x}", self.prefix() >> 32)
    }
}

/// A point in history: which epoch, which event, and the chain hash over all events up to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The epoch at that point.
    pub epoch: Epoch,
    /// The last event included.
    pub index: Index,
    /// The chain hash at `index`.
    pub chain: Digest256,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.index)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}{:?}", self.epoch, self.index, self.chain)
    }
}

/// A node's public key (Ed25519 on real nodes). It is the node's lasting identity: names belong to keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key{:02x}{:02x}{:02x}{:02x}", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}

/// The name of a member and, where it publishes, of its host: one DNS label, lower case.
///
/// 1 to 63 of `a-z`, `0-9` and `-`, neither first nor last a hyphen (RFC 1123 section 2.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// The longest name, in octets.
    pub const MAX_LEN: usize = 63;

    /// Checks and takes a name.
    ///
    /// # Errors
    /// [`NameError`] says which rule the name breaks.
    pub fn new(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > Self::MAX_LEN {
            return Err(NameError::TooLong { length: name.len() });
        }
        if let Some(found) = name.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
            return Err(NameError::Character { found });
        }
        if name.starts_with('-') || name.ends_with('-') {
            return Err(NameError::Hyphen);
        }
        Ok(NodeName(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NodeName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        NodeName::new(&name)
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> String {
        name.0.as_ref().into()
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A kind of section in a config: `host`, `service`, `dns`, …: 1 to 32 of `a-z`, `0-9`, `-`, `_`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SectionKind(Arc<str>);

impl SectionKind {
    /// The longest kind, in octets.
    pub const MAX_LEN: usize = 32;

    /// Checks and takes a kind.
    ///
    /// # Errors
    /// [`NameError`] says which rule it breaks.
    pub fn new(kind: &str) -> Result<Self, NameError> {
        if kind.is_empty() {
            return Err(NameError::Empty);
        }
        if kind.len() > Self::MAX_LEN {
            return Err(NameError::TooLong { length: kind.len() });
        }
        match kind.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-' | '_')) {
            Some(found) => Err(NameError::Character { found }),
            None => Ok(SectionKind(kind.into())),
        }
    }

    /// The kind as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SectionKind {
    type Error = NameError;

    fn try_from(kind: String) -> Result<Self, NameError> {
        SectionKind::new(&kind)
    }
}

impl From<SectionKind> for String {
    fn from(kind: SectionKind) -> String {
        kind.0.as_ref().into()
    }
}

impl fmt::Display for SectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Names one proposal, so that its outcome finds its way back and a copy of it is applied once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProposalId {
    /// The node that waits for the outcome.
    pub node: NodeId,
    /// The start of that node.
    pub boot: BootNonce,
    /// The number of the proposal since that start.
    pub counter: u64,
}

/// Names a request that a driver made of a machine ([`crate::machine::Input`]); the driver chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Names a batch of writes; [`crate::machine::Input::Stored`] answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);
