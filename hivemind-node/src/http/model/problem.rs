//! Errors as RFC 9457 has them.

use serde::{Deserialize, Serialize};

/// What the type of every problem begins with. Behind it stands [`ProblemKind::name`].
pub const PROBLEM_PREFIX: &str = "urn:hivemind:problem:";

/// The body of every answer with a status from 400 on (RFC 9457, `application/problem+json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Problem {
    /// Which, as a URI: [`PROBLEM_PREFIX`] and a name. Programs look at this.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for people, alike for all problems of a type.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What is wrong here, and what to do.
    pub detail: String,
    /// The id of the request, as in the header `X-Request-Id` and in the node's log.
    pub request_id: String,
}

impl Problem {
    /// Which problem it is; `None` for one of a later version.
    pub fn which(&self) -> Option<ProblemKind> {
        let name = self.kind.strip_prefix(PROBLEM_PREFIX)?;
        ProblemKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

macro_rules! problems {
    ($($(#[$doc:meta])+ $variant:ident = $status:literal $name:literal $title:literal;)+) => {
        /// All types of problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ProblemKind {
            $($(#[$doc])+ $variant,)+
        }

        impl ProblemKind {
            /// Every one.
            pub const ALL: [ProblemKind; [$($status),+].len()] = [$(ProblemKind::$variant),+];

            /// The end of its type.
            pub const fn name(self) -> &'static str {
                match self { $(ProblemKind::$variant => $name,)+ }
            }

            /// The status that it is answered with.
            pub const fn status(self) -> u16 {
                match self { $(ProblemKind::$variant => $status,)+ }
            }

            /// For people.
            pub const fn title(self) -> &'static str {
                match self { $(ProblemKind::$variant => $title,)+ }
            }
        }
    };
}

problems! {
    /// A header, or the form of the request, is not as HTTP has it.
    BadRequest = 400 "bad-request" "The request is not well formed";
    /// A parameter of the query is unknown, given twice, or not of its form.
    BadQuery = 400 "bad-query" "The query is not valid";
    /// The body is not JSON, or not what is expected there.
    BadBody = 400 "bad-body" "The body is not valid";
    /// No credential, or one that is not known.
    Unauthorized = 401 "unauthorized" "A credential is needed";
    /// The credential gives less than what is asked for.
    Forbidden = 403 "forbidden" "The credential does not give this right";
    /// A page of another site asks.
    ForeignOrigin = 403 "foreign-origin" "A request from another site";
    /// There is no such path.
    NoRoute = 404 "no-route" "There is nothing at this path";
    /// There is no such member, or host.
    NotFound = 404 "not-found" "There is no such thing";
    /// The path does not take the method.
    Method = 405 "method-not-allowed" "The path does not take this method";
    /// The body did not come in time.
    TooSlow = 408 "request-timeout" "The request did not come in time";
    /// The control plane refuses: it does not fit what is.
    Conflict = 409 "conflict" "It does not fit the state of the cluster";
    /// The body is larger than what is taken.
    TooLarge = 413 "too-large" "The body is too large";
    /// The request line is longer than what is taken.
    UriTooLong = 414 "uri-too-long" "The path and query are too long";
    /// The body is not `application/json`.
    MediaType = 415 "unsupported-media-type" "The body is of another type than JSON";
    /// The name that was asked for is not this node's.
    Misdirected = 421 "misdirected" "This is another host than the one asked for";
    /// Too many requests, or streams.
    TooMany = 429 "too-many-requests" "Too many requests";
    /// The headers are more, or larger, than what is taken.
    HeadTooLarge = 431 "head-too-large" "The headers are too large";
    /// The node can not answer: it stopped, or is no member yet. Nothing was changed.
    Unavailable = 503 "unavailable" "The node can not answer now";
    /// No quorum said so in time: nothing was changed.
    NoQuorum = 503 "no-quorum" "There is no quorum";
    /// It may have been done, or may yet be.
    OutcomeUnknown = 504 "outcome-unknown" "The outcome is not known";
}
