//! What may be done to members.

use std::time::Duration;

use axum::response::Response;
use hivemind_core::machine::HaltReason;
use hivemind_core::wire::command::{Command, Outcome, Refusal};
use hivemind_core::wire::event::LeaveReason;
use tokio::time::{Instant, timeout_at};

use super::named_by;
use crate::driver::StopReason;
use crate::http::answer;
use crate::http::call::Call;
use crate::http::failure::Failure;
use crate::http::model::{Action, ActionBody, ActionResult, ActionStage, ProblemKind};

/// A node whose membership ended has stopped by then.
const STOPS_IN: Duration = Duration::from_secs(1);

/// `POST /api/v1/members/{name}/leave` and `…/evict`.
pub(in crate::http) async fn act(call: &Call, action: Action) -> Result<Response, Failure> {
    let name = call.name()?;
    let body: ActionBody = call.body()?;
    if call.asked.dry_run {
        // It is judged by what a quorum knows; without one nothing could be done either.
        call.wait_for_quorum().await?;
    }
    let view = call.view()?;
    let Some(member) = view.facts.named(&name) else {
        let more = if view.facts.is_full() { "" } else { ", and does not know all; ask a voter" };
        return Err(Failure::new(ProblemKind::NotFound, format!("this node knows no member `{name}`{more}")));
    };
    if let Some(expected) = body.node.as_ref().filter(|expected| **expected != member.node.to_string()) {
        let expected: String = expected.chars().take(32).collect();
        return Err(Failure::new(ProblemKind::Conflict, format!("`{name}` is member {}, not {expected}; nothing was done", member.node)));
    }
    let result = |stage, position: String| ActionResult { action, member: named_by(member), stage, position };
    if call.asked.dry_run {
        let possible = result(ActionStage::Possible, view.facts.position().to_string());
        return Ok(answer::of_view(&call.desk, &view, answer::json(&possible)));
    }
    let reason = match action {
        Action::Leave => LeaveReason::Asked,
        Action::Evict => LeaveReason::Evicted,
    };
    let proposed = call.desk.handle.propose(Command::Leave { node: member.node, reason });
    match timeout_at(call.deadline, proposed).await {
        Ok(Outcome::Committed { position }) => {
            tracing::info!(member = %name, node = %member.node, ?action, %position, "a membership was ended over HTTP");
            // The view may know more by now; the node itself may have been the one that left.
            let view = call.desk.handle.view().unwrap_or(view.clone());
            Ok(answer::of_view(&call.desk, &view, answer::json(&result(ActionStage::Committed, position.to_string()))))
        }
        Ok(Outcome::Refused(refusal)) => Err(refused(&refusal)),
        Ok(Outcome::OutcomeUnknown) if member.node == view.node && has_left(call).await => {
            // The node that left stops as it learns of it, which is before it hears what became of the command.
            let view = call.desk.handle.view().unwrap_or(view.clone());
            let position = view.facts.position().to_string();
            Ok(answer::of_view(&call.desk, &view, answer::json(&result(ActionStage::Committed, position))))
        }
        Ok(Outcome::OutcomeUnknown) | Err(_) => Err(Failure::new(
            ProblemKind::OutcomeUnknown,
            format!("it may have been done, or may yet be; look at /api/v1/members/{name}?consistency=linearizable before you ask again"),
        )),
    }
}

/// Whether this node stops now because its membership ended.
async fn has_left(call: &Call) -> bool {
    let soon = call.deadline.min(Instant::now() + STOPS_IN);
    matches!(timeout_at(soon, call.desk.handle.stopped()).await, Ok(StopReason::Halted(HaltReason::Left)))
}

pub(super) fn refused(refusal: &Refusal) -> Failure {
    let kind = match refusal {
        Refusal::NotAMember { .. } | Refusal::NoSuchToken | Refusal::NoSuchCredential { .. } => ProblemKind::NotFound,
        Refusal::Degraded | Refusal::Busy => ProblemKind::NoQuorum,
        Refusal::NameInUse { .. }
        | Refusal::Revoked
        | Refusal::Invalid { .. }
        | Refusal::StillVoter { .. }
        | Refusal::Restarting { .. }
        | Refusal::NotEnrolled
        | Refusal::EnrolledAs { .. }
        | Refusal::RoleNotAdmitted { .. }
        | Refusal::VoterNotAdmitted
        | Refusal::TokenExpired
        | Refusal::TokenUsedUp
        | Refusal::BadProof
        | Refusal::StillMember { .. }
        | Refusal::NotAVoter
        | Refusal::Unsupported { .. }
        | Refusal::LacksFeatures { .. }
        | Refusal::Outdated => ProblemKind::Conflict,
    };
    let failure = Failure::new(kind, format!("{refusal}; nothing was done"));
    if kind == ProblemKind::NoQuorum { failure.retry_after(1) } else { failure }
}
