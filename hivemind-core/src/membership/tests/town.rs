//! Clusters of several neighborhoods, as the event log tells of them.

use crate::facts::{Facts, NeighborhoodLimits};
use crate::fixture::{member, voter};
use crate::ids::{ClusterId, Epoch, NeighborhoodId, NodeId};
use crate::membership::tests::net::{Net, id};
use crate::wire::event::{Event, LogEvent};

/// The next event.
pub(super) fn apply(facts: &mut Facts, event: &Event) {
    let index = facts.position().index.next();
    facts.apply(&LogEvent::new(index, event)).expect("the events of a test fold");
}

/// `count` neighborhoods of `size` members each, numbered in their order; the first of the first three vote.
pub(super) fn town(count: u64, size: u64) -> Facts {
    let epoch = Epoch { generation: 1, number: 1, tag: 9 };
    let mut facts = Facts::birth(ClusterId(7), epoch, NeighborhoodLimits::default(), member(1, false, 0));
    let join = |facts: &mut Facts, counter: u64| {
        let member = member(counter, false, facts.position().index.next().0);
        apply(facts, &Event::Joined { member, neighborhood: NeighborhoodId(0), supersedes: None, listed: vec![] });
    };
    (2..=size).for_each(|counter| join(&mut facts, counter));
    for number in 1..count {
        let newcomers = number * size + 1..=(number + 1) * size;
        newcomers.clone().for_each(|counter| join(&mut facts, counter));
        let moved = newcomers.map(id).collect();
        apply(&mut facts, &Event::Split { from: NeighborhoodId(0), into: NeighborhoodId(number as u32), moved });
    }
    (1..count.min(3)).for_each(|number| apply(&mut facts, &voter(number * size + 1)));
    facts
}

/// What `node` holds of `facts`.
pub(super) fn scope_of(facts: &Facts, node: NodeId) -> Facts {
    if facts.is_voter(node) { facts.clone() } else { facts.slice_for(node).expect("a member has a slice") }
}

/// The nodes of `facts`, running.
pub(super) fn net_of(facts: &Facts, seed: u64) -> Net {
    let mut net = Net::new(0, seed);
    net.members = facts.live().iter().collect();
    net.voters = facts.voters().keys().copied().collect();
    for node in net.members.clone() {
        net.facts.insert(node, scope_of(facts, node));
        net.start(node);
    }
    net
}
