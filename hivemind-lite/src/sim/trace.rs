//! The trace of a run: a hash over all inputs and effects in order, and the last of them in words.

use std::collections::VecDeque;
use std::fmt;

use hivemind_core::context::Report;
use hivemind_core::ids::{Index, NodeName, Ticket};
use hivemind_core::time::Time;

use super::network::Slot;
use super::traffic::Kind;

/// How many lines are kept of each node.
const KEPT: usize = 24;

/// A hash over everything that happened, of 128 bits: to compare runs, not to prove anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceHash {
    low: u64,
    high: u64,
}

impl Default for TraceHash {
    fn default() -> Self {
        TraceHash { low: 0x243F_6A88_85A3_08D3, high: 0x1319_8A2E_0370_7344 }
    }
}

impl TraceHash {
    /// Adds a number.
    pub fn word(&mut self, word: u64) {
        // Two lanes of folded multiplication, as in wyhash (Wang Yi).
        let product = u128::from(self.low ^ word) * u128::from(0xA076_1D64_78BD_642F_u64 ^ self.high);
        self.low = (product as u64) ^ ((product >> 64) as u64);
        self.high = self.high.rotate_left(23).wrapping_add(word ^ self.low).wrapping_mul(0xE703_7ED1_A0B4_28DB);
    }

    /// Adds bytes, and how many they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut eight = [0; 8];
            eight[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(eight));
        }
    }
}

impl fmt::Display for TraceHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.low, self.high)
    }
}

/// One thing that happened to a node or that it did.
#[derive(Clone, Debug)]
pub enum Did {
    /// Its process started.
    Started,
    /// Its process was killed.
    Killed,
    /// It stopped for good, and why.
    Halted(String),
    /// Time passed.
    Timeout,
    /// A frame came.
    Received(Kind, Slot),
    /// It sent a frame.
    Sent(Kind, Slot),
    /// A connection broke.
    Disconnected(Slot),
    /// It asked for writes.
    Store(Ticket),
    /// They are durable.
    Stored(Ticket),
    /// They failed.
    StoreFailed(Ticket),
    /// Its driver asked it for something.
    Asked(&'static str),
    /// It answered.
    Replied(&'static str),
    /// It applied an event.
    Applied(Index),
    /// Its view changed.
    View(Index),
    /// A role wants something else.
    Desired,
    /// It reported something.
    Reported(Report),
}

impl Did {
    /// In words. Other nodes are kept by their places, and get their names only here: nearly all of what happens is
    /// never read.
    fn text<'a>(&self, name_of: &impl Fn(Slot) -> &'a NodeName) -> String {
        match self {
            Did::Started => "started".to_owned(),
            Did::Killed => "killed".to_owned(),
            Did::Halted(why) => format!("halted: {why}"),
            Did::Timeout => "timeout".to_owned(),
            Did::Received(kind, from) => format!("<- {} {kind}", name_of(*from)),
            Did::Sent(kind, to) => format!("-> {} {kind}", name_of(*to)),
            Did::Disconnected(from) => format!("disconnected from {}", name_of(*from)),
            Did::Store(ticket) => format!("store {}", ticket.0),
            Did::Stored(ticket) => format!("stored {}", ticket.0),
            Did::StoreFailed(ticket) => format!("store {} failed", ticket.0),
            Did::Asked(what) => format!("asked to {what}"),
            Did::Replied(what) => format!("replied {what}"),
            Did::Applied(index) => format!("applied event {index}"),
            Did::View(index) => format!("view at event {index}"),
            Did::Desired => "desired state changed".to_owned(),
            Did::Reported(report) => format!("report {report:?}"),
        }
    }
}

/// The last things of one node, formatted only when somebody reads them.
#[derive(Debug, Default)]
pub struct LastLines {
    lines: VecDeque<(Time, Did)>,
}

impl LastLines {
    /// Keeps one more.
    pub fn push(&mut self, time: Time, did: Did) {
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back((time, did));
    }

    /// The lines, the oldest first.
    pub fn text<'a>(&self, name: &NodeName, name_of: impl Fn(Slot) -> &'a NodeName) -> Vec<String> {
        self.lines.iter().map(|(time, did)| format!("{time:?} {name} {}", did.text(&name_of))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_tells_order_length_and_content_apart() {
        let of = |parts: &[&[u8]]| {
            let mut hash = TraceHash::default();
            parts.iter().for_each(|part| hash.bytes(part));
            hash.to_string()
        };
        let all = [of(&[b"ab", b"c"]), of(&[b"a", b"bc"]), of(&[b"c", b"ab"]), of(&[b"abc"]), of(&[b"abc\0"]), of(&[])];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(of(&[b"ab", b"c"]), all[0]);
    }
}
