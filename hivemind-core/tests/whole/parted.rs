//! A voter whose part was taken from it while it ran, and that restarts: its own Raft log ends before that.

use std::time::Duration;

use hivemind_core::machine::Phase;
use hivemind_core::wire::command::Command;
use hivemind_core::wire::event::VoterPart;

use super::net::{Net, Part};

#[test]
fn one_that_votes_no_more_knows_it_after_a_restart() {
    let mut net = Net::new();
    net.birth("v1", Part::Voter);
    for name in ["v2", "v3"] {
        net.start(name, Part::Voter, &["v1"]);
        net.run(Duration::from_secs(3));
    }
    let node = net.node("v3");
    assert_eq!(net.machine("v1").view().unwrap().facts.voters().get(&node), Some(&VoterPart::Voter));
    net.propose("v1", 5, Command::VoterRemove { node });
    net.run(Duration::from_secs(5));
    assert_eq!(net.machine("v3").view().unwrap().facts.voters().get(&node), None);
    net.kill("v3");
    net.restart("v3");
    net.run(Duration::from_secs(20));
    let view = net.machine("v3").view().expect("a member has a view");
    assert_eq!((net.phase("v3"), view.condition.degraded), (Some(Phase::Member), false), "it does not campaign on its own");
}
