//! The disk of one simulated node: what `hivemind_core::storage` documents, in memory.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use hivemind_core::ids::Ticket;
use hivemind_core::rng::Rng;
use hivemind_core::storage::{Identity, Recovered, RecoveredLog, Write};
use hivemind_core::wire::config::SignedConfig;

/// After a crash the rebuildable records are lost with this chance, in a million.
const CACHE_LOSS_PPM: u32 = 60_000;

/// What is durable, and what is on its way.
#[derive(Debug, Default)]
pub struct Disk {
    identity: Option<Identity>,
    log: Option<RecoveredLog>,
    own: Option<SignedConfig>,
    cache: BTreeMap<Bytes, Bytes>,
    pending: VecDeque<(Ticket, Vec<Write>)>,
}

impl From<Recovered> for Disk {
    fn from(Recovered { identity, log, own, cache }: Recovered) -> Self {
        Disk { identity, log, own, cache: cache.into_iter().collect(), pending: VecDeque::new() }
    }
}

impl Disk {
    /// Takes the writes of a ticket; they become durable with [`Disk::complete`], in the order of submission.
    pub fn submit(&mut self, ticket: Ticket, writes: Vec<Write>) {
        self.pending.push_back((ticket, writes));
    }

    /// The oldest ticket that is not yet durable becomes durable.
    pub fn complete(&mut self) -> Option<Ticket> {
        let (ticket, writes) = self.pending.pop_front()?;
        writes.into_iter().for_each(|write| self.apply(write));
        Some(ticket)
    }

    /// The process dies, or the power fails. Of what was not answered, the first writes may have become durable all the
    /// same, up to a point that chance decides; the rest is lost. So may be the rebuildable records.
    pub fn crash(&mut self, rng: &mut Rng) {
        let pending: Vec<Write> = self.pending.drain(..).flat_map(|(_, writes)| writes).collect();
        let durable = rng.below(pending.len() as u64 + 1) as usize;
        pending.into_iter().take(durable).for_each(|write| self.apply(write));
        if rng.chance_ppm(CACHE_LOSS_PPM) {
            self.cache.clear();
        }
    }

    /// The Raft log, as far as it is durable.
    pub fn log(&self) -> Option<&RecoveredLog> {
        self.log.as_ref()
    }

    /// What a process that starts now finds.
    pub fn recover(&self) -> Recovered {
        Recovered {
            identity: self.identity.clone(),
            log: self.log.clone(),
            own: self.own.clone(),
            cache: self.cache.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        }
    }

    fn apply(&mut self, write: Write) {
        match write {
            Write::Identity(identity) => self.identity = Some(identity),
            Write::Log { hard_state, entries } => {
                let log = self.log.get_or_insert_default();
                if hard_state.is_some() {
                    log.hard_state = hard_state;
                }
                if let Some(first) = entries.first().map(|entry| entry.index) {
                    let kept = log.entries.partition_point(|entry| entry.index < first);
                    log.entries.truncate(kept);
                    // A snapshot from the leader may be ahead of the whole log: what stays must be consecutive.
                    if log.entries.last().is_some_and(|last| last.index + 1 != first) {
                        log.entries.clear();
                    }
                    log.entries.extend(entries);
                }
            }
            Write::Snapshot(snapshot) => self.log.get_or_insert_default().snapshot = Some(snapshot),
            Write::Compact { below } => {
                if let Some(log) = &mut self.log {
                    log.entries.retain(|entry| entry.index >= below);
                }
            }
            Write::DropLog => self.log = None,
            Write::Own(own) => self.own = own,
            Write::Cache(records) => {
                for (key, value) in records {
                    match value {
                        Some(value) => self.cache.insert(key, value),
                        None => self.cache.remove(&key),
                    };
                }
            }
            Write::ClearCache => self.cache.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use hivemind_core::storage::LogEntry;

    use super::*;

    fn entries(indexes: std::ops::RangeInclusive<u64>, term: u64) -> Write {
        let entries = indexes.map(|index| LogEntry { index, term, bytes: Bytes::new() }).collect();
        Write::Log { hard_state: None, entries }
    }

    fn kept(disk: &Disk) -> Vec<(u64, u64)> {
        disk.recover().log.expect("a log").entries.iter().map(|entry| (entry.index, entry.term)).collect()
    }

    #[test]
    fn nothing_is_found_before_it_was_answered() {
        let mut disk = Disk::default();
        disk.submit(Ticket(1), vec![entries(1..=2, 1)]);
        assert_eq!(disk.recover(), Recovered::default());
        assert_eq!(disk.complete(), Some(Ticket(1)));
        assert_eq!(kept(&disk), [(1, 1), (2, 1)]);
    }

    #[test]
    fn later_entries_replace_those_at_their_index_and_above() {
        let mut disk = Disk::default();
        disk.submit(Ticket(1), vec![entries(1..=4, 1), entries(3..=3, 2)]);
        disk.complete();
        assert_eq!(kept(&disk), [(1, 1), (2, 1), (3, 2)]);
        disk.submit(Ticket(2), vec![Write::Compact { below: 3 }, entries(9..=9, 3)]);
        disk.complete();
        assert_eq!(kept(&disk), [(9, 3)], "entries behind a gap belong to no log");
    }

    #[test]
    fn a_crash_keeps_a_beginning_of_what_was_not_answered_and_no_more() {
        let mut lengths = std::collections::BTreeSet::new();
        for seed in 0..64 {
            let mut disk = Disk::default();
            disk.submit(Ticket(1), vec![entries(1..=1, 1)]);
            disk.complete();
            disk.submit(Ticket(2), vec![entries(2..=2, 1), entries(3..=3, 1)]);
            disk.crash(&mut Rng::new(seed));
            assert_eq!(disk.complete(), None, "nothing is answered after a crash");
            let found = kept(&disk);
            assert_eq!(found, [(1, 1), (2, 1), (3, 1)][..found.len()]);
            lengths.insert(found.len());
        }
        assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [1, 2, 3], "chance decides how much");
    }
}
