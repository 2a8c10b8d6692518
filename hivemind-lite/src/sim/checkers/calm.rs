//! L1, and the first half of L2: once faults stop, everybody gets where everybody is, and who crashed leaves.
//!
//! A watch over a world without faults: each part of calm has its own bound, so that a violation tells what is slow.

use std::collections::{BTreeMap, BTreeSet};

use hivemind_core::facts::Facts;
use hivemind_core::ids::NodeId;
use hivemind_core::machine::{Machine, Phase, Status};
use hivemind_core::settings::Settings;
use hivemind_core::time::Time;
use hivemind_core::wire::command::VoterWish;
use hivemind_core::wire::event::VoterPart;

use super::{Invariant, Violation};
use crate::sim::bounds::Bounds;
use crate::sim::network::Slot;
use crate::sim::node::{Part, SimNode};
use crate::sim::world::World;

/// What calm is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aspect {
    /// One leader, whom every voter follows.
    Leader,
    /// Every running node is a member, at the last committed event, and trusts its view.
    Position,
    /// Every consumer answers with every host's version.
    Configs,
    /// Every member runs, and is reachable.
    Members,
    /// As many vote as should.
    Voters,
}

impl Aspect {
    const ALL: [Aspect; 5] = [Aspect::Leader, Aspect::Position, Aspect::Configs, Aspect::Members, Aspect::Voters];

    fn bound(self, bounds: &Bounds<'_>) -> std::time::Duration {
        match self {
            Aspect::Leader => bounds.leader(),
            Aspect::Position => bounds.position(),
            Aspect::Configs => bounds.configs(),
            Aspect::Members => bounds.leaves(),
            Aspect::Voters => bounds.voters(),
        }
    }

    fn invariant(self) -> Invariant {
        match self {
            Aspect::Leader | Aspect::Position | Aspect::Configs | Aspect::Voters => Invariant::L1,
            Aspect::Members => Invariant::L2,
        }
    }
}

/// The checker of L1 and of crashed members leaving. It begins when the faults end.
#[derive(Clone, Debug)]
pub struct Calm {
    since: Time,
    settings: Settings,
    excused: BTreeSet<Slot>,
}

impl Calm {
    /// Faults have stopped at `since`. Who is excused may be a member or not: the run does not know what became of it.
    pub fn begin(since: Time, settings: &Settings, excused: BTreeSet<Slot>) -> Self {
        Calm { since, settings: settings.clone(), excused }
    }

    /// Whether the world is calm.
    ///
    /// # Errors
    /// L1 or L2, where it is not and should be by now.
    pub fn look(&self, world: &World) -> Result<bool, Violation> {
        let bounds = Bounds::new(&self.settings, world.nodes().len());
        let mut calm = true;
        for aspect in Aspect::ALL {
            let bound = aspect.bound(&bounds);
            let is_due = world.now().since(self.since) > bound;
            // Thousands of nodes are not asked for what would change nothing.
            if !calm && !is_due {
                continue;
            }
            let Some((slot, what)) = self.missing(aspect, world) else { continue };
            if is_due {
                let what = format!("{aspect:?} is still missing after {} s without faults: {what}", bound.as_secs());
                return Err(world.at(slot).violates(aspect.invariant(), what));
            }
            calm = false;
        }
        Ok(calm)
    }

    /// Who misses what.
    fn missing(&self, aspect: Aspect, world: &World) -> Option<(Slot, String)> {
        let Some(facts) = world.facts() else { return Some((Slot(0), "there is no cluster".to_owned())) };
        let running: Vec<&SimNode> =
            world.nodes().iter().filter(|node| node.process.is_some() && !self.excused.contains(&node.slot)).collect();
        match aspect {
            Aspect::Leader => leader(&running, facts),
            Aspect::Position => running.iter().find_map(|node| position(node, facts)),
            Aspect::Configs => configs(&running),
            Aspect::Members => self.members(world, facts).or_else(|| running.iter().find_map(|node| reachable(node, &running))),
            Aspect::Voters => voters(&running, facts, self.settings.control.voters),
        }
    }

