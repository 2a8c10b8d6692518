//! What happened to the cluster.

use std::sync::Arc;

use axum::http::HeaderName;
use axum::response::Response;
use hivemind_core::ids::Index;
use tokio::time::timeout_at;

use crate::http::answer;
use crate::http::call::Call;
use crate::http::cursor::Cursor;
use crate::http::failure::Failure;
use crate::http::journal::Journal;
use crate::http::model::{EventPage, ProblemKind};
use crate::http::parameters;
use crate::http::stream::{self, Closed, Sink};
use crate::node::NodeHandle;

/// Where a client says what it has (the HTML standard, section 9.2.4).
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// So many events are taken at once for a stream.
const BATCH: usize = 64;

/// `GET /api/v1/events`.
pub(in crate::http) async fn events(call: &Call) -> Result<Response, Failure> {
    let desk = &call.desk;
    let after = last_event_id(call)?.or(call.asked.after_position);
    call.view()?;
    // A node that has just started takes up what is on its disk first.
    kept_up_to(call, Index(0)).await?;
    if after.is_some_and(|after| desk.journal.is_behind(after)) {
        catch_up(call).await?;
    }
    let view = call.view()?;
    let response = if call.wants_stream() {
        // From the position of the answer on, where nothing else is asked for.
        let after = match after {
            Some(after) => after,
            None => {
                let now = view.facts.position();
                kept_up_to(call, now.index).await?;
                Cursor::of(&now)
            }
        };
        let (journal, handle) = (Arc::clone(&desk.journal), desk.handle.clone());
        stream::begin(call, |sink| write(sink, journal, handle, after))?
    } else {
        let found = desk.journal.after(after, call.asked.limit);
        let next = found.next.map(|next| next.to_string());
        answer::json(&EventPage { events: found.events, gap: found.gap, next, more: found.more })
    };
    Ok(answer::of_view(desk, &view, response))
}

/// A client that saw more than this node may have come from one that is further, or from another cluster: a quorum says how far this one is.
async fn catch_up(call: &Call) -> Result<(), Failure> {
    call.wait_for_quorum().await?;
    kept_up_to(call, call.view()?.facts.position().index).await
}

async fn kept_up_to(call: &Call, index: Index) -> Result<(), Failure> {
    let kept = timeout_at(call.deadline, call.desk.journal.reaches(index)).await;
    kept.map_err(|_| {
        Failure::new(ProblemKind::Unavailable, "this node is behind what it should know; ask again, or another node").retry_after(1)
    })
}

/// The last id that a client has seen, where it says so.
pub(super) fn last_event_id(call: &Call) -> Result<Option<Cursor>, Failure> {
    let Some(value) = call.headers.get(LAST_EVENT_ID).filter(|_| call.wants_stream()) else { return Ok(None) };
    let cursor = parameters::position("the header `Last-Event-ID`", value.to_str().unwrap_or_default());
    cursor.map(Some).map_err(|failure| Failure::new(ProblemKind::BadRequest, failure.detail))
}

async fn write(mut sink: Sink, journal: Arc<Journal>, handle: NodeHandle, after: Cursor) -> Result<(), Closed> {
    let mut growth = journal.growth();
    sink.stand(&after.to_string()).await?;
    let mut after = Some(after);
    loop {
        growth.borrow_and_update();
        let found = journal.after(after, BATCH);
        if let Some((gap, until)) = found.gap.zip(found.gap_until) {
            sink.send("gap", &until.to_string(), &gap).await?;
        }
        for event in &found.events {
            sink.send("log", &event.position, event).await?;
        }
        after = found.next;
        if found.more {
            continue;
        }
        let stopped = async {
            tokio::select! {
                grown = growth.changed() => grown.is_err(),
                _ = handle.stopped() => true,
            }
        };
        if sink.until(stopped).await? {
            return Ok(());
        }
    }
}
