//! Join tokens and credentials.

use std::time::SystemTime;

use super::args::TokenArgs;
use super::client::Client;
use super::failure::Failure;
use super::show::{Screen, table};
use crate::http::model::{Credential, CredentialBody, Credentials, NewCredential, NewToken, Revoked, Right, Token, TokenBody, Tokens};
use crate::settings_file::shown_duration;

pub(super) async fn create_token(client: &Client, args: &TokenArgs, screen: &Screen) -> Result<(), Failure> {
    let roles = if args.roles.is_empty() && !args.voter { vec!["host".to_owned()] } else { args.roles.clone() };
    let body = TokenBody { label: args.label.clone(), roles, voter: args.voter, ttl_s: args.ttl.as_secs(), uses: args.uses };
    let made: NewToken = client.post("/api/v1/tokens", &body).await?;
    screen.data(&made, |made| format!("{}\n", made.line))?;
    screen.note(&format!(
        "it admits {} in {}, and is not shown again; on a bare host: hivemind join TOKEN{}",
        if args.uses == 1 { "one node".to_owned() } else { format!("{} nodes", args.uses) },
        shown_duration(args.ttl),
        if args.voter { " --voter" } else { "" },
    ));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "people want to know what is left of a token's time")]
pub(super) async fn tokens(client: &Client, screen: &Screen) -> Result<(), Failure> {
    let tokens: Tokens = client.get("/api/v1/tokens").await?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    screen.data(&tokens, |tokens| {
        let row = |token: &Token| {
            let left = u128::from(token.expires_ms).saturating_sub(now) / 60_000;
            let left = if left == 0 { "expired, or about to".to_owned() } else { format!("{left} min") };
            let voter = if token.voter { "yes" } else { "no" };
            vec![short(&token.id), token.label.clone(), token.roles.join(","), voter.to_owned(), token.uses.to_string(), left]
        };
        let rows: Vec<_> = tokens.tokens.iter().map(row).collect();
        table(&["ID", "LABEL", "ROLES", "VOTER", "USES LEFT", "TIME LEFT"], &rows)
    })
}

pub(super) async fn revoke_token(client: &Client, id: &str, screen: &Screen) -> Result<(), Failure> {
    let tokens: Tokens = client.get("/api/v1/tokens?consistency=linearizable").await?;
    let id = only(tokens.tokens.into_iter().map(|token| token.id), id, "token")?;
    let revoked: Revoked = client.post(&format!("/api/v1/tokens/{id}/revoke"), &Nothing {}).await?;
    screen.data(&revoked, |revoked| format!("token {} admits nobody any more\n", short(&revoked.id)))
}

pub(super) async fn create_credential(client: &Client, right: Right, label: Option<&str>, screen: &Screen) -> Result<(), Failure> {
    let body = CredentialBody { label: label.unwrap_or_else(|| word(right)).to_owned(), right };
    let made: NewCredential = client.post("/api/v1/credentials", &body).await?;
    screen.data(&made, |made| format!("{}\n", made.secret))?;
    screen.note("it is not shown again; keep it in a file that only its user reads, and name that with --credential-file");
    Ok(())
}

pub(super) async fn credentials(client: &Client, screen: &Screen) -> Result<(), Failure> {
    let credentials: Credentials = client.get("/api/v1/credentials").await?;
    screen.data(&credentials, |credentials| {
        let row = |credential: &Credential| vec![credential.id.clone(), credential.label.clone(), word(credential.right).to_owned()];
        let rows: Vec<_> = credentials.credentials.iter().map(row).collect();
        table(&["ID", "LABEL", "RIGHT"], &rows)
    })
}

pub(super) async fn revoke_credential(client: &Client, id: &str, screen: &Screen) -> Result<(), Failure> {
    let credentials: Credentials = client.get("/api/v1/credentials?consistency=linearizable").await?;
    let id = only(credentials.credentials.into_iter().map(|credential| credential.id), id, "credential")?;
    let revoked: Revoked = client.post(&format!("/api/v1/credentials/{id}/revoke"), &Nothing {}).await?;
    screen.data(&revoked, |revoked| format!("credential {} is worth nothing any more\n", revoked.id))
}

/// A body that says nothing.
#[derive(serde::Serialize)]
struct Nothing {}

fn word(right: Right) -> &'static str {
    match right {
        Right::Read => "read",
        Right::Write => "write",
        Right::Admin => "admin",
    }
}

/// Enough of an id to name it.
fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

/// The one id that begins so.
fn only(ids: impl Iterator<Item = String>, begins: &str, what: &str) -> Result<String, Failure> {
    let found: Vec<String> = ids.filter(|id| !begins.is_empty() && id.starts_with(begins)).collect();
    let count = found.len();
    let [id] = <[String; 1]>::try_from(found).map_err(|_| match count {
        0 => Failure::Refused(format!("there is no {what} whose id begins with {begins:?}; `hivemind {what} list` shows them")),
        count => Failure::Refused(format!("{count} ids begin with {begins:?}; write more of the {what}'s")),
    })?;
    Ok(id)
}
