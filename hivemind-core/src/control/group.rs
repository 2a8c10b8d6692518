//! Which Raft group this is, and the numbers that raft-rs is given for it.
//!
//! The control plane is one group. Regions with groups of their own may come later, so nothing in
//! this module takes its group for the only one: the id goes into everything that must differ
//! between two groups on one node.

use raft::{Config, ReadOnlyOption};

use crate::ids::NodeId;
use crate::rng::split_mix;
use crate::settings::ControlSettings;

/// The id of a Raft group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupId(pub u32);

impl GroupId {
    /// The control plane's.
    pub const CONTROL: GroupId = GroupId(0);

    /// Mixes the group and the node into the machine's seed: no two nodes and no two groups of one
    /// node draw the same timeouts.
    pub(super) fn mix(self, seed: u64, node: NodeId) -> u64 {
        let mut state = seed ^ (u64::from(self.0) << 48) ^ node.as_u64();
        split_mix(&mut state)
    }
}

/// Entries of so many bytes fit in one message: below a frame's limit, with room for one entry more.
const MAX_MESSAGE_BYTES: u64 = 1 << 20;
/// The most bytes of entries that one turn applies.
const MAX_TURN_BYTES: u64 = 1 << 20;
/// The most bytes of entries that wait for a quorum; above it proposals are refused as busy.
const MAX_UNCOMMITTED_BYTES: u64 = 16 << 20;
/// The most append messages on their way to one follower.
const MAX_INFLIGHT: usize = 64;

/// What raft-rs is told. Its own defaults leave pre-vote and check-quorum off, and no size limited.
pub(super) fn config(node: NodeId, settings: &ControlSettings, applied: u64) -> Config {
    let heartbeat_tick = settings.heartbeat_ticks.max(1);
    Config {
        id: node.as_u64(),
        election_tick: settings.election_ticks.max(heartbeat_tick + 1),
        heartbeat_tick,
        applied,
        max_size_per_msg: MAX_MESSAGE_BYTES,
        max_inflight_msgs: MAX_INFLIGHT,
        check_quorum: true,
        pre_vote: true,
        read_only_option: ReadOnlyOption::Safe,
        max_uncommitted_size: MAX_UNCOMMITTED_BYTES,
        max_committed_size_per_ready: MAX_TURN_BYTES,
        ..Config::default()
    }
}
