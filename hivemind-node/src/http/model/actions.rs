//! What may be done to members, and who leads them.

use serde::{Deserialize, Serialize};

use super::members::MemberRef;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// End a membership; the host may join again, enrolled anew.
    Leave,
    /// End a membership and revoke its key.
    Evict,
    /// Let a member vote, whatever the wanted number of voters.
    AddVoter,
    /// Let a member not vote until it is added again.
    RemoveVoter,
}

/// The body of an action. It may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ActionBody {
    /// Do it only where the name still belongs to the member with this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// What became of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct ActionResult {
    /// What was to be done.
    pub action: Action,
    /// To whom.
    pub member: MemberRef,
    /// How far it went.
    pub stage: ActionStage,
    /// The position at which it is done: the member is none any more, or votes from there on, or no more (what is waited for, not the wish
    /// for it). Where it was so already, one at which it is so. In a dry run, that of the view that it was judged by. A node that ended its own membership
    /// knows only the last position that it saw as a member.
    pub position: String,
}

/// The body of a transfer of leadership. It may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TransferBody {
    /// The name of the voter that shall lead; without it, of the other voters the one that has the most of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// Another voter leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Transferred {
    /// Who leads now, where the asked node knows it: voters do. In a dry run, who was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<MemberRef>,
    /// How far it went.
    pub stage: ActionStage,
    /// The last position that the one before knew; in a dry run, that of the view that it was judged by.
    pub position: String,
}

/// How far an action went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ActionStage {
    /// A dry run: nothing was done. There is a quorum, and the member is one now.
    Possible,
    /// It is done.
    Committed,
}
