//! Proposals and reads in flight: who waits for what, and until when. Every proposal that is taken is
//! answered once.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::handing::Handing;
use crate::ids::{BootNonce, NodeId, ProposalId};
use crate::time::Time;
use crate::wire::command::{Command, Proposal};

/// From here on counters belong to the proposals that this subsystem makes itself. The machine counts
/// its own from zero.
const OWN_COUNTERS: u64 = 1 << 63;

/// A timer that is set at most once at a time. An early or a second one does nothing.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    due: Option<Time>,
}

impl Alarm {
    /// Whether it was not set; now it is, and the timer must be.
    pub(super) fn arm(&mut self, now: Time, delay: Duration) -> bool {
        if self.due.is_some() {
            return false;
        }
        self.due = Some(now + delay);
        true
    }

    /// Whether it is due; then it is not set any more.
    pub(super) fn ring(&mut self, now: Time) -> bool {
        let rings = self.due.is_some_and(|due| due <= now);
        if rings {
            self.due = None;
        }
        rings
    }
}

/// How far a proposal has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It was sent to the leader of that time.
    Forwarded,
    /// This node appended it as the leader.
    Appended,
}

/// A proposal whose outcome is awaited.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) stage: Stage,
    pub(super) deadline: Time,
    /// Whose membership it would end.
    pub(super) ends: Option<NodeId>,
}

/// A proposal that is not appended before a node has no part in the group any more.
#[derive(Clone, Debug)]
pub(super) struct Parked {
    pub(super) proposal: Proposal,
    /// Whose part stands against it.
    pub(super) blocker: NodeId,
    pub(super) deadline: Time,
}

impl Parked {
    /// Whether a member is to be let in anew in its place, which only it can ask for.
    pub(super) fn supersedes(&self, node: NodeId) -> bool {
        self.blocker == node && matches!(self.proposal.command, Command::Join(_))
    }
}

/// A read of this node's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) deadline: Time,
    /// It is asked again then.
    pub(super) again: Time,
}

/// What is in flight.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) flights: BTreeMap<ProposalId, Flight>,
    pub(super) parked: Vec<Parked>,
    /// Leadership that is being handed over.
    pub(super) handing: Option<Handing>,
    pub(super) reads: BTreeMap<ProposalId, Read>,
    /// Reads whose index raft confirmed; they wait until it is applied. In order of that index.
    confirmed: VecDeque<(u64, ProposalId)>,
    /// Reads of other nodes that this leader works on.
    pub(super) served: BTreeMap<ProposalId, Time>,
    pub(super) alarm: Alarm,
    own: u64,
}

impl Pending {
    /// `start` is drawn at random: a node that got its part back within one start must not use names twice.
    pub(super) fn new(start: u64) -> Pending {
        Pending { own: OWN_COUNTERS | (start >> 2), ..Pending::default() }
    }

    /// A name for a proposal of this subsystem.
    pub(super) fn own_id(&mut self, node: NodeId, boot: BootNonce) -> ProposalId {
        self.own += 1;
        ProposalId { node, boot, counter: self.own }
    }

    /// Whether nobody outside waits for it.
    pub(super) fn is_own(id: ProposalId) -> bool {
        id.counter >= OWN_COUNTERS
    }

    /// How many proposals are in flight.
    pub(super) fn len(&self) -> usize {
        self.flights.len() + self.parked.len()
    }

    /// How many of them are a node's.
    pub(super) fn of(&self, node: NodeId) -> usize {
        let flights = self.flights.keys().filter(|id| id.node == node).count();
        flights + self.parked.iter().filter(|parked| parked.proposal.id.node == node).count()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.flights.is_empty() && self.parked.is_empty() && self.handing.is_none() && self.reads.is_empty() && self.served.is_empty()
    }

    pub(super) fn knows(&self, id: ProposalId) -> bool {
        self.flights.contains_key(&id)
            || self.parked.iter().any(|parked| parked.proposal.id == id)
            || self.handing.is_some_and(|handing| handing.id == id)
    }

    /// Whose membership a proposal in the log would end.
    pub(super) fn ending(&self) -> impl Iterator<Item = NodeId> {
        self.flights.values().filter_map(|flight| flight.ends)
    }

    /// Takes the parked proposals that `ready` picks out.
    pub(super) fn unpark(&mut self, ready: impl Fn(&Parked) -> bool) -> Vec<Parked> {
        let (taken, kept) = std::mem::take(&mut self.parked).into_iter().partition(ready);
        self.parked = kept;
        taken
    }

    /// Takes the flights that `over` picks out.
    pub(super) fn land(&mut self, over: impl Fn(&Flight) -> bool) -> Vec<ProposalId> {
        let landed: Vec<ProposalId> = self.flights.iter().filter(|(_, flight)| over(flight)).map(|(&id, _)| id).collect();
        for id in &landed {
            self.flights.remove(id);
        }
        landed
    }

    /// Raft confirmed a read, at a Raft index.
    pub(super) fn confirm(&mut self, id: ProposalId, raft_index: u64) {
        let place = self.confirmed.partition_point(|(index, _)| *index <= raft_index);
        self.confirmed.insert(place, (raft_index, id));
    }

    pub(super) fn is_confirmed(&self, id: ProposalId) -> bool {
        self.confirmed.iter().any(|(_, confirmed)| *confirmed == id)
    }

    /// Takes the confirmed reads whose index is applied.
    pub(super) fn readable(&mut self, applied: u64) -> Vec<ProposalId> {
        let count = self.confirmed.partition_point(|(index, _)| *index <= applied);
        self.confirmed.drain(..count).map(|(_, id)| id).collect()
    }

    /// Leadership is lost: what was confirmed holds, what was not is asked for elsewhere.
    pub(super) fn forget_served(&mut self) {
        let confirmed: Vec<ProposalId> = self.confirmed.iter().map(|(_, id)| *id).collect();
        self.served.retain(|id, _| confirmed.contains(id));
    }
}
