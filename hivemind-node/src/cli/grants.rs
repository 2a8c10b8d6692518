//! Join tokens and credentials.

use std::collections::BTreeSet;
use std::time::SystemTime;

use clap::ValueEnum as _;
use hivemind_core::wire::access::Label;

use super::args::{RoleName, TokenArgs};
use super::ask::members_of;
use super::client::Client;
use super::failure::Failure;
use super::show::{Screen, table};
use crate::http::model::{
    Admission, Admissions, Credential, CredentialBody, Credentials, NewCredential, NewToken, Revoked, Right, Token, TokenBody, Tokens,
};
use crate::nearest::nearest;
use crate::settings_file::shown_duration;

pub(super) async fn create_token(client: &Client, args: &TokenArgs, screen: &Screen) -> Result<(), Failure> {
    let given: Vec<String> = args.roles.iter().map(ToString::to_string).collect();
    let roles = if given.is_empty() && !args.voter { vec![RoleName::Host.name().to_owned()] } else { given };
    if let Some(twice) = roles.iter().enumerate().find_map(|(at, role)| roles[..at].contains(role).then_some(role)) {
        return Err(Failure::Usage(format!("--roles: `{twice}` is given twice")));
    }
    let odd = strange(client, &roles).await?;
    let body = TokenBody { label: args.label.to_string(), roles, voter: args.voter, ttl_s: args.ttl.as_secs(), uses: args.uses };
    let made: NewToken = client.post("/api/v1/tokens", &body).await?;
    screen.made(&made, |made| format!("{}\n", made.line))?;
    screen.note(&format!(
        "it admits {} in {}, and is not shown again; on a bare host: hivemind join TOKEN{}",
        if args.uses == 1 { "one node".to_owned() } else { format!("{} nodes", args.uses) },
        shown_duration(args.ttl),
        if args.voter { " --voter" } else { "" },
    ));
    odd.iter().for_each(|said| screen.note(said));
    Ok(())
}

/// What there is to say of roles that neither this program nor a member performs: programs may bring roles of their own, and fingers slip.
async fn strange(client: &Client, roles: &[String]) -> Result<Vec<String>, Failure> {
    let built_in = RoleName::value_variants().iter().map(|role| role.name());
    if roles.iter().all(|role| built_in.clone().any(|known| known == role)) {
        return Ok(Vec::new());
    }
    let members = members_of(client).await?;
    let performed = members.members.iter().flat_map(|member| member.roles.iter().map(String::as_str));
    let known: BTreeSet<&str> = built_in.chain(performed).collect();
    let odd = roles.iter().filter(|role| !known.contains(role.as_str()));
    let said = odd.map(|role| {
        let hint = match nearest(role, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("those known here are {}", known.iter().copied().collect::<Vec<_>>().join(", ")),
        };
        format!("no member performs `{role}`, and hivemind-node has no such role; {hint} If it is a slip, revoke the token")
    });
    Ok(said.collect())
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
            let uses = token.uses.to_string();
            vec![short(&token.id), token.label.clone(), token.roles.join(","), voter.to_owned(), uses, token.expires.clone(), left]
        };
        let rows: Vec<_> = tokens.tokens.iter().map(row).collect();
        table(&["ID", "LABEL", "ROLES", "VOTER", "USES LEFT", "EXPIRES", "TIME LEFT"], &rows)
    })
}

pub(super) async fn admitted(client: &Client, screen: &Screen) -> Result<(), Failure> {
    let admitted: Admissions = client.get("/api/v1/admitted").await?;
    screen.data(&admitted, |admitted| {
        let row = |host: &Admission| {
            let voter = if host.voter { "yes" } else { "no" };
            let token = host.token.as_deref().map(short).unwrap_or_default();
            vec![host.name.clone(), short(&host.key), host.roles.join(","), voter.to_owned(), token]
        };
        let rows: Vec<_> = admitted.admitted.iter().map(row).collect();
        table(&["NAME", "KEY", "ROLES", "VOTER", "TOKEN"], &rows)
    })
}

pub(super) async fn revoke_token(client: &Client, id: &str, screen: &Screen) -> Result<(), Failure> {
    let tokens: Tokens = client.get("/api/v1/tokens?consistency=linearizable").await?;
    let (id, label) = only(tokens.tokens.into_iter().map(|token| (token.id, token.label)), id, "token")?;
    let revoked: Revoked = client.post(&format!("/api/v1/tokens/{id}/revoke"), &Nothing {}).await?;
    screen.done(&revoked, |revoked| format!("token {} ({label}) admits nobody any more\n", short(&revoked.id)))
}

pub(super) async fn create_credential(client: &Client, right: Right, label: Option<&Label>, screen: &Screen) -> Result<(), Failure> {
    let body = CredentialBody { label: label.map_or_else(|| word(right).to_owned(), ToString::to_string), right };
    let made: NewCredential = client.post("/api/v1/credentials", &body).await?;
    screen.made(&made, |made| format!("{}\n", made.secret))?;
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
    let each = credentials.credentials.into_iter().map(|credential| (credential.id, credential.label));
    let (id, label) = only(each, id, "credential")?;
    let revoked: Revoked = client.post(&format!("/api/v1/credentials/{id}/revoke"), &Nothing {}).await?;
    screen.done(&revoked, |revoked| format!("credential {} ({label}) is worth nothing any more\n", revoked.id))
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

/// The one that has this id, or whose id alone begins so: its id and its label.
fn only(all: impl Iterator<Item = (String, String)>, begins: &str, what: &str) -> Result<(String, String), Failure> {
    let mut found: Vec<(String, String)> = all.filter(|(id, _)| !begins.is_empty() && id.starts_with(begins)).collect();
    match (found.pop(), found.len()) {
        (Some(one), 0) => Ok(one),
        (None, _) => {
            Err(Failure::Refused(format!("there is no {what} whose id begins with {begins:?}; `hivemind {what} list` shows them")))
        }
        (Some(last), others) => {
            let shown: Vec<String> = found.iter().chain([&last]).take(5).map(|(id, label)| format!("{} ({label})", short(id))).collect();
            let more = if others >= 5 { ", …" } else { "" };
            let count = others + 1;
            Err(Failure::Refused(format!("{count} ids begin with {begins:?}: {}{more}; write more of the {what}'s", shown.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_by_what_it_alone_begins_with() {
        let all = || [("3f2a", "one"), ("3f9b", "two"), ("aa00", "three")].map(|(id, label)| (id.to_owned(), label.to_owned())).into_iter();
        assert_eq!(only(all(), "aa", "token").unwrap().1, "three");
        assert_eq!(only(all(), "3f2a", "token").unwrap().1, "one");
        let refused = |begins| only(all(), begins, "token").unwrap_err().message().unwrap_or_default().to_owned();
        assert_eq!(refused("3f"), "2 ids begin with \"3f\": 3f2a (one), 3f9b (two); write more of the token's");
        assert!(refused("").contains("there is no token") && refused("b").contains("`hivemind token list`"));
    }
}
