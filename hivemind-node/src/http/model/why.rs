//! What is known of the fate of one member.

use serde::{Deserialize, Serialize};

use super::events::Event;
use super::members::{Member, MemberRef};

/// What the asked node knows of one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Why {
    /// Who was asked for.
    pub name: String,
    /// The member of this name now, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<Member>,
    /// Whose observations these are: the asked node's.
    pub observer: String,
    /// Whether the asked node leads: what others tell of a member's silence comes to the leader alone.
    pub leads: bool,
    /// The leader, where the asked node knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<MemberRef>,
    /// Since when the asked node observes, in milliseconds since 1970. What was committed before has no time.
    pub since_ms: u64,
    /// Older entries of this name that are not kept any more.
    pub forgotten: u64,
    /// What happened, the newest last.
    pub history: Vec<Episode>,
}

/// One thing that happened to a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Episode {
    /// When the asked node learned it, in milliseconds since 1970 by its clock; none where that was before it began to observe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<u64>,
    /// What it was.
    #[serde(flatten)]
    pub what: Happening,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Happening {
    /// The control plane agreed on it.
    Committed {
        /// Its place in the log.
        index: u64,
        /// What.
        event: Event,
    },
    /// The asked node itself can not reach it any more.
    Unreachable,
    /// The asked node reaches it again.
    Reachable,
    /// Another member told the asked node, which led then, that it can not reach it.
    Accused {
        /// Who said so.
        observer: MemberRef,
    },
}
