//! The side that asks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hivemind_core::ids::ClusterId;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, VarInt};
use rustls::CertificateError;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use tokio::time::{Instant, timeout};

use super::error::EnrollFailure;
use super::words::{Answer, MAX_VOTERS, Request, hear, say};
use crate::authority::{CheckServer, Fingerprint, NodeIdentity, PeerVerifier, Proven, authority_cluster};
use crate::transport::{ENROLL_ALPN, IdentityError, is_of_other_authority};

/// How long a decision is waited for in all: a few elections.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// A connection that takes longer is not made.
const CONNECT: Duration = Duration::from_secs(3);
/// An answer that takes longer is none: the control plane gives up a proposal after 5 s.
const ANSWER: Duration = Duration::from_secs(8);
/// Between two rounds of asking.
const PAUSE: Duration = Duration::from_millis(300);

/// Who was asked: somebody of a cluster.
pub(super) struct Asked {
    pub(super) cluster: ClusterId,
    /// The authorities by which it was known.
    pub(super) roots: Vec<CertificateDer<'static>>,
}

/// By what a cluster is known.
#[derive(Clone, Debug)]
pub(super) enum Known {
    /// By the fingerprint of an authority, which the other side shows beside its own certificate.
    Fingerprint(Fingerprint),
    /// By the authorities themselves.
    Roots(Vec<CertificateDer<'static>>),
}

impl Known {
    /// The authorities, as far as the other side must show them. `None`: it did not.
    fn roots(&self, beside: &[CertificateDer<'_>]) -> Option<Vec<CertificateDer<'static>>> {
        match self {
            // A bridge has the key of an authority too; the authority itself comes behind it.
            Known::Fingerprint(wanted) => {
                let shown = beside.iter().rev().find(|root| Fingerprint::of_certificate(root) == Some(*wanted))?;
                Some(vec![shown.clone().into_owned()])
            }
            Known::Roots(roots) => Some(roots.clone()),
        }
    }
}

/// Asks voters.
pub(super) struct Caller {
    known: Known,
    config: ClientConfig,
    /// For whom the other one does not convince, if there is another.
    plain: Option<ClientConfig>,
    endpoint: Endpoint,
}

impl Caller {
    /// One that shows no certificate.
    pub(super) fn stranger(known: Known) -> Result<Self, EnrollFailure> {
        Caller::new(known, None)
    }

    /// One that proves itself as the member that it is.
    pub(super) fn member(identity: &NodeIdentity) -> Result<Self, EnrollFailure> {
        Caller::new(Known::Roots(identity.roots().to_vec()), Some(identity))
    }

    /// One that proves itself where it can, since members are attended to first, and asks as a stranger whoever does not accept its certificate:
    /// that may be of an authority that is none any more.
    pub(super) fn renewing(identity: &NodeIdentity) -> Result<Self, EnrollFailure> {
        let known = Known::Roots(identity.roots().to_vec());
        if identity.validity().is_none() {
            return Caller::stranger(known);
        }
        let plain = Some(client(&known, None)?);
        Ok(Caller { plain, ..Caller::member(identity)? })
    }

    fn new(known: Known, identity: Option<&NodeIdentity>) -> Result<Self, EnrollFailure> {
        let config = client(&known, identity)?;
        let dual = Endpoint::client((Ipv6Addr::UNSPECIFIED, 0).into());
        let endpoint = dual.or_else(|_no_ipv6| Endpoint::client((Ipv4Addr::UNSPECIFIED, 0).into())).map_err(EnrollFailure::Socket)?;
        Ok(Caller { known, config, plain: None, endpoint })
    }

    /// Asks one after another, and whom these name, again and again until somebody decides or the patience is over.
    pub(super) async fn ask(
        &self,
        at: &[SocketAddr],
        request: impl Fn(ClusterId) -> Request,
        patience: Duration,
    ) -> Result<(Answer, Asked), EnrollFailure> {
        let deadline = Instant::now() + patience;
        let mut known: BTreeSet<SocketAddr> = at.iter().copied().collect();
        let mut next: VecDeque<SocketAddr> = at.iter().copied().collect();
        let mut tried = BTreeMap::new();
        let mut foreign = None;
        loop {
            while let Some(address) = next.pop_front() {
                match self.ask_one(address, &request).await {
                    Ok((Answer::Elsewhere { voters }, _)) => {
                        tried.insert(address, "issues no certificates");
                        let fresh = voters.into_iter().filter(|voter| known.len() < MAX_VOTERS && known.insert(*voter));
                        next.extend(fresh.collect::<Vec<_>>());
                    }
                    Ok((Answer::Later, _)) => drop(tried.insert(address, "can not decide now")),
                    Ok(decided) => return Ok(decided),
                    Err(Unasked::OtherAuthority) => {
                        foreign.get_or_insert(address);
                        tried.insert(address, "is of another cluster");
                    }
                    Err(Unasked::NotAccepted) => drop(tried.insert(address, "does not accept the certificate of this node")),
                    Err(Unasked::Silent(why)) => drop(tried.insert(address, why)),
                }
                if Instant::now() >= deadline {
                    break;
                }
            }
            // A stranger stays one: waiting for it is of no use where nobody else was named.
            let all_foreign = !tried.is_empty() && tried.values().all(|why| *why == "is of another cluster");
            if let Some(address) = foreign.filter(|_| all_foreign) {
                return Err(EnrollFailure::OtherAuthority { address });
            }
            if Instant::now() + PAUSE >= deadline || known.is_empty() {
                return Err(EnrollFailure::Undecided(tried.into_iter().collect()));
            }
            tokio::time::sleep(PAUSE).await;
            next.extend(known.iter().copied());
        }
    }

    /// Whether somebody of the cluster can be spoken to there: a handshake, and nothing more.
    ///
    /// # Errors
    /// What stands against it.
    #[cfg(feature = "cli")]
    pub(super) async fn reach(&self, address: SocketAddr) -> Result<(), &'static str> {
        match self.connect(&self.config, address).await {
            Ok(connection) => {
                connection.close(VarInt::from_u32(0), b"");
                Ok(())
            }
            Err(Unasked::OtherAuthority) => Err("is of another cluster"),
            Err(Unasked::NotAccepted) => Err("does not accept the certificate of this node"),
            Err(Unasked::Silent(why)) => Err(why),
        }
    }

    async fn connect(&self, config: &ClientConfig, address: SocketAddr) -> Result<Connection, Unasked> {
        let connecting = self.endpoint.connect_with(config.clone(), address, "hivemind");
        let connecting = connecting.map_err(|_| Unasked::Silent("can not be called"))?;
        match timeout(CONNECT, connecting).await {
            Err(_elapsed) => Err(Unasked::Silent("does not answer")),
            Ok(Err(error)) if is_of_other_authority(&error) => Err(Unasked::OtherAuthority),
            Ok(Err(_)) => Err(Unasked::Silent("refuses the connection")),
            Ok(Ok(connection)) => Ok(connection),
        }
    }

    async fn ask_one(&self, address: SocketAddr, request: impl Fn(ClusterId) -> Request) -> Result<(Answer, Asked), Unasked> {
        let answered = self.ask_by(&self.config, address, &request).await;
        match &self.plain {
            Some(plain) if matches!(answered, Err(Unasked::NotAccepted)) => self.ask_by(plain, address, &request).await,
            Some(_) | None => answered,
        }
    }

    async fn ask_by(
        &self,
        config: &ClientConfig,
        address: SocketAddr,
        request: impl Fn(ClusterId) -> Request,
    ) -> Result<(Answer, Asked), Unasked> {
        let connection = self.connect(config, address).await?;
        let answered = match self.asked(&connection) {
            Some(asked) => {
                let answer = timeout(ANSWER, exchange(&connection, &request(asked.cluster))).await;
                answer.ok().flatten().map(|answer| (answer, asked))
            }
            None => None,
        };
        // The other side looks at a certificate when this one thinks that the connection is made.
        let is_refused = connection.close_reason().is_some_and(|error| is_handshake_error(&error));
        connection.close(VarInt::from_u32(0), b"");
        answered.ok_or(if is_refused { Unasked::NotAccepted } else { Unasked::Silent("does not decide in time") })
    }

    /// Who the other side is: the verifier let it through.
    fn asked(&self, connection: &Connection) -> Option<Asked> {
        let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        let roots = self.known.roots(chain.get(1..)?)?;
        Some(Asked { cluster: roots.first().and_then(authority_cluster)?, roots })
    }
}

/// What every connection of a caller is made with.
fn client(known: &Known, identity: Option<&NodeIdentity>) -> Result<ClientConfig, EnrollFailure> {
    let provider = Arc::new(default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let verifier = Proven::new(Cluster { known: known.clone(), algorithms }, algorithms);
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(IdentityError::from)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut tls = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.keys().pkcs8().to_vec()));
            builder.with_client_auth_cert(identity.chain().to_vec(), key).map_err(IdentityError::from)?
        }
    };
    tls.alpn_protocols = vec![ENROLL_ALPN.to_vec()];
    Ok(ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).map_err(IdentityError::from)?)))
}

/// Whether TLS ended a connection: an alert of the other side, once this one has sent all of its own.
fn is_handshake_error(error: &ConnectionError) -> bool {
    matches!(error, ConnectionError::ConnectionClosed(close) if (0x100..0x200).contains(&u64::from(close.error_code)))
}

async fn exchange(connection: &Connection, request: &Request) -> Option<Answer> {
    let (mut send, mut receive) = connection.open_bi().await.ok()?;
    say(&mut send, request).await.ok()?;
    hear(&mut receive).await.ok()
}

/// Why one was not asked.
enum Unasked {
    OtherAuthority,
    NotAccepted,
    Silent(&'static str),
}

/// Accepts whoever is of the cluster.
#[derive(Debug)]
struct Cluster {
    known: Known,
    algorithms: WebPkiSupportedAlgorithms,
}

impl CheckServer for Cluster {
    fn check_server(&self, own: &CertificateDer<'_>, beside: &[CertificateDer<'_>], now: UnixTime) -> Result<(), rustls::Error> {
        let unknown = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let roots = self.known.roots(beside).ok_or_else(unknown)?;
        PeerVerifier::new(&roots, self.algorithms).ok_or_else(unknown)?.check_server(own, beside, now)
    }
}
