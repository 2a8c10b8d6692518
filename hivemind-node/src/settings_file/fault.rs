//! What can be wrong with a settings file.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// One thing that is wrong, with what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsFault {
    /// From 1.
    pub line: usize,
    /// Which setting, as a path: `http.listen`. Empty where it is the file as a whole.
    pub key: String,
    /// What is wrong, and what to do.
    pub what: String,
}

impl fmt::Display for SettingsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.line)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        // What stands in the file must not forge lines.
        self.what.chars().try_for_each(|c| if c.is_control() { write!(f, "{}", c.escape_debug()) } else { write!(f, "{c}") })
    }
}

/// Why there are no settings. Nothing was started.
#[derive(Debug, Error)]
pub enum SettingsFailure {
    /// The file can not be read.
    #[error("{} can not be read: {source}; `hivemind init` or `hivemind join` writes it, and --config names another place", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error("{}", lines(path, faults))]
    Faults {
        /// Which file.
        path: PathBuf,
        /// All that is wrong, by line.
        faults: Vec<SettingsFault>,
    },
}

impl SettingsFailure {
    /// Whether there is no settings file at all.
    pub(crate) fn is_missing(&self) -> bool {
        match self {
            SettingsFailure::Unreadable { source, .. } => source.kind() == io::ErrorKind::NotFound,
            SettingsFailure::Faults { .. } => false,
        }
    }
}

fn lines(path: &std::path::Path, faults: &[SettingsFault]) -> String {
    let lines: Vec<String> = faults.iter().map(|fault| format!("{}:{fault}", path.display())).collect();
    lines.join("\n")
}
