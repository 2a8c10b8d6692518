//! A small HTTP client that can also misbehave.

use std::net::SocketAddr;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use hivemind_node::http::model::{Problem, ProblemKind};

/// What anything is waited for at most. Far above what is expected: it only bounds a failure.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

pub(crate) async fn within<T>(what: &str, waiting: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, waiting).await.unwrap_or_else(|_| panic!("not within {BOUND:?}: {what}"))
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no end of the headers in {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        Answer { status: status.unwrap_or_else(|| panic!("no status in {text:?}")), headers: headers.collect(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// The body, of a good answer.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        assert_eq!((self.status, self.header("content-type")), (200, Some("application/json")), "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The problem that it must be.
    pub(crate) fn problem(&self) -> ProblemKind {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: Problem = serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        let kind = problem.which().unwrap_or_else(|| panic!("{problem:?}"));
        assert_eq!((self.status, problem.status), (kind.status(), kind.status()), "{self:?}");
        assert_eq!(self.header("x-request-id"), Some(problem.request_id.as_str()));
        assert!(!problem.title.is_empty() && !problem.detail.is_empty(), "{problem:?}");
        kind
    }
}

/// The text of a request, with these headers beside `Host`.
pub(crate) fn text(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text + "\r\n" + body
}

/// Sends octets, and reads until the other side ends.
pub(crate) async fn send(at: SocketAddr, octets: &[u8]) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(at).await.unwrap();
        // The other side may answer and end before it has all.
        let _ = stream.write_all(octets).await;
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard).await;
        String::from_utf8(heard).unwrap()
    };
    within("an answer", exchange).await
}

pub(crate) async fn ask(at: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    Answer::parse(&send(at, text(method, path, headers, body).as_bytes()).await)
}

pub(crate) async fn raw(at: SocketAddr, text: &str) -> Answer {
    Answer::parse(&send(at, text.as_bytes()).await)
}

pub(crate) async fn get(at: SocketAddr, path: &str) -> Answer {
    ask(at, "GET", path, &[], "").await
}

/// Asks until the answer is as `found` says.
pub(crate) async fn get_until(at: SocketAddr, path: &str, found: impl Fn(&Answer) -> bool) -> Answer {
    let asking = async {
        loop {
            let answer = get(at, path).await;
            if found(&answer) {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    within(path, asking).await
}

/// A stream of server-sent events, with the head of its answer.
pub(crate) struct Stream(BufReader<TcpStream>, Answer);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: String,
}

impl Sent {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Stream {
    /// By HTTP/1.0: then nothing stands between the events.
    pub(crate) async fn open(at: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Self, Answer> {
        let accept = [&[("Accept", "text/event-stream")], headers].concat();
        let asked = text("GET", path, &accept, "").replace("HTTP/1.1", "HTTP/1.0");
        let mut stream = BufReader::new(TcpStream::connect(at).await.unwrap());
        stream.write_all(asked.as_bytes()).await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(within("the headers of a stream", stream.read_line(&mut head)).await.unwrap(), 0, "{head}");
        }
        let answer = Answer::parse(&head);
        if answer.status == 200 {
            assert_eq!(answer.header("content-type"), Some("text/event-stream"));
            return Ok(Stream(stream, answer));
        }
        let mut body = String::new();
        stream.read_to_string(&mut body).await.unwrap();
        Err(Answer { body, ..answer })
    }

    /// A header of the answer.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.1.header(name)
    }

    /// The position that the stream begins at, where it is what comes next.
    pub(crate) async fn start(&mut self) -> Option<String> {
        loop {
            let block = self.block().await?;
            if !block.starts_with(':') {
                return Some(block.strip_prefix("id: ")?.strip_suffix("\n\n")?.to_owned());
            }
        }
    }

    /// The next lines up to an empty one: `None` at the end.
    async fn block(&mut self) -> Option<String> {
        let mut block = String::new();
        while !block.ends_with("\n\n") {
            if within("more of a stream", self.0.read_line(&mut block)).await.unwrap() == 0 {
                return None;
            }
        }
        Some(block)
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> Option<Sent> {
        loop {
            let block = self.block().await?;
            if block.starts_with(':') || !block.contains("data: ") {
                continue;
            }
            let field =
                |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{block:?}")).to_owned();
            return Some(Sent { name: field("event: "), id: field("id: "), data: field("data: ") });
        }
    }

    /// The next sign of life.
    pub(crate) async fn heartbeat(&mut self) {
        while !self.block().await.expect("the stream goes on").starts_with(": ") {}
    }
}
