//! Bodies: those of requests, within bounds, and those of streams.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use hyper::body::{Body as HttpBody, Frame};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::failure::Failure;
use super::model::ProblemKind;

fn too_large(limit: usize) -> Failure {
    Failure::new(ProblemKind::TooLarge, format!("the body is larger than {limit} octets, the most that is taken"))
}

/// Refuses a body that says itself that it is too large.
pub(super) fn check_length(headers: &HeaderMap, limit: usize) -> Result<(), Failure> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()).and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit as u64) { Err(too_large(limit)) } else { Ok(()) }
}

/// The whole body, where it comes in time and is not too large.
pub(super) async fn read(body: Body, limit: usize, deadline: Instant) -> Result<Vec<u8>, Failure> {
    let mut body = pin!(body);
    let mut whole = Vec::new();
    let gather = async {
        while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            let broken = |error| Failure::new(ProblemKind::BadRequest, format!("the body broke off: {error}"));
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            if whole.len() + data.len() > limit {
                return Err(too_large(limit));
            }
            whole.extend_from_slice(&data);
        }
        Ok(())
    };
    let slow = |_| Failure::new(ProblemKind::TooSlow, "the body did not come in time");
    timeout_at(deadline, gather).await.map_err(slow)??;
    Ok(whole)
}

/// What a task sends, piece by piece.
pub(super) struct Pieces(pub(super) mpsc::Receiver<Bytes>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
