//! Beyond this machine: TLS with the certificate that the authority issued for the node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hivemind_core::ids::ClusterId;
use hivemind_core::machine::Birth;
use hivemind_node::Node;
use hivemind_node::authority::{Authority, CERTIFICATE_LIFETIME};
use hivemind_node::http::model::ProblemKind;
use hivemind_node::http::{Anonymous, HttpListener, HttpServer, HttpSettings, Limits};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use crate::client::{get, text, within};
use crate::nodes::{authority, builder, has_leader, is_member, limits, with_secrets};

const CLUSTER: ClusterId = ClusterId(0xfeed);
/// Where the node says that it is.
const STATED: &str = "192.0.2.1";

/// A node that serves beyond this machine.
struct Server {
    _node: Node,
    _http: HttpServer,
    at: SocketAddr,
}

impl Server {
    async fn of(authority: &Arc<Authority>, limits: Limits) -> Self {
        let node = builder(authority, "voter1").birth(Birth { cluster: CLUSTER, tag: 5 }).names_addresses(true);
        let node = node.advertise([format!("{STATED}:6550").parse().unwrap()]).start().await.unwrap();
        let listen = "0.0.0.0:0".parse().unwrap();
        let settings = HttpSettings { listen, anonymous: Anonymous::None, limits, ..HttpSettings::default() };
        let http = HttpListener::bind(settings.with_certificate_of(node.handle())).unwrap().serve(node.handle().clone());
        is_member(&node).await;
        has_leader(&node).await;
        with_secrets(&node).await;
        let at = ([127, 0, 0, 1], http.local_addr().port()).into();
        Server { _node: node, _http: http, at }
    }

    /// What one who knows this authority, and nothing of SPIFFE, gets from the node of this name or address.
    async fn ask(&self, trusted: &Trusted<'_>, name: &str, path: &str) -> Result<String, CertificateError> {
        let mut stream = self.connect(trusted, name).await?;
        let headers = if path == "/metrics" { &[("Authorization", "Bearer reader")][..] } else { &[] };
        let asked = text("GET", path, headers, "").replace("localhost", name);
        stream.write_all(asked.as_bytes()).await.unwrap();
        let mut heard = String::new();
        let _ = within("an answer", stream.read_to_string(&mut heard)).await;
        Ok(heard)
    }

    async fn connect(&self, trusted: &Trusted<'_>, name: &str) -> Result<tokio_rustls::client::TlsStream<TcpStream>, CertificateError> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((trusted.from, 0).into()).unwrap();
        let stream = within("a connection", socket.connect(self.at)).await.unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        match within("a handshake", TlsConnector::from(trusted.config()).connect(name, stream)).await {
            Ok(stream) => Ok(stream),
            Err(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(rustls::Error::InvalidCertificate(error)) => Err(error.clone()),
                _ => panic!("{error}"),
            },
        }
    }

    /// Waits until so many, or more, did not get to HTTP for this reason.
    async fn failed(&self, authority: &Authority, reason: &str) {
        let line = format!("hivemind_http_handshake_failures_total{{reason=\"{reason}\"}} ");
        let trusted = Trusted { from: [127, 0, 0, 2], ..Trusted::of(authority) };
        let counted = async {
            loop {
                let heard = self.ask(&trusted, "voter1", "/metrics").await.unwrap();
                let count = heard.lines().find_map(|found| found.strip_prefix(&line)).and_then(|count| count.parse::<u64>().ok());
                if count.is_some_and(|count| count > 0) {
                    return;
                }
            }
        };
        within(reason, counted).await;
    }
}

/// Whom a client trusts, what its clock says, and from where it asks.
struct Trusted<'a> {
    authority: &'a Authority,
    clock: Arc<dyn TimeProvider>,
    from: [u8; 4],
}

impl<'a> Trusted<'a> {
    fn of(authority: &'a Authority) -> Self {
        Trusted { authority, clock: Arc::new(DefaultTimeProvider), from: [127, 0, 0, 1] }
    }

    fn config(&self) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.certificate().clone()).unwrap();
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let config = ClientConfig::builder_with_details(provider, self.clock.clone()).with_safe_default_protocol_versions().unwrap();
        Arc::new(config.with_webpki_verifier(verifier).with_no_client_auth())
    }
}

/// A clock that is ahead by more than a certificate lives.
#[derive(Debug)]
struct Ahead;

