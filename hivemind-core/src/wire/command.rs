//! Commands: what is proposed to Raft. Applying may refuse one.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::access::{Admits, Credential, CredentialId, Label, SignedEnrollment};
use super::event::LeaveReason;
use super::feature::{self, FeatureName};
use super::member::{MAX_ROLES, SignedJoin};
use super::trust::{CertificateBytes, Successor};
use crate::ids::{Digest256, Index, NodeId, NodeName, Position, ProposalId, PublicKey, SectionKind};
use crate::time::Timestamp;

/// What is proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Make this node a member.
    Join(SignedJoin),
    /// End a membership.
    Leave {
        /// Whose.
        node: NodeId,
        /// Why. [`LeaveReason::Failed`] is refused while the member is restarting.
        reason: LeaveReason,
    },
    /// Keep the member's place while it is silent.
    Restarting {
        /// Who.
        node: NodeId,
        /// For how long, at most [`MAX_RESTART_GRACE`].
        grace: Duration,
    },
    /// The member is back.
    Restarted {
        /// Who.
        node: NodeId,
    },
    /// Take over a member's self-signed addresses.
    Addresses {
        /// Who.
        node: NodeId,
        /// The version; a lower or equal one is refused.
        seq: u64,
        /// Where it listens.
        addresses: Vec<SocketAddr>,
    },
    /// Collect history below `floor`, and advance the epoch.
    AdvanceEpoch {
        /// The first index kept.
        floor: Index,
    },
    /// Let a token admit nodes. The same one again changes nothing.
    TokenCreate {
        /// The public half of the key that its secret is.
        id: PublicKey,
        /// What people call it.
        label: Label,
        /// For what it admits a node.
        admits: Admits,
        /// How long it admits nodes, by the clock of the log: more than none, at most [`MAX_TOKEN_TTL`].
        ttl: Duration,
        /// How many keys it admits, at least 1.
        uses: u32,
    },
    /// A token admits nobody any more. Who it has admitted stays.
    TokenRevoke {
        /// Which.
        id: PublicKey,
    },
    /// Admit a key, by a token. The same key and token twice cost one use.
    Enroll(SignedEnrollment),
    /// Put out a key that is enrolled and no member: it is revoked, and its name is free. A member is evicted instead.
    EnrollmentRevoke {
        /// Which.
        key: PublicKey,
    },
    /// Let the bearer of a secret use the API. The same one again changes nothing.
    CredentialCreate {
        /// Its name.
        id: CredentialId,
        /// What its bearer may do.
        credential: Credential,
    },
    /// A credential is worth nothing any more.
    CredentialRevoke {
        /// Which.
        id: CredentialId,
    },
    /// Switch a feature on, for good. Refused while a member lacks it; the same one again changes nothing.
    FeatureOn {
        /// Which.
        feature: FeatureName,
    },
    /// Take over what a member supports: it runs another version than at its join.
    Features {
        /// Who.
        node: NodeId,
        /// What it supports. At most [`MAX_FEATURES`](super::feature::MAX_FEATURES).
        features: BTreeSet<FeatureName>,
    },
    /// An operator wishes that a member votes, whatever the wanted number of voters. It becomes one when it has caught up, and stays
    /// one until it is taken away.
    VoterAdd {
        /// Who. It must have joined as one that may vote.
        node: NodeId,
    },
    /// An operator wishes that a member does not vote, until it is added again. Its part is taken from it when that leaves a group
    /// that can decide.
    VoterRemove {
        /// Who.
        node: NodeId,
    },
    /// Let another voter lead. It is never appended to the log: the leader of the moment sees to it, and says what came of it.
    Lead {
        /// Who shall lead; `None`: the other voter that has the most of the log.
        heir: Option<NodeId>,
    },
    /// Announce an authority that is to follow the present one: it is trusted from now on, and takes over as soon as a majority of the
    /// voters hold its key. Refused while the former one is still trusted.
    AuthorityNext {
        /// The certificate of the present one. Where another one is in force, it is refused as outdated.
        present: CertificateBytes,
        /// The one that is to follow it, in place of one that was announced before.
        next: Successor,
    },
    /// A voter can issue by an authority: it holds its key.
    AuthorityHeld {
        /// Who.
        node: NodeId,
        /// By which: [`CertificateBytes::digest`].
        authority: Digest256,
    },
    /// Trust the former authority no more.
    AuthorityRetire {
        /// Also before [`AUTHORITY_OVERLAP`] is over: its key was stolen, or everybody is known to have another certificate.
        early: bool,
    },
}

