//! What both ends of a connection agree on: TLS 1.3 with certificates on both sides, one protocol
//! name, and QUIC's limits.

use std::sync::{Arc, PoisonError, RwLock};

use hivemind_core::ids::PublicKey;
use quinn::crypto::rustls::{HandshakeData, NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, ConnectionId, ConnectionIdGenerator, EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use rustls::SignatureScheme;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use thiserror::Error;

use super::settings::TransportSettings;
use crate::authority::{NodeIdentity, Proven, Trusted, Validity};

/// The name of the protocol in the handshake (RFC 7301).
const ALPN: &[u8] = b"hivemind/1";
/// The name of the protocol by which a node gets its certificate.
pub(crate) const ENROLL_ALPN: &[u8] = b"hivemind-enroll/1";

/// Memory of an idle connection grows with the streams allowed.
const MAX_STREAMS: u32 = 100;
/// What one stream may have on its way unread.
const STREAM_WINDOW: u32 = 1 << 20;
/// What one connection may have on its way unread.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Datagrams that wait unread, and unsent; the oldest are dropped.
const DATAGRAM_BUFFER: usize = 256 << 10;
const CONNECTION_ID_LEN: usize = 8;

/// Why an identity can not be used. It was put together wrongly; nothing changed.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The roots are none.
    #[error("the identity has no certificate of a hivemind authority among its roots; issue it with this cluster's authority")]
    Authority,
    /// The certificate is not the key's, or is none.
    #[error("the certificate and the key of the identity do not fit together: {0}; issue a certificate for this key")]
    Certificate(#[from] rustls::Error),
    /// The new certificate is for another key.
    #[error("a certificate is renewed for the same key; to change the key, start anew with the other identity")]
    OtherKey,
    /// The cipher suite that QUIC starts with is missing.
    #[error(transparent)]
    CipherSuite(#[from] NoInitialCipherSuite),
}

/// Everything that an endpoint of this identity is configured with.
pub(super) struct Configs {
    pub(super) endpoint: EndpointConfig,
    pub(super) server: ServerConfig,
    pub(super) client: ClientConfig,
    pub(super) shown: Arc<Shown>,
}

impl Configs {
    pub(super) fn new(identity: &NodeIdentity, settings: &TransportSettings) -> Result<Self, IdentityError> {
        let provider = Arc::new(default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let trusted = Trusted::new(identity.roots(), algorithms).ok_or(IdentityError::Authority)?;
        let verifier = Arc::new(Proven::new(trusted.clone(), algorithms));
        let shown = Arc::new(Shown::new(identity, trusted)?);

        let mut server = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier.clone())
            .with_cert_resolver(shown.clone());
        server.alpn_protocols = vec![ALPN.to_vec(), ENROLL_ALPN.to_vec()];
        // Every connection shows its certificate anew.
        server.send_tls13_tickets = 0;
        let mut client = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(shown.clone());
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.resumption = Resumption::disabled();

        let transport = Arc::new(transport(settings));
        let mut server = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(server)?));
        server.transport_config(transport.clone());
        let mut client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(client)?));
        client.transport_config(transport);
        Ok(Configs { endpoint: endpoint(identity), server, client, shown })
    }
}

/// The certificate that is shown: another one after a renewal, for connections that are made from then on.
#[derive(Debug)]
pub(super) struct Shown {
    own: PublicKey,
    trusted: Trusted,
    current: RwLock<Current>,
}

#[derive(Clone, Debug)]
struct Current {
    /// To peers, who know the authority.
    plain: Arc<CertifiedKey>,
    /// To nodes that enroll, who know the fingerprint of its key: with the authority's certificate.
    with_authority: Arc<CertifiedKey>,
    validity: Option<Validity>,
    identity: NodeIdentity,
}

