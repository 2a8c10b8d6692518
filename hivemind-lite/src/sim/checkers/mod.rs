//! What must never happen, checked after every step that could make it happen.
//!
//! Each checker is small, knows one invariant, keeps what it needs to judge the next step by what changed,
//! and has a test in which it catches a history that breaks its invariant.

mod agreement;
mod calm;
mod configs;
mod durable;
mod eviction;
mod fence;
mod history;
mod order;
mod presence;
mod registers;
mod views;

use std::fmt;

use hivemind_core::ids::{Index, NodeName};
use hivemind_core::time::Time;

pub use agreement::Agreement;
pub use calm::{Calm, wishes};
pub use configs::Configs;
pub use durable::{Durable, Holders};
pub use eviction::{Eviction, Liveness, SETTLED};
pub use fence::{Consequence, Fence};
pub use history::{Committed, History};
pub use order::Order;
pub use presence::Presence;
pub use registers::{Action, Registers};
pub use views::Views;

use super::network::Slot;

/// What is not needed any more is looked for at every so many events, since all nodes are asked.
const TIDY_EVERY: u64 = 256;

/// An invariant of the design (`ARCHITECTURE.md` lists them).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invariant {
    /// A view is the fold of the committed events up to its position.
    S1,
    /// At equal epochs no two nodes disagree about the event or the chain at an index.
    S2,
    /// No node applies events out of order or with a gap.
    S3,
    /// In one consumer's store a config never goes back, is its owner's, and its signature holds.
    S4,
    /// No member disappears from a view or an answer but by a committed event.
    S5,
    /// Nothing but resync is accepted from below the floor or from another tag.
    S6,
    /// Acknowledged proposals and linearizable reads are linearizable.
    S7,
    /// Acknowledged proposals survive any crash, and any loss of a minority's disks.
    S8,
    /// Once faults stop, everybody gets where everybody is, within a bound.
    L1,
    /// Crashed members leave, and no live member is evicted.
    L2,
    /// A machine neither panics nor stops, nor sends what its channel can not carry.
    Sound,
}

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// Where it was seen.
    pub node: NodeName,
    /// The other node in it, if there is one.
    pub with: Option<NodeName>,
    /// When, in virtual time.
    pub time: Time,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} violated at {:?} by {}", self.invariant, self.time, self.node)?;
        if let Some(with) = &self.with {
            write!(f, " with {with}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for Violation {}

/// Where and when something was seen.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// The node's place in the world.
    pub slot: Slot,
    /// Its name.
    pub name: &'a NodeName,
    /// The virtual time.
    pub time: Time,
}

impl At<'_> {
    /// That an invariant is broken here and now.
    pub fn violates(&self, invariant: Invariant, what: impl Into<String>) -> Violation {
        Violation { invariant, node: self.name.clone(), with: None, time: self.time, what: what.into() }
    }

    /// The same, between this node and another.
    pub fn violates_with(&self, invariant: Invariant, with: &NodeName, what: impl Into<String>) -> Violation {
        Violation { with: Some(with.clone()), ..self.violates(invariant, what) }
    }
}

/// All checkers of a world, and the history of committed events that they judge by.
#[derive(Debug, Default)]
pub struct Checkers {
    /// What the voters committed.
    pub history: History,
    /// S1.
    pub views: Views,
    /// S2.
    pub agreement: Agreement,
    /// S3.
    pub order: Order,
    /// S4.
    pub configs: Configs,
    /// S5.
    pub presence: Presence,
    /// S6.
    pub fence: Fence,
    /// S7.
    pub registers: Registers,
    /// S8.
    pub durable: Durable,
    /// L2.
    pub eviction: Eviction,
}

impl Checkers {
    /// A process starts: what it keeps in memory begins anew.
    pub fn started(&mut self, slot: Slot) {
        self.views.started(slot);
        self.order.started(slot);
        self.configs.started(slot);
        self.presence.started(slot);
    }

    /// A process is gone.
    pub fn gone(&mut self, slot: Slot) {
        self.views.started(slot);
    }

    /// Drops, now and then, what no checker needs any more.
    pub fn tidy(&mut self) {
        if self.committed().0.is_multiple_of(TIDY_EVERY)
            && let Some(slowest) = self.views.slowest()
        {
            self.history.forget_before(slowest);
        }
    }

    /// The last committed event.
    pub fn committed(&self) -> Index {
        self.history.last().map_or(Index(0), |last| last.facts.position().index)
    }
}

/// A map from nodes to something, in a vector: slots are dense.
#[derive(Debug)]
struct PerSlot<T>(Vec<T>);

impl<T> Default for PerSlot<T> {
    fn default() -> Self {
        PerSlot(Vec::new())
    }
}

impl<T: Default> PerSlot<T> {
    fn of(&mut self, slot: Slot) -> &mut T {
        if self.0.len() <= slot.at() {
            self.0.resize_with(slot.at() + 1, T::default);
        }
        &mut self.0[slot.at()]
    }
}

#[cfg(test)]
pub(super) mod fabricated {
    //! Made-up histories for the tests of the checkers.

    use hivemind_core::facts::{Facts, NeighborhoodLimits};
    use hivemind_core::ids::{ClusterId, Epoch, Index, NeighborhoodId, NodeId, NodeName};
    use hivemind_core::keys::Keys;
    use hivemind_core::time::Time;
    use hivemind_core::view::{Condition, View};
    use hivemind_core::wire::event::{Event, LogEvent};
    use hivemind_core::wire::member::MemberRecord;

    use super::super::keys::SimKeys;
    use super::super::network::Slot;
    use super::{At, History};

    pub(in super::super) fn name(text: &str) -> NodeName {
        NodeName::new(text).expect("a valid name")
    }

    pub(in super::super) fn member(counter: u64) -> MemberRecord {
        MemberRecord {
            node: NodeId::new(1, counter),
            name: name(&format!("n{counter}")),
            key: SimKeys::new(1, counter).public(),
            addresses: Vec::new(),
            roles: Vec::new(),
            voter_eligible: true,
            features: Default::default(),
            address_seq: 0,
            joined: Index(counter - 1),
        }
    }

    pub(in super::super) fn birth() -> Facts {
        Facts::birth(ClusterId(1), Epoch { generation: 1, number: 0, tag: 9 }, NeighborhoodLimits::default(), member(1))
    }

    /// The join of member `counter` as the event of that number less one: member 2 joins with event 1.
    pub(in super::super) fn join(counter: u64) -> LogEvent {
        let event = Event::Joined { member: member(counter), neighborhood: NeighborhoodId(0), supersedes: None, listed: vec![] };
        LogEvent::new(Index(counter - 1), &event)
    }

    pub(in super::super) fn at(name: &NodeName) -> At<'_> {
        At { slot: Slot(0), name, time: Time::ZERO }
    }

    /// The history in which the members 2 to `last` have joined.
    pub(in super::super) fn history(last: u64) -> History {
        let by = name("voter1");
        let mut history = History::default();
        history.begin(birth(), at(&by));
        for counter in 2..=last {
            let mut facts = history.last().expect("begun").facts.clone();
            facts.apply(&join(counter)).expect("a good event");
            assert!(history.commit(at(&by), facts.position(), &join(counter)).expect("a good history"));
        }
        history
    }

    pub(in super::super) fn view(facts: Facts) -> View {
        View {
            node: NodeId::new(1, 1),
            facts,
            configs: Default::default(),
            unreachable: Default::default(),
            condition: Condition::default(),
        }
    }
}
