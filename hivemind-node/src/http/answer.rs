//! Answers, with the headers that say what they are worth.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use hivemind_core::view::View;
use serde::Serialize;

use super::desk::Desk;

/// The position of the view that an answer is of.
pub(super) const POSITION: HeaderName = HeaderName::from_static("hivemind-position");
/// Seconds since the node heard a new sign of life of the leader.
pub(super) const AGE: HeaderName = HeaderName::from_static("hivemind-age");
/// Whether the control plane has no quorum, as far as the node knows.
pub(super) const DEGRADED: HeaderName = HeaderName::from_static("hivemind-degraded");

/// Text of some type.
pub(super) fn text(media_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// A value as JSON.
pub(super) fn json<T: Serialize>(value: &T) -> Response {
    let encoded = serde_json::to_vec(value).expect("answers are plain structs with texts as keys");
    text("application/json", encoded)
}

/// An answer that was made from `view`.
pub(super) fn of_view(desk: &Desk, view: &View, mut response: Response) -> Response {
    let age = desk.handle.leader_heard_ago();
    let headers = response.headers_mut();
    let texts = [(POSITION, view.facts.position().to_string()), (AGE, format!("{:.3}", age.as_secs_f64()))];
    for (name, value) in texts {
        headers.insert(name, HeaderValue::from_str(&value).expect("digits, points and hyphens"));
    }
    headers.insert(DEGRADED, HeaderValue::from_static(if view.condition.degraded { "true" } else { "false" }));
    response
}
