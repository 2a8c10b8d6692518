//! Leaving on purpose.

use hivemind_core::machine::HaltReason;
use hivemind_core::wire::command::{Command, Refusal};
use hivemind_core::wire::event::LeaveReason;

use super::{all_know, commit, consumer, formed, host, version};
use crate::{Stage, ViewsByName, bounds};

fn is_gone(views: &ViewsByName) -> bool {
    all_know(views, 5, 5) && version(&views["dns1"], "web1").is_none() && version(&views["dns1"], "web2").is_some()
}

/// It stops because it left, all know, and what it published is gone.
pub fn a_node_that_leaves_is_gone_for_all<S: Stage>(options: S::Options) -> S {
    let mut stage: S = formed(options, vec![consumer("dns1"), host("web1", 1), host("web2", 2)]);
    let bound = bounds::join(stage.settings());
    stage.leave("web1");
    stage.wait_until("all know that it is gone", bound, is_gone);
    stage
}

/// An operator says elsewhere that it leaves: it hears of it, stops, and does not come back by itself.
pub fn a_node_that_others_let_leave_stays_away<S: Stage>(options: S::Options) -> S {
    let mut stage: S = formed(options, vec![consumer("dns1"), host("web1", 1), host("web2", 2)]);
    let bound = bounds::join(stage.settings());
    let node = stage.id("web1");
    commit(&mut stage, "voter1", Command::Leave { node, reason: LeaveReason::Asked });
    assert_eq!(stage.stopped("web1"), HaltReason::Left);
    stage.wait_until("all know that it is gone", bound, is_gone);
    stage
}

/// Its key is revoked: it stops, and a restart does not bring it back.
pub fn a_node_that_is_evicted_stays_out<S: Stage>(options: S::Options) -> S {
    let mut stage: S = formed(options, vec![consumer("dns1"), host("web1", 1), host("web2", 2)]);
    let bound = bounds::join(stage.settings());
    let node = stage.id("web1");
    commit(&mut stage, "voter1", Command::Leave { node, reason: LeaveReason::Evicted });
    let reason = stage.stopped("web1");
    assert!(matches!(reason, HaltReason::Left | HaltReason::Refused(Refusal::Revoked)), "{reason}");
    stage.wait_until("all know that it is gone", bound, is_gone);
    let after = stage.read("dns1");

    stage.restart("web1");
    assert_eq!(stage.stopped("web1"), HaltReason::Refused(Refusal::Revoked));
    assert_eq!(stage.read("dns1"), after, "nothing was committed");
    stage
}
