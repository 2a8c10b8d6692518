//! What clients do with registers, and what the checkers of S7 and S8 learn of it.

use hivemind_core::facts::Facts;
use hivemind_core::ids::{Index, NodeId, Position, RequestId};
use hivemind_core::machine::Reply;
use hivemind_core::wire::command::{Command, Outcome};
use hivemind_core::wire::event::{Event, VoterPart};

use super::super::checkers::{Action, At, Holders, Registers, SETTLED, Violation};
use super::super::network::Slot;
use super::World;

impl World {
    /// Lets a client ask, at a node, for something to be done with the register of the member `key`: the version of its
    /// addresses, which stay what they are. `None` where no process runs there, it stands still, or it knows no such member.
    ///
    /// # Errors
    /// What the checkers see.
    pub fn ask_register(&mut self, slot: Slot, client: u64, key: NodeId, action: Action) -> Result<Option<RequestId>, Violation> {
        if self.nodes[slot.at()].pace.standing(self.now).is_some() {
            return Ok(None);
        }
        let Some(member) = self.nodes[slot.at()].view().and_then(|view| view.facts.member(key)).cloned() else { return Ok(None) };
        let request = RequestId(self.next_request);
        self.checkers.registers.asked(request, slot, client, key, action);
        match action {
            Action::Raise(seq) => self.propose(slot, Command::Addresses { node: key, seq, addresses: member.addresses.clone() }),
            Action::Read => self.read(slot),
        }
    }

    /// Whether a request may yet be answered.
    pub fn waits(&self, request: RequestId) -> bool {
        self.asked.contains_key(&request)
    }

    /// The fold of all committed events, once there is one.
    pub fn facts(&self) -> Option<&Facts> {
        self.checkers.history.last().map(|last| &last.facts)
    }

    /// The fold before the last so many events, while it is remembered.
    pub fn facts_before(&self, events: u64) -> Option<&Facts> {
        let last = self.facts()?.position().index;
        self.checkers.history.at(Index(last.0.checked_sub(events)?)).map(|committed| &committed.facts)
    }

    /// How many frames came from below the floor or of another tag, and were none that may.
    pub fn forbidden(&self) -> u64 {
        self.checkers.fence.judged()
    }

    /// The histories of the registers.
    pub fn registers(&self) -> &Registers {
        &self.checkers.registers
    }

    /// A node replies.
    pub(super) fn answered(&mut self, slot: Slot, request: RequestId, reply: &Reply) -> Result<(), Violation> {
        let node = &self.nodes[slot.at()];
        let at = At { slot, name: &node.name, time: self.now };
        let view = node.process.as_ref().and_then(|process| process.view.as_deref());
        self.checkers.registers.replied(at, request, reply, view)?;
        match reply {
            Reply::Proposed(Outcome::Committed { position }) => self.checkers.durable.acknowledged(at, &self.checkers.history, *position),
            Reply::Proposed(Outcome::Refused(_) | Outcome::OutcomeUnknown)
            | Reply::Published { .. }
            | Reply::NotPublished(_)
            | Reply::Readable { .. }
            | Reply::NotReadable => Ok(()),
        }
    }

    /// An event was committed.
    pub(super) fn register_event(&mut self, position: Position, event: &Event) {
        self.checkers.registers.committed(event);
        if let Event::Addresses { node, seq, addresses } = event {
            let command = Command::Addresses { node: *node, seq: *seq, addresses: addresses.clone() };
            let holders = self.holders(position, &command);
            self.checkers.durable.committed(position.index, holders);
        }
    }

    /// How many observers the rule of leaves asks for, of one in `suspect`: those whom the voter in `slot` must have
    /// counted as living, because they had nothing against them.
    pub(super) fn observers_of(&self, slot: Slot, suspect: Slot) -> usize {
        let facts = self.facts();
        let living = self.nodes.iter().filter(|place| {
            let is_member =
                place.id().is_some_and(|id| facts.is_some_and(|facts| facts.is_member(id) && facts.restarting_until(id).is_none()));
            let settled = self.now.since(place.undisturbed) >= SETTLED;
            let was_near = self.network.last_apart(slot, place.slot, self.now).is_none_or(|apart| self.now.since(apart) >= SETTLED);
            is_member && settled && place.slot != suspect && (place.slot == slot || was_near)
        });
        living.count().min(self.common.settings.control.observers)
    }

    /// Who holds the command that led to the event at a position.
    fn holders(&self, position: Position, command: &Command) -> Holders {
        let facts = &self.checkers.history.at(position.index).expect("it was committed just now").facts;
        let voters = facts.voters().iter().filter(|(_, part)| **part == VoterPart::Voter);
        let slots = voters.map(|(node, _)| facts.member(*node).and_then(|member| self.keys.get(&member.key)));
        let logs: Vec<_> = slots.map(|slot| slot.and_then(|slot| self.nodes[slot.at()].disk.log())).collect();
        Holders::of(&logs, command)
    }
}