    fn members(&self, world: &World, facts: &Facts) -> Option<(Slot, String)> {
        facts.members().values().find_map(|member| {
            let slot = world.named(&member.name)?;
            let is_there = world.node(slot).process.is_some() || self.excused.contains(&slot);
            (!is_there).then(|| (slot, format!("{} ({}) is dead, and still a member", member.name, member.node)))
        })
    }
}

fn leader(running: &[&SimNode], facts: &Facts) -> Option<(Slot, String)> {
    let eligible = running.iter().filter(|node| node.part == Part::Voter);
    let statuses = eligible.filter_map(|node| Some((node.slot, node.process.as_ref()?.machine.status())));
    let voting: Vec<_> = statuses.filter(|(_, status)| facts.is_voter(status.node)).collect();
    let Some((_, first)) = voting.first() else { return Some((Slot(0), "no voter runs".to_owned())) };
    let odd = voting.iter().find(|(_, status)| status.leader.is_none() || status.leader != first.leader);
    if let Some((slot, status)) = odd {
        return Some((*slot, format!("it follows {:?}, another voter {:?}", status.leader, first.leader)));
    }
    let leads = voting.iter().any(|(_, status)| status.leader == Some(status.node));
    (!leads).then(|| (voting[0].0, format!("all follow {:?}, which does not run", first.leader)))
}

fn position(node: &SimNode, facts: &Facts) -> Option<(Slot, String)> {
    let wrong = |what: String| Some((node.slot, what));
    let process = node.process.as_ref()?;
    let phase = process.machine.status().phase;
    let Some(view) = &process.view else { return wrong(format!("it has no view ({phase:?})")) };
    let (at, last) = (view.facts.position(), facts.position());
    if phase != Phase::Member || at != last || view.condition != Default::default() {
        return wrong(format!("it is {phase:?}, at {at} of {last}, {:?}", view.condition));
    }
    match facts.with_key(&node.key()) {
        Some(member) if member.node == view.node => None,
        Some(member) => wrong(format!("it takes itself for {}, and is {}", view.node, member.node)),
        None => wrong("it is no member".to_owned()),
    }
}

fn configs(running: &[&SimNode]) -> Option<(Slot, String)> {
    let of = |part| running.iter().filter(move |node| node.part == part);
    let hosts: Vec<Status> = of(Part::Host).filter_map(|host| Some(host.process.as_ref()?.machine.status())).collect();
    of(Part::Consumer).flat_map(|consumer| hosts.iter().map(move |host| (consumer, host))).find_map(|(consumer, host)| {
        let answer = consumer.process.as_ref()?.names.as_ref().and_then(|names| names.get(&host.name));
        let same = answer.is_some_and(|answer| (answer.node, answer.seq) == (host.node, host.own_seq));
        (!same).then(|| {
            (consumer.slot, format!("it answers for {} with {answer:?}, which is at {} of {}", host.name, host.own_seq, host.node))
        })
    })
}

fn reachable(node: &SimNode, running: &[&SimNode]) -> Option<(Slot, String)> {
    // Nearly always: nobody is looked for among thousands.
    let view = node.view().filter(|view| !view.unreachable.is_empty())?;
    let lost = running.iter().find(|other| other.id().is_some_and(|id| view.unreachable.contains(&id)))?;
    Some((node.slot, format!("it can not reach {}, which runs", lost.name)))
}

