//! The identity file: who the node is, and its private key.

use std::fmt;
use std::path::PathBuf;

use hivemind_core::storage::Identity;
use hivemind_core::wire::codec;
use serde::{Deserialize, Serialize};

use super::error::{OpenError, WriteError};
use super::folder::Folder;
use super::sealed::{self, Kind, SealError};

/// The largest identity file's content.
const LIMIT: usize = 64 << 10;

/// A node's private key as PKCS#8, made once for its data folder and then kept there.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeKey(Vec<u8>);

impl NodeKey {
    /// Takes a key.
    pub fn new(pkcs8: Vec<u8>) -> Self {
        NodeKey(pkcs8)
    }

    /// The key, as PKCS#8.
    pub fn as_pkcs8(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({} bytes)", self.0.len())
    }
}

#[derive(Serialize, Deserialize)]
struct Content {
    identity: Option<Identity>,
    key: NodeKey,
}

/// The file, and what it holds.
#[derive(Debug)]
pub(super) struct IdentityFile {
    path: PathBuf,
    identity: Option<Identity>,
    key: NodeKey,
}

impl IdentityFile {
    const NAME: &str = "identity";

    /// Reads the file, or makes it with a new key where the folder is new.
    ///
    /// # Errors
    /// [`OpenError`]: damaged, missing beside data that needs it, or the disk failed.
    pub(super) fn open(folder: &Folder, new_key: &dyn Fn() -> Vec<u8>) -> Result<Self, OpenError> {
        let path = folder.place(Self::NAME);
        if let Some(file) = sealed::read(&path).map_err(|error| OpenError::io(&path, error))? {
            let content = decode(&file).map_err(|why| OpenError::damaged(&path, folder.path(), why.to_string()))?;
            return Ok(IdentityFile { path, identity: content.identity, key: content.key });
        }
        if let Some(orphan) = ["raft", "snapshots", "own"].into_iter().find(|name| folder.place(name).exists()) {
            return Err(OpenError::damaged(&path, folder.path(), format!("it is missing while {orphan:?} is there")));
        }
        let new = IdentityFile { path, identity: None, key: NodeKey(new_key()) };
        sealed::replace(&new.path, &encode(None, &new.key)).map_err(|error| OpenError::io(&new.path, error))?;
        Ok(new)
    }

    /// Who the node of a folder is, and its key, without opening the folder; `None` where it is nobody's yet.
    ///
    /// # Errors
    /// [`OpenError`]: damaged, or the disk failed.
    #[cfg(feature = "cli")]
    pub(super) fn inspect(folder: &std::path::Path) -> Result<Option<(Option<Identity>, NodeKey)>, OpenError> {
        let path = folder.join(Self::NAME);
        let Some(file) = sealed::read(&path).map_err(|error| OpenError::io(&path, error))? else { return Ok(None) };
        let content = decode(&file).map_err(|why| OpenError::damaged(&path, folder, why.to_string()))?;
        Ok(Some((content.identity, content.key)))
    }

    /// Replaces the identity; the key stays.
    ///
    /// # Errors
    /// [`WriteError`]: the disk failed.
    pub(super) fn write(&mut self, identity: &Identity) -> Result<(), WriteError> {
        sealed::replace(&self.path, &encode(Some(identity), &self.key)).map_err(|error| WriteError::io(&self.path, error))?;
        self.identity = Some(identity.clone());
        Ok(())
    }

    /// The identity, once there is one.
    pub(super) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// The key.
    pub(super) fn key(&self) -> &NodeKey {
        &self.key
    }
}

fn encode(identity: Option<&Identity>, key: &NodeKey) -> Vec<u8> {
    let content = Content { identity: identity.cloned(), key: key.clone() };
    sealed::seal(Kind::Identity, &[&codec::encode(&content)])
}

fn decode(file: &[u8]) -> Result<Content, SealError> {
    let body = sealed::unseal(Kind::Identity, file)?;
    codec::decode::<Content, LIMIT>(body).map_err(|_| SealError::Content)
}
