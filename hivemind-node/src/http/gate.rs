//! What every request passes first and last: id, host and origin, rate, size; then the headers of every answer, the count and the log.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request, header};
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use tokio::time::Instant;

use super::body;
use super::call::Peer;
use super::desk::Desk;
use super::failure::Failure;
use super::head;
use super::model::ProblemKind;
use super::origin;
use super::request_id::REQUEST_ID;
use super::settings::Anonymous;

/// Paths in the log are cut to so many octets.
const LOGGED: usize = 128;

/// The way from a connection to the router and back.
#[derive(Clone)]
pub(super) struct Gate {
    desk: Arc<Desk>,
    router: TowerToHyperService<Router>,
    /// Whether requests come in the clear where TLS is spoken.
    lacks_tls: bool,
}

impl Gate {
    pub(super) fn new(desk: Arc<Desk>, router: Router) -> Self {
        Gate { desk, router: TowerToHyperService::new(router), lacks_tls: false }
    }

    /// The way of a connection that came in the clear where TLS is spoken: to be told so, and nothing else.
    pub(super) fn without_tls(self) -> Self {
        Gate { lacks_tls: true, ..self }
    }

    pub(super) fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Answers one request.
    pub(super) async fn pass(self, peer: Peer, request: Request<Incoming>) -> Response {
        let began = Instant::now();
        let id = self.desk.ids.of(request.headers());
        let method = request.method().clone();
        let path: String = request.uri().path().chars().take(LOGGED).collect();
        let mut response = match self.admit(peer, &request) {
            Ok(()) => self.route(peer, request).await,
            Err(failure) => failure.into_response(),
        };
        if let Some(failure) = response.extensions_mut().remove::<Failure>() {
            response = failure.render(response, &id);
        }
        let status = response.status().as_u16();
        self.desk.counts.answered(status);
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        // The log is bounded by place: what is only asked, or refused, leaves the room of what changes something alone.
        if method.is_safe() || (400..500).contains(&status) {
            tracing::info!(%id, %peer, %method, path, status, took_ms, "http");
        } else {
            tracing::info!(%id, %peer, %method, path, status, took_ms, "http");
        }
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, HeaderValue::from_str(&id).expect("ids are plain"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer"));
        if !headers.contains_key(header::CACHE_CONTROL) {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        response
    }

    fn admit(&self, peer: Peer, request: &Request<Incoming>) -> Result<(), Failure> {
        self.desk.admit(peer)?;
        if self.lacks_tls {
            let detail =
                "TLS is spoken here, and this came in the clear, with any credential in it; ask with https:// and the cluster's authority";
            return Err(Failure::new(ProblemKind::BadRequest, detail));
        }
        head::check(request, &self.desk.settings.limits)?;
        let settings = &self.desk.settings;
        // By TLS a page knows by what name it asks, and without a credential it gets nothing.
        if peer.is_loopback() && (settings.tls.is_none() || settings.anonymous != Anonymous::None) {
            origin::check(request.headers(), request.uri(), &settings.hosts)?;
        }
        body::check_length(request.headers(), settings.limits.body)
    }

    async fn route(&self, peer: Peer, request: Request<Incoming>) -> Response {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        match self.router.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
