//! What a reload of the settings follows.

use std::path::{Path, PathBuf};

use hivemind_core::ids::NodeName;
use thiserror::Error;

use super::Log;
use crate::settings_file::{NodeSettings, SettingsFailure};

/// Why a reload changes nothing. What is written is at fault.
#[derive(Debug, Error)]
pub(super) enum ReloadFailure {
    /// There are no right settings.
    #[error(transparent)]
    Settings(#[from] SettingsFailure),
    /// They are of another node.
    #[error(
        "{}: name: this node is {name}, and the settings name {found}; the name is the member's, and no reload or restart changes it: write {name} \
         again. To give the host another name, let it leave, remove its data folder, and join with a new token under that name", path.display()
    )]
    Name {
        /// Which file.
        path: PathBuf,
        /// The node's.
        name: NodeName,
        /// The one that is written.
        found: NodeName,
    },
}

/// Reads the settings of the node `name` again.
pub(super) fn read(path: &Path, name: &NodeName) -> Result<NodeSettings, ReloadFailure> {
    let new = NodeSettings::load(path)?;
    if new.name != *name {
        return Err(ReloadFailure::Name { path: path.to_owned(), name: name.clone(), found: new.name });
    }
    Ok(new)
}

/// Follows what can be followed while the node runs, and says what can not.
pub(super) fn follow(old: &NodeSettings, new: &NodeSettings, log: &Log) {
    log.set_level(new.log.level);
    let waiting = old.needs_restart(new);
    if waiting.is_empty() {
        tracing::info!("the settings were reread");
    } else {
        tracing::warn!("the settings were reread; these are followed when the daemon is restarted: {}", waiting.join(", "));
    }
}
