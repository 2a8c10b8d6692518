use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::net::{Net, id};
use super::town::{net_of, town};
use crate::ids::{Index, NeighborhoodId};
use crate::membership::Membership;
use crate::wire::message::Membership as Wire;

const SIZE: u64 = 6;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Five neighborhoods of six; voters are 1, 7 and 13, in the first three.
fn five() -> Net {
    net_of(&town(5, SIZE), 1)
}

/// (sender, voter, neighborhood) of the keepalives in a log.
fn keepalives(log: &[String]) -> BTreeMap<(u64, u64, u64), usize> {
    let mut found = BTreeMap::new();
    for line in log {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [_, from, "->", to, "keepalive", "of", hood] = words[..] {
            let number = |word: &str| word.parse::<u64>().expect("a number");
            *found.entry((number(from), number(to), number(hood))).or_default() += 1;
        }
    }
    found
}

#[test]
fn two_delegates_of_each_neighborhood_speak_to_a_voter_each() {
    let mut net = five();
    net.run(secs(10));
    net.log = Some(Vec::new());
    net.run(secs(100));
    let found = keepalives(&net.log.take().expect("it was set above"));
    for hood in 3..5 {
        let of_it: Vec<_> = found.iter().filter(|((_, _, of), _)| *of == hood).collect();
        assert_eq!(of_it.len(), 2, "{of_it:?}");
        assert_ne!(of_it[0].0.0, of_it[1].0.0, "two delegates");
        assert_ne!(of_it[0].0.1, of_it[1].0.1, "two voters");
        assert!(of_it.iter().all(|(_, count)| (19..=28).contains(*count)), "{of_it:?}");
        assert!(of_it.iter().all(|((from, _, _), _)| (from - 1) / SIZE == hood), "only members speak for it");
    }
    assert_eq!(net.junk, 0);
    assert!(net.members.iter().all(|&node| net.node(node).membership.unreachable().is_empty()));
}

#[test]
fn a_neighborhood_that_falls_silent_is_found_by_voters() {
    let mut net = five();
    net.run(secs(20));
    let silent: BTreeSet<u64> = (3 * SIZE + 1..=4 * SIZE).collect();
    silent.iter().for_each(|&counter| net.crash(id(counter)));
    let failing = |net: &Net| {
        [1, 7, 13].into_iter().filter(|&voter| silent.iter().all(|&counter| net.is_unreachable(id(voter), id(counter)))).count()
    };
    net.run(secs(10));
    assert_eq!(failing(&net), 0, "three keepalives may be missing");
    // The two that watch it tell the voter that is ranked first for each, which asks for itself as well.
    assert!(net.run_until(secs(20), |net| failing(net) >= 2), "{}", failing(&net));
    net.run(secs(10));
    let convicted: BTreeSet<u64> = net.convicted.keys().map(|node| node.counter()).collect();
    assert!(convicted.is_subset(&silent) && !convicted.is_empty(), "{convicted:?}");
}

#[test]
fn a_voter_that_is_asked_probes_any_member() {
    let mut net = five();
    net.run(secs(5));
    net.crash(id(20));
    let facts = net.facts[&id(1)].clone();
    let mut ask = |node: u64| net.with(id(node), |membership: &mut Membership, ctx| membership.suspect(id(20), &facts, ctx));
    ask(1);
    ask(2);
    net.run(secs(2));
    assert!(net.is_unreachable(id(1), id(20)));
    assert!(!net.is_unreachable(id(2), id(20)), "another node does so for its neighbors");
}

#[test]
fn one_who_answers_ends_the_silence() {
    let mut net = five();
    net.run(secs(20));
    // Only the first of the neighborhood can still be heard by voters, and only when it is asked.
    let voters = [1, 7, 13];
    for counter in 3 * SIZE + 2..=4 * SIZE {
        voters.iter().for_each(|&voter| assert!(net.cut.insert((id(counter), id(voter)))));
    }
    net.run(secs(60));
    let failures: BTreeSet<u64> = (1..=30).filter(|&of| voters.iter().any(|&voter| net.is_unreachable(id(voter), id(of)))).collect();
    assert!(!failures.contains(&(3 * SIZE + 1)), "{failures:?}");
    net.cut.clear();
    net.run(secs(10));
    assert!(voters.iter().all(|&voter| net.node(id(voter)).membership.unreachable().is_empty()));
}

#[test]
fn nobody_speaks_for_a_neighborhood_that_is_not_its_own() {
    let mut net = five();
    net.run(secs(20));
    let silent: Vec<u64> = (3 * SIZE + 1..=4 * SIZE).collect();
    silent.iter().for_each(|&counter| net.crash(id(counter)));
    let voters = [1, 7, 13];
    for _ in 0..40 {
        net.run(secs(1));
        for voter in voters {
            let facts = net.facts[&id(voter)].clone();
            let lie = Wire::Keepalive { neighborhood: NeighborhoodId(3) };
            net.with(id(voter), |membership, ctx| membership.handle_message(id(30), lie, &facts, ctx)).expect("it is no junk");
        }
    }
    assert!(voters.iter().any(|&voter| net.is_unreachable(id(voter), id(silent[0]))));
}

#[test]
fn one_who_votes_no_more_holds_nothing_against_others() {
    let mut net = five();
    net.run(secs(5));
    net.crash(id(20));
    let facts = net.facts[&id(1)].clone();
    net.with(id(1), |membership, ctx| membership.suspect(id(20), &facts, ctx));
    net.run(secs(3));
    assert!(net.is_unreachable(id(1), id(20)));
    net.with(id(1), |membership, _| membership.set_voters(vec![id(7), id(13)]));
    net.run(secs(6));
    assert!(!net.is_unreachable(id(1), id(20)));
    assert_ne!(facts.position().index, Index(0));
}
