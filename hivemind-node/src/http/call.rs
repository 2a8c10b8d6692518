//! One request of an operation: from what came to what is asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts as _, RawPathParams, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, on};
use hivemind_core::ids::NodeName;
use hivemind_core::view::View;
use tokio::time::{Instant, timeout_at};

use super::access::{self, Right};
use super::body;
use super::desk::Desk;
use super::failure::Failure;
use super::model::{ActionBody, ProblemKind};
use super::operations::{OPERATIONS, Operation, STREAM_TYPE, Task, Verb};
use super::parameters::{self, Asked};
use super::routes;
use super::settings::Anonymous;
use crate::node::ReadFailure;

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

impl Peer {
    pub(super) fn is_loopback(self) -> bool {
        self.0.ip().to_canonical().is_loopback()
    }
}

/// What is asked, once it is known to make sense and to be allowed.
pub(super) struct Call {
    pub(super) desk: Arc<Desk>,
    pub(super) asked: Asked,
    /// The name in the path.
    pub(super) name: Option<String>,
    pub(super) body: ActionBody,
    pub(super) headers: HeaderMap,
    /// When an answer must be there.
    pub(super) deadline: Instant,
}

/// All operations as routes, and problems for everything else.
pub(super) fn router(desk: Arc<Desk>) -> Router {
    let mut router = Router::new();
    for operation in OPERATIONS {
        let filter = match operation.verb {
            Verb::Get => MethodFilter::GET,
            Verb::Post => MethodFilter::POST,
        };
        let serve = move |State(desk): State<Arc<Desk>>, request: Request| serve(operation, desk, request);
        router = router.route(operation.path, on(filter, serve));
    }
    router
        .fallback(|| async { Failure::new(ProblemKind::NoRoute, "there is nothing at this path; /openapi.json lists what there is") })
        .method_not_allowed_fallback(|| async { Failure::new(ProblemKind::Method, "this path takes the methods in the header `Allow`") })
        .with_state(desk)
}

async fn serve(operation: &'static Operation, desk: Arc<Desk>, request: Request) -> Result<Response, Infallible> {
    Ok(match try_serve(operation, desk, request).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    })
}

async fn try_serve(operation: &'static Operation, desk: Arc<Desk>, request: Request) -> Result<Response, Failure> {
    let deadline = Instant::now() + desk.settings.limits.time;
    let (mut parts, body) = request.into_parts();
    let asked = parameters::read(&parts.uri, operation.parameters)?;
    if let Some(right) = operation.right {
        let is_local = parts.extensions.get::<Peer>().is_some_and(|peer| peer.is_loopback());
        let anonymous = if is_local { desk.settings.anonymous } else { Anonymous::None };
        // A dry run changes nothing.
        let needed = if asked.dry_run { right.min(Right::Write) } else { right };
        access::check(&*desk.access, anonymous, &parts.headers, needed)?;
    }
    let name = name(&mut parts).await?;
    let body = if operation.takes_body { take_body(&desk, &parts.headers, body, deadline).await? } else { ActionBody::default() };
    let call = Call { desk, asked, name, body, headers: parts.headers, deadline };
    if call.asked.linearizable {
        call.wait_for_quorum().await?;
    }
    match operation.task {
        Task::Status => routes::status(&call),
        Task::Members => routes::members(&call),
        Task::Member => routes::member(&call),
        Task::Events => routes::events(&call),
        Task::Configs => routes::configs(&call),
        Task::Config => routes::config(&call),
        Task::Services => routes::services(&call),
        Task::Neighborhoods => routes::neighborhoods(&call),
        Task::Voters => routes::voters(&call),
        Task::Act(action) => routes::act(&call, action).await,
        Task::Healthz => Ok(routes::healthz()),
        Task::Readyz => routes::readyz(&call),
        Task::Metrics => Ok(routes::metrics(&call)),
        Task::Document => Ok(routes::document()),
        Task::Page => routes::page(&call),
        Task::Style => Ok(routes::style()),
    }
}

/// The part of the path that stands for a name, where there is one.
async fn name(parts: &mut axum::http::request::Parts) -> Result<Option<String>, Failure> {
    let in_path = RawPathParams::from_request_parts(parts, &()).await;
    let in_path = in_path.map_err(|_| Failure::new(ProblemKind::NotFound, "the name in the path is no UTF-8"))?;
    Ok(in_path.iter().next().map(|(_, name)| name.to_owned()))
}

async fn take_body(desk: &Desk, headers: &HeaderMap, body: axum::body::Body, deadline: Instant) -> Result<ActionBody, Failure> {
    let octets = body::read(body, desk.settings.limits.body, deadline).await?;
    if octets.is_empty() {
        return Ok(ActionBody::default());
    }
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Failure::new(ProblemKind::MediaType, "send the body as `Content-Type: application/json`, or leave it out"));
    }
    let bad = |error: String| Failure::new(ProblemKind::BadBody, format!("the body is not what is taken here: {error}"));
    // serde would take an array for a struct.
    if octets.trim_ascii_start().first() != Some(&b'{') {
        return Err(bad("it is no JSON object".to_owned()));
    }
    serde_json::from_slice(&octets).map_err(|error| bad(error.to_string()))
}

impl Call {
    /// Waits until the view holds all that was committed before.
    pub(super) async fn wait_for_quorum(&self) -> Result<(), Failure> {
        let lacking = || {
            let detail = "no quorum of voters said in time what is committed; nothing was changed; ask again, or without `consistency`";
            Failure::new(ProblemKind::NoQuorum, detail).retry_after(1)
        };
        match timeout_at(self.deadline, self.desk.handle.read()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(ReadFailure::Stopped)) => Err(Failure::new(ProblemKind::Unavailable, "the node has stopped")),
            Ok(Err(ReadFailure::Unavailable)) | Err(_) => Err(lacking()),
        }
    }

    pub(super) fn view(&self) -> Result<Arc<View>, Failure> {
        self.desk.view()
    }

    /// The name in the path, where it can be one.
    pub(super) fn name(&self) -> Result<NodeName, Failure> {
        let written = self.name.as_deref().unwrap_or_default();
        NodeName::new(written).map_err(|error| Failure::new(ProblemKind::NotFound, format!("there can be nothing of this name: {error}")))
    }

    /// Whether a stream is asked for.
    pub(super) fn wants_stream(&self) -> bool {
        let accepted = self.headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
        accepted
            .flat_map(|accept| accept.split(','))
            .any(|one| one.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(STREAM_TYPE))
    }
}
