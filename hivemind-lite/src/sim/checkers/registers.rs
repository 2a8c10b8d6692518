//! S7: acknowledged proposals and linearizable reads are linearizable.
//!
//! A register is the version of one member's addresses: a proposal raises it, or is refused as outdated; a read finds
//! it in the view of the node that answered. Histories are judged window by window with the search that `stateright`
//! has for it (compare Herlihy and Wing, "Linearizability", 1990).

mod window;

use std::collections::BTreeMap;

use hivemind_core::ids::{NodeId, RequestId};
use hivemind_core::machine::Reply;
use hivemind_core::view::View;
use hivemind_core::wire::command::{Outcome, Refusal};
use hivemind_core::wire::event::Event;

pub use self::window::Action;
use self::window::Answer;
use self::window::Window;
use super::{At, Invariant, Violation};
use crate::sim::network::Slot;

/// An operation whose answer is awaited.
#[derive(Clone, Copy, Debug)]
struct Pending {
    slot: Slot,
    key: NodeId,
    action: Action,
    /// Its place in the window.
    number: u64,
}

/// The checker of S7: one history for each register that a client used.
#[derive(Debug, Default)]
pub struct Registers {
    windows: BTreeMap<NodeId, Window>,
    pending: BTreeMap<RequestId, Pending>,
    /// Operations whose outcome was known.
    answered: u64,
}

impl Registers {
    /// A client asks, at a node, for something to be done with the register of the member `key`. One client waits for
    /// the answer before it asks again; who got none is not heard of again.
    pub fn asked(&mut self, request: RequestId, slot: Slot, client: u64, key: NodeId, action: Action) {
        let number = self.windows.entry(key).or_default().begin(client, action);
        self.pending.insert(request, Pending { slot, key, action, number });
    }

    /// A node answered a request. `view` is what it showed then.
    ///
    /// # Errors
    /// S7.
    pub fn replied(&mut self, at: At<'_>, request: RequestId, reply: &Reply, view: Option<&View>) -> Result<(), Violation> {
        let Some(pending) = self.pending.remove(&request) else { return Ok(()) };
        let answer = answer(pending, reply, view);
        self.answered += u64::from(answer != Answer::Unknown);
        self.end(at, pending, answer)
    }

    /// The process in `slot` is gone: whoever waits for it never learns what became of the request.
    pub fn gone(&mut self, slot: Slot) {
        let lost: Vec<RequestId> = self.pending.iter().filter(|(_, pending)| pending.slot == slot).map(|(&request, _)| request).collect();
        for pending in lost.into_iter().filter_map(|request| self.pending.remove(&request)) {
            if let Some(window) = self.windows.get_mut(&pending.key) {
                window.lose(pending.number);
            }
        }
    }

    fn end(&mut self, at: At<'_>, pending: Pending, answer: Answer) -> Result<(), Violation> {
        let Some(window) = self.windows.get_mut(&pending.key) else { return Ok(()) };
        window.end(pending.number, answer).map_err(|history| {
            let what = format!("no order of these operations on the addresses of {} explains the answers: {history}", pending.key);
            at.violates(Invariant::S7, what)
        })
    }

    /// An event was committed, the first time that a voter applied it. A member may raise its own version; its register
    /// ends with its membership.
    pub fn committed(&mut self, event: &Event) {
        match event {
            Event::Addresses { node, seq, addresses: _ } => {
                if let Some(window) = self.windows.get_mut(node) {
                    window.raised_by_another(*seq);
                }
            }
            Event::Left { node, .. } | Event::Joined { supersedes: Some(node), .. } => {
                self.windows.remove(node);
            }
            Event::Joined { supersedes: None, .. }
            | Event::Voter { .. }
            | Event::Restarting { .. }
            | Event::Restarted { .. }
            | Event::EpochAdvanced { .. }
            | Event::Access(_)
            | Event::Split { .. }
            | Event::Merged { .. } => {}
        }
    }

