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
use hivemind_core::wire::access::Right;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::access::{self, Held};
use super::body;
use super::desk::Desk;
use super::failure::Failure;
use super::model::ProblemKind;
use super::operations::{OPERATIONS, Operation, STREAM_TYPE, Task, Verb};
use super::origin::is_passed_on;
use super::parameters::{self, Asked};
use super::routes;
use super::settings::Anonymous;
use crate::node::ReadFailure;

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Peer {
    /// An address.
    Net(SocketAddr),
    /// The socket of this machine, which only operators may open: root, the node's user, and the socket's group.
    Socket(Operator),
}

/// The process at the other end of the socket, as the kernel names it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operator {
    /// Its user.
    pub(super) user: u32,
    /// Its id, where it is in sight.
    pub(super) process: Option<i32>,
}

impl Peer {
    /// Whether it speaks over a loopback address.
    pub(super) fn is_loopback(self) -> bool {
        match self {
            Peer::Net(address) => address.ip().to_canonical().is_loopback(),
            Peer::Socket(_) => false,
        }
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Peer::Net(address) => address.fmt(f),
            Peer::Socket(Operator { user, process: Some(process) }) => write!(f, "user {user}, process {process}"),
            Peer::Socket(Operator { user, process: None }) => write!(f, "user {user}"),
        }
    }
}

/// What is asked, once it is known to make sense and to be allowed.
pub(super) struct Call {
    pub(super) desk: Arc<Desk>,
    pub(super) asked: Asked,
    /// What stands in the path in the place of its braces.
    pub(super) in_path: Option<String>,
    body: Vec<u8>,
    pub(super) headers: HeaderMap,
    /// The credential that allows it, where one is needed.
    pub(super) held: Option<Held>,
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
    let mut held = None;
    if let Some(right) = operation.right {
        let is_local = parts.extensions.get::<Peer>().is_some_and(|peer| peer.is_loopback());
        // Behind a proxy of this machine anybody may be.
        let anonymous = if is_local && !is_passed_on(&parts.headers) { desk.settings.anonymous } else { Anonymous::None };
        // A dry run changes nothing.
        let needed = if asked.dry_run { right.min(Right::Write) } else { right };
        match parts.extensions.get::<Peer>() {
            // Whoever may open the socket is an operator.
            Some(Peer::Socket(_)) => {}
            Some(Peer::Net(_)) | None => {
                // Before the first view every credential would be unknown.
                let known = |secret: &str| desk.handle.view().map_or_else(|| desk.view(), Ok).map(|_| desk.handle.right_of(secret));
                held = access::check(known, anonymous, &parts.headers, needed)?;
            }
        }
    }
    let in_path = in_path(&mut parts).await?;
    let body = match operation.body {
        Some(_) => take_body(&desk, &parts.headers, body, deadline).await?,
        None => Vec::new(),
    };
    let call = Call { desk, asked, in_path, body, headers: parts.headers, held, deadline };
    if call.asked.linearizable {
        call.wait_for_quorum().await?;
    }
    match operation.task {
        Task::Status => routes::status(&call),
        Task::Members => routes::members(&call),
        Task::Member => routes::member(&call),
        Task::Events => routes::events(&call).await,
        Task::Configs => routes::configs(&call),
        Task::Config => routes::config(&call),
        Task::Services => routes::services(&call),
        Task::Neighborhoods => routes::neighborhoods(&call),
        Task::Voters => routes::voters(&call).await,
        Task::Why => routes::why(&call),
        Task::Transfer => routes::transfer(&call).await,
        Task::Act(action) => routes::act(&call, action).await,
        Task::Tokens => routes::tokens(&call).await,
        Task::Admitted => routes::admitted(&call).await,
        Task::CreateToken => routes::create_token(&call).await,
        Task::RevokeToken => routes::revoke_token(&call).await,
        Task::Credentials => routes::credentials(&call),
        Task::CreateCredential => routes::create_credential(&call).await,
        Task::RevokeCredential => routes::revoke_credential(&call).await,
        Task::Authority => routes::authority(&call),
        Task::RotateAuthority => routes::rotate_authority(&call).await,
        Task::RetireAuthority => routes::retire_authority(&call).await,
        Task::Features => routes::features(&call),
        Task::EnableFeature => routes::enable_feature(&call).await,
        Task::Healthz => Ok(routes::healthz()),
        Task::Readyz => routes::readyz(&call),
        Task::Metrics => Ok(routes::metrics(&call)),
        Task::Document => Ok(routes::document()),
        Task::Page => routes::page(&call),
        Task::Style => Ok(routes::style()),
    }
}

/// The part of the path that stands for a name or an id, where there is one.
async fn in_path(parts: &mut axum::http::request::Parts) -> Result<Option<String>, Failure> {
    let in_path = RawPathParams::from_request_parts(parts, &()).await;
    let in_path = in_path.map_err(|_| Failure::new(ProblemKind::NotFound, "the name in the path is no UTF-8"))?;
    Ok(in_path.iter().next().map(|(_, name)| name.to_owned()))
}

async fn take_body(desk: &Desk, headers: &HeaderMap, body: axum::body::Body, deadline: Instant) -> Result<Vec<u8>, Failure> {
    let octets = body::read(body, desk.settings.limits.body, deadline).await?;
    if octets.is_empty() {
        return Ok(octets);
    }
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Failure::new(ProblemKind::MediaType, "send the body as `Content-Type: application/json`, or leave it out"));
    }
    // serde would take an array for a struct.
    if octets.trim_ascii_start().first() != Some(&b'{') {
        return Err(bad_body("it is no JSON object"));
    }
    Ok(octets)
}

/// A body that is not what the operation takes.
pub(super) fn bad_body(why: impl std::fmt::Display) -> Failure {
    Failure::new(ProblemKind::BadBody, format!("the body is not what is taken here: {why}"))
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

    /// What the node knows once something is done, or knew as it stopped: a stop undoes nothing.
    pub(super) fn view_of_done(&self) -> Result<Arc<View>, Failure> {
        let nothing = || Failure::new(ProblemKind::OutcomeUnknown, "it is done, and the node can not show what it knows now");
        self.desk.handle.view().ok_or_else(nothing)
    }

    /// The body; one that was left out is an empty object.
    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let octets = if self.body.is_empty() { b"{}" } else { self.body.as_slice() };
        serde_json::from_slice(octets).map_err(bad_body)
    }

    /// The name in the path, where it can be one.
    pub(super) fn name(&self) -> Result<NodeName, Failure> {
        let written = self.in_path.as_deref().unwrap_or_default();
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