impl Command {
    /// Who may propose it. A member that was broken into must not become the master of all: what decides about others, or about
    /// all, is the voters', who hold the authority's key and decide all this anyway.
    pub fn proposers(&self) -> Proposers {
        match self {
            // A join is brought by another member, and an enrollment proves its token itself.
            Command::Enroll(_) | Command::Join(_) => Proposers::Members,
            Command::Leave { node, .. }
            | Command::Restarting { node, .. }
            | Command::Restarted { node }
            | Command::Addresses { node, .. }
            | Command::Features { node, .. } => Proposers::VotersAnd(*node),
            Command::TokenCreate { .. }
            | Command::TokenRevoke { .. }
            | Command::EnrollmentRevoke { .. }
            | Command::CredentialCreate { .. }
            | Command::CredentialRevoke { .. }
            | Command::AdvanceEpoch { .. }
            | Command::FeatureOn { .. }
            | Command::VoterAdd { .. }
            | Command::VoterRemove { .. }
            | Command::Lead { .. }
            | Command::AuthorityNext { .. }
            | Command::AuthorityRetire { .. } => Proposers::Voters,
            Command::AuthorityHeld { node, .. } => Proposers::Voter(*node),
        }
    }
}

/// Whose word counts for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proposers {
    /// Any member's.
    Members,
    /// Those of the voters and of the member that it is about.
    VotersAnd(NodeId),
    /// That of a voter, or of one that is about to vote.
    Voters,
    /// That of this very one, while it votes or is about to.
    Voter(NodeId),
}

/// What an operator wishes of a member's vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VoterWish {
    /// It shall vote: [`Command::VoterAdd`].
    Vote,
    /// It shall not: [`Command::VoterRemove`].
    Abstain,
}

/// The longest life of a token: a year.
pub const MAX_TOKEN_TTL: Duration = Duration::from_secs(366 * 24 * 3600);
/// A former authority stays trusted at least this long, by the clock of the log: every node that runs has a certificate of the new one long
/// before, since none is valid for longer.
pub const AUTHORITY_OVERLAP: Duration = Duration::from_secs(24 * 3600);
/// The longest grace of [`Command::Restarting`].
pub const MAX_RESTART_GRACE: Duration = Duration::from_secs(3600);

/// A command on its way through the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Who waits for the outcome.
    pub id: ProposalId,
    /// The proposer's wall clock, until the leader puts the clock of the log in its place; applying takes at least the
    /// previous one's.
    pub time: Timestamp,
    /// What is to be done.
    pub command: Command,
}

/// What became of a proposal. Never a silent retry: where it can not be known, it says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is done, and known at this position.
    Committed {
        /// The position after it.
        position: Position,
    },
    /// It was not done, and will not be.
    Refused(Refusal),
    /// It may have been done or may yet be: the leader changed, or no answer came in time.
    OutcomeUnknown,
}

