//! Peers that do not keep to the protocol: each is refused and counted, and a good peer does not notice.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail as tests do")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hivemind_core::ids::{ClusterId, NodeName};
use hivemind_core::machine::{Birth, Destination};
use hivemind_core::rng::Rng;
use hivemind_core::wire::frame::{Channel, STREAM_LIMIT};
use hivemind_node::Node;
use hivemind_node::authority::{Authority, NodeIdentity};
use hivemind_node::keys::Ed25519Keys;
use hivemind_node::transport::{Inbox, Incoming, Refused, Transport, TransportSettings, WireVersions};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

const BOUND: Duration = Duration::from_secs(20);

struct Victim {
    authority: Authority,
    transport: Transport,
    incoming: Inbox,
}

fn issue(authority: &Authority) -> NodeIdentity {
    authority.issue(Arc::new(Ed25519Keys::generate().unwrap()), &NodeName::new("peer").unwrap()).unwrap()
}

fn victim() -> Victim {
    let authority = Authority::new(ClusterId(7)).unwrap();
    let settings = TransportSettings { frame_timeout: Duration::from_millis(200), ..TransportSettings::default() };
    let (transport, incoming) = Transport::bind("127.0.0.1:0".parse().unwrap(), &issue(&authority), settings).unwrap();
    Victim { authority, transport, incoming }
}

impl Victim {
    async fn refuses(&self, why: Refused) {
        let wait = async {
            while !self.transport.stats().refused.contains_key(&why) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(BOUND, wait).await.unwrap_or_else(|_| panic!("{why:?} is not in {:?}", self.transport.stats()));
    }

    async fn next_frame(&mut self) -> Bytes {
        loop {
            let next = tokio::time::timeout(BOUND, self.incoming.recv()).await.expect("a frame comes").expect("it is open");
            if let Incoming::Frame { bytes, .. } = next {
                return bytes;
            }
        }
    }

    /// What matters in the end: a good peer gets through.
    async fn still_serves(&mut self) {
        let (good, _incoming) =
            Transport::bind("127.0.0.1:0".parse().unwrap(), &issue(&self.authority), TransportSettings::default()).unwrap();
        let to = Destination { key: Some(self.transport.public()), addresses: vec![self.transport.local_addr()] };
        good.send(&to, Channel::Ordered, Bytes::from_static(b"good"));
        assert_eq!(self.next_frame().await, Bytes::from_static(b"good"));
        good.close().await;
    }
}

#[derive(Debug)]
struct TrustsAnyone;

impl ServerCertVerifier for TrustsAnyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// An attacker's own QUIC, with whatever certificate and protocol name.
fn attacker(identity: Option<&NodeIdentity>, alpn: &[u8]) -> Endpoint {
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustsAnyone));
    let mut tls = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.keys().pkcs8().to_vec()));
            builder.with_client_auth_cert(identity.chain().to_vec(), key).unwrap()
        }
    };
    tls.alpn_protocols = vec![alpn.to_vec()];
    let mut endpoint = Endpoint::client("127.0.0.1:0".parse::<SocketAddr>().unwrap()).unwrap();
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap())));
    endpoint
}

/// A member gone bad: it has a certificate and says the right first words.
async fn insider(victim: &Victim) -> (Endpoint, Connection, SendStream, RecvStream) {
    let endpoint = attacker(Some(&issue(&victim.authority)), b"hivemind/1");
    let connection = endpoint.connect(victim.transport.local_addr(), "hivemind").unwrap().await.unwrap();
    let mut ordered = connection.open_uni().await.unwrap();
    // Which start it is, wire 1 to 1, no features.
    ordered.write_all(&[0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0]).await.unwrap();
    let mut theirs = connection.accept_uni().await.unwrap();
    theirs.read_exact(&mut [0; 12]).await.unwrap();
    (endpoint, connection, ordered, theirs)
}

async fn is_closed(connection: &Connection) {
    tokio::time::timeout(BOUND, connection.closed()).await.expect("the victim closes the connection");
}

#[tokio::test]
async fn a_peer_without_a_certificate_is_refused() {
    let mut victim = victim();
    let endpoint = attacker(None, b"hivemind/1");
    if let Ok(connection) = endpoint.connect(victim.transport.local_addr(), "hivemind").unwrap().await {
        is_closed(&connection).await;
    }
    victim.refuses(Refused::NoCertificate).await;
    victim.still_serves().await;
}

#[tokio::test]
async fn a_certificate_that_names_another_cluster_is_refused() {
    let mut victim = victim();
    let other = Authority::new(ClusterId(8)).unwrap();
    let endpoint = attacker(Some(&issue(&other)), b"hivemind/1");
    if let Ok(connection) = endpoint.connect(victim.transport.local_addr(), "hivemind").unwrap().await {
        is_closed(&connection).await;
    }
    victim.refuses(Refused::OtherAuthority).await;
    victim.still_serves().await;
}

#[tokio::test]
async fn another_protocol_is_refused() {
    let mut victim = victim();
    let endpoint = attacker(Some(&issue(&victim.authority)), b"h3");
    assert!(endpoint.connect(victim.transport.local_addr(), "hivemind").unwrap().await.is_err());
    victim.refuses(Refused::Handshake).await;
    victim.still_serves().await;
}

#[tokio::test]
async fn garbage_packets_are_ignored() {
    let mut victim = victim();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut rng = Rng::new(1);
    for _ in 0..2_000 {
        let length = 1 + rng.below(1_400) as usize;
        let packet: Vec<u8> = (0..length).map(|_| rng.next() as u8).collect();
        socket.send_to(&packet, victim.transport.local_addr()).unwrap();
    }
    victim.still_serves().await;
    assert_eq!(victim.transport.stats().accepted, 1);
}