/// As many vote as are wanted, of those that run and that no operator has taken away; whom one has added comes on top.
fn voters(running: &[&SimNode], facts: &Facts, wanted: usize) -> Option<(Slot, String)> {
    let wishes = wishes(running.iter().copied());
    let wish = |node: &SimNode| node.id().and_then(|id| wishes.get(&id).copied());
    let eligible: Vec<&&SimNode> = running.iter().filter(|node| node.part == Part::Voter).collect();
    let votes = |node: &&&SimNode| node.id().is_some_and(|id| facts.is_voter(id));
    let wrong = |what: String| Some((Slot(0), format!("{:?} vote; {what}", facts.voters())));
    let abstains = |node: &&&&SimNode| wish(node) == Some(VoterWish::Abstain);
    if let Some(node) = eligible.iter().find(|node| abstains(node) && votes(node)) {
        return wrong(format!("{} was taken away", node.name));
    }
    if let Some(node) = eligible.iter().find(|node| wish(node) == Some(VoterWish::Vote) && !votes(node)) {
        return wrong(format!("{} was added", node.name));
    }
    let could = eligible.iter().filter(|node| !abstains(node)).count();
    let on_top = eligible.iter().filter(|node| wish(node) == Some(VoterWish::Vote)).count();
    let voting = facts.voters().values().filter(|part| **part == VoterPart::Voter).count();
    let (least, most) = (could.min(wanted), could.min(wanted + on_top));
    if (least..=most).contains(&voting) { None } else { wrong(format!("{could} could, {least} to {most} should")) }
}

/// What operators wish, as the leader knows it.
pub fn wishes<'a>(nodes: impl Iterator<Item = &'a SimNode>) -> BTreeMap<NodeId, VoterWish> {
    let machines = nodes.filter_map(|node| node.process.as_ref()).map(|process| &process.machine);
    let leads = |machine: &&Machine| Some(machine.status().node) == machine.status().leader;
    let leader = machines.filter(leads).max_by_key(|machine| machine.status().term);
    leader.and_then(Machine::voter_wishes).into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::super::fabricated::name;
    use super::*;
    use crate::sim::profile::Profile;
    use crate::sim::roles;
    use crate::sim::world::WorldOptions;

    /// Three voters, a consumer and a host, calm.
    fn world() -> World {
        let options = WorldOptions { seed: 5, profile: Profile::default(), settings: Settings::default() };
        let mut world = World::new(options, 3);
        for number in 1..=3 {
            world.add(name(&format!("voter{number}")), Part::Voter, Vec::new());
        }
        world.add(name("dns1"), Part::Consumer, Vec::new());
        world.add(name("host1"), Part::Host, roles::sections(1, 0));
        (0..5).for_each(|slot| world.start(Slot(slot)).expect("it starts"));
        let calm = Calm::begin(world.now(), &Settings::default(), BTreeSet::new());
        while !calm.look(&world).expect("within its bound") {
            world.run_for(std::time::Duration::from_millis(50)).expect("no violation");
        }
        world
    }

    fn look_after_all_bounds(world: &mut World, excused: &[Slot]) -> Result<bool, Violation> {
        let settings = Settings::default();
        let calm = Calm::begin(world.now(), &settings, excused.iter().copied().collect());
        world.run_for(Bounds::new(&settings, 5).longest()).expect("no violation");
        calm.look(world)
    }

    #[test]
    fn a_calm_world_stays_calm() {
        assert_eq!(look_after_all_bounds(&mut world(), &[]), Ok(true));
    }

    #[test]
    fn a_node_that_does_not_come_back_is_caught_unless_it_is_excused() {
        let mut world = world();
        world.isolate(Slot(4));
        let violation = look_after_all_bounds(&mut world, &[]).expect_err("it is cut off");
        assert_eq!((violation.invariant, violation.node), (Invariant::L1, name("host1")));
        assert_eq!(look_after_all_bounds(&mut world, &[Slot(4)]), Ok(true));
    }

    #[test]
    fn a_leader_that_is_missing_is_caught_first() {
        let mut world = world();
        (1..3).for_each(|slot| world.kill(Slot(slot)));
        let violation = look_after_all_bounds(&mut world, &[]).expect_err("no quorum");
        assert!(violation.invariant == Invariant::L1 && violation.what.contains("Leader"), "{violation}");
    }
}
