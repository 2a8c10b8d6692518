//! What the HTTP interface answers, as types: the same for the node that answers and for the tool that asks. Needs
//! nothing of the server.
//!
//! Ids of members are texts as people see them (`1.3`: generation and counter), positions as in the streams
//! (`1.0-7`: epoch and index). A field that is not there is left out.

mod actions;
mod authority;
mod configs;
mod events;
mod features;
mod members;
mod problem;
mod status;
mod tokens;
mod whole;
mod why;

pub use actions::{Action, ActionBody, ActionResult, ActionStage, TransferBody, Transferred};
pub use authority::{Authorities, Authority, RetireBody, Retired, Rotated};
pub use configs::{Config, ConfigDetail, Configs, HostGone, SectionContent, SectionSummary, ServiceInstance, Services, StateSent};
pub use events::{Event, EventPage, Gap, LeaveReason, LoggedEvent};
pub use features::{Feature, FeatureResult, Features};
pub use members::{Member, MemberRef, MemberState, Members, Neighborhood, Neighborhoods, Part, Voter, VoterWish, Voters};
pub use problem::{PROBLEM_PREFIX, Problem, ProblemKind};
pub use status::{Certificate, Condition, Phase, Readiness, Role, Status};
pub use tokens::{
    Admission, Admissions, Credential, CredentialBody, Credentials, NewCredential, NewToken, Revoked, Right, Token, TokenBody, Tokens,
    Tried,
};
pub use why::{Episode, Happening, Why};