#[tokio::test]
async fn a_length_over_the_limit_closes_the_connection_before_anything_is_kept() {
    let mut victim = victim();
    for length in [0, STREAM_LIMIT as u32 + 1, u32::MAX] {
        let (_endpoint, connection, mut ordered, _theirs) = insider(&victim).await;
        ordered.write_all(&length.to_be_bytes()).await.unwrap();
        is_closed(&connection).await;
    }
    victim.refuses(Refused::Malformed).await;
    victim.still_serves().await;
}

#[tokio::test]
async fn a_frame_that_is_cut_off_closes_the_connection() {
    let mut victim = victim();
    let (_endpoint, connection, mut ordered, _theirs) = insider(&victim).await;
    ordered.write_all(&100u32.to_be_bytes()).await.unwrap();
    ordered.write_all(&[1; 50]).await.unwrap();
    ordered.finish().unwrap();
    is_closed(&connection).await;
    victim.refuses(Refused::Malformed).await;
    victim.still_serves().await;
}

#[tokio::test]
async fn a_bulk_frame_over_the_limit_closes_the_connection() {
    let mut victim = victim();
    let (_endpoint, connection, _ordered, _theirs) = insider(&victim).await;
    let mut bulk = connection.open_uni().await.unwrap();
    // The victim closes before all of it is written.
    let _ = bulk.write_all(&vec![1; STREAM_LIMIT + 1]).await;
    let _ = bulk.finish();
    is_closed(&connection).await;
    victim.refuses(Refused::Malformed).await;
    victim.still_serves().await;
}

#[tokio::test]
async fn streams_that_stall_are_given_up() {
    let mut victim = victim();
    let (_endpoint, connection, _ordered, _theirs) = insider(&victim).await;
    let mut stalled = Vec::new();
    for _ in 0..20 {
        let mut stream = connection.open_uni().await.unwrap();
        stream.write_all(b"never ends").await.unwrap();
        stalled.push(stream);
    }
    is_closed(&connection).await;
    victim.refuses(Refused::Malformed).await;
    victim.still_serves().await;
}

#[tokio::test]
async fn a_peer_that_takes_nothing_costs_bounded_memory() {
    let mut victim = victim();
    let (_endpoint, connection, mut ordered, _theirs) = insider(&victim).await;
    ordered.write_all(&5u32.to_be_bytes()).await.unwrap();
    ordered.write_all(b"hello").await.unwrap();
    let Some(Incoming::Frame { peer, .. }) = victim.incoming.recv().await else { panic!("no frame") };
    let to = Destination { key: Some(peer), addresses: Vec::new() };
    for _ in 0..100 {
        victim.transport.send(&to, Channel::Ordered, Bytes::from(vec![1; 1 << 20]));
    }
    let stats = victim.transport.stats();
    assert!(stats.sent.ordered.bytes <= 32 << 20, "{stats:?}");
    drop(connection);
    victim.still_serves().await;
}

#[tokio::test]
async fn a_transport_that_enrolls_nobody_hangs_up_on_who_wants_to_enroll() {
    let mut victim = victim();
    let endpoint = attacker(None, b"hivemind-enroll/1");
    let connection = endpoint.connect(victim.transport.local_addr(), "hivemind").unwrap().await.unwrap();
    is_closed(&connection).await;
    victim.refuses(Refused::NotEnrolling).await;
    victim.still_serves().await;
}

#[tokio::test]
async fn who_talks_nonsense_where_nodes_enroll_is_hung_up_on() {
    let authority = Arc::new(Authority::new(ClusterId(7)).unwrap());
    let node = Node::builder(NodeName::new("v1").unwrap()).in_memory().authority(authority).birth(Birth { cluster: ClusterId(7), tag: 1 });
    let node = node.listen("127.0.0.1:0".parse().unwrap()).start().await.unwrap();
    let endpoint = attacker(None, b"hivemind-enroll/1");
    node.handle().view_where(|view| view.facts.is_voter(view.node)).await.expect("it runs");
    // Not a request; one that is too large; the authority's key, for one that has proven nothing.
    for bytes in [vec![0xff; 40], vec![0; 64 << 10], vec![2]] {
        let connection = endpoint.connect(node.local_addr(), "hivemind").unwrap().await.unwrap();
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        // It may be hung up on before all is said.
        let _ = send.write_all(&bytes).await;
        let _ = send.finish();
        let answer = receive.read_to_end(64 << 10).await.unwrap_or_default();
        assert!(!answer.windows(11).any(|window| window == b"PRIVATE KEY"), "a key got out");
        connection.close(0u32.into(), b"");
        is_closed(&connection).await;
    }
    assert!(node.handle().status().stopped.is_none());
    node.stop().await;
}

#[tokio::test]
async fn a_peer_of_other_versions_is_refused_by_both_sides_with_that_reason() {
    let mut victim = victim();
    let settings = TransportSettings { wire: WireVersions { oldest: 2, newest: 3 }, ..TransportSettings::default() };
    let (later, _incoming) = Transport::bind("127.0.0.1:0".parse().unwrap(), &issue(&victim.authority), settings).unwrap();
    let to = Destination { key: Some(victim.transport.public()), addresses: vec![victim.transport.local_addr()] };
    later.send(&to, Channel::Ordered, Bytes::from_static(b"of another time"));
    victim.refuses(Refused::OtherVersion).await;
    let told = async {
        while !later.stats().refused.contains_key(&Refused::OtherVersion) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(BOUND, told).await.expect("the later one knows it too");
    assert_eq!(later.stats().open, 0);
    later.close().await;
    victim.still_serves().await;
}
