//! The cluster's authority.

use axum::response::Response;
use hivemind_core::view::View;
use hivemind_core::wire::command::{Outcome, Refusal};
use rustls::pki_types::CertificateDer;
use tokio::time::timeout_at;

use super::named;
use super::refusals::refused;
use super::tokens::judged;
use crate::authority::{Fingerprint, certificate_pem};
use crate::enroll::{certificate, is_by};
use crate::http::answer;
use crate::http::call::Call;
use crate::http::failure::Failure;
use crate::http::model::{ActionStage, Authorities, Authority, ProblemKind, RetireBody, Retired, Rotated};
use crate::node::RotationFailure;

const LOOK: &str = "look which authorities are trusted before you ask again";

/// `GET /api/v1/authority`.
pub(in crate::http) fn authority(call: &Call) -> Result<Response, Failure> {
    let view = call.view()?;
    let identity = call.desk.handle.identity();
    let trust = view.facts.trust();
    let present = trust.current().map(certificate).or_else(|| identity.roots().first().cloned());
    let present = present.ok_or_else(|| Failure::new(ProblemKind::Unavailable, "this node knows no authority"))?;
    let next = trust.next().map(|next| certificate(&next.certificate));
    let body = Authorities {
        shown: is_by(&identity, &present),
        holders: holders(&view),
        present: told(&present),
        next: next.as_ref().map(told),
        former: trust.former().map(certificate).as_ref().map(told),
    };
    Ok(answer::of_view(&call.desk, &view, answer::json(&body)))
}

fn holders(view: &View) -> Vec<crate::http::model::MemberRef> {
    let trust = view.facts.trust();
    let wanted = trust.next().map(|next| &next.certificate).or(trust.current()).map(|one| one.digest());
    let holds = |node| trust.held_by(node).is_some_and(|held| wanted.is_none_or(|wanted| held == wanted));
    view.facts.voters().keys().filter(|&&node| holds(node)).map(|&node| named(view, node)).collect()
}

/// That of an authority whose key is none that authorities have is empty.
pub(in crate::http) fn fingerprint(authority: &CertificateDer<'_>) -> String {
    Fingerprint::of_certificate(authority).map(|one| one.to_string()).unwrap_or_default()
}

fn told(authority: &CertificateDer<'static>) -> Authority {
    Authority { fingerprint: fingerprint(authority), certificate: certificate_pem(authority) }
}

/// `POST /api/v1/authority/rotate`.
pub(in crate::http) async fn rotate_authority(call: &Call) -> Result<Response, Failure> {
    if call.asked.dry_run {
        let view = judged(call).await?;
        call.desk.handle.rotatable().map_err(|failure| failed(call, &failure))?;
        let body = Rotated { fingerprint: None, stage: ActionStage::Possible, position: view.facts.position().to_string() };
        return Ok(answer::of_view(&call.desk, &view, answer::json(&body)));
    }
    let (fingerprint, position) = timeout_at(call.deadline, call.desk.handle.rotate_authority())
        .await
        .map_err(|_late| unknown("announced"))?
        .map_err(|failure| failed(call, &failure))?;
    tracing::info!(%fingerprint, %position, "another authority was announced over HTTP");
    let body = Rotated { fingerprint: Some(fingerprint.to_string()), stage: ActionStage::Committed, position: position.to_string() };
    Ok(answer::of_view(&call.desk, &*call.view_of_done()?, answer::json(&body)))
}

fn failed(call: &Call, failure: &RotationFailure) -> Failure {
    let kind = match failure {
        RotationFailure::Refused(refusal) => return refused(call, refusal),
        RotationFailure::OutcomeUnknown => return unknown("announced"),
        RotationFailure::NotHeld | RotationFailure::Given | RotationFailure::UnderWay(_) => ProblemKind::Conflict,
        RotationFailure::Made(_) | RotationFailure::Length(_) | RotationFailure::Kept(_) => ProblemKind::Unavailable,
    };
    Failure::new(kind, failure.to_string())
}

/// `POST /api/v1/authority/retire`.
pub(in crate::http) async fn retire_authority(call: &Call) -> Result<Response, Failure> {
    let body: RetireBody = call.body()?;
    if call.asked.dry_run {
        let view = judged(call).await?;
        if view.facts.trust().former().is_none() {
            return Err(refused(call, &Refusal::NoFormer));
        }
        let body = Retired { stage: ActionStage::Possible, position: view.facts.position().to_string() };
        return Ok(answer::of_view(&call.desk, &view, answer::json(&body)));
    }
    match timeout_at(call.deadline, call.desk.handle.retire_authority(body.now)).await {
        Ok(Outcome::Committed { position }) => {
            tracing::info!(%position, "the former authority was retired over HTTP");
            let body = Retired { stage: ActionStage::Committed, position: position.to_string() };
            Ok(answer::of_view(&call.desk, &*call.view_of_done()?, answer::json(&body)))
        }
        Ok(Outcome::Refused(refusal)) => Err(refused(call, &refusal)),
        Ok(Outcome::OutcomeUnknown) | Err(_) => Err(unknown("retired")),
    }
}

fn unknown(what: &str) -> Failure {
    Failure::new(ProblemKind::OutcomeUnknown, format!("it may have been {what}, or may yet be; {LOOK}"))
}
