//! What may be done to members.

use std::time::Duration;

use axum::response::Response;
use hivemind_core::ids::{NodeName, Position};
use hivemind_core::machine::HaltReason;
use hivemind_core::view::View;
use hivemind_core::wire::command::{Command, Outcome, Refusal};
use hivemind_core::wire::event::{LeaveReason, VoterPart};
use hivemind_core::wire::member::MemberRecord;
use tokio::time::{Instant, timeout_at};

use super::refusals::refused;
use super::{admitted, named_by};
use crate::driver::StopReason;
use crate::http::answer;
use crate::http::call::Call;
use crate::http::failure::Failure;
use crate::http::model::{Action, ActionBody, ActionResult, ActionStage, ProblemKind};

/// A node whose membership ended has stopped by then.
const STOPS_IN: Duration = Duration::from_secs(1);

/// `POST /api/v1/members/{name}/leave` and `…/evict`, `POST /api/v1/voters/{name}/add` and `…/remove`.
pub(in crate::http) async fn act(call: &Call, action: Action) -> Result<Response, Failure> {
    let name = call.name()?;
    let body: ActionBody = call.body()?;
    if call.asked.dry_run {
        // It is judged by what a quorum knows; without one nothing could be done either.
        call.wait_for_quorum().await?;
    }
    let view = call.view()?;
    let Some(member) = view.facts.named(&name) else {
        // Who names a membership means that one alone, and it has ended.
        let is_meant = action == Action::Evict && body.node.is_none();
        let admitted = if is_meant { admitted::evict(call, &view, &name).await? } else { None };
        return admitted.ok_or_else(|| unknown_name(&view, &name));
    };
    if let Some(expected) = body.node.as_ref().filter(|expected| **expected != member.node.to_string()) {
        let expected: String = expected.chars().take(32).collect();
        return Err(Failure::new(ProblemKind::Conflict, format!("`{name}` is member {}, not {expected}; nothing was done", member.node)));
    }
    let result = |stage, position: String| ActionResult { action, member: named_by(member), stage, position };
    if call.asked.dry_run {
        fits(&view, action, member).map_err(|refusal| refused(call, &refusal))?;
        let possible = result(ActionStage::Possible, view.facts.position().to_string());
        return Ok(answer::of_view(&call.desk, &view, answer::json(&possible)));
    }
    let proposed = call.desk.handle.propose(command(action, member));
    match timeout_at(call.deadline, proposed).await {
        Ok(Outcome::Committed { position }) => {
            tracing::info!(member = %name, node = %member.node, ?action, %position, "done over HTTP");
            let position = in_effect(call, action, member, position).await?;
            // The view may know more by now; the node itself may have been the one that left.
            let view = call.desk.handle.view().unwrap_or(view.clone());
            Ok(answer::of_view(&call.desk, &view, answer::json(&result(ActionStage::Committed, position.to_string()))))
        }
        Ok(Outcome::Refused(refusal)) => Err(refused(call, &refusal)),
        Ok(Outcome::OutcomeUnknown) if member.node == view.node && has_left(call).await => {
            // The node that left stops as it learns of it, which is before it hears what became of the command.
            let view = call.desk.handle.view().unwrap_or(view.clone());
            let position = view.facts.position().to_string();
            Ok(answer::of_view(&call.desk, &view, answer::json(&result(ActionStage::Committed, position))))
        }
        Ok(Outcome::OutcomeUnknown) | Err(_) => Err(Failure::new(
            ProblemKind::OutcomeUnknown,
            format!(
                "it may have been done, or may yet be; look whether `{name}` is a member (over HTTP with `consistency=linearizable`) before you ask again"
            ),
        )),
    }
}

/// There is no such member, as far as this node knows.
pub(super) fn unknown_name(view: &View, name: &NodeName) -> Failure {
    let more = if view.facts.is_full() { "; the list of members has all names" } else { ", and does not know all; ask a voter" };
    Failure::new(ProblemKind::NotFound, format!("this node knows no member `{name}`{more}"))
}

fn command(action: Action, member: &MemberRecord) -> Command {
    let node = member.node;
    match action {
        Action::Leave => Command::Leave { node, reason: LeaveReason::Asked },
        Action::Evict => Command::Leave { node, reason: LeaveReason::Evicted },
        Action::AddVoter => Command::VoterAdd { node },
        Action::RemoveVoter => Command::VoterRemove { node },
    }
}

fn part_of(view: &View, member: &MemberRecord) -> VoterPart {
    view.facts.voters().get(&member.node).copied().unwrap_or(VoterPart::None)
}

/// Whether a view has anything against it.
fn fits(view: &View, action: Action, member: &MemberRecord) -> Result<(), Refusal> {
    let node = member.node;
    match action {
        Action::AddVoter if !member.voter_eligible => Err(Refusal::NotEligible { node }),
        Action::RemoveVoter if part_of(view, member) == VoterPart::None => Err(Refusal::NotVoting { node }),
        Action::Leave | Action::Evict | Action::AddVoter | Action::RemoveVoter => Ok(()),
    }
}

/// Waits until it is as it was wished: a part in the Raft group changes after the wish is committed, by entries of its own.
async fn in_effect(call: &Call, action: Action, member: &MemberRecord, position: Position) -> Result<Position, Failure> {
    let wanted = match action {
        Action::Leave | Action::Evict => return Ok(position),
        Action::AddVoter => VoterPart::Voter,
        Action::RemoveVoter => VoterPart::None,
    };
    let reached = call.desk.handle.view_where(|view| view.facts.position().index >= position.index && part_of(view, member) == wanted);
    match timeout_at(call.deadline, reached).await {
        Ok(Some(view)) => Ok(view.facts.position()),
        Ok(None) | Err(_) => {
            let detail = match action {
                Action::AddVoter => "it votes as soon as it runs, is reached by the leader and has caught up",
                Action::Leave | Action::Evict | Action::RemoveVoter => {
                    "its vote is taken from it as soon as another has taken its place, or the others can decide without it"
                }
            };
            let name = &member.name;
            Err(Failure::new(
                ProblemKind::OutcomeUnknown,
                format!("the wish is committed, and not in effect yet: {detail}; look for `{name}` in the list of voters"),
            ))
        }
    }
}

/// Whether this node stops now because its membership ended.
async fn has_left(call: &Call) -> bool {
    let soon = call.deadline.min(Instant::now() + STOPS_IN);
    matches!(timeout_at(soon, call.desk.handle.stopped()).await, Ok(StopReason::Halted(HaltReason::Left)))
}
