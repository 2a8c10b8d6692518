//! How the HTTP interface is tuned.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hivemind_core::wire::access::Right;

use super::tls;
use crate::node::NodeHandle;

/// The port of the HTTP interface unless told otherwise.
pub const DEFAULT_HTTP_PORT: u16 = 6553;

/// What one without a credential may do, where it speaks from this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anonymous {
    /// Nothing.
    None,
    /// Look.
    #[default]
    Read,
    /// Look, and make dry runs.
    Write,
}

impl Anonymous {
    pub(super) fn right(self) -> Option<Right> {
        match self {
            Anonymous::None => None,
            Anonymous::Read => Some(Right::Read),
            Anonymous::Write => Some(Right::Write),
        }
    }
}

/// How a node serves HTTP.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Where. Default `127.0.0.1:6553`. Port 0 lets the system choose. Another address than a loopback one needs `tls`.
    pub listen: SocketAddr,
    /// What one without a credential may do over loopback; from elsewhere it may do nothing. Default: read.
    pub anonymous: Anonymous,
    /// TLS, with this certificate and key. Default: none, plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Names that a client on this machine may ask for besides `localhost` and loopback addresses. Default: none.
    pub hosts: Vec<String>,
    /// What a client may take.
    pub limits: Limits,
}

impl Default for HttpSettings {
    fn default() -> Self {
        HttpSettings {
            listen: (Ipv4Addr::LOCALHOST, DEFAULT_HTTP_PORT).into(),
            anonymous: Anonymous::default(),
            tls: None,
            hosts: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl HttpSettings {
    /// Serves HTTPS (TLS 1.3) with the certificate that the cluster's authority issued for this node, as it is at each handshake: one that
    /// was renewed is shown from then on.
    #[must_use]
    pub fn with_certificate_of(self, node: &NodeHandle) -> Self {
        HttpSettings { tls: Some(tls::server_config(node.shown())), ..self }
    }
}

/// What a client may take. More takes more memory or lets one client hinder others; less refuses honest ones.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Octets of a body. Default 64 KiB.
    pub body: usize,
    /// Octets of a request's line and headers. Default 16 KiB; at least 2 KiB.
    pub head: usize,
    /// Headers of a request. Default 64.
    pub headers: usize,
    /// How long a request may take: to send its headers, then to be answered. Streams may go on. Default 10 s.
    pub time: Duration,
    /// Connections at a time; more wait. Where TLS is spoken one address has at most an eighth of them; more are closed. Default 256.
    pub connections: usize,
    /// TLS handshakes at a time; more wait, for as long as `time`, in which the handshake must be done. Default 64.
    pub handshakes: usize,
    /// Streams at a time; more are refused. Default 64.
    pub streams: usize,
    /// Requests a second that one address may make in the long run. Default 200.
    pub rate: u32,
    /// Requests that one address may make at once after a pause. Default 400.
    pub burst: u32,
    /// Events kept for pages and for streams that resume. Default 4096.
    pub events: usize,
    /// How often a silent stream says that it lives. Default 10 s.
    pub heartbeat: Duration,
    /// How long a client may leave an answer unread before its connection is closed. Default 30 s.
    pub unread: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body: 64 << 10,
            head: 16 << 10,
            headers: 64,
            time: Duration::from_secs(10),
            connections: 256,
            handshakes: 64,
            streams: 64,
            rate: 200,
            burst: 400,
            events: 4096,
            heartbeat: Duration::from_secs(10),
            unread: Duration::from_secs(30),
        }
    }
}
