//! Members that leave because they were asked to.

use std::time::Duration;

use hivemind_core::machine::HaltReason;
use hivemind_core::wire::command::Command;
use hivemind_core::wire::event::LeaveReason;

use super::net::{Net, Part};

#[test]
fn the_founder_whom_nobody_welcomed_back_leaves_as_everyone_does() {
    let mut net = Net::new();
    net.birth("v1", Part::Voter);
    net.run(Duration::from_secs(3));
    // A daemon goes on with what `init` began: there is nobody yet who could say that its membership goes on.
    net.kill("v1");
    net.restart("v1");
    net.run(Duration::from_secs(3));
    for name in ["v2", "v3"] {
        net.start(name, Part::Voter, &["v1"]);
        net.run(Duration::from_secs(3));
    }
    let node = net.node("v1");
    net.propose("v1", 5, Command::Leave { node, reason: LeaveReason::Asked });
    net.run(Duration::from_secs(20));
    assert_eq!(net.places["v1"].halted, Some(HaltReason::Left));
}
