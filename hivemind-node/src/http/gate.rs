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
use super::origin;
use super::request_id::REQUEST_ID;

/// Paths in the log are cut to so many octets.
const LOGGED: usize = 128;

/// The way from a connection to the router and back.
#[derive(Clone)]
pub(super) struct Gate {
    desk: Arc<Desk>,
    router: TowerToHyperService<Router>,
}

impl Gate {
    pub(super) fn new(desk: Arc<Desk>, router: Router) -> Self {
        Gate { desk, router: TowerToHyperService::new(router) }
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
        tracing::info!(%id, %peer, %method, path, status, took_ms, "http");
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
        head::check(request, &self.desk.settings.limits)?;
        if peer.is_loopback() {
            origin::check(request.headers(), request.uri(), &self.desk.settings.hosts)?;
        }
        body::check_length(request.headers(), self.desk.settings.limits.body)
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
