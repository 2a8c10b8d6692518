//! The disk of one simulated node: what `hivemind_core::storage` documents, in memory.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use hivemind_core::ids::Ticket;
use hivemind_core::rng::Rng;
use hivemind_core::storage::{Identity, Recovered, RecoveredLog, Write};
use hivemind_core::wire::config::SignedConfig;

/// After a crash the rebuildable records are lost with this chance, in a million.
const CACHE_LOSS_PPM: u32 = 60_000;
/// So many of the last changes of the rebuildable records may not have been synced.
const UNSYNCED: usize = 16;

/// What is durable, and what is on its way.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    identity: Option<Identity>,
    log: Option<RecoveredLog>,
    own: Option<SignedConfig>,
    cache: BTreeMap<Bytes, Bytes>,
    /// What the last changes of the cache replaced, the oldest first: they were answered and may be lost all the same.
    replaced: VecDeque<(Bytes, Option<Bytes>)>,
    pending: VecDeque<(Ticket, Vec<Write>)>,
    full: bool,
    /// A write failed since the process started; there may be room again by the time that it hears of it.
    failed: bool,
}

/// What a crash did to a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// The writes of a ticket were cut short: some of its records are there, and some are not.
    pub torn: bool,
    /// Changes of rebuildable records that had been answered, and are undone.
    pub unsynced: usize,
}

impl From<Recovered> for Disk {
    fn from(Recovered { identity, log, own, cache }: Recovered) -> Self {
        Disk { identity, log, own, cache: cache.into_iter().collect(), ..Disk::default() }
    }
}

impl Disk {
    /// Takes the writes of a ticket; they become durable with [`Disk::complete`], in the order of submission. False where there is
    /// no room: none of them will.
    pub fn submit(&mut self, ticket: Ticket, writes: Vec<Write>) -> bool {
        if self.full {
            self.failed = true;
        } else {
            self.pending.push_back((ticket, writes));
        }
        !self.full
    }

    /// The oldest ticket that is not yet durable becomes durable.
    pub fn complete(&mut self) -> Option<Ticket> {
        let (ticket, writes) = self.pending.pop_front()?;
        writes.into_iter().for_each(|write| self.apply(write));
        Some(ticket)
    }

    /// The process dies, or the power fails. Of what was not answered, the first records may have become durable all the
    /// same, up to a point that chance decides; the rest is lost. Where the power fails, so are the last changes of the
    /// rebuildable records, which nobody synced; and now and then all of those.
    pub fn crash(&mut self, rng: &mut Rng) -> Damage {
        let mut damage = Damage::default();
        let sizes = self.pending.iter().map(|(_, writes)| writes.iter().map(records).sum::<u64>());
        let mut durable = rng.below(sizes.sum::<u64>() + 1);
        for (_, writes) in std::mem::take(&mut self.pending) {
            let mut written = 0;
            for write in writes {
                let size = records(&write);
                damage.torn |= durable < size && written + durable > 0;
                if durable == 0 {
                    break;
                }
                self.apply_some(write, durable);
                written += durable.min(size);
                durable -= durable.min(size);
            }
        }
        if rng.below(2) == 0 {
            damage.unsynced = rng.below(self.replaced.len() as u64 + 1) as usize;
            for _ in 0..damage.unsynced {
                let (key, before) = self.replaced.pop_back().expect("no more than there are");
                set(&mut self.cache, key, before);
            }
        }
        self.replaced.clear();
        self.failed = false;
        if rng.chance_ppm(CACHE_LOSS_PPM) {
            self.cache.clear();
        }
        damage
    }

    /// Writes fail from now on, or succeed again.
    pub fn fill(&mut self, full: bool) {
        self.full = full;
    }

    /// Whether a crash now could cut a ticket of several records short.
    pub fn is_writing(&self) -> bool {
        self.pending.iter().any(|(_, writes)| writes.iter().map(records).sum::<u64>() > 1)
    }

    /// Whether a write of the process that runs has failed.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Everything is gone.
    pub fn lose(&mut self) {
        *self = Disk::default();
    }

    /// The Raft data is gone. False where there is none.
    pub fn lose_log(&mut self) -> bool {
        self.log.take().is_some()
    }

    /// The rebuildable records are gone.
    pub fn lose_cache(&mut self) {
        self.cache.clear();
        self.replaced.clear();
    }

