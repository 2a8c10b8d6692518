//! Partitions on purpose: for tests, and for `isolate` and `heal` of hivemind-lite.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use hivemind_core::ids::PublicKey;

/// Which peers a node's frames are kept from and which peers' frames it does not hear. Clones are the
/// same filter. What it blocks is dropped in both directions, silently as a network would; connections stay.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    group: Arc<RwLock<Option<BTreeSet<PublicKey>>>>,
}

impl Filter {
    /// Lets through only what these peers send or are sent. Replaces an earlier group.
    pub fn isolate(&self, group: impl IntoIterator<Item = PublicKey>) {
        self.set(Some(group.into_iter().collect()));
    }

    /// Blocks nothing any more.
    pub fn heal(&self) {
        self.set(None);
    }

    /// Whether frames may pass between this node and a peer. Where the key is not known yet, they pass: it is asked again
    /// once it is known.
    pub fn passes(&self, key: Option<&PublicKey>) -> bool {
        let group = self.group.read().unwrap_or_else(PoisonError::into_inner);
        key.is_none_or(|key| group.as_ref().is_none_or(|group| group.contains(key)))
    }

    fn set(&self, group: Option<BTreeSet<PublicKey>>) {
        *self.group.write().unwrap_or_else(PoisonError::into_inner) = group;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> PublicKey {
        PublicKey([number; 32])
    }

    #[test]
    fn a_group_hears_only_itself_until_healed() {
        let filter = Filter::default();
        assert!(filter.passes(Some(&key(1))));
        filter.isolate([key(1)]);
        assert!(filter.passes(Some(&key(1))));
        assert!(!filter.passes(Some(&key(2))));
        assert!(filter.passes(None), "who it is will be known later");
        filter.heal();
        assert!(filter.passes(Some(&key(2))));
    }
}
