use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::net::{Net, id};
use super::town::{apply, scope_of, town};
use crate::context::{Junk, Recipient};
use crate::facts::Facts;
use crate::fixture::{CheapKeys, Surround, member};
use crate::ids::{NeighborhoodId, NodeId};
use crate::membership::far::FarLinks;
use crate::rng::Rng;
use crate::wire::event::{Event, LeaveReason};
use crate::wire::member::Acquaintance;
use crate::wire::message::{Membership as Wire, Message};

/// Nothing but far links: time passes in turns, in each of which every node's timer is due once.
struct Model {
    facts: Facts,
    nodes: BTreeMap<NodeId, (FarLinks, Surround, Facts)>,
    crashed: BTreeSet<NodeId>,
    rng: Rng,
}

impl Model {
    fn new(neighborhoods: u64, size: u64, seed: u64) -> Self {
        let facts = town(neighborhoods, size);
        let mut rng = Rng::new(seed);
        let nodes = facts.live().iter().map(|node| {
            let mut around = Surround::new(node.counter());
            around.rng = rng.fork();
            let mut far = FarLinks::default();
            far.start(1, &mut around.ctx());
            (node, (far, around, scope_of(&facts, node)))
        });
        let nodes = nodes.collect();
        Model { facts, nodes, crashed: BTreeSet::new(), rng }
    }

    fn voters(&self) -> Vec<NodeId> {
        self.facts.voters().keys().copied().collect()
    }

    fn turn(&mut self, loss_ppm: u32) {
        let voters = self.voters();
        let all: Vec<NodeId> = self.nodes.keys().copied().filter(|node| !self.crashed.contains(node)).collect();
        for node in all {
            let (far, around, facts) = self.nodes.get_mut(&node).expect("it is one of them");
            far.handle_timer(1, facts, &voters, &mut around.ctx());
            let mut queue: Vec<_> = around.sent().into_iter().map(|sent| (node, sent)).collect();
            while let Some((from, sent)) = queue.pop() {
                let (Recipient::Node(to), Message::Membership(Wire::Sample { members, reply_wanted })) = (sent.to, sent.message) else {
                    panic!("far links send samples to members")
                };
                if self.crashed.contains(&to) || self.rng.chance_ppm(loss_ppm) {
                    continue;
                }
                let (far, around, facts) = self.nodes.get_mut(&to).expect("only members are known");
                far.heard_from(from);
                far.handle_sample(from, members, reply_wanted, facts, &mut around.ctx()).expect("samples of nodes are sound");
                queue.extend(around.sent().into_iter().map(|sent| (to, sent)));
            }
        }
    }

    fn leave(&mut self, node: NodeId) {
        apply(&mut self.facts, &Event::Left { node, reason: LeaveReason::Failed { observers: vec![] }, listed: vec![] });
        self.nodes.remove(&node);
        self.crashed.remove(&node);
        self.nodes.values_mut().for_each(|(far, _, _)| far.forget(node));
    }

    fn rescope(&mut self) {
        for (node, (_, _, facts)) in &mut self.nodes {
            *facts = scope_of(&self.facts, *node);
        }
    }

    fn is_connected(&self) -> bool {
        let home = |node: NodeId| self.facts.neighborhood_of(node).map(|(id, _)| id);
        let homes: BTreeMap<NodeId, NeighborhoodId> = self.nodes.keys().filter_map(|&node| Some((node, home(node)?))).collect();
        let running: Vec<NodeId> = self.nodes.keys().copied().filter(|node| !self.crashed.contains(node)).collect();
        let wanted: BTreeSet<NeighborhoodId> = running.iter().map(|node| homes[node]).collect();
        let mut edges = BTreeSet::new();
        for node in &running {
            let links = self.nodes[node].0.links().filter(|link| !self.crashed.contains(&link.node));
            edges.extend(links.map(|link| (homes[node], homes[&link.node])));
        }
        let reach = |edges: &BTreeSet<(NeighborhoodId, NeighborhoodId)>| {
            let mut reached: BTreeSet<NeighborhoodId> = wanted.first().copied().into_iter().collect();
            let mut fresh: Vec<NeighborhoodId> = reached.iter().copied().collect();
            while let Some(from) = fresh.pop() {
                let next = edges.range((from, NeighborhoodId(0))..=(from, NeighborhoodId(u32::MAX))).map(|edge| edge.1);
                fresh.extend(next.filter(|to| reached.insert(*to)));
            }
            reached == wanted
        };
        reach(&edges) && reach(&edges.iter().map(|&(from, to)| (to, from)).collect())
    }
}

#[test]
fn the_graph_of_far_links_stays_connected_under_churn() {
    let mut model = Model::new(200, 8, 1);
    (0..6).for_each(|_| model.turn(10_000));
    assert!(model.is_connected(), "everyone began without a link");
    for _ in 0..6 {
        // In each round 50 crash, and those that crashed before leave.
        model.crashed.clone().into_iter().for_each(|node| model.leave(node));
        model.rescope();
        let voters = model.voters();
        let candidates: Vec<NodeId> = model.nodes.keys().copied().filter(|node| !voters.contains(node)).collect();
        model.crashed.extend(model.rng.sample(&candidates, 50));
        (0..4).for_each(|_| model.turn(10_000));
        assert!(model.is_connected());
    }
    let links = |model: &Model| model.nodes.values().map(|(far, _, _)| far.links().count()).collect::<Vec<_>>();
    assert!(links(&model).iter().all(|&count| count <= 3));
    let average = links(&model).iter().sum::<usize>() as f64 / model.nodes.len() as f64;
    assert!(average > 2.8, "{average}");
}

