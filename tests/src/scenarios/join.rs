//! Joining.

use super::{all_know, consumer, formed, holds_every_host, host};
use crate::{Stage, bounds};

/// A node that knows one host and no voter becomes a member, and is one for all, with what it publishes.
pub fn a_node_joins_through_a_member_that_does_not_vote<S: Stage>(options: S::Options) -> S {
    let mut stage: S = formed(options, vec![consumer("dns1"), host("web1", 1)]);
    let newest = stage.view("voter1").facts.members().keys().copied().max();
    let bound = bounds::join(stage.settings());
    stage.start_through(host("web2", 2), "web1");
    stage.wait_until("all know it", bound, |views| all_know(views, 6, 6));
    assert!(Some(stage.id("web2")) > newest, "an id is never used again");
    stage.wait_until("what it says is known", bound, |views| holds_every_host(&views["dns1"]));
    stage
}