    /// Whether a register should be read by one client alone now, so that a window can end.
    pub fn wants_rest(&self, key: NodeId) -> bool {
        self.windows.get(&key).is_some_and(Window::wants_rest)
    }

    /// Whether no answer about a register is awaited.
    pub fn is_idle(&self, key: NodeId) -> bool {
        self.pending.values().all(|pending| pending.key != key)
    }

    /// How many operations had a known outcome.
    pub fn answered(&self) -> u64 {
        self.answered
    }
}

/// What a reply says about an operation.
fn answer(pending: Pending, reply: &Reply, view: Option<&View>) -> Answer {
    match (pending.action, reply) {
        (Action::Raise(_), Reply::Proposed(Outcome::Committed { .. })) => Answer::Raised,
        (Action::Raise(_), Reply::Proposed(Outcome::Refused(Refusal::Outdated))) => Answer::Outdated,
        (Action::Raise(_), Reply::Proposed(Outcome::Refused(_))) | (Action::Read, Reply::NotReadable) => Answer::NotDone,
        (Action::Read, Reply::Readable { .. }) => {
            // Whoever holds no record of the member can say nothing about it.
            view.and_then(|view| view.facts.member(pending.key)).map_or(Answer::NotDone, |member| Answer::Read(member.address_seq))
        }
        (Action::Raise(_), Reply::Proposed(Outcome::OutcomeUnknown) | Reply::Readable { .. } | Reply::NotReadable)
        | (Action::Read, Reply::Proposed(_))
        | (_, Reply::Published { .. } | Reply::NotPublished(_)) => Answer::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use hivemind_core::ids::Index;
    use hivemind_core::wire::event::LogEvent;

    use super::super::fabricated::{at, birth, name, view};
    use super::*;

    const KEY: NodeId = NodeId::new(1, 1);

    fn committed() -> Reply {
        Reply::Proposed(Outcome::Committed { position: birth().position() })
    }

    fn readable() -> Reply {
        Reply::Readable { position: birth().position() }
    }

    fn view_with(seq: u64) -> View {
        let mut facts = birth();
        if seq > 0 {
            let event = Event::Addresses { node: KEY, seq, addresses: Vec::new() };
            facts.apply(&LogEvent::new(Index(1), &event)).expect("a good event");
        }
        view(facts)
    }

    #[cfg(feature = "linearizability")]
    #[test]
    fn a_read_that_misses_an_acknowledged_proposal_is_caught() {
        let (node, mut registers) = (name("voter1"), Registers::default());
        registers.asked(RequestId(1), Slot(0), 1, KEY, Action::Raise(4));
        registers.replied(at(&node), RequestId(1), &committed(), None).expect("nothing against it");
        registers.asked(RequestId(2), Slot(1), 2, KEY, Action::Read);
        let violation = registers.replied(at(&node), RequestId(2), &readable(), Some(&view_with(0))).expect_err("stale");
        assert_eq!(violation.invariant, Invariant::S7);
    }

    #[test]
    fn what_its_process_took_along_may_have_been_done_or_not() {
        for seen in [0, 4] {
            let (node, mut registers) = (name("voter1"), Registers::default());
            registers.asked(RequestId(1), Slot(0), 1, KEY, Action::Raise(4));
            registers.gone(Slot(0));
            registers.asked(RequestId(2), Slot(1), 2, KEY, Action::Read);
            registers.replied(at(&node), RequestId(2), &readable(), Some(&view_with(seen))).expect("either is possible");
        }
    }

    #[test]
    fn a_register_ends_with_its_membership() {
        let (node, mut registers) = (name("voter1"), Registers::default());
        registers.asked(RequestId(1), Slot(0), 1, KEY, Action::Raise(4));
        let left = Event::Left { node: KEY, reason: hivemind_core::wire::event::LeaveReason::Asked, listed: Vec::new() };
        registers.committed(&left);
        registers.replied(at(&node), RequestId(1), &committed(), None).expect("nobody asks any more");
        assert!(!registers.wants_rest(KEY) && registers.is_idle(KEY));
    }
}
