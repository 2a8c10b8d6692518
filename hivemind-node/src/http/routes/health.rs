//! Whether it lives, whether it is ready, and what it can be asked.

use axum::response::Response;
use hivemind_core::machine::Phase;

use super::status::phase;
use crate::http::answer;
use crate::http::call::Call;
use crate::http::failure::Failure;
use crate::http::model::{ProblemKind, Readiness};
use crate::http::openapi;
use crate::http::operations::TEXT_TYPE;

/// `GET /healthz`.
pub(in crate::http) fn healthz() -> Response {
    answer::text(TEXT_TYPE, "ok\n")
}

/// `GET /readyz`.
pub(in crate::http) fn readyz(call: &Call) -> Result<Response, Failure> {
    let status = call.desk.handle.status();
    if let Some(reason) = status.stopped {
        return Err(Failure::new(ProblemKind::Unavailable, format!("the node has stopped: {reason}")));
    }
    let why = match status.machine.phase {
        Phase::Member => return Ok(answer::json(&Readiness { phase: phase(status.machine.phase) })),
        Phase::Starting => "the node starts",
        Phase::Joining => "the node asks to become a member",
        Phase::Resuming => "the node was a member, and asks whether it still is",
        Phase::Resyncing => "the node builds its view anew",
        Phase::Stopped => "the node has stopped",
    };
    Err(Failure::new(ProblemKind::Unavailable, why).retry_after(1))
}

/// `GET /openapi.json`.
pub(in crate::http) fn document() -> Response {
    answer::json(&openapi::document())
}