    /// Who the node is that this disk is of.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// What is durable here now, to be put back later.
    pub fn copy(&self) -> Disk {
        Disk { pending: VecDeque::new(), replaced: VecDeque::new(), full: false, failed: false, ..self.clone() }
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

    /// Applies the first `durable` records of a write. A file that is replaced as a whole, and a batch of the Raft log,
    /// whose torn tail is cut off by its checksum, are there whole or not at all.
    fn apply_some(&mut self, write: Write, durable: u64) {
        let whole = records(&write) <= durable;
        match write {
            Write::Cache(mut changes) => {
                changes.truncate(durable as usize);
                self.apply(Write::Cache(changes));
            }
            Write::Identity(_)
            | Write::Log { .. }
            | Write::Snapshot(_)
            | Write::Compact { .. }
            | Write::DropLog
            | Write::Own(_)
            | Write::ClearCache => {
                if whole {
                    self.apply(write);
                }
            }
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
                    let before = set(&mut self.cache, key.clone(), value);
                    if self.replaced.len() == UNSYNCED {
                        self.replaced.pop_front();
                    }
                    self.replaced.push_back((key, before));
                }
            }
            Write::ClearCache => self.lose_cache(),
        }
    }
}

/// How many records a write is made of: a crash may come after each.
fn records(write: &Write) -> u64 {
    match write {
        Write::Log { hard_state, entries } => u64::from(hard_state.is_some()) + entries.len() as u64,
        Write::Cache(changes) => changes.len() as u64,
        Write::Identity(_) | Write::Snapshot(_) | Write::Compact { .. } | Write::DropLog | Write::Own(_) | Write::ClearCache => 1,
    }
}

/// Sets or removes a record; what was there before.
fn set(cache: &mut BTreeMap<Bytes, Bytes>, key: Bytes, value: Option<Bytes>) -> Option<Bytes> {
    match value {
        Some(value) => cache.insert(key, value),
        None => cache.remove(&key),
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
    fn cached(name: &'static str, value: &'static str) -> Write {
        Write::Cache(vec![(Bytes::from_static(name.as_bytes()), Some(Bytes::from_static(value.as_bytes())))])
    }

    #[test]
    fn a_batch_of_the_log_is_there_whole_or_not_at_all_and_a_torn_one_is_told() {
        let mut torn = 0;
        for seed in 0..64 {
            let mut disk = Disk::default();
            disk.submit(Ticket(1), vec![entries(1..=1, 1)]);
            disk.complete();
            disk.submit(Ticket(2), vec![entries(2..=5, 1)]);
            let damage = disk.crash(&mut Rng::new(seed));
            assert!([1, 5].contains(&kept(&disk).len()));
            assert!(!damage.torn || kept(&disk).len() == 1, "what is whole is not torn");
            torn += u32::from(damage.torn);
        }
        assert!((10..60).contains(&torn), "three of five points are in the middle of it: {torn}");
    }

    #[test]
    fn a_power_loss_takes_the_last_changes_of_rebuildable_records_back_and_no_other_write() {
        let mut found = std::collections::BTreeSet::new();
        for seed in 0..64 {
            let mut disk = Disk::default();
            let writes = vec![entries(1..=1, 1), cached("a", "old"), cached("a", "new"), cached("b", "new")];
            disk.submit(Ticket(1), writes);
            disk.complete();
            disk.crash(&mut Rng::new(seed));
            assert_eq!(kept(&disk).len(), 1, "the log was synced");
            let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).expect("text");
            let cache = disk.recover().cache.into_iter().map(|(key, value)| text(key) + "=" + &text(value));
            found.insert(cache.collect::<Vec<_>>().join(" "));
        }
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["", "a=new", "a=new b=new", "a=old"]);
    }

    #[test]
    fn a_copy_holds_what_was_durable_then() {
        let mut disk = Disk::default();
        disk.submit(Ticket(1), vec![entries(1..=1, 1)]);
        disk.complete();
        disk.submit(Ticket(2), vec![entries(2..=2, 1)]);
        disk.fill(true);
        assert!(!disk.submit(Ticket(3), vec![entries(3..=3, 1)]) && disk.has_failed());
        let mut old = disk.copy();
        assert!(!old.has_failed() && old.complete().is_none());
        disk.complete();
        assert_eq!((kept(&old).len(), kept(&disk).len()), (1, 2));
        assert!(disk.lose_log() && !disk.lose_log());
    }
}
