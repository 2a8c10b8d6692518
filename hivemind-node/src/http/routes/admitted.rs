//! Hosts that were admitted, and are no members.

use axum::response::Response;
use hivemind_core::ids::{NodeId, NodeName};
use hivemind_core::view::View;
use hivemind_core::wire::access::{self, Admits};
use hivemind_core::wire::command::{Command, Outcome};
use tokio::time::timeout_at;

use super::refusals::refused;
use super::voters_alone;
use crate::http::answer;
use crate::http::call::Call;
use crate::http::failure::Failure;
use crate::http::model::{Action, ActionResult, ActionStage, Admission, Admissions, MemberRef, ProblemKind};

/// `GET /api/v1/admitted`.
pub(in crate::http) async fn admitted(call: &Call) -> Result<Response, Failure> {
    let view = call.view()?;
    let known = known(call).await.ok_or_else(|| voters_alone(&view, "who was admitted"))?;
    let body = Admissions { admitted: known.into_iter().map(admission).collect() };
    Ok(answer::of_view(&call.desk, &view, answer::json(&body)))
}

async fn known(call: &Call) -> Option<Vec<access::Admitted>> {
    timeout_at(call.deadline, call.desk.handle.admitted()).await.ok().flatten()
}

fn admission(known: access::Admitted) -> Admission {
    let access::Admitted { key, enrolled } = known;
    let Admits { roles, voter } = enrolled.admits;
    Admission {
        name: enrolled.name.to_string(),
        key: key.to_string(),
        roles: roles.iter().map(ToString::to_string).collect(),
        voter,
        token: enrolled.token.map(|token| token.to_string()),
    }
}

/// Puts out who was admitted under this name, and is no member; `None` where nobody was, as far as this node knows.
pub(super) async fn evict(call: &Call, view: &View, name: &NodeName) -> Result<Option<Response>, Failure> {
    let Some(found) = known(call).await.and_then(|known| known.into_iter().find(|known| known.enrolled.name == *name)) else {
        return Ok(None);
    };
    let member = MemberRef { node: NodeId::NONE.to_string(), name: Some(name.to_string()) };
    let result = |stage, position: String| {
        let result = ActionResult { action: Action::Evict, member: member.clone(), stage, position };
        Ok(Some(answer::of_view(&call.desk, view, answer::json(&result))))
    };
    if call.asked.dry_run {
        return result(ActionStage::Possible, view.facts.position().to_string());
    }
    match timeout_at(call.deadline, call.desk.handle.propose(Command::EnrollmentRevoke { key: found.key })).await {
        Ok(Outcome::Committed { position }) => {
            tracing::info!(host = %name, key = %found.key, %position, "put out over HTTP before it was a member");
            result(ActionStage::Committed, position.to_string())
        }
        Ok(Outcome::Refused(refusal)) => Err(refused(call, &refusal)),
        Ok(Outcome::OutcomeUnknown) | Err(_) => {
            let detail = format!("it may have been done, or may yet be; look whether `{name}` is among the admitted before you ask again");
            Err(Failure::new(ProblemKind::OutcomeUnknown, detail))
        }
    }
}
