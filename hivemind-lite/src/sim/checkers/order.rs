//! S3: no node applies events out of order or with a gap.

use hivemind_core::ids::Index;

use super::{At, Invariant, PerSlot, Violation};
use crate::sim::network::Slot;

/// The checker of S3.
#[derive(Debug, Default)]
pub struct Order {
    last: PerSlot<Option<Index>>,
}

impl Order {
    /// A process starts at whatever index it recovered.
    pub fn started(&mut self, slot: Slot) {
        *self.last.of(slot) = None;
    }

    /// A node applied the event at `index`.
    ///
    /// # Errors
    /// S3.
    pub fn applied(&mut self, at: At<'_>, index: Index) -> Result<(), Violation> {
        let last = self.last.of(at.slot).replace(index);
        match last {
            Some(last) if last.next() != index => Err(at.violates(Invariant::S3, format!("applied event {index} after event {last}"))),
            Some(_) | None => Ok(()),
        }
    }

    /// A node's view is at `index`; `resync` where it was swapped as a whole.
    ///
    /// # Errors
    /// S3, where the view moved without the events between.
    pub fn viewed(&mut self, at: At<'_>, index: Index, resync: bool) -> Result<(), Violation> {
        let last = self.last.of(at.slot).replace(index);
        match last {
            Some(last) if last != index && !resync => {
                Err(at.violates(Invariant::S3, format!("the view is at event {index}, but event {last} was applied last")))
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fabricated::{at, name};
    use super::*;

    #[test]
    fn gaps_repetitions_and_steps_back_are_caught() {
        let node = name("web1");
        for wrong in [1, 3, 5, 9] {
            let mut order = Order::default();
            order.applied(at(&node), Index(2)).expect("the first may be any");
            order.applied(at(&node), Index(3)).expect("the next");
            assert_eq!(order.applied(at(&node), Index(wrong)).expect_err("not the next").invariant, Invariant::S3);
        }
    }

    #[test]
    fn only_a_resync_moves_a_view_past_events() {
        let node = name("web1");
        let mut order = Order::default();
        order.applied(at(&node), Index(4)).expect("the first may be any");
        order.viewed(at(&node), Index(4), false).expect("it is there");
        order.viewed(at(&node), Index(9), true).expect("a resync");
        order.applied(at(&node), Index(10)).expect("it goes on from there");
        order.viewed(at(&node), Index(12), false).expect_err("two events are missing");
    }

    #[test]
    fn a_restart_may_begin_anywhere() {
        let node = name("web1");
        let mut order = Order::default();
        order.applied(at(&node), Index(4)).expect("the first may be any");
        order.started(Slot(0));
        order.applied(at(&node), Index(2)).expect("what was not kept is applied again");
    }
}
