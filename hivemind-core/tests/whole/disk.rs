//! A node's disk in memory: all writes of a ticket at once, in order.

use std::collections::BTreeMap;

use bytes::Bytes;
use hivemind_core::storage::{Identity, Recovered, RecoveredLog, Write};
use hivemind_core::wire::config::SignedConfig;

/// What is durable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    identity: Option<Identity>,
    log: Option<RecoveredLog>,
    own: Option<SignedConfig>,
    cache: BTreeMap<Bytes, Bytes>,
}

impl Disk {
    pub(crate) fn recover(&self) -> Recovered {
        let cache = self.cache.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        Recovered { identity: self.identity.clone(), log: self.log.clone(), own: self.own.clone(), cache }
    }

    /// The Raft log is gone, as after a mishap with its folder.
    pub(crate) fn lose_log(&mut self) {
        self.log = None;
    }

    /// What it knew of others is gone.
    pub(crate) fn lose_cache(&mut self) {
        self.cache.clear();
    }

    /// What it knew of others is what another one knew.
    pub(crate) fn take_cache(&mut self, of: &Disk) {
        self.cache = of.cache.clone();
    }

    pub(crate) fn write(&mut self, write: Write) {
        match write {
            Write::Identity(identity) => self.identity = Some(identity),
            Write::Log { hard_state, entries } => {
                let log = self.log.get_or_insert_default();
                if hard_state.is_some() {
                    log.hard_state = hard_state;
                }
                if let Some(first) = entries.first().map(|entry| entry.index) {
                    log.entries.retain(|entry| entry.index < first);
                    log.entries.extend(entries);
                }
            }
            Write::Snapshot(snapshot) => self.log.get_or_insert_default().snapshot = Some(snapshot),
            Write::Compact { below } => self.log.get_or_insert_default().entries.retain(|entry| entry.index >= below),
            Write::DropLog => self.log = None,
            Write::Own(own) => self.own = own,
            Write::Cache(records) => records.into_iter().for_each(|(key, value)| match value {
                Some(value) => drop(self.cache.insert(key, value)),
                None => drop(self.cache.remove(&key)),
            }),
            Write::ClearCache => self.cache.clear(),
        }
    }
}
