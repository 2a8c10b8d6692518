//! Watches: how long it takes until all of a set of nodes have reached something.

use std::collections::BTreeSet;
use std::time::Duration;

use hivemind_core::ids::{Index, NodeId, NodeName, Seq};
use hivemind_core::time::Time;
use hivemind_dns_processor::zone::Zone;

use super::network::Slot;
use super::roles::{Names, is_answered};
use super::samples::{Samples, Series};

/// After this something has not merely taken long.
pub const WATCH_BOUND: Duration = Duration::from_secs(90);

/// What is waited for, on each node of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Its view is at this event or a later one.
    Event(Index),
    /// It answers for the host with this version or a later one.
    Answer {
        /// The host.
        name: NodeName,
        /// The membership that published it.
        node: NodeId,
        /// The version.
        seq: Seq,
    },
    /// Its DNS does not answer for the host any more.
    Gone(NodeName),
}

#[derive(Debug)]
struct Watch {
    goal: Goal,
    series: Series,
    since: Time,
    /// Who has not got there yet.
    remaining: BTreeSet<Slot>,
}

/// The running watches.
#[derive(Debug, Default)]
pub struct Watches {
    running: Vec<Watch>,
    /// What they measured.
    pub samples: Samples,
}

impl Goal {
    fn is_reached_by_view(&self, at: Index) -> bool {
        match self {
            Goal::Event(index) => at >= *index,
            Goal::Answer { .. } | Goal::Gone(_) => false,
        }
    }

    /// Whether a consumer that answers with `names` has got there.
    pub fn is_reached_by_answers(&self, names: &Names) -> bool {
        match self {
            Goal::Event(_) => false,
            Goal::Answer { name, node, seq } => {
                names.get(name).is_some_and(|answer| answer.node > *node || (answer.node == *node && answer.seq >= *seq))
            }
            Goal::Gone(_) => false,
        }
    }

    fn is_reached_by_zone(&self, zone: &Zone) -> bool {
        match self {
            Goal::Event(_) | Goal::Answer { .. } => false,
            Goal::Gone(name) => !is_answered(zone, name),
        }
    }
}

impl Watches {
    /// Starts one, over nodes that have not reached the goal yet. Without any, it is a sample at once.
    pub fn start(&mut self, goal: Goal, series: Series, since: Time, now: Time, remaining: BTreeSet<Slot>) {
        self.running.push(Watch { goal, series, since, remaining });
        self.settle(now);
    }

    /// A node's view is at `index`.
    pub fn viewed(&mut self, slot: Slot, index: Index, now: Time) {
        self.reached(slot, now, |goal| goal.is_reached_by_view(index));
    }

    /// A consumer's DNS answers from this.
    pub fn served(&mut self, slot: Slot, zone: &Zone, now: Time) {
        self.reached(slot, now, |goal| goal.is_reached_by_zone(zone));
    }

    /// A consumer's directory is this.
    pub fn answered(&mut self, slot: Slot, names: &Names, now: Time) {
        self.reached(slot, now, |goal| goal.is_reached_by_answers(names));
    }

    /// A node is not there any more: nobody waits for it.
    pub fn left(&mut self, slot: Slot, now: Time) {
        self.reached(slot, now, |_| true);
    }

    /// How many of a series are running.
    pub fn running(&self, series: Series) -> usize {
        self.running.iter().filter(|watch| watch.series == series).count()
    }

    /// A watch that has run for longer than [`WATCH_BOUND`]: what it waits for, and one of the nodes.
    pub fn overdue(&self, now: Time) -> Option<(&Goal, Slot)> {
        let watch = self.running.iter().find(|watch| now.since(watch.since) > WATCH_BOUND)?;
        watch.remaining.first().map(|slot| (&watch.goal, *slot))
    }

    fn reached(&mut self, slot: Slot, now: Time, reached: impl Fn(&Goal) -> bool) {
        let mut done = false;
        for watch in &mut self.running {
            if reached(&watch.goal) && watch.remaining.remove(&slot) {
                done |= watch.remaining.is_empty();
            }
        }
        if done {
            self.settle(now);
        }
    }

    fn settle(&mut self, now: Time) {
        let samples = &mut self.samples;
        self.running.retain(|watch| {
            if watch.remaining.is_empty() {
                samples.add(watch.series, now.since(watch.since));
            }
            !watch.remaining.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_measures_until_the_last_node_that_is_still_there() {
        let at = |seconds| Time::from_origin(Duration::from_secs(seconds));
        let mut watches = Watches::default();
        let all = (0..3).map(Slot).collect();
        watches.start(Goal::Event(Index(5)), Series::EventKnown, at(10), at(10), all);
        watches.viewed(Slot(0), Index(4), at(11));
        watches.viewed(Slot(0), Index(5), at(12));
        watches.viewed(Slot(1), Index(7), at(13));
        assert_eq!(watches.running(Series::EventKnown), 1);
        assert_eq!(watches.overdue(at(13)), None);
        assert_eq!(watches.overdue(at(200)), Some((&Goal::Event(Index(5)), Slot(2))));
        watches.left(Slot(2), at(15));
        let (series, of) = watches.samples.distributions().next().expect("a sample");
        assert_eq!((series, of.count, of.max), (Series::EventKnown, 1, Duration::from_secs(5)));
    }
}
