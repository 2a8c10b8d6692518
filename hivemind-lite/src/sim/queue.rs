//! The one queue of what will happen in a world: by time, and among equals by the order of insertion.
//!
//! A large world has tens of thousands of things ahead of it, and a heap over all of them is as slow as memory is. So
//! only what is due within the current slice of time is a heap; the rest lies unsorted in later slices.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};

use hivemind_core::time::Time;

/// The width of a slice, in nanoseconds: at thousands of nodes a few dozen things happen within it.
const SLICE_NANOS: u64 = 1 << 20;

#[derive(Debug)]
struct Entry<T> {
    at: Time,
    number: u64,
    what: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The greatest is the next: std's heap gives out its greatest.
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// The queue.
#[derive(Debug)]
pub struct Queue<T> {
    next: u64,
    /// What is due in the slice `reached` or before it. Empty only where `later` is, too.
    soon: BinaryHeap<Entry<T>>,
    reached: u64,
    /// By slice, each above `reached`.
    later: BTreeMap<u64, Vec<Entry<T>>>,
    /// An emptied slice, to be filled again.
    spare: Vec<Vec<Entry<T>>>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue { next: 0, soon: BinaryHeap::new(), reached: 0, later: BTreeMap::new(), spare: Vec::new() }
    }
}

impl<T> Queue<T> {
    /// Puts `what` at its time.
    pub fn push(&mut self, at: Time, what: T) {
        let entry = Entry { at, number: self.next, what };
        self.next += 1;
        let slice = slice(at);
        if slice <= self.reached {
            self.soon.push(entry);
            return;
        }
        let spare = &mut self.spare;
        self.later.entry(slice).or_insert_with(|| spare.pop().unwrap_or_default()).push(entry);
        self.advance();
    }

    /// When the next thing happens.
    pub fn next_at(&self) -> Option<Time> {
        self.soon.peek().map(|entry| entry.at)
    }

    /// Takes the next thing.
    pub fn pop(&mut self) -> Option<(Time, T)> {
        let entry = self.soon.pop()?;
        self.advance();
        Some((entry.at, entry.what))
    }

    /// Goes on to the next slice where the present one is used up.
    fn advance(&mut self) {
        if !self.soon.is_empty() {
            return;
        }
        let Some((slice, entries)) = self.later.pop_first() else { return };
        self.reached = slice;
        let used = std::mem::replace(&mut self.soon, BinaryHeap::from(entries));
        self.spare.push(used.into_vec());
    }
}

fn slice(at: Time) -> u64 {
    at.since_origin().as_nanos() as u64 / SLICE_NANOS
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_happens_at_one_time_happens_in_the_order_of_insertion() {
        let at = |millis| Time::from_origin(Duration::from_millis(millis));
        let mut queue = Queue::default();
        for (time, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (1, 'b'), (5, 'e')] {
            queue.push(at(time), what);
        }
        let order: String = std::iter::from_fn(|| queue.pop()).map(|(_, what)| what).collect();
        assert_eq!(order, "abcde");
    }

    #[test]
    fn what_is_put_in_while_others_are_taken_out_comes_in_its_turn() {
        let mut queue = Queue::default();
        let mut rng = hivemind_core::rng::Rng::new(7);
        let mut now = Time::ZERO;
        let mut waiting = std::collections::BTreeSet::new();
        for number in 0..20_000_u64 {
            let at = now + rng.duration_below(Duration::from_millis(if number % 7 == 0 { 500 } else { 2 }));
            queue.push(at, number);
            waiting.insert((at, number));
            if number % 3 != 0 {
                assert_eq!(queue.next_at(), waiting.first().map(|(at, _)| *at));
                let (at, taken) = queue.pop().expect("one was just put in");
                assert_eq!(waiting.pop_first(), Some((at, taken)));
                now = at;
            }
        }
        assert!(std::iter::from_fn(|| queue.pop()).eq(waiting));
    }
}
