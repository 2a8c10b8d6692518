//! Partitions on purpose: for tests, and for `isolate` and `heal` of hivemind-lite.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use hivemind_core::ids::PublicKey;

/// Which peers a node's frames are kept from and which peers' frames it does not hear. Clones are the
/// same filter. What it blocks is dropped in both directions, silently as a network would; connections stay.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    rules: Arc<RwLock<Rules>>,
}

#[derive(Debug, Default)]
struct Rules {
    group: Option<BTreeSet<PublicKey>>,
    keys: BTreeSet<PublicKey>,
    hosts: BTreeSet<IpAddr>,
    addresses: BTreeSet<SocketAddr>,
}

impl Filter {
    /// Lets through only what these peers send or are sent. Replaces an earlier group.
    pub fn isolate(&self, group: impl IntoIterator<Item = PublicKey>) {
        let group = group.into_iter().collect();
        self.change(|rules| rules.group = Some(group));
    }

    /// Blocks these peers, beside those that are blocked already.
    pub fn block_keys(&self, keys: impl IntoIterator<Item = PublicKey>) {
        self.change(|rules| rules.keys.extend(keys));
    }

    /// Blocks whoever is at these addresses.
    pub fn block_addresses(&self, addresses: impl IntoIterator<Item = SocketAddr>) {
        self.change(|rules| rules.addresses.extend(addresses));
    }

    /// Blocks whoever is at these hosts, at any port.
    pub fn block_hosts(&self, hosts: impl IntoIterator<Item = IpAddr>) {
        self.change(|rules| rules.hosts.extend(hosts));
    }

    /// Blocks nothing any more.
    pub fn heal(&self) {
        self.change(|rules| *rules = Rules::default());
    }

    /// Whether frames may pass between this node and a peer. A key that is not known yet passes as far
    /// as keys are concerned: it is asked again once it is known.
    pub fn passes(&self, key: Option<&PublicKey>, address: Option<SocketAddr>) -> bool {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        let key_passes = key.is_none_or(|key| !rules.keys.contains(key) && rules.group.as_ref().is_none_or(|group| group.contains(key)));
        let place_passes = address.is_none_or(|at| !rules.addresses.contains(&at) && !rules.hosts.contains(&at.ip()));
        key_passes && place_passes
    }

    fn change(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.rules.write().unwrap_or_else(PoisonError::into_inner));
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
        let at = "127.0.0.1:1".parse().unwrap();
        assert!(filter.passes(Some(&key(1)), Some(at)));
        filter.isolate([key(1)]);
        assert!(filter.passes(Some(&key(1)), Some(at)));
        assert!(!filter.passes(Some(&key(2)), Some(at)));
        filter.heal();
        assert!(filter.passes(Some(&key(2)), Some(at)));
    }

    #[test]
    fn keys_addresses_and_hosts_are_blocked_each_by_itself() {
        let filter = Filter::default();
        let at: SocketAddr = "127.0.0.1:1".parse().unwrap();
        filter.block_keys([key(1)]);
        assert!(!filter.passes(Some(&key(1)), None));
        filter.block_addresses([at]);
        assert!(!filter.passes(Some(&key(2)), Some(at)));
        assert!(filter.passes(Some(&key(2)), Some("127.0.0.1:2".parse().unwrap())));
        filter.block_hosts([at.ip()]);
        assert!(!filter.passes(None, Some("127.0.0.1:2".parse().unwrap())));
    }
}
