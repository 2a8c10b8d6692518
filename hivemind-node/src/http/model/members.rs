//! Members, and how they are arranged.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// A member, by its id, and by its name where that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct MemberRef {
    /// Its id, never used again for another one.
    pub node: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Member {
    /// Its id, given at its join.
    pub node: String,
    /// Its name.
    pub name: String,
    /// Its public key, in hexadecimal digits: its lasting identity.
    pub key: String,
    /// Where it listens for peers, best first.
    #[cfg_attr(feature = "http", schemars(with = "Vec<String>"))]
    pub addresses: Vec<SocketAddr>,
    /// The roles that it performs.
    pub roles: Vec<String>,
    /// How the asked node sees it.
    pub state: MemberState,
    /// Until when it said that it restarts, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarting_until_ms: Option<u64>,
    /// Its part in the Raft group.
    pub part: Part,
    /// Whether it may become a voter.
    pub voter_eligible: bool,
    /// Its neighborhood, where the asked node knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighborhood: Option<u32>,
    /// The index of its join event; 0 for the one that the cluster was born with.
    pub joined: u64,
}

/// How a node sees a member: evidence, not membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// Nothing speaks against it.
    Reachable,
    /// It does not answer.
    Unreachable,
    /// It said that it restarts.
    Restarting,
}

/// A part in the Raft group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// None.
    None,
    /// It follows the log and does not vote.
    Learner,
    /// It votes.
    Voter,
}

/// Members, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Members {
    /// Of this page.
    pub members: Vec<Member>,
    /// The members that there are, also those that the asked node knows nothing more of.
    pub total: u64,
    /// Whether the asked node knows all of them: voters and consumers do.
    pub complete: bool,
    /// The `after` of the next page, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Neighborhoods, by number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Neighborhoods {
    /// Those that the asked node knows: all, or its own.
    pub neighborhoods: Vec<Neighborhood>,
    /// How many there are.
    pub total: u32,
    /// Whether these are all.
    pub complete: bool,
}

/// Who probes each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Neighborhood {
    /// Its number.
    pub id: u32,
    /// The index of the event that made it; 0 for the one that the cluster was born with.
    pub created: u64,
    /// Its members, by id.
    pub members: Vec<MemberRef>,
}

/// The Raft group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Voters {
    /// Who has a part in it, by id; of those without one whom an operator took away, where the asked node knows it.
    pub voters: Vec<Voter>,
    /// The leader, where the asked node knows of one: voters alone do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<MemberRef>,
    /// The Raft term that the asked node knows of.
    pub term: u64,
}

/// One with a part in the Raft group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Voter {
    /// Who.
    pub member: MemberRef,
    /// Which part.
    pub part: Part,
    /// How the asked node sees it.
    pub state: MemberState,
    /// What an operator wishes of its vote, where the asked node knows of a wish: voters do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<VoterWish>,
}

/// What an operator wishes of a member's vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum VoterWish {
    /// It shall vote, also where there are voters enough.
    Vote,
    /// It shall not vote until it is added again.
    Abstain,
}
