//! How bad the net and the disks are, and what a disk keeps.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::storage::{LogEntry, LogSnapshot, RecoveredLog, Write};

/// How bad the net and the disks are.
#[derive(Clone, Debug)]
pub(in crate::control::tests) struct Faults {
    pub(in crate::control::tests) delay: (Duration, Duration),
    pub(in crate::control::tests) loss_ppm: u32,
    pub(in crate::control::tests) duplicate_ppm: u32,
    pub(in crate::control::tests) disk: (Duration, Duration),
}

impl Faults {
    pub(in crate::control::tests) const NONE: Faults = Faults {
        delay: (Duration::from_millis(1), Duration::from_millis(1)),
        loss_ppm: 0,
        duplicate_ppm: 0,
        disk: (Duration::from_millis(1), Duration::from_millis(1)),
    };
    pub(in crate::control::tests) const BAD: Faults = Faults {
        delay: (Duration::from_micros(200), Duration::from_millis(30)),
        loss_ppm: 50_000,
        duplicate_ppm: 50_000,
        disk: (Duration::from_micros(100), Duration::from_millis(20)),
    };
}

#[derive(Default)]
pub(in crate::control::tests) struct Disk {
    pub(in crate::control::tests) snapshot: Option<LogSnapshot>,
    /// The indices of all snapshots that were ever written.
    pub(in crate::control::tests) snapshots: Vec<u64>,
    hard_state: Option<bytes::Bytes>,
    entries: BTreeMap<u64, LogEntry>,
}

impl Disk {
    pub(in crate::control::tests) fn write(&mut self, write: &Write) {
        match write {
            Write::Log { hard_state, entries } => {
                if let Some(state) = hard_state {
                    self.hard_state = Some(state.clone());
                }
                if let Some(first) = entries.first() {
                    self.entries.split_off(&first.index);
                }
                self.entries.extend(entries.iter().map(|entry| (entry.index, entry.clone())));
            }
            Write::Snapshot(snapshot) => {
                self.snapshots.push(snapshot.index);
                self.snapshot = Some(snapshot.clone());
            }
            Write::Compact { below } => self.entries = self.entries.split_off(below),
            Write::DropLog => *self = Disk::default(),
            Write::Identity(_) | Write::Own(_) | Write::Cache(_) | Write::ClearCache => panic!("not the control plane's to write"),
        }
    }

    pub(in crate::control::tests) fn found(&self) -> RecoveredLog {
        RecoveredLog {
            snapshot: self.snapshot.clone(),
            hard_state: self.hard_state.clone(),
            entries: self.entries.values().cloned().collect(),
        }
    }
}
