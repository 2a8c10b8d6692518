//! The cluster's authority: what is trusted, and how another one takes its place.

use std::time::Duration;

use tokio::time::Instant;

use super::ask::name_of;
use super::client::Client;
use super::failure::Failure;
use super::show::{Screen, table};
use crate::http::model::{Authorities, Authority, RetireBody, Retired, Rotated};

/// Until a new authority issues: voters get its key from each other, and try again after some seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

pub(super) async fn show(client: &Client, screen: &Screen) -> Result<(), Failure> {
    let known = look(client).await?;
    screen.data(&known, |known| {
        let row = |part: &str, authority: &Authority| vec![part.to_owned(), authority.fingerprint.clone()];
        let mut rows = vec![row("issues", &known.present)];
        rows.extend(known.next.as_ref().map(|next| row("announced", next)));
        rows.extend(known.former.as_ref().map(|former| row("trusted still", former)));
        table(&["PART", "FINGERPRINT"], &rows)
    })?;
    if !known.shown {
        screen.note("the asked node shows a certificate of the former authority yet; it gets another one soon");
    }
    if known.next.is_some() {
        let holders: Vec<_> = known.holders.iter().map(name_of).collect();
        let by = if holders.is_empty() { "no voter".to_owned() } else { holders.join(", ") };
        screen.note(&format!("the announced one is held by {by} so far; it takes over when a majority of the voters hold it"));
    }
    Ok(())
}

pub(super) async fn rotate(client: &Client, screen: &Screen) -> Result<(), Failure> {
    let done: Rotated = client.post("/api/v1/authority/rotate", &serde_json::json!({})).await?;
    let waiting = screen.wait("the voters get the key of the new authority".to_owned());
    let until = Instant::now() + PATIENCE;
    let (mut issues, mut unheard) = (false, None);
    while !issues && Instant::now() < until {
        match look(client).await {
            Ok(known) => issues = Some(known.present.fingerprint) == done.fingerprint,
            // It is announced all the same.
            Err(failure) => {
                unheard = Some(failure);
                break;
            }
        }
        if !issues {
            tokio::time::sleep(LOOK).await;
        }
    }
    drop(waiting);
    if let Some(why) = unheard.as_ref().and_then(Failure::message) {
        screen.note(&format!("{why}; `hivemind authority show` says whether it issues"));
    }
    screen.done(&done, |done| {
        let state = if issues { "issues from now on" } else { "is announced, and not yet held by a majority of the voters" };
        format!("the authority {} {state}\n", done.fingerprint.as_deref().unwrap_or_default())
    })?;
    screen.note(
        "every node gets a certificate of it soon; then `hivemind authority retire` ends the trust in the former one. \
         Programs that know the cluster by a file of `hivemind authority` need it written anew, and join tokens made before need to be made again",
    );
    Ok(())
}

pub(super) async fn retire(client: &Client, now: bool, screen: &Screen) -> Result<(), Failure> {
    let done: Retired = client.post("/api/v1/authority/retire", &RetireBody { now }).await?;
    screen.done(&done, |_| "the former authority is trusted no more\n".to_owned())
}

async fn look(client: &Client) -> Result<Authorities, Failure> {
    client.get("/api/v1/authority").await
}
