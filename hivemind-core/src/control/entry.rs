//! Entries of the Raft log: what they mean, and how a change of the group is written down.

use bytes::Bytes;
use protobuf::Message as _;
use raft::eraftpb::{ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, Entry, EntryType};

use super::apply_voter::Change;
use crate::ids::NodeId;
use crate::wire::event::VoterPart;

/// A committed entry.
pub(super) enum Committed {
    /// An encoded proposal.
    Command(Bytes),
    /// A change of the group: of several parts, it enters a joint configuration.
    Change(Vec<Change>),
    /// The joint configuration is left.
    LeaveJoint,
    /// A new leader's first entry, or one that no build of ours writes.
    Nothing,
}

/// What an entry does when it is applied.
pub(super) fn read(entry: Entry) -> (u64, Committed) {
    let what = match entry.get_entry_type() {
        EntryType::EntryNormal if entry.data.is_empty() => Committed::Nothing,
        EntryType::EntryNormal => Committed::Command(entry.data.clone()),
        EntryType::EntryConfChange => {
            let change = ConfChange::parse_from_bytes(&entry.data).ok();
            change.map_or(Committed::Nothing, |change| Committed::Change(vec![read_change(change.get_change_type(), change.node_id)]))
        }
        EntryType::EntryConfChangeV2 => match ConfChangeV2::parse_from_bytes(&entry.data) {
            Ok(change) if change.leave_joint() => Committed::LeaveJoint,
            Ok(change) => {
                let changes: Vec<Change> =
                    change.changes.iter().map(|single| read_change(single.get_change_type(), single.node_id)).collect();
                if written(&changes) == change { Committed::Change(changes) } else { Committed::Nothing }
            }
            Err(_) => Committed::Nothing,
        },
    };
    (entry.index, what)
}

fn read_change(kind: ConfChangeType, node: u64) -> Change {
    let part = match kind {
        ConfChangeType::AddNode => VoterPart::Voter,
        ConfChangeType::AddLearnerNode => VoterPart::Learner,
        ConfChangeType::RemoveNode => VoterPart::None,
    };
    Change { node: NodeId::from_u64(node), part }
}

/// A change as it stands in the log: several parts change jointly, and the leader leaves the joint
/// configuration by itself.
pub(super) fn written(changes: &[Change]) -> ConfChangeV2 {
    let mut written = ConfChangeV2::default();
    if changes.len() > 1 {
        written.set_transition(ConfChangeTransition::Implicit);
    }
    written.set_changes(changes.iter().copied().map(single).collect::<Vec<_>>().into());
    written
}

fn single(change: Change) -> ConfChangeSingle {
    let mut single = ConfChangeSingle { node_id: change.node.as_u64(), ..ConfChangeSingle::default() };
    single.set_change_type(match change.part {
        VoterPart::Voter => ConfChangeType::AddNode,
        VoterPart::Learner => ConfChangeType::AddLearnerNode,
        VoterPart::None => ConfChangeType::RemoveNode,
    });
    single
}
