//! The Raft group, and who leads it.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::response::Response;
use hivemind_core::ids::{NodeId, NodeName, Position};
use hivemind_core::view::View;
use hivemind_core::wire::command::{self, Command, Outcome, Refusal};
use hivemind_core::wire::event::VoterPart;
use tokio::time::{Instant, timeout_at};

use super::actions::unknown_name;
use super::refusals::refused;
use super::{named, part, state};
use crate::http::answer;
use crate::http::call::Call;
use crate::http::failure::Failure;
use crate::http::model::{ActionStage, ProblemKind, TransferBody, Transferred, Voter, VoterWish, Voters};

/// A voter hears of a new leader with its first sign of life.
const HEARD_IN: Duration = Duration::from_secs(1);

/// `GET /api/v1/voters`.
pub(in crate::http) async fn voters(call: &Call) -> Result<Response, Failure> {
    let wishes: BTreeMap<NodeId, command::VoterWish> = call.desk.handle.voter_wishes().await.into_iter().flatten().collect();
    let view = call.view()?;
    let machine = call.desk.handle.status().machine;
    let abstaining = wishes.iter().filter(|(_, wish)| **wish == command::VoterWish::Abstain).map(|(&node, _)| (node, VoterPart::None));
    let mut parts: BTreeMap<NodeId, VoterPart> = abstaining.collect();
    parts.extend(view.facts.voters().iter().map(|(&node, &part)| (node, part)));
    let each = parts.into_iter().map(|(node, given)| Voter {
        member: named(&view, node),
        part: part(given),
        state: state(&view, node),
        wish: wishes.get(&node).map(|wish| match wish {
            command::VoterWish::Vote => VoterWish::Vote,
            command::VoterWish::Abstain => VoterWish::Abstain,
        }),
    });
    let body = Voters { voters: each.collect(), leader: machine.leader.map(|leader| named(&view, leader)), term: machine.term };
    Ok(answer::of_view(&call.desk, &view, answer::json(&body)))
}

/// `POST /api/v1/leader/transfer`.
pub(in crate::http) async fn transfer(call: &Call) -> Result<Response, Failure> {
    let body: TransferBody = call.body()?;
    if call.asked.dry_run {
        // It is judged by what a quorum knows; without one nothing could be done either.
        call.wait_for_quorum().await?;
    }
    let view = call.view()?;
    let heir = body.to.as_deref().map(|to| named_member(&view, to)).transpose()?;
    let before = call.desk.handle.status().machine.leader;
    let result = |leader: Option<NodeId>, stage, position: Position| Transferred {
        leader: leader.map(|leader| named(&view, leader)),
        stage,
        position: position.to_string(),
    };
    if call.asked.dry_run {
        match heir {
            Some(heir) if !view.facts.is_voter(heir) => return Err(refused(call, &Refusal::NotVoting { node: heir })),
            Some(heir) if before == Some(heir) => return Err(refused(call, &Refusal::LeadsAlready { node: heir })),
            Some(_) | None => {}
        }
        let possible = result(heir, ActionStage::Possible, view.facts.position());
        return Ok(answer::of_view(&call.desk, &view, answer::json(&possible)));
    }
    match timeout_at(call.deadline, call.desk.handle.propose(Command::Lead { heir })).await {
        Ok(Outcome::Committed { position }) => {
            let leader = match heir {
                Some(heir) => Some(heir),
                None => new_leader(call, before).await,
            };
            tracing::info!(?heir, ?leader, %position, "leadership was handed over");
            let done = result(leader, ActionStage::Committed, position);
            Ok(answer::of_view(&call.desk, &view, answer::json(&done)))
        }
        Ok(Outcome::Refused(refusal)) => Err(refused(call, &refusal)),
        Ok(Outcome::OutcomeUnknown) | Err(_) => {
            let detail = "another voter may lead, or may yet; list the voters at a voter before you ask again";
            Err(Failure::new(ProblemKind::OutcomeUnknown, detail))
        }
    }
}

fn named_member(view: &View, to: &str) -> Result<NodeId, Failure> {
    let name =
        NodeName::new(to).map_err(|error| Failure::new(ProblemKind::NotFound, format!("there can be nothing of this name: {error}")))?;
    view.facts.named(&name).map(|member| member.node).ok_or_else(|| unknown_name(view, &name))
}

/// Who leads instead, where this node hears of leaders.
async fn new_leader(call: &Call, before: Option<NodeId>) -> Option<NodeId> {
    let soon = call.deadline.min(Instant::now() + HEARD_IN);
    let other = call.desk.handle.status_where(|status| status.machine.leader.is_some() && status.machine.leader != before);
    timeout_at(soon, other).await.ok()??.machine.leader
}
