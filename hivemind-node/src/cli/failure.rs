//! Why a command was not carried out, and the status that says so.

use crate::daemon::DaemonFailure;
use crate::enroll::EnrollFailure;
use crate::http::model::{Problem, ProblemKind};

/// Why. The message says what to do.
#[derive(Debug)]
pub(super) enum Failure {
    /// It was not done. 1.
    Refused(String),
    /// As before; what there is to say was said.
    Told,
    /// What was typed makes no sense. 2.
    Usage(String),
    /// Nobody could be asked. Nothing was done. 3.
    Unasked(String),
    /// It may have been done. 4.
    Unknown(String),
}

impl Failure {
    pub(super) fn status(&self) -> u8 {
        match self {
            Failure::Refused(_) | Failure::Told => 1,
            Failure::Usage(_) => 2,
            Failure::Unasked(_) => 3,
            Failure::Unknown(_) => 4,
        }
    }

    pub(super) fn message(&self) -> Option<&str> {
        match self {
            Failure::Told => None,
            Failure::Refused(message) | Failure::Usage(message) | Failure::Unasked(message) | Failure::Unknown(message) => Some(message),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let message = problem.detail.clone();
        match problem.which() {
            Some(ProblemKind::OutcomeUnknown) => Failure::Unknown(message),
            Some(ProblemKind::Unavailable | ProblemKind::NoQuorum | ProblemKind::TooMany | ProblemKind::TooSlow) => {
                Failure::Unasked(message)
            }
            Some(ProblemKind::Unauthorized) => Failure::Refused(format!(
                "{message}; name its file with --credential-file or HIVEMIND_TOKEN_FILE, or ask over the node's socket"
            )),
            Some(
                ProblemKind::BadRequest
                | ProblemKind::BadQuery
                | ProblemKind::BadBody
                | ProblemKind::Forbidden
                | ProblemKind::ForeignOrigin
                | ProblemKind::NoRoute
                | ProblemKind::NotFound
                | ProblemKind::Method
                | ProblemKind::Conflict
                | ProblemKind::TooLarge
                | ProblemKind::UriTooLong
                | ProblemKind::HeadTooLarge
                | ProblemKind::MediaType
                | ProblemKind::Misdirected,
            )
            | None => Failure::Refused(message),
        }
    }
}

impl From<EnrollFailure> for Failure {
    fn from(failure: EnrollFailure) -> Self {
        let message = failure.to_string();
        match failure {
            EnrollFailure::Undecided(_) | EnrollFailure::Socket(_) => Failure::Unasked(message),
            EnrollFailure::Refused(_)
            | EnrollFailure::OtherAuthority { .. }
            | EnrollFailure::Answer
            | EnrollFailure::Key(_)
            | EnrollFailure::Authority(_)
            | EnrollFailure::Identity(_)
            | EnrollFailure::Storage(_)
            | EnrollFailure::Folder(_)
            | EnrollFailure::Clock
            | EnrollFailure::NoCertificate => Failure::Refused(message),
        }
    }
}

impl From<DaemonFailure> for Failure {
    fn from(failure: DaemonFailure) -> Self {
        match failure {
            DaemonFailure::Settings(error) => Failure::Usage(error.to_string()),
            DaemonFailure::Role(_)
            | DaemonFailure::Start(_)
            | DaemonFailure::Http(_)
            | DaemonFailure::Socket(_)
            | DaemonFailure::Stopped(_)
            | DaemonFailure::System { .. } => Failure::Refused(failure.to_string()),
        }
    }
}
