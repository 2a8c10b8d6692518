//! What a member says of itself: that it restarts, that it is back, where it listens.

use std::net::SocketAddr;
use std::time::Duration;

use super::applied::Applied;
use crate::ids::NodeId;
use crate::time::Timestamp;
use crate::wire::command::{MAX_RESTART_GRACE, Refusal};
use crate::wire::event::Event;
use crate::wire::member::MAX_ADDRESSES;

impl Applied {
    pub(super) fn restarting(&self, node: NodeId, grace: Duration) -> Result<Option<Event>, Refusal> {
        self.expect_member(node)?;
        if grace > MAX_RESTART_GRACE {
            return Err(Refusal::Invalid {
                why: format!("a grace of {} s; {} s is the most", grace.as_secs(), MAX_RESTART_GRACE.as_secs()),
            });
        }
        let grace_ms = u64::try_from(grace.as_millis()).expect("at most an hour");
        let until = Timestamp(self.registry.time.0.saturating_add(grace_ms));
        Ok(Some(Event::Restarting { node, until }))
    }

    /// One that is not restarting is back already.
    pub(super) fn restarted(&self, node: NodeId) -> Result<Option<Event>, Refusal> {
        self.expect_member(node)?;
        Ok(self.facts.restarting_until(node).map(|_| Event::Restarted { node }))
    }

    pub(super) fn addresses(&self, node: NodeId, seq: u64, addresses: &[SocketAddr]) -> Result<Option<Event>, Refusal> {
        let known = self.expect_member(node)?.address_seq;
        if addresses.len() > MAX_ADDRESSES {
            return Err(Refusal::Invalid { why: format!("{} addresses; {MAX_ADDRESSES} is the most", addresses.len()) });
        }
        if seq <= known {
            return Err(Refusal::Outdated);
        }
        Ok(Some(Event::Addresses { node, seq, addresses: addresses.to_vec() }))
    }
}
