//! Joint changes of the group: a voter that must go is exchanged for another one in one step, whatever
//! crashes on the way.

use std::collections::BTreeSet;
use std::time::Duration;

use super::net::{Net, V1, V2, V3, V4};
use crate::ids::NodeId;
use crate::settings::Settings;
use crate::wire::command::{Command, Outcome};
use crate::wire::event::{Event, LeaveReason, VoterPart};

const LONG: Duration = Duration::from_secs(20);

/// Members v1 to v`count`, of which three vote.
fn of(seed: u64, count: u64) -> Net {
    let mut settings = Settings::default();
    settings.control.voters = 3;
    Net::of(seed, count, settings)
}

/// Everybody that is up misses `gone`, and tells the leader so.
fn miss(net: &mut Net, gone: NodeId) {
    let Some(leader) = net.leader() else { return };
    let up: Vec<NodeId> = net.hosts.iter().filter(|(node, host)| host.is_up && **node != gone).map(|(&node, _)| node).collect();
    for observer in up {
        net.evidence(leader, observer, gone);
    }
}

fn joint(net: &Net, node: NodeId) -> bool {
    net.hosts[&node].control.as_ref().is_some_and(|control| control.applied.as_ref().is_some_and(|one| one.registry.joint.is_some()))
}

/// The changes of parts that `node` knows of.
fn parts(net: &Net, node: NodeId) -> Vec<(NodeId, VoterPart)> {
    let events = net.hosts[&node].events.iter().map(|logged| logged.event().unwrap());
    events.filter_map(|event| if let Event::Voter { member, part } = event { Some((member.node, part)) } else { None }).collect()
}

/// Waits until the leader has entered a joint configuration.
fn until_joint(net: &mut Net, gone: NodeId) {
    for _ in 0..200 {
        miss(net, gone);
        for _ in 0..20 {
            net.steps(1);
            if net.leader().is_some_and(|leader| joint(net, leader)) {
                return;
            }
        }
    }
    panic!("never joint\n{}", net.last_lines());
}

#[test]
fn a_dead_voter_is_exchanged_in_one_joint_change() {
    let mut net = of(1, 4);
    net.crash(V3);
    until_joint(&mut net, V3);
    assert_eq!(net.voters(V1), [V1, V2, V3, V4], "the old one keeps its part until the joint configuration is left");
    net.until(LONG, "it is left", |net| net.voters(V1) == [V1, V2, V4]);
    let last = [(V4, VoterPart::Learner), (V4, VoterPart::Voter), (V3, VoterPart::None)];
    assert!(parts(&net, V1).ends_with(&last), "{:?}", parts(&net, V1));
}

#[test]
fn a_voter_that_leaves_is_exchanged_before_it_goes() {
    let mut net = of(1, 4);
    let asked = net.propose(V2, Command::Leave { node: V3, reason: LeaveReason::Asked });
    let mut sizes = BTreeSet::new();
    while net.outcome(asked).is_none() {
        net.steps(1);
        sizes.insert(net.voters(V1).iter().filter(|voter| net.facts(V1).is_voter(**voter)).count());
    }
    assert!(matches!(net.outcome(asked), Some(Outcome::Committed { .. })));
    assert_eq!(net.voters(V1), [V1, V2, V4]);
    assert!(!sizes.contains(&2), "there were always three to vote: {sizes:?}");
}

#[test]
fn a_leader_that_leaves_is_exchanged_by_its_heir() {
    let mut net = of(1, 4);
    let outcome = net.decide(V1, Command::Leave { node: V1, reason: LeaveReason::Asked });
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    let leader = net.leader().unwrap();
    assert_eq!((net.voters(leader), leader == V1), (vec![V2, V3, V4], false));
    assert!(net.hosts[&V1].removed);
}

#[test]
fn a_leave_waits_for_a_replacement_but_not_for_ever() {
    let mut net = of(1, 4);
    net.crash(V4);
    let begin = net.now;
    let outcome = net.decide(V2, Command::Leave { node: V3, reason: LeaveReason::Asked });
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    assert_eq!(net.voters(V1), [V1, V2], "nobody came in its place");
    assert!(net.now.since(begin) >= net.settings.control.proposal_timeout / 2);
}

#[test]
fn two_dead_voters_of_five_are_exchanged_one_after_the_other() {
    let mut settings = Settings::default();
    settings.control.voters = 5;
    let mut net = Net::of(1, 7, settings);
    let (v5, v6, v7) = (NodeId::new(1, 5), NodeId::new(1, 6), NodeId::new(1, 7));
    net.crash(V4);
    net.crash(v5);
    for _ in 0..40 {
        miss(&mut net, V4);
        miss(&mut net, v5);
        net.run(Duration::from_millis(200));
    }
    assert_eq!(net.voters(V1), [V1, V2, V3, v6, v7]);
}

