//! L1: once faults stop, everybody gets where everybody is, within a bound.

use std::time::Duration;

use hivemind_core::wire::event::VoterPart;

use super::super::checkers::{Invariant, Violation};
use super::super::node::Part;
use super::super::world::World;
use super::{Run, RunOptions};

impl Run<'_> {
    /// Waits until nothing is missing anywhere.
    ///
    /// # Errors
    /// L1, with the first thing that is missing after the bound.
    pub(super) fn calm(&mut self, when: &str) -> Result<(), Violation> {
        // A rejoin after a failed resume, an election and the comparisons of configs, and what a long queue of joins takes.
        let bound = Duration::from_secs(60) + Duration::from_millis(50) * self.options.nodes;
        if self.until(bound, |world| missing(world).is_none())? {
            return Ok(());
        }
        let (slot, what) = missing(&self.world).expect("it was missing at the end of the bound");
        Err(self.world.at(slot).violates(Invariant::L1, format!("{what}, {} s {when}", bound.as_secs())))
    }
}

/// What keeps the world from being calm.
fn missing(world: &World) -> Option<(super::Slot, String)> {
    let committed = world.committed();
    let running = || world.nodes().iter().filter(|node| node.process.is_some());
    for node in running() {
        let Some(view) = node.view() else { return Some((node.slot, "it has no view".to_owned())) };
        let at = view.facts.position().index;
        if at < committed {
            return Some((node.slot, format!("its view is at event {at} of {committed}")));
        }
        if view.facts.member(view.node).is_none_or(|member| member.name != node.name) {
            return Some((node.slot, "it is no member".to_owned()));
        }
        if view.condition != Default::default() {
            return Some((node.slot, format!("its view is {:?}", view.condition)));
        }
        let voting = view.facts.voters().values().filter(|part| **part == VoterPart::Voter).count();
        if voting < RunOptions::VOTERS as usize {
            return Some((node.slot, format!("only {voting} members vote")));
        }
        if view.facts.live().len() != running().count() {
            return Some((node.slot, format!("{} members, but {} processes", view.facts.live().len(), running().count())));
        }
    }
    let published: Vec<_> = running().filter(|node| node.part == Part::Host).collect();
    for consumer in running().filter(|node| node.part == Part::Consumer) {
        let names = consumer.process.as_ref().and_then(|process| process.names.as_ref());
        for host in &published {
            let answer = names.and_then(|names| names.get(&host.name));
            let status = host.process.as_ref().expect("it runs").machine.status();
            if answer.is_none_or(|answer| answer.node != status.node || answer.seq != status.own_seq) {
                let what = format!("it answers for {} with {answer:?}, which is at {} of {}", host.name, status.own_seq, status.node);
                return Some((consumer.slot, what));
            }
        }
    }
    None
}
