//! L1 and L2: once faults stop, everybody gets where everybody is, and who is gone is gone, within a bound.

use std::collections::BTreeSet;
use std::time::Duration;

use hivemind_core::machine::Phase;
use hivemind_core::wire::event::VoterPart;

use super::super::checkers::{Invariant, Violation};
use super::super::network::Slot;
use super::super::node::{Part, SimNode};
use super::super::world::World;
use super::{Run, Scenario};

impl Run<'_> {
    /// Waits until nothing is missing anywhere; under chaos it must also stay so.
    ///
    /// # Errors
    /// L1, with the first thing that is missing after the bound.
    pub(super) fn calm(&mut self, when: &str) -> Result<(), Violation> {
        let bound = self.bound();
        if !self.until(bound, |world| missing(world).is_none())? {
            return Err(self.not_calm(&format!("{} s {when}", bound.as_secs())));
        }
        if self.options.scenario == Scenario::Chaos {
            self.pass(self.settings().control.degraded_after)?;
            if missing(&self.world).is_some() {
                return Err(self.not_calm(&format!("after it was calm {when}")));
            }
        }
        Ok(())
    }

    fn not_calm(&self, when: &str) -> Violation {
        let (slot, what) = missing(&self.world).expect("it was missing just now");
        self.world.at(slot).violates(Invariant::L1, format!("{what}, {when}"))
    }

    /// What calm takes at most: detection of the dead, in a neighborhood that is probed one by one; their leaves at a bounded
    /// rate; a rejoin of those that were put out; a wait of each kind that begins anew after an answer that did not come.
    fn bound(&self) -> Duration {
        let (membership, control) = (&self.settings().membership, &self.settings().control);
        let nodes = u32::try_from(self.world.nodes().len()).expect("fewer nodes than 2^32");
        let probed = nodes.min(u32::from(control.neighborhoods.most));
        let confirm = membership.confirm_interval * (membership.confirm_pings + 1);
        let detection = membership.probe_period * probed + membership.suspicion + confirm + control.evidence_window;
        let leaves = control.leave_window * (1 + nodes / u32::try_from(control.max_leaves).expect("a small number"));
        detection * 2 + leaves + control.proposal_timeout * 3 + control.degraded_after + Duration::from_millis(50) * nodes
    }
}

/// What keeps the world from being calm.
fn missing(world: &World) -> Option<(Slot, String)> {
    let running: Vec<&SimNode> = world.nodes().iter().filter(|node| node.process.is_some()).collect();
    let eligible = running.iter().filter(|node| node.part == Part::Voter).count();
    if let Some(found) = running.iter().find_map(|node| Some((node.slot, lacks(world, node, running.len(), eligible)?))) {
        return Some(found);
    }
    let status = |node: &&SimNode| node.process.as_ref().map(|process| process.machine.status());
    let voters = running.iter().filter_map(status).filter(|status| status.voter == VoterPart::Voter);
    let leaders: BTreeSet<_> = voters.map(|status| status.leader).collect();
    if leaders.len() != 1 || leaders.contains(&None) {
        return Some((Slot(0), format!("the voters follow {leaders:?}")));
    }
    let hosts: Vec<&SimNode> = running.iter().copied().filter(|node| node.part == Part::Host).collect();
    let consumers = running.iter().filter(|node| node.part == Part::Consumer);
    consumers.flat_map(|consumer| hosts.iter().map(move |host| (consumer, host))).find_map(|(consumer, host)| differs(consumer, host))
}

/// What a running node lacks in a cluster of so many, so many of which may vote.
fn lacks(world: &World, node: &SimNode, running: usize, eligible: usize) -> Option<String> {
    let process = node.process.as_ref()?;
    let (status, committed) = (process.machine.status(), world.committed());
    let Some(view) = &process.view else { return Some(format!("it has no view ({:?})", status.phase)) };
    let (facts, at) = (&view.facts, view.facts.position().index);
    if status.phase != Phase::Member || at != committed || view.condition != Default::default() {
        return Some(format!("it is {:?} at event {at} of {committed}, {:?}", status.phase, view.condition));
    }
    if facts.member(status.node).is_none_or(|member| member.name != node.name) {
        return Some(format!("it is not {}", status.node));
    }
    if facts.live().len() != running {
        return Some(format!("{} members, but {running} processes", facts.live().len()));
    }
    let voting = facts.voters().values().filter(|part| **part == VoterPart::Voter).count();
    let wanted = eligible.min(world.settings().control.voters);
    if voting != wanted || facts.voters().len() != wanted {
        return Some(format!("{wanted} should vote, but the parts are {:?}", facts.voters()));
    }
    (!view.unreachable.is_empty()).then(|| format!("it can not reach {:?}", view.unreachable))
}

/// How a consumer's answer for a host is not what the host publishes.
fn differs(consumer: &SimNode, host: &SimNode) -> Option<(Slot, String)> {
    let status = host.process.as_ref()?.machine.status();
    let answer = consumer.process.as_ref()?.names.as_ref().and_then(|names| names.get(&host.name));
    let same = answer.is_some_and(|answer| answer.node == status.node && answer.seq == status.own_seq);
    (!same).then(|| {
        (consumer.slot, format!("it answers for {} with {answer:?}, which is at {} of {}", host.name, status.own_seq, status.node))
    })
}
