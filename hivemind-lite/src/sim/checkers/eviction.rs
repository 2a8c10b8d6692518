//! L2: no live member is evicted, unless the faults really cut it off.

use std::time::Duration;

use hivemind_core::time::Time;
use hivemind_core::wire::event::{Event, LeaveReason};

use super::{At, Invariant, Violation};

/// A process that has been up and connected for so long must not be taken for failed: evidence against the start
/// before it is out of date by then.
pub const SETTLED: Duration = Duration::from_secs(15);

/// What the world knows of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// Its process runs and has not been cut off since.
    Since(Time),
    /// Its process is dead, cut off, or has stopped.
    Not,
}

/// The checker of the second half of L2; crashed members leaving is what a scenario waits for.
#[derive(Debug, Default)]
pub struct Eviction {}

impl Eviction {
    /// An event was committed that ends the membership of a node of which the world knows `liveness`.
    ///
    /// # Errors
    /// L2.
    pub fn committed(&self, at: At<'_>, event: &Event, liveness: Liveness) -> Result<(), Violation> {
        let Event::Left { node, reason: LeaveReason::Failed { observers }, .. } = event else { return Ok(()) };
        match liveness {
            Liveness::Since(since) if at.time.since(since) >= SETTLED => {
                let what = format!("{node} lives since {since:?} and was evicted on the word of {observers:?}");
                Err(at.violates(Invariant::L2, what))
            }
            Liveness::Since(_) | Liveness::Not => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use hivemind_core::ids::NodeId;

    use super::super::fabricated::name;
    use super::*;
    use crate::sim::network::Slot;

    #[test]
    fn the_eviction_of_a_live_member_is_caught() {
        let node = name("voter1");
        let at = At { slot: Slot(0), name: &node, time: Time::from_origin(Duration::from_secs(60)) };
        let failed = Event::Left { node: NodeId::new(1, 5), reason: LeaveReason::Failed { observers: Vec::new() }, listed: vec![] };
        let lives = Liveness::Since(Time::from_origin(Duration::from_secs(10)));
        let eviction = Eviction::default();
        assert_eq!(eviction.committed(at, &failed, lives).expect_err("it lives").invariant, Invariant::L2);
        eviction.committed(at, &failed, Liveness::Not).expect("it is dead");
        eviction.committed(at, &failed, Liveness::Since(at.time)).expect("the start before it had died");
        let asked = Event::Left { node: NodeId::new(1, 5), reason: LeaveReason::Asked, listed: vec![] };
        eviction.committed(at, &asked, lives).expect("it asked");
    }
}
