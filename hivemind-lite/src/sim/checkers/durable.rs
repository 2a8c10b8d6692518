//! S8: acknowledged proposals survive any crash of all voters with their disks, and any loss of a minority's disks.
//!
//! Two things are asked. When a proposal takes effect, enough voters must hold it on their disks that one is left
//! whichever minority of them is lost: so no crash needs to come at the worst moment to show that it could do harm.
//! And what was acknowledged must be found at its place by whoever comes there later.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use hivemind_core::ids::{Digest256, Index, NodeName, Position};
use hivemind_core::storage::RecoveredLog;
use hivemind_core::wire::codec;
use hivemind_core::wire::command::Command;

use super::{At, History, Invariant, Violation};

/// The acknowledgements of so many last events are remembered.
const REMEMBERED: usize = 4096;

/// Who holds a proposal that took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holders {
    /// So many voters have it on their disks.
    pub holding: usize,
    /// So many lost their logs, and may have had it: the others need not make up for a loss that has come already.
    pub lost: usize,
    /// Of so many.
    pub voters: usize,
}

impl Holders {
    /// Counts those of `logs`, one for each voter (`None`: lost), that hold `command` durably: as an entry, or in a snapshot. It may have been
    /// proposed more than once, and a log may hold a copy that is in no other. Who holds a later entry holds those before it,
    /// so that the copy that most of them hold says it for the one that took effect.
    pub fn of(logs: &[Option<&RecoveredLog>], command: &Command) -> Self {
        let wanted = codec::encode(command);
        let copies = logs.iter().flatten().flat_map(|log| log.entries.iter().filter(|entry| contains(&entry.bytes, &wanted)));
        let copies: BTreeSet<(u64, u64)> = copies.map(|entry| (entry.index, entry.term)).collect();
        let holds = |log: &RecoveredLog, (index, term): (u64, u64)| {
            let in_snapshot = log.snapshot.as_ref().is_some_and(|snapshot| snapshot.index >= index);
            let place = log.entries.binary_search_by_key(&index, |entry| entry.index);
            in_snapshot || place.is_ok_and(|place| log.entries[place].term == term)
        };
        let holding = copies.into_iter().map(|copy| logs.iter().flatten().filter(|log| holds(log, copy)).count()).max();
        let lost = logs.iter().filter(|log| log.is_none()).count();
        Holders { holding: holding.unwrap_or(0), lost, voters: logs.len() }
    }

    /// Whether one is left, whichever minority loses its disks.
    pub fn survive(self) -> bool {
        self.holding > 0 && self.holding + self.lost > self.voters.saturating_sub(1) / 2
    }
}

