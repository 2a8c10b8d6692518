//! What happened, and what happens.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::client::{Client, Sent, Stream};
use super::failure::Failure;
use super::show::Screen;
use crate::http::model::{EventPage, Gap, LoggedEvent};

/// Where events are asked for.
const PATH: &str = "/api/v1/events";
/// The first pause after a connection was lost, and the longest: each is twice the one before.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Writes the events that the node keeps, then, where asked, those that come.
pub(super) async fn events(client: &Client, follow: bool, screen: &Screen) -> Result<(), Failure> {
    let mut after = None;
    kept(client, screen, &mut after).await?;
    if !follow {
        return Ok(());
    }
    tokio::select! {
        ended = follow_from(client, screen, after) => ended,
        () = screen.unread() => Ok(()),
    }
}

/// Writes the events that the node keeps. `after` is the position up to which they are written; there is none where nothing has happened yet.
async fn kept(client: &Client, screen: &Screen, after: &mut Option<String>) -> Result<(), Failure> {
    loop {
        let path = after.as_ref().map_or_else(|| PATH.to_owned(), |after| format!("{PATH}?after={after}"));
        let page: EventPage = client.get(&path).await?;
        page.gap.iter().try_for_each(|gap| write_gap(screen, gap))?;
        page.events.iter().try_for_each(|event| write(screen, event))?;
        let goes_on = page.more && page.next.is_some();
        *after = page.next.or(after.take());
        if !goes_on {
            return Ok(());
        }
    }
}

/// Writes what comes after a position. A node that has answered is asked again for as long as it takes, where the connection is lost.
async fn follow_from(client: &Client, screen: &Screen, mut after: Option<String>) -> Result<(), Failure> {
    let (shortest, longest) = PAUSES;
    let (mut pause, mut is_told) = (shortest, false);
    loop {
        match open(client, screen, &mut after).await {
            Ok(mut stream) => {
                while let Some(sent) = stream.next().await {
                    heard(screen, &sent)?;
                    after = Some(sent.id);
                    pause = shortest;
                }
                screen.note(&format!("{client}: the connection is lost; asking again"));
                is_told = true;
            }
            Err(Failure::Unasked(_)) if is_told => {}
            Err(Failure::Unasked(why)) => {
                screen.note(&format!("{why}; asking again"));
                is_told = true;
            }
            Err(refused) => return Err(refused),
        }
        sleep(pause).await;
        pause = longest.min(pause * 2);
    }
}

/// A stream of what comes after a position. Where there is none yet, all that is kept is new.
async fn open(client: &Client, screen: &Screen, after: &mut Option<String>) -> Result<Stream, Failure> {
    if after.is_none() {
        kept(client, screen, after).await?;
    }
    client.stream(PATH, after.as_deref()).await
}

fn heard(screen: &Screen, sent: &Sent) -> Result<(), Failure> {
    let strange = |error: serde_json::Error| Failure::Unasked(format!("the node sent what is no event: {error}"));
    match sent.name.as_str() {
        "log" => write(screen, &serde_json::from_str(&sent.data).map_err(strange)?),
        "gap" => write_gap(screen, &serde_json::from_str(&sent.data).map_err(strange)?),
        // Its position alone, or of a later version.
        _ => Ok(()),
    }
}

/// Says that events are missing: to people beside the data, and to programs in its place, since they may read nothing else.
fn write_gap(screen: &Screen, gap: &Gap) -> Result<(), Failure> {
    screen.note(&format!("events up to {} are missing: {}", gap.until, gap.why));
    screen.data(&json!({ "gap": gap }), |_| String::new())
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{UnixListener, UnixStream};
    use tokio::time::Instant;

    use super::*;

    /// The next request, and its connection.
    async fn asked(node: &UnixListener) -> (String, UnixStream) {
        let (mut stream, _) = node.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        (String::from_utf8(head).unwrap(), stream)
    }

    /// The clock stands while something can go on, and jumps where nothing but it can.
    #[tokio::test(start_paused = true)]
    async fn a_stream_that_falls_silent_is_asked_for_again_behind_what_it_brought() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let node = UnixListener::bind(&path).unwrap();
        let begin = Instant::now();
        let silent_node = async {
            let (head, mut stream) = asked(&node).await;
            assert!(head.contains("last-event-id: 1.1-1\r\n"), "{head}");
            // Signs of life, an event that this version does not know, a position alone, and then nothing; the connection stays.
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n").await.unwrap();
            for _ in 0..3 {
                sleep(Duration::from_secs(20)).await;
                stream.write_all(b": \n\n").await.unwrap();
            }
            stream.write_all(b"event: later\nid: 1.1-2\ndata: {}\n\n").await.unwrap();
            stream.write_all(b"id: 1.1-3\n\n").await.unwrap();
            let (head, _again) = asked(&node).await;
            (head, begin.elapsed(), stream)
        };
        let (client, screen) = (Client::at_socket(&path), Screen::new(true));
        let (head, after, _held) = tokio::select! {
            ended = follow_from(&client, &screen, Some("1.1-1".to_owned())) => panic!("it ended: {ended:?}"),
            heard = silent_node => heard,
        };
        assert!(head.contains("last-event-id: 1.1-3\r\n"), "{head}");
        assert!(after >= Duration::from_secs(60 + 30), "signs of life kept it: {after:?}");
    }
}
