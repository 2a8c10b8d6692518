//! The host's own last config. It is the host's only copy that nobody else may raise, so it stands in a
//! file of its own and not in the cache.

use std::path::PathBuf;

use hivemind_core::wire::codec;
use hivemind_core::wire::config::{CONFIG_LIMIT, SignedConfig};

use super::error::{OpenError, WriteError};
use super::folder::Folder;
use super::sealed::{self, Kind, SealError};

/// The signature and the lengths beside the config.
const LIMIT: usize = CONFIG_LIMIT + 1024;

/// The file.
#[derive(Debug)]
pub(super) struct OwnFile {
    path: PathBuf,
}

impl OwnFile {
    /// Reads the file, where there is one.
    ///
    /// # Errors
    /// [`OpenError`]: damaged, or the disk failed.
    pub(super) fn open(folder: &Folder) -> Result<(Self, Option<SignedConfig>), OpenError> {
        let path = folder.place("own");
        let config = match sealed::read(&path).map_err(|error| OpenError::io(&path, error))? {
            None => None,
            Some(file) => Some(decode(&file).map_err(|why| OpenError::damaged(&path, folder.path(), why.to_string()))?),
        };
        Ok((OwnFile { path }, config))
    }

    /// Replaces the config, or removes it.
    ///
    /// # Errors
    /// [`WriteError`]: the disk failed.
    pub(super) fn write(&self, config: Option<&SignedConfig>) -> Result<(), WriteError> {
        match config {
            Some(config) => sealed::replace(&self.path, &sealed::seal(Kind::Own, &[&codec::encode(config)])),
            None => sealed::remove(&self.path),
        }
        .map_err(|error| WriteError::io(&self.path, error))
    }
}

fn decode(file: &[u8]) -> Result<SignedConfig, SealError> {
    let body = sealed::unseal(Kind::Own, file)?;
    codec::decode::<SignedConfig, LIMIT>(body).map_err(|_| SealError::Content)
}
