//! A request that is not answered as asked, on its way to be a problem (RFC 9457).

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::model::{PROBLEM_PREFIX, Problem, ProblemKind};

const PROBLEM_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Why, without the id of the request.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) kind: ProblemKind,
    pub(super) detail: String,
    /// Seconds after which it may be tried again.
    pub(super) retry_after: Option<u64>,
}

impl Failure {
    pub(super) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Failure { kind, detail: detail.into(), retry_after: None }
    }

    pub(super) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.kind.status()).expect("the statuses of the table are statuses")
    }

    /// The answer, once the id of the request is known. Keeps the headers that are there (`Allow`).
    pub(super) fn render(self, mut response: Response, request_id: &str) -> Response {
        let status = self.status();
        let problem = Problem {
            kind: format!("{PROBLEM_PREFIX}{}", self.kind.name()),
            title: self.kind.title().to_owned(),
            status: status.as_u16(),
            detail: self.detail,
            request_id: request_id.to_owned(),
        };
        *response.status_mut() = status;
        *response.body_mut() = Body::from(serde_json::to_vec(&problem).expect("a problem has only texts and a number"));
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, PROBLEM_TYPE);
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.kind == ProblemKind::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"hivemind\""));
        }
        if matches!(self.kind, ProblemKind::TooLarge | ProblemKind::TooSlow) {
            // The rest of the body is not read.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl IntoResponse for Failure {
    /// Without a body: the gate renders it.
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status();
        response.extensions_mut().insert(self);
        response
    }
}