fn contains(bytes: &Bytes, wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The checker of S8.
#[derive(Debug, Default)]
pub struct Durable {
    /// Events that took effect while too few held them.
    loose: BTreeMap<Index, Holders>,
    acknowledged: BTreeMap<Index, (Digest256, NodeName)>,
}

impl Durable {
    /// A proposal took effect with the event at `index`.
    pub fn committed(&mut self, index: Index, holders: Holders) {
        if !holders.survive() {
            self.loose.insert(index, holders);
        }
    }

    /// A node says that a proposal is done.
    ///
    /// # Errors
    /// S8, where it could be lost, or was not committed at all.
    pub fn acknowledged(&mut self, at: At<'_>, history: &History, position: Position) -> Result<(), Violation> {
        if let Some(holders) = self.loose.get(&position.index) {
            let what = format!(
                "event {} is acknowledged, which only {} of {} voters had on their disks when it took effect",
                position.index, holders.holding, holders.voters
            );
            return Err(at.violates(Invariant::S8, what));
        }
        let last = history.last().map_or(Index(0), |last| last.facts.position().index);
        let committed = history.at(position.index);
        if position.index > last || committed.is_some_and(|committed| committed.facts.position().chain != position.chain) {
            return Err(at.violates(Invariant::S8, format!("{position:?} is acknowledged, which no voter has committed")));
        }
        self.acknowledged.insert(position.index, (position.chain, at.name.clone()));
        while self.acknowledged.len() > REMEMBERED {
            self.acknowledged.pop_first();
        }
        Ok(())
    }

    /// A node applied the event at a position.
    ///
    /// # Errors
    /// S8, where another one was acknowledged there.
    pub fn applied(&self, at: At<'_>, position: Position) -> Result<(), Violation> {
        match self.acknowledged.get(&position.index) {
            Some((chain, by)) if *chain != position.chain => {
                let what = format!("what was acknowledged as event {} is lost: another one is in its place", position.index);
                Err(at.violates_with(Invariant::S8, by, what))
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use hivemind_core::ids::NodeId;
    use hivemind_core::storage::{LogEntry, LogSnapshot};

    use super::super::fabricated::{at, history, name};
    use super::*;

    fn command() -> Command {
        Command::Addresses { node: NodeId::new(1, 1), seq: 7, addresses: Vec::new() }
    }

    fn log(indexes: std::ops::Range<u64>, with: Option<u64>) -> RecoveredLog {
        let bytes = |index| if Some(index) == with { codec::encode(&command()) } else { vec![0xEE; 40] };
        let entries = indexes.map(|index| LogEntry { index, term: 1, bytes: bytes(index).into() }).collect();
        RecoveredLog { entries, ..RecoveredLog::default() }
    }

    #[test]
    fn a_proposal_that_a_minority_of_disks_would_take_along_is_caught_when_it_is_acknowledged() {
        let (whole, short) = (log(3..8, Some(6)), log(3..6, None));
        let position = history(3).at(Index(2)).expect("committed").facts.position();
        let judge = |logs: &[Option<&RecoveredLog>]| {
            let mut durable = Durable::default();
            durable.committed(position.index, Holders::of(logs, &command()));
            durable.acknowledged(at(&name("voter1")), &history(3), position)
        };
        judge(&[Some(&whole), Some(&whole), Some(&short)]).expect("two of three hold it");
        judge(&[Some(&whole), Some(&whole), None]).expect("two of three hold it");
        judge(&[Some(&whole), Some(&short), None]).expect("the third held it until its disk was lost");
        assert_eq!(judge(&[Some(&whole), Some(&short), Some(&short)]).expect_err("one of three").invariant, Invariant::S8);
        judge(&[Some(&short), Some(&short), None]).expect_err("nobody is left");
        judge(&[Some(&short), Some(&short), Some(&short)]).expect_err("nobody");
    }

    #[test]
    fn a_copy_that_was_never_committed_does_not_hide_the_one_that_was() {
        let (whole, mut astray) = (log(3..8, Some(6)), log(3..5, Some(4)));
        // Of a leader that lost the next election.
        astray.entries[1].term = 2;
        assert!(Holders::of(&[Some(&astray), Some(&whole), Some(&whole)], &command()).survive());
        assert!(!Holders::of(&[Some(&astray), Some(&whole), Some(&log(3..5, None))], &command()).survive());
    }

    #[test]
    fn a_snapshot_behind_an_entry_holds_it() {
        let whole = log(3..8, Some(6));
        let snapshot = |index| RecoveredLog { snapshot: Some(LogSnapshot { index, term: 1, bytes: Bytes::new() }), ..log(9..9, None) };
        assert!(Holders::of(&[Some(&whole), Some(&snapshot(6)), None], &command()).survive());
        assert!(!Holders::of(&[Some(&whole), Some(&snapshot(5)), Some(&snapshot(5))], &command()).survive());
    }

    #[test]
    fn an_acknowledged_event_that_is_replaced_is_caught() {
        let (node, history) = (name("voter1"), history(3));
        let position = history.at(Index(2)).expect("committed").facts.position();
        let mut durable = Durable::default();
        durable.acknowledged(at(&node), &history, position).expect("committed");
        durable.applied(at(&node), position).expect("it is there");
        let other = Position { chain: Digest256([7; 32]), ..position };
        assert_eq!(durable.applied(at(&node), other).expect_err("it is lost").invariant, Invariant::S8);
        durable.acknowledged(at(&node), &history, other).expect_err("never committed");
        durable.acknowledged(at(&node), &history, Position { index: Index(9), ..position }).expect_err("never committed");
    }
}
