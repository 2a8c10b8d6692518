//! What operators wish of voters: it holds against the leader's own housekeeping, crashes and changes of the leader.

use std::time::Duration;

use super::net::{Net, V1, V2, V3, V4, request};
use crate::ids::NodeId;
use crate::settings::Settings;
use crate::wire::command::{Command, Outcome, Refusal};

const LONG: Duration = Duration::from_secs(20);

/// Members v1 to v`count`, of which three vote.
fn of(count: u64) -> Net {
    let mut settings = Settings::default();
    settings.control.voters = 3;
    Net::of(1, count, settings)
}

fn done(net: &mut Net, by: NodeId, command: Command) {
    let outcome = net.decide(by, command);
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
}

fn until_vote(net: &mut Net, voters: &[NodeId]) {
    net.until(LONG, "the voters are the wished ones", |net| net.leader().is_some_and(|leader| net.voters(leader) == voters));
}

#[test]
fn one_that_shall_not_vote_is_exchanged_and_stays_out() {
    let mut net = of(4);
    done(&mut net, V2, Command::VoterRemove { node: V3 });
    until_vote(&mut net, &[V1, V2, V4]);
    net.crash(V1);
    net.until(LONG, "another leads", |net| net.leader().is_some());
    for _ in 0..20 {
        for observer in [V2, V3, V4] {
            let leader = net.leader().unwrap();
            net.evidence(leader, observer, V1);
        }
        net.run(Duration::from_millis(200));
    }
    let leader = net.leader().unwrap();
    assert_eq!(net.voters(leader), [V1, V2, V4], "v3 is no candidate, also where a voter is dead");
}

#[test]
fn one_that_nobody_replaces_is_demoted_and_may_be_added_again() {
    let mut net = of(3);
    done(&mut net, V1, Command::VoterRemove { node: V3 });
    until_vote(&mut net, &[V1, V2]);
    net.run(LONG);
    assert_eq!(net.voters(V1), [V1, V2]);
    assert_eq!(net.decide(V1, Command::VoterRemove { node: V3 }), Outcome::Refused(Refusal::NotVoting { node: V3 }));
    done(&mut net, V1, Command::VoterAdd { node: V3 });
    until_vote(&mut net, &[V1, V2, V3]);
}

#[test]
fn a_leader_that_shall_not_vote_hands_over_first() {
    let mut net = of(3);
    done(&mut net, V1, Command::VoterRemove { node: V1 });
    until_vote(&mut net, &[V2, V3]);
    net.until(LONG, "v1 knows", |net| net.hosts[&V1].removed);
}

#[test]
fn one_that_is_added_comes_on_top_and_stays() {
    let mut net = of(5);
    done(&mut net, V1, Command::VoterAdd { node: V4 });
    until_vote(&mut net, &[V1, V2, V3, V4]);
    net.run(LONG);
    assert_eq!(net.voters(V1), [V1, V2, V3, V4], "nobody is one too many");
    done(&mut net, V1, Command::VoterRemove { node: V4 });
    until_vote(&mut net, &[V1, V2, V3]);
    net.run(LONG);
    assert_eq!(net.voters(V1), [V1, V2, V3]);
}

#[test]
fn there_is_always_one_left_that_may_vote() {
    let mut net = of(3);
    done(&mut net, V1, Command::VoterRemove { node: V3 });
    done(&mut net, V1, Command::VoterRemove { node: V2 });
    assert_eq!(net.decide(V1, Command::VoterRemove { node: V1 }), Outcome::Refused(Refusal::LastVoter { node: V1 }));
    until_vote(&mut net, &[V1]);
    done(&mut net, V1, Command::VoterAdd { node: V2 });
    until_vote(&mut net, &[V1, V2]);
    done(&mut net, V1, Command::VoterRemove { node: V1 });
    until_vote(&mut net, &[V2]);
}

#[test]
fn who_can_not_be_meant_is_refused() {
    let mut net = of(3);
    let nonce = net.nonce();
    let host = net.join_with(crate::wire::member::JoinRequest { voter_eligible: false, ..request("h1", nonce) });
    let unknown = NodeId::new(1, 99);
    for command in [Command::VoterAdd { node: unknown }, Command::VoterRemove { node: unknown }] {
        assert_eq!(net.decide(V1, command), Outcome::Refused(Refusal::NotAMember { node: unknown }));
    }
    assert_eq!(net.decide(V1, Command::VoterAdd { node: host }), Outcome::Refused(Refusal::NotEligible { node: host }));
    assert_eq!(net.decide(V1, Command::VoterRemove { node: host }), Outcome::Refused(Refusal::NotVoting { node: host }));
    assert_eq!(net.voters(V1), [V1, V2, V3]);
}

#[test]
fn a_wish_is_in_the_snapshot_and_outlives_all_crashes() {
    let mut settings = Settings::default();
    settings.control.voters = 3;
    settings.control.snapshot_entries = 1;
    let mut net = Net::of(1, 3, settings);
    done(&mut net, V1, Command::VoterRemove { node: V3 });
    until_vote(&mut net, &[V1, V2]);
    net.run(Duration::from_secs(1));
    for node in [V1, V2] {
        net.crash(node);
        net.restart(node);
    }
    net.run(LONG);
    let leader = net.leader().unwrap();
    assert_eq!(net.voters(leader), [V1, V2]);
}
