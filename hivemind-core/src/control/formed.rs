//! A control plane that has come to be already: the applied state of a cluster that many have joined, made at once.

use super::applied::Applied;
use super::snapshot;
use super::{BIRTH, log};
use crate::facts::{Facts, NeighborhoodLimits};
use crate::ids::{ClusterId, Epoch, Index, NeighborhoodId, NodeId};
use crate::storage::{LogSnapshot, RecoveredLog};
use crate::wire::access::AdmissionPolicy;
use crate::wire::event::{Event, VoterPart};
use crate::wire::member::MemberRecord;

/// What the voters of such a cluster agree on.
pub struct Formed {
    applied: Applied,
}

impl Formed {
    /// The state after a birth by `first`, the joins of `others` one after another, and the appointment of the first of
    /// them all, so that `voters` vote. Ids are given in this order, from 1.1; neighborhoods split as they fill up.
    pub fn new(
        cluster: ClusterId,
        epoch: Epoch,
        limits: NeighborhoodLimits,
        first: MemberRecord,
        others: impl IntoIterator<Item = MemberRecord>,
        voters: u64,
    ) -> Self {
        let id = |counter| NodeId::new(epoch.generation, counter);
        let mut applied =
            Applied::birth(cluster, epoch, limits, AdmissionPolicy::Open, MemberRecord { node: id(1), joined: Index(0), ..first });
        for member in others {
            applied.registry.counter += 1;
            let member = MemberRecord { node: id(applied.registry.counter), ..member };
            applied.commit(Event::Joined { member, neighborhood: NeighborhoodId(0), supersedes: None, listed: Vec::new() });
        }
        for node in (2..=voters).map(id) {
            for part in [VoterPart::Learner, VoterPart::Voter] {
                if let Some(member) = applied.facts.member(node).cloned() {
                    applied.record(&Event::Voter { member: MemberRecord::clone(&member), part });
                }
            }
        }
        Formed { applied }
    }

    /// The fold of the events that led here.
    pub fn facts(&self) -> &Facts {
        &self.applied.facts
    }

    /// What each voter has on disk: a snapshot, and nothing behind it.
    pub fn log(&self) -> RecoveredLog {
        let (index, term) = BIRTH;
        let snapshot = log::snapshot_of(snapshot::encode(&self.applied, index), term);
        let hard_state = raft::eraftpb::HardState { term, commit: index, ..Default::default() };
        RecoveredLog {
            hard_state: Some(log::protobuf_bytes(&hard_state)),
            snapshot: Some(LogSnapshot { index, term, bytes: log::protobuf_bytes(&snapshot) }),
            entries: Vec::new(),
        }
    }
}
