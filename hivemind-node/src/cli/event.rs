//! What happened, and what happens.

use serde_json::Value;

use super::client::Client;
use super::failure::Failure;
use super::show::Screen;
use crate::http::model::{EventPage, Gap, LoggedEvent};

/// Writes the events that the node keeps, then, where asked, those that come.
pub(super) async fn events(client: &Client, follow: bool, screen: &Screen) -> Result<(), Failure> {
    let mut path = "/api/v1/events".to_owned();
    let after = loop {
        let page: EventPage = client.get(&path).await?;
        say_gap(screen, page.gap.as_ref());
        page.events.iter().try_for_each(|event| write(screen, event))?;
        match page.next {
            Some(next) if page.more => path = format!("/api/v1/events?after={next}"),
            next => break next,
        }
    };
    if !follow {
        return Ok(());
    }
    let path = after.map_or_else(|| "/api/v1/events".to_owned(), |after| format!("/api/v1/events?after={after}"));
    let mut stream = client.stream(&path).await?;
    while let Some(sent) = stream.next().await {
        let strange = |error: serde_json::Error| Failure::Unasked(format!("the node sent what is no event: {error}"));
        match sent.name.as_str() {
            "log" => write(screen, &serde_json::from_str(&sent.data).map_err(strange)?)?,
            "gap" => say_gap(screen, Some(&serde_json::from_str(&sent.data).map_err(strange)?)),
            // Of a later version.
            _ => {}
        }
    }
    Err(Failure::Unasked(format!("{client}: the stream ended; the node may have stopped")))
}

fn say_gap(screen: &Screen, gap: Option<&Gap>) {
    if let Some(gap) = gap {
        screen.note(&format!("events up to {} are missing: {}", gap.until, gap.why));
    }
}

fn write(screen: &Screen, event: &LoggedEvent) -> Result<(), Failure> {
    screen.data(event, |event| {
        let Ok(Value::Object(mut fields)) = serde_json::to_value(&event.event) else { return String::new() };
        let kind = fields.remove("type").map(|kind| plain(&kind)).unwrap_or_default();
        let said: Vec<String> = fields.iter().map(|(field, value)| format!("{field}={}", plain(value))).collect();
        format!("{:<10} {:<22} {}", event.position, kind, said.join(" ")).trim_end().to_owned() + "\n"
    })
}

/// A value as people read it: members by their names.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(","),
        Value::Object(fields) => match (fields.get("name"), fields.get("node")) {
            (Some(named), _) | (None, Some(named)) => plain(named),
            (None, None) => value.to_string(),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}
