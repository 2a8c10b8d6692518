//! The one queue of what will happen in a world: by time, and among equals by the order of insertion.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use hivemind_core::time::Time;

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

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// The queue.
#[derive(Debug)]
pub struct Queue<T> {
    next: u64,
    heap: BinaryHeap<Reverse<Entry<T>>>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue { next: 0, heap: BinaryHeap::new() }
    }
}

impl<T> Queue<T> {
    /// Puts `what` at its time.
    pub fn push(&mut self, at: Time, what: T) {
        self.heap.push(Reverse(Entry { at, number: self.next, what }));
        self.next += 1;
    }

    /// When the next thing happens.
    pub fn next_at(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// Takes the next thing.
    pub fn pop(&mut self) -> Option<(Time, T)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.what))
    }
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
}
