//! TLS with the certificate that the cluster's authority issued for this node, and the handshakes of those who come.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::server::ResolvesServerCert;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How TLS begins (RFC 8446 section 5.1: the content type `handshake`); no method of HTTP does.
const HANDSHAKE: u8 = 22;
/// The name of HTTP/1.1 in the handshake (RFC 7301).
const ALPN: &[u8] = b"http/1.1";

/// How long a client may say nothing at all: one that speaks TLS speaks first.
const FIRST: Duration = Duration::from_secs(2);

/// TLS 1.3 with what `shown` shows at each handshake. No session is resumed: each connection is shown the certificate anew.
pub(super) fn server_config(shown: Arc<dyn ResolvesServerCert>) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider())).with_protocol_versions(&[&rustls::version::TLS13]);
    let mut config = builder.expect("the provider has cipher suites of TLS 1.3").with_no_client_auth().with_cert_resolver(shown);
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    Arc::new(config)
}

/// Why a connection did not get to HTTP. The client is at fault, or the network.
#[derive(Debug, Error)]
pub(super) enum HandshakeFailure {
    /// It broke off, or the other side does not take the certificate.
    #[error("no TLS on a connection for HTTP: {0}")]
    Tls(#[from] io::Error),
    /// It took too long.
    #[error("TLS did not come in time on a connection for HTTP")]
    Slow,
    /// The address makes too many connections.
    #[error("an address makes too many connections for HTTP")]
    TooMany,
}

/// What came of a handshake.
pub(super) enum Shaken {
    /// TLS.
    Tls(Box<TlsStream<TcpStream>>),
    /// Something else is spoken, HTTP in the clear perhaps.
    Plain(TcpStream),
}

/// The handshakes of one server. A few at a time: each costs a signature.
#[derive(Clone)]
pub(super) struct Handshakes {
    acceptor: TlsAcceptor,
    places: Arc<Semaphore>,
    time: Duration,
}

impl Handshakes {
    pub(super) fn new(config: Arc<ServerConfig>, at_once: usize, time: Duration) -> Self {
        Handshakes { acceptor: config.into(), places: Arc::new(Semaphore::new(at_once.max(1))), time }
    }

    /// One of them. The wait for a place counts.
    pub(super) async fn shake(&self, stream: TcpStream) -> Result<Shaken, HandshakeFailure> {
        let shaking = async {
            let mut first = [0];
            // One that says nothing takes no place.
            timeout(FIRST, stream.peek(&mut first)).await.map_err(|_| HandshakeFailure::Slow)??;
            if first != [HANDSHAKE] {
                return Ok(Shaken::Plain(stream));
            }
            let _place = self.places.acquire().await.map_err(io::Error::other)?;
            Ok(Shaken::Tls(Box::new(self.acceptor.accept(stream).await?)))
        };
        timeout(self.time, shaking).await.unwrap_or(Err(HandshakeFailure::Slow))
    }
}

/// Whether others than this machine can come there.
pub(crate) fn is_beyond_this_machine(listen: SocketAddr) -> bool {
    !listen.ip().to_canonical().is_loopback()
}
