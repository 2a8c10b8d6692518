//! Clients of the control plane: they propose and read, so that S7 has something to judge.
//!
//! Their registers are the versions of the addresses of those who vote, of which every node holds the record.

use std::time::Duration;

use hivemind_core::ids::{NodeId, RequestId};
use hivemind_core::machine::Reply;
use hivemind_core::rng::Rng;
use hivemind_core::time::Time;
use hivemind_core::wire::command::Outcome;

use super::checkers::{Action, Violation};
use super::network::Slot;
use super::world::World;

/// So many ask at the same time, at most.
const CLIENTS: usize = 4;
/// A client waits for less than this before it asks again.
const PAUSE: Duration = Duration::from_millis(400);
/// One proposal in so many is of a version that is out of date.
const OUTDATED: u64 = 6;
/// One request in so many is a proposal; the others are reads.
const READS: u64 = 3;

/// One who asks, waits for the answer, and asks again.
#[derive(Debug)]
struct Client {
    number: u64,
    waits: Option<RequestId>,
    next: Time,
}

/// The clients of a world. Call [`Clients::act`] between slices of virtual time.
#[derive(Debug)]
pub struct Clients {
    rng: Rng,
    clients: Vec<Client>,
    next_number: u64,
    key: Option<NodeId>,
    /// The highest version that was ever proposed.
    version: u64,
}

impl Clients {
    /// Clients that draw what they do from `rng`.
    pub fn new(rng: Rng) -> Self {
        let clients = (1..=CLIENTS as u64).map(|number| Client { number, waits: None, next: Time::ZERO });
        Clients { rng, clients: clients.collect(), next_number: CLIENTS as u64 + 1, key: None, version: 0 }
    }

    /// Takes what was answered, and asks for more.
    ///
    /// # Errors
    /// What the checkers see.
    pub fn act(&mut self, world: &mut World) -> Result<(), Violation> {
        for place in 0..self.clients.len() {
            self.hear(place, world);
        }
        let Some(key) = self.choose(world) else { return Ok(()) };
        // A read of one client, while the others wait, ends a piece of the history.
        let rests = world.registers().wants_rest(key);
        for place in 0..self.clients.len() {
            let client = &self.clients[place];
            let may_ask = client.waits.is_none() && client.next <= world.now() && (!rests || world.registers().is_idle(key));
            if may_ask {
                self.ask(place, key, rests, world)?;
            }
        }
        Ok(())
    }

    fn hear(&mut self, place: usize, world: &mut World) {
        let Some(request) = self.clients[place].waits else { return };
        let replied = world.take_reply(request);
        if replied.is_none() && world.waits(request) {
            return;
        }
        let pause = self.rng.duration_below(PAUSE);
        let client = &mut self.clients[place];
        client.waits = None;
        client.next = world.now() + pause;
        // Where the outcome is not known, the client is not heard of again: its request may yet be done.
        if matches!(replied, None | Some(Reply::Proposed(Outcome::OutcomeUnknown))) {
            client.number = self.next_number;
            self.next_number += 1;
        }
    }

    /// The register: of the first that votes, for as long as it does.
    fn choose(&mut self, world: &World) -> Option<NodeId> {
        let facts = world.facts()?;
        if self.key.is_none_or(|key| !facts.is_voter(key)) {
            self.key = facts.voters().keys().copied().find(|node| facts.is_voter(*node));
            self.version = self.key.and_then(|key| facts.member(key)).map_or(0, |member| member.address_seq);
        }
        self.key
    }

    fn ask(&mut self, place: usize, key: NodeId, rests: bool, world: &mut World) -> Result<(), Violation> {
        let running: Vec<Slot> = world.nodes().iter().filter(|node| node.process.is_some()).map(|node| node.slot).collect();
        let Some(slot) = self.rng.sample(&running, 1).pop() else { return Ok(()) };
        let action = if rests || self.rng.below(READS) > 0 { Action::Read } else { Action::Raise(self.next_version()) };
        let number = self.clients[place].number;
        self.clients[place].waits = world.ask_register(slot, number, key, action)?;
        Ok(())
    }

    fn next_version(&mut self) -> u64 {
        if self.rng.below(OUTDATED) > 0 {
            self.version += 1;
        }
        self.version
    }
}
