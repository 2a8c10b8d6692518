//! Leaving: by failure, on request, or put out by an operator.

use super::applied::Applied;
use crate::ids::{NodeId, PublicKey};
use crate::wire::command::Refusal;
use crate::wire::event::{Event, LeaveReason};

/// So many keys may be revoked in a cluster's life. They are never forgotten, so there must be a limit.
const MAX_REVOKED: usize = 1 << 16;
/// The most observers that a leave names.
pub(super) const MAX_OBSERVERS: usize = 64;

/// What the reason of a leave must be, whatever is applied.
pub(super) fn check(reason: &LeaveReason) -> Result<(), Refusal> {
    match reason {
        LeaveReason::Failed { observers } if observers.len() > MAX_OBSERVERS => {
            Err(Refusal::Invalid { why: format!("{} observers; {MAX_OBSERVERS} is the most", observers.len()) })
        }
        LeaveReason::Failed { .. } | LeaveReason::Asked | LeaveReason::Evicted => Ok(()),
    }
}

impl Applied {
    pub(super) fn leave(&mut self, node: NodeId, reason: &LeaveReason) -> Result<Option<Event>, Refusal> {
        let key = self.expect_member(node)?.key;
        if self.facts.voters().contains_key(&node) {
            return Err(Refusal::StillVoter { node });
        }
        match reason {
            LeaveReason::Failed { .. } => {
                check(reason)?;
                if self.is_restarting(node, self.registry.time) {
                    return Err(Refusal::Restarting { node });
                }
            }
            LeaveReason::Asked => {
                self.registry.gate.roll.remove(&key);
                self.registry.wishes.remove(&key);
            }
            LeaveReason::Evicted => {
                self.revoke(key)?;
                self.registry.gate.roll.remove(&key);
                self.registry.wishes.remove(&key);
            }
        }
        Ok(Some(Event::Left { node, reason: reason.clone(), listed: self.facts.successors_in_lists(node) }))
    }

    /// This key is never let in again.
    pub(super) fn revoke(&mut self, key: PublicKey) -> Result<(), Refusal> {
        if self.registry.revoked.len() >= MAX_REVOKED {
            return Err(Refusal::Invalid { why: format!("{MAX_REVOKED} keys are revoked; that is the most") });
        }
        self.registry.revoked.insert(key);
        Ok(())
    }
}
