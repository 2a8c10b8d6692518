//! Credentials of this interface.

use axum::response::Response;
use hivemind_core::wire::access::{self, CredentialId, Label};
use hivemind_core::wire::command::{Command, Refusal};
use tokio::time::timeout_at;

use super::refusals::refused;
use super::tokens::{judged, made, revoke, revoked, tried};
use crate::http::answer;
use crate::http::call::{Call, bad_body};
use crate::http::failure::Failure;
use crate::http::model::{ActionStage, Credential, CredentialBody, Credentials, NewCredential, ProblemKind, Right};

/// `GET /api/v1/credentials`.
pub(in crate::http) fn credentials(call: &Call) -> Result<Response, Failure> {
    let view = call.view()?;
    let each = view.facts.credentials().iter().map(|(id, credential)| Credential {
        id: id.to_string(),
        label: credential.label.to_string(),
        right: match credential.right {
            access::Right::Read => Right::Read,
            access::Right::Write => Right::Write,
            access::Right::Admin => Right::Admin,
        },
    });
    let body = Credentials { credentials: each.collect() };
    Ok(answer::of_view(&call.desk, &view, answer::json(&body)))
}

/// `POST /api/v1/credentials`.
pub(in crate::http) async fn create_credential(call: &Call) -> Result<Response, Failure> {
    let CredentialBody { label, right } = call.body()?;
    let named = Label::new(&label).map_err(bad_body)?;
    let right = match right {
        Right::Read => access::Right::Read,
        Right::Write => access::Right::Write,
        Right::Admin => access::Right::Admin,
    };
    if call.asked.dry_run {
        return tried(call).await;
    }
    let made = made(call, timeout_at(call.deadline, call.desk.handle.create_credential(named, right)).await.ok())?;
    let view = call.view_of_done()?;
    let id = made.id.to_string();
    tracing::info!(credential = id, label, %right, "a credential was made over HTTP");
    Ok(answer::of_view(&call.desk, &view, answer::json(&NewCredential { id, secret: made.secret.line().to_owned() })))
}

/// `POST /api/v1/credentials/{credential}/revoke`.
pub(in crate::http) async fn revoke_credential(call: &Call) -> Result<Response, Failure> {
    let written = call.in_path.clone().unwrap_or_default();
    let digits = written.len() == 16 && written.bytes().all(|octet| octet.is_ascii_hexdigit());
    let id = u64::from_str_radix(&written, 16).ok().filter(|_| digits);
    let none = || Failure::new(ProblemKind::NotFound, "the id of a credential has 16 hexadecimal digits; list them");
    let id = CredentialId(id.ok_or_else(none)?);
    if call.asked.dry_run {
        let view = judged(call).await?;
        if !view.facts.credentials().contains_key(&id) {
            return Err(refused(call, &Refusal::NoSuchCredential { id }));
        }
        return revoked(call, id.to_string(), ActionStage::Possible, view.facts.position());
    }
    revoke(call, id.to_string(), Command::CredentialRevoke { id }).await
}
