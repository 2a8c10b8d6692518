//! Join tokens.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use hivemind_core::ids::{Position, PublicKey, SectionKind};
use hivemind_core::view::View;
use hivemind_core::wire::access::{Admits, KnownToken, Label};
use hivemind_core::wire::command::{Command, Outcome, Refusal, check_token};
use tokio::time::timeout_at;

use super::refusals::refused;
use super::{moment, voters_alone};
use crate::enroll::JoinToken;
use crate::http::answer;
use crate::http::call::{Call, bad_body};
use crate::http::failure::Failure;
use crate::http::model::{ActionStage, NewToken, ProblemKind, Revoked, Token, TokenBody, Tokens, Tried};
use crate::node::{SecretFailure, TokenWish};

/// Where nobody knows what became of it.
const LOOK: &str = "it may have been done, or may yet be; list what there is, and revoke what nobody has, before you ask again";

/// `GET /api/v1/tokens`.
pub(in crate::http) async fn tokens(call: &Call) -> Result<Response, Failure> {
    let view = call.view()?;
    let known = known(call, &view).await?;
    let token = |KnownToken { id, token }: KnownToken| Token {
        id: id.to_string(),
        label: token.label.to_string(),
        roles: token.admits.roles.iter().map(ToString::to_string).collect(),
        voter: token.admits.voter,
        expires_ms: token.expires.0,
        expires: moment(token.expires),
        uses: token.uses,
    };
    let body = Tokens { tokens: known.into_iter().map(token).collect() };
    Ok(answer::of_view(&call.desk, &view, answer::json(&body)))
}

async fn known(call: &Call, view: &View) -> Result<Vec<KnownToken>, Failure> {
    let known = timeout_at(call.deadline, call.desk.handle.tokens()).await.ok().flatten();
    known.ok_or_else(|| voters_alone(view, "the join tokens"))
}

/// `POST /api/v1/tokens`.
pub(in crate::http) async fn create_token(call: &Call) -> Result<Response, Failure> {
    let TokenBody { label, roles, voter, ttl_s, uses } = call.body()?;
    if let Some(twice) = roles.iter().enumerate().find_map(|(at, role)| roles[..at].contains(role).then_some(role)) {
        return Err(bad_body(format!("the role `{twice}` is given twice")));
    }
    let roles: Result<Vec<SectionKind>, _> = roles.iter().map(|role| SectionKind::new(role)).collect();
    let admits = Admits { roles: roles.map_err(bad_body)?, voter };
    let wish = TokenWish { label: Label::new(&label).map_err(bad_body)?, admits, ttl: Duration::from_secs(ttl_s), uses };
    if call.asked.dry_run {
        check_token(&wish.admits, wish.ttl, wish.uses).map_err(|refusal| refused(call, &refusal))?;
        return tried(call).await;
    }
    let made: JoinToken = made(call, timeout_at(call.deadline, call.desk.handle.create_token(wish)).await.ok())?;
    let view = call.view_of_done()?;
    let id = made.id().to_string();
    tracing::info!(token = id, label, uses, "a join token was made over HTTP");
    Ok(answer::of_view(&call.desk, &view, answer::json(&NewToken { id, line: made.line() })))
}

/// `POST /api/v1/tokens/{token}/revoke`.
pub(in crate::http) async fn revoke_token(call: &Call) -> Result<Response, Failure> {
    let written = call.in_path.clone().unwrap_or_default();
    let none = || Failure::new(ProblemKind::NotFound, "the id of a join token has 64 hexadecimal digits; list them");
    let id = data_encoding::HEXLOWER.decode(written.as_bytes()).ok().and_then(|octets| octets.try_into().ok());
    let id = PublicKey(id.ok_or_else(none)?);
    if call.asked.dry_run {
        let view = judged(call).await?;
        let tokens = known(call, &view).await?;
        if tokens.iter().all(|token| token.id != id) {
            return Err(refused(call, &Refusal::NoSuchToken));
        }
        return revoked(call, written, ActionStage::Possible, view.facts.position());
    }
    revoke(call, written, Command::TokenRevoke { id }).await
}

/// What a dry run is judged by: what a quorum knows, at a voter, since nobody else may ask for it.
pub(super) async fn judged(call: &Call) -> Result<Arc<View>, Failure> {
    call.wait_for_quorum().await?;
    let view = call.view()?;
    if view.facts.is_voter(view.node) { Ok(view) } else { Err(refused(call, &Refusal::NotAVoter)) }
}

/// Says that something could be made.
pub(super) async fn tried(call: &Call) -> Result<Response, Failure> {
    let view = judged(call).await?;
    let body = Tried { stage: ActionStage::Possible, position: view.facts.position().to_string() };
    Ok(answer::of_view(&call.desk, &view, answer::json(&body)))
}

/// What was made with a secret, or why it was not; `None` where no answer came in time.
pub(super) fn made<T>(call: &Call, made: Option<Result<T, SecretFailure>>) -> Result<T, Failure> {
    match made {
        Some(Ok(made)) => Ok(made),
        Some(Err(SecretFailure::NotCommitted(Outcome::Refused(refusal)))) => Err(refused(call, &refusal)),
        Some(Err(SecretFailure::NotCommitted(Outcome::Committed { .. } | Outcome::OutcomeUnknown))) | None => {
            Err(Failure::new(ProblemKind::OutcomeUnknown, LOOK))
        }
        Some(Err(error @ (SecretFailure::Key(_) | SecretFailure::NotAMember))) => {
            Err(Failure::new(ProblemKind::Unavailable, error.to_string()))
        }
    }
}

/// Proposes a revocation.
pub(super) async fn revoke(call: &Call, id: String, command: Command) -> Result<Response, Failure> {
    match timeout_at(call.deadline, call.desk.handle.propose(command)).await {
        Ok(Outcome::Committed { position }) => {
            tracing::info!(id, %position, "revoked over HTTP");
            revoked(call, id, ActionStage::Committed, position)
        }
        Ok(Outcome::Refused(refusal)) => Err(refused(call, &refusal)),
        Ok(Outcome::OutcomeUnknown) | Err(_) => Err(Failure::new(ProblemKind::OutcomeUnknown, LOOK)),
    }
}

/// What became of a revocation.
pub(super) fn revoked(call: &Call, id: String, stage: ActionStage, position: Position) -> Result<Response, Failure> {
    let view = call.view_of_done()?;
    let body = Revoked { id, stage, position: position.to_string() };
    Ok(answer::of_view(&call.desk, &view, answer::json(&body)))
}
