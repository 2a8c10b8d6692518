//! The one table of timers of a machine: ordered by time, then by the order of their setting.

use std::collections::BTreeMap;

use crate::ids::NodeId;
use crate::time::Time;

/// What a machine waits for. A timer carries the instance that it belongs to, so that one of an
/// earlier instance is recognised and does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The Raft group's clock moves on by one tick.
    RaftTick,
    /// The leader counts a sign of life.
    Beat,
    /// Whether the control plane is degraded is judged anew.
    Judge {
        /// Which chain of judgements: one begins with each membership.
        round: u64,
    },
    /// Proposals and reads that got no answer in time.
    Pending,
    /// The leader looks after the group: voters to add, failed members to leave, history to collect.
    Housekeeping,
    /// A timer of foca's, kept by the membership subsystem under `slot` of its instance.
    Swim {
        /// Which instance.
        instance: u64,
        /// Which of its timers.
        slot: u64,
    },
    /// The first-hand probe of a suspect: the next ping, or the verdict.
    Confirm {
        /// Who is probed.
        suspect: NodeId,
        /// Which round of probing.
        round: u64,
    },
    /// The SWIM instance of a former neighborhood has answered long enough.
    Overlap {
        /// Which instance.
        instance: u64,
    },
    /// The next far link is asked for a sample, or it is seen whether the last one answered.
    Sample {
        /// Which chain of samples: one begins with each membership.
        round: u64,
    },
    /// A delegate says that its neighborhood lives, and a voter looks for those that fell silent.
    Keepalive {
        /// Which chain of keepalives: one begins with each membership.
        round: u64,
    },
    /// Missing events are pulled, after jitter, or a pull got no answer.
    Pull {
        /// Which pull.
        attempt: u64,
    },
    /// News is announced, so that those who lack it pull.
    Announce {
        /// Which announcement.
        round: u64,
    },
    /// The join, resume or resync got no answer.
    Admission {
        /// Which attempt.
        attempt: u64,
    },
    /// The own config is offered again to those who did not answer.
    Offer {
        /// Which chain of offers: one begins with each version, and with each membership.
        round: u64,
    },
    /// A consumer compares its configs with another one, or goes on with its bootstrap.
    Compare {
        /// Which chain of rounds: one begins with each membership.
        round: u64,
    },
    /// The roles are run over what changed, or one that panicked is run again.
    Roles,
}

/// The table.
#[derive(Debug, Default)]
pub struct Timers {
    next: u64,
    entries: BTreeMap<(Time, u64), Timer>,
}

impl Timers {
    /// Sets a timer. The same timer set twice fires twice.
    pub fn set(&mut self, at: Time, timer: Timer) {
        self.entries.insert((at, self.next), timer);
        self.next += 1;
    }

    /// When the first one is due.
    pub fn next_due(&self) -> Option<Time> {
        self.entries.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the first one that is due.
    pub fn take_due(&mut self, now: Time) -> Option<Timer> {
        let entry = self.entries.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    /// Drops all.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}