impl Current {
    fn of(identity: &NodeIdentity) -> Result<Self, IdentityError> {
        let pkcs8 = PrivatePkcs8KeyDer::from(identity.keys().pkcs8().to_vec());
        let key = default_provider().key_provider.load_private_key(PrivateKeyDer::Pkcs8(pkcs8))?;
        let plain = CertifiedKey::new(identity.chain().to_vec(), key.clone());
        plain.keys_match()?;
        let whole = identity.chain().iter().chain(identity.roots()).cloned().collect();
        let with_authority = Arc::new(CertifiedKey::new(whole, key));
        Ok(Current { plain: Arc::new(plain), with_authority, validity: identity.validity(), identity: identity.clone() })
    }
}

impl Shown {
    fn new(identity: &NodeIdentity, trusted: Trusted) -> Result<Self, IdentityError> {
        Ok(Shown { own: identity.public(), trusted, current: RwLock::new(Current::of(identity)?) })
    }

    /// Shows another certificate of the same key from now on, and accepts those of its authorities.
    pub(super) fn renew(&self, identity: &NodeIdentity) -> Result<(), IdentityError> {
        if identity.public() != self.own {
            return Err(IdentityError::OtherKey);
        }
        let renewed = Current::of(identity)?;
        self.trusted.trust(identity.roots()).ok_or(IdentityError::Authority)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(())
    }

    pub(super) fn validity(&self) -> Option<Validity> {
        self.current().validity
    }

    pub(super) fn identity(&self) -> NodeIdentity {
        self.current().identity
    }

    fn current(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let enrolls = hello.alpn().is_some_and(|mut names| names.any(|name| name == ENROLL_ALPN));
        let current = self.current();
        Some(if enrolls { current.with_authority } else { current.plain })
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _root_hint_subjects: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.current().plain)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The name of the protocol that a connection was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Between members.
    Peers,
    /// Of a node that wants a certificate.
    Enrollment,
}

/// What a connection was made for.
pub(super) fn protocol_of(connection: &quinn::Connection) -> Option<Protocol> {
    let data = connection.handshake_data()?.downcast::<HandshakeData>().ok()?;
    match data.protocol.as_deref() {
        Some(ALPN) => Some(Protocol::Peers),
        Some(ENROLL_ALPN) => Some(Protocol::Enrollment),
        Some(_) | None => None,
    }
}

fn transport(settings: &TransportSettings) -> TransportConfig {
    let mut transport = TransportConfig::default();
    let idle = IdleTimeout::try_from(settings.idle_timeout).expect("an idle timeout is far below 2^62 ms");
    transport
        .max_concurrent_uni_streams(VarInt::from_u32(MAX_STREAMS))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(u64::from(CONNECTION_WINDOW))
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER))
        .datagram_send_buffer_size(DATAGRAM_BUFFER)
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(None);
    transport
}

/// The secret behind stateless resets (RFC 9000 section 10.3) follows from the node's key: a process
/// that was restarted tells its peers at their first packet that the old connections are gone.
fn endpoint(identity: &NodeIdentity) -> EndpointConfig {
    let seed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, identity.keys().pkcs8()), b"hivemind stateless reset 1");
    let mut endpoint = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, seed.as_ref())));
    endpoint.cid_generator(|| Box::new(AnyConnectionId(SystemRandom::new())));
    endpoint
}

/// Random ids, all of which are looked up: those of an earlier process are answered by a reset.
struct AnyConnectionId(SystemRandom);

impl ConnectionIdGenerator for AnyConnectionId {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; CONNECTION_ID_LEN];
        self.0.fill(&mut id).expect("the operating system gave randomness for the node's key");
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_LEN
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}

/// The key that a connection was proven with: the verifier let only Ed25519 keys through.
pub(crate) fn proven_key(connection: &quinn::Connection) -> Option<PublicKey> {
    let identity = connection.peer_identity()?;
    let chain = identity.downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>().ok()?;
    crate::authority::peer_key(chain.first()?)
}