#[test]
fn a_new_leader_leaves_the_joint_configuration_that_it_finds() {
    let mut net = of(1, 4);
    net.crash(V3);
    until_joint(&mut net, V3);
    // Cut off, v1 can not leave it, and without v1 the old side has no majority either.
    net.split(&[V1], &[V2, V4]);
    net.run(Duration::from_secs(2));
    assert!(net.leader().is_none() && joint(&net, V1));
    net.crash(V1);
    net.heal();
    net.restart(V1);
    net.until(LONG, "it is left", |net| net.leader().is_some_and(|leader| net.voters(leader) == [V1, V2, V4] && !joint(net, leader)));
    assert!(net.control(V2).term() > 2, "in a later term");
}

#[test]
fn without_a_majority_of_both_sides_nothing_is_decided() {
    let mut net = of(1, 4);
    net.crash(V3);
    until_joint(&mut net, V3);
    net.crash(V2);
    net.run(Duration::from_secs(3));
    assert!(joint(&net, V1), "v1 and v4 are no majority of v1, v2, v3");
    let asked = net.propose(V1, Command::Restarting { node: V1, grace: Duration::from_secs(1) });
    net.run(Duration::from_secs(8));
    assert!(!matches!(net.outcome(asked), Some(Outcome::Committed { .. })));
    net.restart(V2);
    net.until(LONG, "v2 is back and it is left", |net| {
        net.leader().is_some_and(|leader| net.voters(leader) == [V1, V2, V4] && !joint(net, leader))
    });
}

#[test]
fn a_joint_configuration_in_a_snapshot_is_gone_on_with() {
    let mut net = of(1, 4);
    net.settings.control.snapshot_entries = 1;
    net.crash(V3);
    until_joint(&mut net, V3);
    // Every entry is followed by a snapshot: what is durable now has the joint configuration in its newest one.
    net.split(&[V1], &[V2, V4]);
    net.run(Duration::from_millis(20));
    assert!(joint(&net, V1), "it can not be left alone");
    for node in [V1, V2, V4] {
        net.crash(node);
    }
    net.restart(V1);
    assert!(joint(&net, V1) && net.control(V1).raw.conf_state().voters_outgoing.len() == 3);
    net.heal();
    net.restart(V2);
    net.restart(V4);
    net.until(LONG, "it is left", |net| net.leader().is_some_and(|leader| net.voters(leader) == [V1, V2, V4] && !joint(net, leader)));
    net.restart(V3);
    net.run(Duration::from_secs(2));
}

/// Plays a replacement of v3 up to a step, lets one node crash there (of its writes on their way the
/// first `done` get through), and brings it back after a while.
fn crash_at(step: usize, victim: NodeId, done: usize, pause: Duration) -> Option<(Net, bool)> {
    let mut net = of(1, 4);
    net.crash(V3);
    for _ in 0..3 {
        miss(&mut net, V3);
        net.run(Duration::from_millis(60));
    }
    net.steps(step);
    net.hosts[&victim].control.as_ref()?;
    let is_joint = joint(&net, victim);
    net.crash_after(victim, done);
    let end = net.now + pause;
    while net.now < end {
        miss(&mut net, V3);
        net.run(Duration::from_millis(200));
    }
    net.restart(victim);
    Some((net, is_joint))
}

/// What must come of it, whatever crashed: three vote, v3 is none of them and no member, and all agree.
fn settles(net: &mut Net, what: &str) {
    for _ in 0..60 {
        miss(net, V3);
        net.run(Duration::from_millis(200));
        let all = [V1, V2, V4];
        let has_left =
            |node: NodeId| net.hosts[&node].control.as_ref().and_then(|one| one.facts()).is_some_and(|facts| facts.member(V3).is_none());
        if all.iter().all(|node| has_left(*node) && !joint(net, *node) && net.voters(*node) == all) {
            return;
        }
    }
    panic!("{what}: {:?}\n{}", net.leader().map(|leader| net.voters(leader)), net.last_lines());
}

#[test]
fn a_replacement_gets_done_whoever_crashes_at_whatever_step() {
    let (mut runs, mut in_joint, mut led_again) = (0, 0, 0);
    for step in 0..120 {
        for (victim, done) in [V1, V2, V4].into_iter().flat_map(|victim| [(victim, 0), (victim, 1)]) {
            let pause = Duration::from_millis(if step % 2 == 0 { 300 } else { 1500 });
            // v4 may not have heard of anything yet.
            let Some((mut net, is_joint)) = crash_at(step, victim, done, pause) else { continue };
            settles(&mut net, &format!("step {step}, {victim}, {done} writes"));
            runs += 1;
            in_joint += u32::from(is_joint);
            led_again += u32::from(net.leader() != Some(V1));
        }
    }
    assert!(runs > 600 && in_joint > 10 && led_again > 100, "{runs} {in_joint} {led_again}");
}
