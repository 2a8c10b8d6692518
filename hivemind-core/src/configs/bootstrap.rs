//! How a consumer gets what there is: from its fellows, or, as the first one, from the hosts that the
//! control plane's facts name.

use std::collections::BTreeSet;

use crate::facts::Facts;
use crate::ids::{NodeId, SectionKind};

/// How far a consumer is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Bootstrap {
    /// This node consumes nothing.
    #[default]
    NotNeeded,
    /// It asks a fellow consumer, chunk by chunk.
    Fetching {
        /// Whom.
        from: NodeId,
        /// What it has already.
        after: NodeId,
        /// Rounds without an answer.
        silent: u32,
    },
    /// There is no complete fellow: it asks each host, or, where that one is unreachable, others.
    Asking {
        /// Hosts that were answered for since, with a config or with nothing: what the own cache held may be old.
        settled: BTreeSet<NodeId>,
        /// Rounds without an answer.
        rounds: u32,
    },
    /// It has what there is; comparing keeps it so.
    Complete,
}

/// After so many rounds of asking, hosts that nobody can answer for are left to comparing and to
/// themselves.
pub(super) const ROUNDS: u32 = 5;

impl Bootstrap {
    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Bootstrap::NotNeeded | Bootstrap::Complete)
    }
}

/// The kinds that a member consumes, in order.
pub(super) fn consumed(facts: &Facts, node: NodeId) -> BTreeSet<SectionKind> {
    facts.member(node).into_iter().flat_map(|member| &member.roles).flat_map(|role| &role.consumes).cloned().collect()
}

/// Other members that consume the same kinds: their stores can be compared with this node's.
pub(super) fn fellows(facts: &Facts, node: NodeId) -> Vec<NodeId> {
    let kinds = consumed(facts, node);
    if kinds.is_empty() {
        return Vec::new();
    }
    let others = facts.members().keys().copied().filter(|&other| other != node);
    others.filter(|&other| consumed(facts, other) == kinds).collect()
}

/// The hosts whose configs `node` consumes.
pub(super) fn hosts(facts: &Facts, node: NodeId) -> Vec<NodeId> {
    let kinds = consumed(facts, node);
    let publishes = |kind: &SectionKind, member: &crate::wire::member::MemberRecord| member.publishes(kind);
    facts.members().values().filter(|member| kinds.iter().any(|kind| publishes(kind, member))).map(|member| member.node).collect()
}
