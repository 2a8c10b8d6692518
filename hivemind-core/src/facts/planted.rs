//! What a bug that is planted on purpose does to facts.

use super::Facts;

impl Facts {
    /// These, but for what members said of their restarts.
    pub(crate) fn forget_restarts(&mut self) {
        self.restarting.clear();
    }
}
