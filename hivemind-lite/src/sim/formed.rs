//! A start from a formed cluster: thousands of nodes need not join one by one in virtual time.
//!
//! Every place gets the disk that it would have after all had joined and the power had failed everywhere at once: the
//! voters their snapshot, everybody else the facts in the cache, hosts their own config, consumers all configs. What is
//! on these disks is made by the product's own code, from the fold of the same events as joining would commit.

use bytes::Bytes;
use hivemind_core::facts::Facts;
use hivemind_core::ids::{Index, NodeId, Seq};
use hivemind_core::machine::{FormedCluster, config_record};
use hivemind_core::role::InstalledRole;
use hivemind_core::wire::config::{HeldConfig, HostConfig, SignedConfig};
use hivemind_core::wire::member::MemberRecord;

use super::disk::Disk;
use super::node::{Common, Part, SimNode};

/// Fills the disks of `nodes`, the first of which gave birth to the cluster, and returns the facts that they share.
/// The first `voters` vote. Nothing runs yet.
pub fn lay_down(common: &Common, nodes: &mut [SimNode], voters: u64) -> Facts {
    let mut records = nodes.iter().map(record);
    let first = records.next().expect("a cluster has a first node");
    let limits = common.settings.control.neighborhoods;
    let formed = FormedCluster::new(common.birth, limits, first, records, voters, nodes[0].keys.as_ref());
    let own: Vec<Option<SignedConfig>> = (1..).zip(nodes.iter()).map(|(counter, node)| config(NodeId::new(1, counter), node)).collect();
    let held: Vec<(Bytes, Bytes)> = own
        .iter()
        .flatten()
        .map(|own| HeldConfig { member: own.config.node, config: own.clone() })
        .map(|held| config_record(&held))
        .collect();
    for ((counter, node), own) in (1..).zip(nodes).zip(own) {
        let of_others: &[(Bytes, Bytes)] = if node.part == Part::Consumer { &held } else { &[] };
        let recovered = formed.disk_of(NodeId::new(1, counter), own, of_others);
        node.disk = Disk::from(recovered.expect("whoever has a place was made a member"));
    }
    formed.facts().clone()
}

/// What the cluster knows of a node; the ids are given when it joins.
fn record(node: &SimNode) -> MemberRecord {
    MemberRecord {
        node: NodeId::NONE,
        name: node.name.clone(),
        key: node.key(),
        addresses: vec![node.address],
        address_seq: 0,
        roles: node.roles().iter().map(InstalledRole::spec).cloned().collect(),
        voter_eligible: node.part == Part::Voter,
        features: Default::default(),
        joined: Index(0),
    }
}

/// The first version of what a host has to say.
fn config(id: NodeId, node: &SimNode) -> Option<SignedConfig> {
    if node.part != Part::Host {
        return None;
    }
    let mut sections = node.sections.as_ref().clone();
    sections.sort_by(|one, other| one.kind.cmp(&other.kind));
    Some(SignedConfig::new(HostConfig { node: id, seq: Seq(1), sections }, node.keys.as_ref()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use hivemind_core::ids::NodeName;
    use hivemind_core::settings::Settings;

    use super::super::checkers::Calm;
    use super::super::network::Slot;
    use super::super::profile::Profile;
    use super::super::roles;
    use super::super::world::{World, WorldOptions};
    use super::*;

    #[test]
    fn a_formed_cluster_of_several_neighborhoods_resumes_without_an_event_and_answers_for_all_hosts() {
        let mut world = World::new(WorldOptions { seed: 3, profile: Profile::default(), settings: Settings::default() }, 3);
        for number in 0..120 {
            let (part, sections) = match number {
                0..3 => (Part::Voter, Vec::new()),
                3..5 => (Part::Consumer, Vec::new()),
                _ => (Part::Host, roles::sections(number, 0)),
            };
            world.add(NodeName::new(&format!("node{number}")).expect("a valid name"), part, sections);
        }
        world.form(3);
        let (formed, ids) = (world.committed(), 1..=120);
        (0..120).for_each(|slot| world.start(Slot(slot)).expect("its disk is whole"));
        let calm = Calm::begin(world.now(), &Settings::default(), BTreeSet::new());
        while !calm.look(&world).expect("within the bounds") {
            world.run_for(Duration::from_millis(50)).expect("no violation");
        }
        assert_eq!(world.committed(), formed, "nobody had to join");
        assert!(world.nodes().iter().map(SimNode::id).eq(ids.map(|counter| Some(NodeId::new(1, counter)))));
        assert!(world.facts().is_some_and(|facts| facts.neighborhood_count() > 2));
    }
}
