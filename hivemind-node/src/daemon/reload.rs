//! What a reload of the settings follows.

use super::Log;
use crate::settings_file::NodeSettings;

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
