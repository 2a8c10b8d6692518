//! Streams of server-sent events (the HTML standard, section 9.2).

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::access::Held;
use super::answer;
use super::body::Pieces;
use super::call::Call;
use super::desk::Stopping;
use super::failure::Failure;
use super::model::ProblemKind;
use super::operations::STREAM_TYPE;
use crate::node::NodeHandle;

/// Pieces that wait for a slow client.
const WAITING: usize = 16;

/// The client is gone or may read no more, or the server stops.
pub(super) struct Closed;

/// Where a stream is written to.
pub(super) struct Sink {
    pieces: mpsc::Sender<Bytes>,
    heartbeat: tokio::time::Interval,
    stopping: Stopping,
    /// The credential that it was opened with.
    held: Option<Held>,
    handle: NodeHandle,
}

impl Sink {
    fn new(pieces: mpsc::Sender<Bytes>, call: &Call) -> Self {
        let desk = &call.desk;
        let mut heartbeat = interval(desk.settings.limits.heartbeat.max(Duration::from_millis(1)));
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Sink { pieces, heartbeat, stopping: desk.stopping.clone(), held: call.held, handle: desk.handle.clone() }
    }

    /// Sends one event.
    pub(super) async fn send<T: Serialize>(&self, name: &str, id: &str, data: &T) -> Result<(), Closed> {
        let data = serde_json::to_string(data).expect("answers are plain structs with texts as keys");
        // JSON on one line: neither it nor a position has a line break.
        let piece = format!("event: {name}\nid: {id}\ndata: {data}\n\n");
        self.put(piece.into()).await
    }

    /// Says where the stream is, without an event: a client that loses it before the first one resumes there. By the HTML standard an event
    /// without data sets the last id, and is passed to nobody.
    pub(super) async fn stand(&self, id: &str) -> Result<(), Closed> {
        self.put(format!("id: {id}\n\n").into()).await
    }

    /// Sends a piece, once there is room for it; a credential that was revoked by then gets nothing more.
    async fn put(&self, piece: Bytes) -> Result<(), Closed> {
        let room = self.pieces.reserve().await.map_err(|_| Closed)?;
        let may_read = |held: Held| self.handle.view().is_some_and(|view| held.holds_in(&view));
        if !self.held.is_none_or(may_read) {
            return Err(Closed);
        }
        room.send(piece);
        Ok(())
    }

    /// Waits for `news`, and says now and then that the stream lives.
    pub(super) async fn until<T>(&mut self, news: impl Future<Output = T>) -> Result<T, Closed> {
        let mut news = std::pin::pin!(news);
        loop {
            tokio::select! {
                news = &mut news => return Ok(news),
                () = self.pieces.closed() => return Err(Closed),
                () = self.stopping.stopped() => return Err(Closed),
                _ = self.heartbeat.tick() => self.put(Bytes::from_static(b": alive\n\n")).await?,
            }
        }
    }
}

/// Begins a stream that `write` fills, until it returns or the client is gone.
pub(super) fn begin<W, F>(call: &Call, write: W) -> Result<Response, Failure>
where
    W: FnOnce(Sink) -> F,
    F: Future<Output = Result<(), Closed>> + Send + 'static,
{
    let desk = &call.desk;
    let Ok(permit) = Arc::clone(&desk.streams).try_acquire_owned() else {
        return Err(Failure::new(ProblemKind::TooMany, "as many streams are open as may be; close one, or ask for pages").retry_after(10));
    };
    let (pieces, sent) = mpsc::channel(WAITING);
    let writing = write(Sink::new(pieces, call));
    desk.counts.streamed();
    desk.tasks.spawn(async move {
        let _permit = permit;
        // Whether it ended by itself or by the client makes no difference.
        let _ = writing.await;
    });
    let mut response = answer::text(STREAM_TYPE, Body::new(Pieces(sent)));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