/// Why a command is refused. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum Refusal {
    /// Another key owns the name.
    #[error("the name {name} is in use by another key ({owner}); choose another name, or evict that member")]
    NameInUse {
        /// The wanted name.
        name: NodeName,
        /// Its owner's key.
        owner: PublicKey,
    },
    /// An operator evicted this key.
    #[error("this node's key was revoked by an evict; make a new identity (remove its data folder) to join again")]
    Revoked,
    /// The request's signature is not its key's, or a limit is exceeded.
    #[error("the request is not valid: {why}")]
    Invalid {
        /// Which rule it breaks.
        why: String,
    },
    /// There is no such member.
    #[error("{node} is not a member")]
    NotAMember {
        /// Who was named.
        node: NodeId,
    },
    /// A voter must be demoted before it leaves.
    #[error(
        "{node} is a voter, and must be demoted before it can leave; ask again in a moment, or let another host vote first where it is the last one"
    )]
    StillVoter {
        /// Who was named.
        node: NodeId,
    },
    /// The member said that it restarts.
    #[error("{node} is restarting and keeps its place")]
    Restarting {
        /// Who was named.
        node: NodeId,
    },
    /// The cluster admits enrolled keys alone.
    #[error("this node's key is not enrolled; enroll it with a join token")]
    NotEnrolled,
    /// The key was enrolled under another name.
    #[error("this node's key is enrolled as {name}; use that name, or enroll it anew with a join token")]
    EnrolledAs {
        /// The name that is admitted.
        name: NodeName,
    },
    /// A role that the token, or the enrollment, does not admit.
    #[error("the role {} is not admitted; leave it out, or use a join token that admits it", role.as_str())]
    RoleNotAdmitted {
        /// The first such role.
        role: SectionKind,
    },
    /// It wants to be eligible as a voter.
    #[error("a voter is not admitted; use a join token that admits voters")]
    VoterNotAdmitted,
    /// It expired and was swept, was revoked, or was never there.
    #[error("there is no such join token: it was revoked, expired a while ago, or is another cluster's; ask for a new one")]
    NoSuchToken,
    /// Its time is over.
    #[error("the join token has expired; ask for a new one")]
    TokenExpired,
    /// It admitted as many keys as it was made for.
    #[error("the join token is used up; ask for a new one")]
    TokenUsedUp,
    /// The token's key did not sign this enrollment.
    #[error("the enrollment is not signed by its join token for this cluster; enroll again with the whole token")]
    BadProof,
    /// There is no such credential.
    #[error("there is no credential {id}")]
    NoSuchCredential {
        /// Which was named.
        id: CredentialId,
    },
    /// It is a member, and a member is evicted.
    #[error("the key is that of the member {node}; evict that member instead")]
    StillMember {
        /// Which.
        node: NodeId,
    },
    /// A version or floor that is not above the one in force.
    #[error("a newer version is already in force")]
    Outdated,
    /// The control plane has no leader with a quorum: nothing was proposed.
    #[error("the control plane is degraded (no quorum of voters); try again when a majority of voters is back")]
    Degraded,
    /// Too many proposals in flight: nothing was proposed.
    #[error("the control plane is busy; try again")]
    Busy,
    /// It is about others, and was not asked for at a voter: see [`Command::proposers`].
    #[error("only a voter may ask for that; ask one of the voters")]
    NotAVoter,
    /// Members do not support the feature.
    #[error("the feature {feature} is not supported by {}; upgrade them first, or evict those that are gone", named(.members))]
    Unsupported {
        /// Which feature.
        feature: FeatureName,
        /// Who lacks it, the first [`MAX_LACKING`] of them.
        members: Vec<NodeName>,
    },
    /// The node does not support what is switched on.
    #[error("the cluster has switched on what this node does not support: {}; install the version that the cluster runs", feature::listed(.features))]
    LacksFeatures {
        /// What it lacks.
        features: Vec<FeatureName>,
    },
    /// It said at its join that it does not vote, or was not admitted as a voter.
    #[error("{node} did not join as one that may vote; let it leave, and join again with `--voter` and a token that admits voters")]
    NotEligible {
        /// Who was named.
        node: NodeId,
    },
    /// It has no vote, or is about to lose it.
    #[error("{node} has no vote, or is about to lose it; `hivemind voters list` shows who votes")]
    NotVoting {
        /// Who was named.
        node: NodeId,
    },
    /// Without it nobody would be left that may vote.
    #[error("{node} is the last member that may vote; add another voter first")]
    LastVoter {
        /// Who was named.
        node: NodeId,
    },
    /// There is nothing to hand over.
    #[error("{node} leads already")]
    LeadsAlready {
        /// Who was named.
        node: NodeId,
    },
    /// It is not heard, or lacks a part of the log.
    #[error(
        "{node} is not heard by the leader, or has not caught up with it; look at its state, and try again when it has, or name another voter"
    )]
    Lags {
        /// Who was named.
        node: NodeId,
    },
    /// Two authorities are trusted, which is the most.
    #[error("the former authority is still trusted; retire it first with `hivemind authority retire`")]
    FormerTrusted,
    /// One alone is trusted.
    #[error("no former authority is trusted; there is nothing to retire")]
    NoFormer,
    /// Some node may have no certificate of the new one yet.
    #[error("nodes may still show certificates of the former authority; retire it in {} h {} min, or at once with `--now` if its key was stolen: who is away then is let in again when it has renewed", left.as_secs().div_ceil(60) / 60, left.as_secs().div_ceil(60) % 60)]
    Overlap {
        /// How long it stays trusted yet, by the clock of the log.
        left: Duration,
    },
    /// Nobody could lead instead.
    #[error("no other voter is heard and has caught up, so that nobody could lead instead; look at `hivemind voters list`")]
    NoHeir,
    /// It was asked to lead, and did not; the leader goes on.
    #[error("{node} did not take over in time, and the leader goes on; try again, or name another voter")]
    NotTakenOver {
        /// Who was to lead.
        node: NodeId,
    },
}

/// So many that lack something are named.
pub const MAX_LACKING: usize = 16;

fn named(members: &[NodeName]) -> String {
    let more = if members.len() < MAX_LACKING { "" } else { " and maybe more" };
    format!("{}{more}", feature::listed(members))
}

/// Whether a join token for this could be made at all, as far as that can be said of the wish alone.
///
/// # Errors
/// [`Refusal::Invalid`]; whoever asks is at fault.
pub fn check_token(admits: &Admits, ttl: Duration, uses: u32) -> Result<(), Refusal> {
    let invalid = |why| Err(Refusal::Invalid { why });
    if uses == 0 {
        return invalid("a token for no node at all; give it at least 1 use".into());
    }
    if ttl.is_zero() || ttl > MAX_TOKEN_TTL {
        return invalid(format!("a token for {} s; give it more than none, and at most {} s", ttl.as_secs(), MAX_TOKEN_TTL.as_secs()));
    }
    if !admits.is_sound() {
        return invalid(format!("a token for {} roles; {MAX_ROLES} is the most", admits.roles.len()));
    }
    Ok(())
}