#[test]
fn links_to_those_who_do_not_answer_are_replaced() {
    let mut model = Model::new(20, 16, 2);
    (0..12).for_each(|_| model.turn(0));
    let voters = model.voters();
    let candidates: Vec<NodeId> = model.nodes.keys().copied().filter(|node| !voters.contains(node)).collect();
    model.crashed.extend(model.rng.sample(&candidates, candidates.len() / 2));
    assert!(model.is_connected(), "half of them gone at once do not cut the rest apart");
    (0..60).for_each(|_| model.turn(0));
    let (mut links, mut dead) = (0, 0);
    for (_, (far, _, _)) in model.nodes.iter().filter(|(node, _)| !model.crashed.contains(node)) {
        links += far.links().count();
        dead += far.links().filter(|link| model.crashed.contains(&link.node)).count();
    }
    assert!(dead * 20 < links, "{dead} of {links} links are to those that crashed");
}

#[test]
fn links_are_to_distinct_neighborhoods_and_never_to_neighbors() {
    let mut model = Model::new(20, 8, 3);
    (0..30).for_each(|_| model.turn(0));
    let mut doubled = 0;
    for (&node, (far, _, facts)) in &model.nodes {
        let home = facts.neighborhood_of(node).expect("a member is somewhere").1;
        let homes: BTreeSet<NeighborhoodId> = far.links().map(|link| link.neighborhood).collect();
        assert!(far.links().all(|link| !home.members.contains(&link.node)));
        doubled += far.links().count() - homes.len();
    }
    assert!(doubled < model.nodes.len() / 10, "{doubled} links to where there is one already");
}

#[test]
fn a_lone_neighborhood_exchanges_no_samples() {
    let mut net = Net::new(5, 4);
    net.log = Some(Vec::new());
    net.run(Duration::from_secs(300));
    let log = net.log.take().expect("it was set above");
    assert!(!log.is_empty() && !log.iter().any(|line| line.contains("sample") || line.contains("keepalive")));
    assert_eq!(net.node(id(1)).membership.far_links().count(), 0);
}

fn told(counter: u64, neighborhood: u32) -> Acquaintance {
    Acquaintance { node: id(counter), key: CheapKeys::of(counter).0, addresses: vec![], neighborhood: NeighborhoodId(neighborhood) }
}

/// Node 2 of neighborhood 0, which has asked node 9 of neighborhood 1 (of 4 by 8).
fn asked() -> (FarLinks, Surround, Facts) {
    let facts = scope_of(&town(4, 8), id(2));
    let mut around = Surround::new(2);
    let mut far = FarLinks::default();
    far.start(1, &mut around.ctx());
    far.learn([told(10, 1)], 3, &mut Rng::new(1), |_| true);
    far.handle_timer(1, &facts, &[], &mut around.ctx());
    assert_eq!(around.sent().len(), 1);
    (far, around, facts)
}

fn known(far: &FarLinks) -> Vec<u64> {
    (1..=99).filter(|&counter| far.find(id(counter)).is_some()).collect()
}

#[test]
fn a_sample_that_was_asked_for_fills_the_links() {
    let (mut far, mut around, facts) = asked();
    let members = vec![told(10, 1), told(11, 1), told(18, 2), told(26, 3)];
    far.handle_sample(id(10), members, false, &facts, &mut around.ctx()).expect("it is sound");
    assert_eq!(known(&far), [10, 11, 18, 26]);
    assert_eq!(far.links().count(), 3);
}

#[test]
fn who_was_not_asked_can_only_introduce_itself() {
    let (mut far, mut around, facts) = asked();
    far.handle_sample(id(19), vec![told(19, 2), told(20, 2)], false, &facts, &mut around.ctx()).expect("it is sound");
    far.handle_sample(id(10), vec![told(10, 1), told(27, 3)], true, &facts, &mut around.ctx()).expect("it is sound");
    assert_eq!(known(&far), [10, 19]);
    far.handle_sample(id(10), vec![told(10, 1), told(27, 3)], false, &facts, &mut around.ctx()).expect("it is sound");
    far.handle_sample(id(10), vec![told(10, 1), told(28, 3)], false, &facts, &mut around.ctx()).expect("it is sound");
    assert_eq!(known(&far), [10, 19, 27], "one question is answered once");
}

#[test]
fn what_contradicts_the_event_log_is_not_believed() {
    let (mut far, mut around, facts) = asked();
    let voter = facts.voters().keys().copied().find(|voter| voter.counter() == 17).expect("the third neighborhood has a voter");
    let false_key = Acquaintance { key: CheapKeys::of(99).0, ..told(voter.counter(), 2) };
    let members = vec![told(10, 1), told(77, 3), told(3, 1), told(2, 1), false_key];
    far.handle_sample(id(10), members, false, &facts, &mut around.ctx()).expect("it is sound");
    assert_eq!(known(&far), [10], "one that does not live, a neighbor, this node, another's key");
    assert_eq!(member(17, false, 0).node, voter);
}

#[test]
fn samples_that_no_node_sends_are_junk() {
    let (mut far, mut around, facts) = asked();
    let large: Vec<Acquaintance> = (10..19).map(|counter| told(counter, 1)).collect();
    let mut hoarder = told(10, 1);
    hoarder.addresses = vec![([127, 0, 0, 1], 1).into(); 17];
    for (members, what) in [
        (large, "a sample that is too large"),
        (vec![hoarder], "a sample that is too large"),
        (vec![], "a sample that does not begin with its sender"),
        (vec![told(11, 1), told(10, 1)], "a sample that does not begin with its sender"),
    ] {
        let result = far.handle_sample(id(10), members, true, &facts, &mut around.ctx());
        assert_eq!(result, Err(Junk::Invalid(what)));
    }
    assert!(around.sent().is_empty());
    assert_eq!(known(&far), [10]);
}