impl TimeProvider for Ahead {
    fn current_time(&self) -> Option<UnixTime> {
        let now = DefaultTimeProvider.current_time()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + 2 * CERTIFICATE_LIFETIME))
    }
}

#[tokio::test]
async fn a_node_is_known_by_its_name_and_with_a_renewed_certificate_by_its_address() {
    let authority = authority();
    let server = Server::of(&authority, limits()).await;
    let trusted = Trusted::of(&authority);
    assert!(server.ask(&trusted, "voter1", "/healthz").await.unwrap().starts_with("HTTP/1.1 200 "));
    assert!(server.ask(&trusted, "voter1", "/api/v1/members").await.unwrap().starts_with("HTTP/1.1 401 "), "nobody is anonymous");
    // The certificate of the start knows no address yet.
    let named = async { while server.ask(&trusted, STATED, "/healthz").await.is_err() {} };
    within("a certificate with the address", named).await;
    for other in ["voter2", "127.0.0.1", "192.0.2.2"] {
        let refused = server.connect(&trusted, other).await.unwrap_err();
        assert!(matches!(refused, CertificateError::NotValidForNameContext { .. }), "{other}: {refused:?}");
    }
}

#[tokio::test]
async fn another_authority_and_an_expired_certificate_are_refused_and_counted() {
    let (ours, theirs) = (authority(), authority());
    let server = Server::of(&ours, limits()).await;
    let refused = server.connect(&Trusted::of(&theirs), "voter1").await.unwrap_err();
    assert!(matches!(refused, CertificateError::UnknownIssuer | CertificateError::BadSignature), "{refused:?}");
    server.failed(&ours, "tls").await;
    let late = Trusted { clock: Arc::new(Ahead), ..Trusted::of(&ours) };
    let refused = server.connect(&late, "voter1").await.unwrap_err();
    assert!(matches!(refused, CertificateError::ExpiredContext { .. }), "{refused:?}");
}

#[tokio::test]
async fn one_that_speaks_in_the_clear_is_told_so_and_gets_nothing() {
    let authority = authority();
    let server = Server::of(&authority, limits()).await;
    let answer = get(server.at, "/healthz").await;
    assert_eq!(answer.problem(), ProblemKind::BadRequest);
    assert!(answer.body.contains("ask with https://"), "{answer:?}");
    server.failed(&authority, "plain").await;
}

#[tokio::test]
async fn those_that_stall_or_come_too_often_make_room() {
    let authority = authority();
    let server = Server::of(&authority, Limits { time: Duration::from_secs(2), handshakes: 1, ..limits() }).await;
    let mut all = Vec::new();
    for begun in [&[][..], &[22], &[22, 3, 1]] {
        let mut stalled = TcpStream::connect(server.at).await.unwrap();
        stalled.write_all(begun).await.unwrap();
        all.push(stalled);
    }
    for mut stalled in all {
        let mut heard = Vec::new();
        let _ = within("it is put out", stalled.read_to_end(&mut heard)).await;
    }
    server.failed(&authority, "slow").await;

    let server = Server::of(&authority, Limits { rate: 1, burst: 8, ..limits() }).await;
    let trusted = Trusted::of(&authority);
    let mut refused = 0;
    for _ in 0..64 {
        let stream = TcpStream::connect(server.at).await.unwrap();
        let name = ServerName::try_from("voter1").unwrap();
        refused += u32::from(within("an end", TlsConnector::from(trusted.config()).connect(name, stream)).await.is_err());
    }
    assert!(refused > 0);
    server.failed(&authority, "too_many").await;
}

#[tokio::test]
async fn one_address_that_says_nothing_keeps_nobody_else_out() {
    let authority = authority();
    let minute = Duration::from_secs(60);
    let server = Server::of(&authority, Limits { connections: 16, time: minute, ..limits() }).await;
    let mut silent = Vec::new();
    for _ in 0..32 {
        silent.push(TcpStream::connect(server.at).await.unwrap());
    }
    let other = Trusted { from: [127, 0, 0, 2], ..Trusted::of(&authority) };
    assert!(server.ask(&other, "voter1", "/healthz").await.unwrap().starts_with("HTTP/1.1 200 "));
    server.failed(&authority, "too_many").await;
    for mut silent in silent {
        let _ = within("its end", silent.read(&mut [0])).await;
    }
    server.failed(&authority, "slow").await;
    assert!(server.ask(&Trusted::of(&authority), "voter1", "/healthz").await.unwrap().starts_with("HTTP/1.1 200 "), "it may come again");
}
