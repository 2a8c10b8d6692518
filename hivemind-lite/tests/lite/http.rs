//! Asking a node over HTTP.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::BOUND;

/// What is answered, or `None` where nobody listens.
pub(crate) fn get(at: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(at).ok()?;
    stream.set_read_timeout(Some(BOUND)).expect("a time that is not zero");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n").ok()?;
    let mut heard = String::new();
    stream.read_to_string(&mut heard).ok()?;
    Some(heard)
}

pub(crate) fn json<T: DeserializeOwned>(at: SocketAddr, path: &str) -> Option<T> {
    let heard = get(at, path)?;
    let (head, body) = heard.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200 ").then(|| serde_json::from_str(body).expect("the body is of its type"))
}

/// Waits until an answer is as `found` says.
pub(crate) fn until<T: DeserializeOwned>(at: SocketAddr, path: &str, found: impl Fn(&T) -> bool) -> T {
    let end = Instant::now() + BOUND;
    loop {
        if let Some(answer) = json(at, path).filter(&found) {
            return answer;
        }
        assert!(Instant::now() < end, "{path} went on saying {:?}", get(at, path));
    }
}
