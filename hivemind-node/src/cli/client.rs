//! Asking a node over HTTP/1.1.

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::args::ServerArgs;
use super::failure::Failure;
use super::place::{Connection, Place};
use super::progress::Waiting;
use super::show::Screen;
use crate::http::model::Problem;

/// A connection takes at most this, and so does an answer; a node gives up after 10 s by itself.
const PATIENCE: Duration = Duration::from_secs(20);
/// A stream says every 10 s that it lives; one that is silent for so long is lost.
const SILENCE: Duration = Duration::from_secs(30);
/// The largest answer: a page of 1,000 configs has room in it.
const MAX_ANSWER: usize = 64 << 20;

/// Where a client says what it has (the HTML standard, section 9.2.4).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A node to be asked.
pub(super) struct Client {
    place: Place,
    credential: Option<String>,
}

impl Client {
    /// By the arguments, the environment, the settings file, in this order; else at the usual address.
    pub(super) fn new(args: &ServerArgs, screen: &Screen) -> Result<Self, Failure> {
        let file = args.credential_file.clone().or_else(|| std::env::var_os("HIVEMIND_TOKEN_FILE").map(PathBuf::from));
        let credential = file.map(|file| credential(&file)).transpose()?;
        Ok(Client { place: Place::new(args, screen)?, credential })
    }

    /// The node at a socket.
    pub(super) fn at_socket(path: &Path) -> Self {
        Client { place: Place::Socket(path.to_owned()), credential: None }
    }

    /// What is at a path.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let request = self.request(Method::GET, path, "application/json", Vec::new())?;
        self.answer(request, None).await
    }

    /// Has something done.
    pub(super) async fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(|error| Failure::Usage(error.to_string()))?;
        let request = self.request(Method::POST, path, "application/json", body)?;
        self.answer(request, Some(shown_by(path))).await
    }

    /// A stream of server-sent events: those after the one with the id `last`, else those from now on.
    pub(super) async fn stream(&self, path: &str, last: Option<&str>) -> Result<Stream, Failure> {
        let mut request = self.request(Method::GET, path, "text/event-stream", Vec::new())?;
        if let Some(last) = last {
            let id = HeaderValue::from_str(last).map_err(|_| Failure::Unasked(format!("{self}: the node sent an id that is none")))?;
            request.headers_mut().insert(LAST_EVENT_ID, id);
        }
        let waiting = self.wait();
        let response = self.send(request, None).await?;
        drop(waiting);
        if response.status() != StatusCode::OK {
            return Err(self.problem(response, None).await);
        }
        Ok(Stream { body: response.into_body(), heard: Vec::new() })
    }

    fn request(&self, method: Method, path: &str, accept: &str, body: Vec<u8>) -> Result<Request<Body>, Failure> {
        let mut request =
            Request::builder().method(method).uri(path).header(header::HOST, self.place.host()).header(header::ACCEPT, accept);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(secret) = &self.credential {
            request = request.header(header::AUTHORIZATION, format!("Bearer {secret}"));
        }
        request.body(Body::from(body)).map_err(|error| Failure::Usage(error.to_string()))
    }

    /// Says that an answer is waited for, where nothing says it better.
    fn wait(&self) -> Waiting {
        Waiting::begin(format!("{self} is asked"))
    }

    /// What is answered; `shown_by` is the command that shows what became of a request that changes something.
    async fn answer<T: DeserializeOwned>(&self, request: Request<Body>, shown_by: Option<&str>) -> Result<T, Failure> {
        let _waiting = self.wait();
        let response = self.send(request, shown_by).await?;
        if response.status() != StatusCode::OK {
            return Err(self.problem(response, shown_by).await);
        }
        let broken = |why: String| self.lost(&format!("the answer broke off or is none: {why}"), shown_by);
        let octets = whole(response).await.map_err(broken)?;
        serde_json::from_slice(&octets).map_err(|error| broken(error.to_string()))
    }

    async fn send(&self, request: Request<Body>, shown_by: Option<&str>) -> Result<Response<Incoming>, Failure> {
        let late = |what: &str| format!("no {what} in {PATIENCE:?}");
        let connected = timeout(PATIENCE, self.place.connect()).await;
        // Nothing was sent yet.
        let stream = connected.map_err(|_| self.lost(&late("connection"), None))??;
        match timeout(PATIENCE, exchange(stream, request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(self.lost(&error.to_string(), shown_by)),
            Err(_) => Err(self.lost(&late("answer"), shown_by)),
        }
    }

    /// What is said where the answer is not known.
    fn lost(&self, why: &str, shown_by: Option<&str>) -> Failure {
        match shown_by {
            None => Failure::Unasked(format!("{self}: {why}")),
            Some(command) => Failure::Unknown(format!("{self}: {why}; it may have been done: look with `{command}` before you ask again")),
        }
    }

    /// What an answer says that is none of success. One that is no node's word on it may hide what a node did.
    async fn problem(&self, response: Response<Incoming>, shown_by: Option<&str>) -> Failure {
        let status = response.status();
        let problem = whole(response).await.ok().and_then(|octets| serde_json::from_slice::<Problem>(&octets).ok());
        let may_be_done = status.is_server_error() || status.is_success();
        problem.map_or_else(
            || self.lost(&format!("what answered is no hivemind node: status {status}"), shown_by.filter(|_| may_be_done)),
            Failure::from,
        )
    }
}

/// The command that shows what became of a request that changes something.
fn shown_by(path: &str) -> &'static str {
    let what = path.strip_prefix("/api/v1/").and_then(|rest| rest.split('/').next());
    match what.unwrap_or_default() {
        "tokens" => "hivemind token list",
        "credentials" => "hivemind credential list",
        "voters" | "leader" => "hivemind voters list",
        "features" => "hivemind features list",
        "authority" => "hivemind authority show",
        _ => "hivemind members",
    }
}

impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.place.fmt(f)
    }
}

async fn exchange(stream: Box<dyn Connection>, request: Request<Body>) -> hyper::Result<Response<Incoming>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the answer; what is wrong with it shows there.
    tokio::spawn(connection);
    sender.send_request(request).await
}

fn credential(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::Usage(format!("the credential file {}: {error}", file.display())))?;
    Ok(text.trim().to_owned())
}

async fn whole(response: Response<Incoming>) -> Result<Bytes, String> {
    let read = axum::body::to_bytes(Body::new(response.into_body()), MAX_ANSWER);
    let read = timeout(PATIENCE, read).await.map_err(|_| "it does not end".to_owned())?;
    read.map_err(|error| error.to_string())
}

/// Server-sent events, as they come.
pub(super) struct Stream {
    body: Incoming,
    heard: Vec<u8>,
}

/// One of them. Where a node says its position alone, name and data are empty.
pub(super) struct Sent {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) data: String,
}

impl Stream {
    /// The next one; `None` where the stream ended, or is lost.
    pub(super) async fn next(&mut self) -> Option<Sent> {
        loop {
            if let Some(end) = self.heard.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.heard.drain(..end + 2).collect();
                let block = String::from_utf8_lossy(&block).into_owned();
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                if let Some(id) = field("id: ") {
                    let [name, data] = ["event: ", "data: "].map(|name| field(name).unwrap_or_default());
                    return Some(Sent { name, id, data });
                }
                continue;
            }
            if self.heard.len() > MAX_ANSWER {
                return None;
            }
            let frame = poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx));
            let frame = timeout(SILENCE, frame).await.ok()??.ok()?;
            if let Ok(data) = frame.into_data() {
                self.heard.extend_from_slice(&data);
            }
        }
    }
}
