//! The cluster's certificate authority: who holds it says which keys may speak to the cluster at all.
//!
//! A certificate binds a node's key to a name under the cluster, as one SPIFFE id:
//! `spiffe://<cluster>/node/<name>`, and for those who speak HTTPS as a DNS name and addresses beside it. It is the ticket to a connection and no more: whether a key is a
//! member, and under which name, is decided by the applied state.

mod bridge;
mod folder;
mod identity;
#[cfg(feature = "cli")]
mod named;
mod proven;
mod request;
mod trusted;
mod verify;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hivemind_core::ids::{ClusterId, Digest256, NodeName};
use hivemind_core::keys::hash;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ED25519, SanType,
};
use rustls::pki_types::CertificateDer;
use thiserror::Error;

pub(crate) use bridge::leads;
pub use folder::AuthorityFolderError;
pub(crate) use folder::{certificate_pem, write_whole};
pub use identity::NodeIdentity;
#[cfg(feature = "cli")]
pub(crate) use named::{NamedVerifier, Wanted};
pub(crate) use proven::{CheckServer, Proven};
pub(crate) use request::requested;
pub use request::{RequestError, certificate_request};
pub(crate) use trusted::Trusted;
#[cfg(feature = "cli")]
pub(crate) use verify::is_authority;
pub use verify::{CERTIFICATE_GRACE, Validity, parse_spiffe_cluster};
pub(crate) use verify::{PeerVerifier, authority_cluster, is_self_signed, names_address, peer_key};

use crate::keys::Ed25519Keys;

/// How long a certificate is valid from its issue. Short, since it is renewed by being issued again;
/// [`CERTIFICATE_GRACE`] is what saves a cluster that was off.
pub const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// A clock that is behind by up to this much does not find a fresh certificate not yet valid.
pub(crate) const BACKDATED: Duration = Duration::from_secs(3600);

/// Why a certificate could not be made. Nothing changed.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// The key is none that certificates are made for.
    #[error("the certificate can not be made: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// The authority of one cluster: its key, and its self-signed certificate.
pub struct Authority {
    cluster: ClusterId,
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    /// Of the same key, by the authority before it: who trusts only that one comes from there to this one.
    bridge: Option<CertificateDer<'static>>,
    lifetime: Duration,
}

/// SHA-256 of an authority's public key: by this a joiner knows the cluster that its token is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// That of the key of an authority's certificate; `None` where its key is none that authorities have.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Option<Self> {
        peer_key(certificate).map(|key| Fingerprint(hash(&[&key.0]).0))
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl Authority {
    /// Makes the authority of a new cluster, with a new key.
    ///
    /// # Errors
    /// [`AuthorityError`]: the operating system gave no randomness.
    pub fn new(cluster: ClusterId) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let params = authority_params(cluster, &key, ROOT_DEPTH)?;
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Authority { cluster, issuer: Issuer::new(params, key), certificate, bridge: None, lifetime: CERTIFICATE_LIFETIME })
    }

    /// Makes the authority that is to follow this one, with a new key.
    ///
    /// # Errors
    /// [`AuthorityError`]: the operating system gave no randomness.
    pub(crate) fn successor(&self) -> Result<Self, AuthorityError> {
        let next = Authority::new(self.cluster)?;
        let params = authority_params(self.cluster, next.issuer.key(), 0)?;
        let bridge = params.signed_by(next.issuer.key(), &self.issuer)?.der().clone();
        Ok(Authority { bridge: Some(bridge), lifetime: self.lifetime, ..next })
    }

    /// Issues certificates that are valid for so long, instead of [`CERTIFICATE_LIFETIME`]. At least a second.
    #[must_use]
    pub fn with_lifetime(self, lifetime: Duration) -> Self {
        Authority { lifetime: lifetime.max(Duration::from_secs(1)), ..self }
    }

    /// By what a joiner knows it.
    pub fn fingerprint(&self) -> Fingerprint {
        let raw: &[u8] = self.issuer.key().public_key_raw();
        Fingerprint(hash(&[raw]).0)
    }

    /// Its certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A certificate of its key by the authority before it, where there was one.
    pub(crate) fn bridge(&self) -> Option<&CertificateDer<'static>> {
        self.bridge.as_ref()
    }

    /// By what the control plane names it.
    pub(crate) fn digest(&self) -> Digest256 {
        hash(&[&self.certificate])
    }

    /// Which cluster's.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// Issues a certificate of [`CERTIFICATE_LIFETIME`] for a node's key, under `name`.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn issue(&self, keys: Arc<Ed25519Keys>, name: &NodeName) -> Result<NodeIdentity, AuthorityError> {
        self.issue_with(keys, name, &[])
    }

    /// As [`issue`](Self::issue), of a node that is reached at these addresses.
    ///
    /// # Errors
    /// [`AuthorityError`].
    #[expect(clippy::disallowed_methods, reason = "a certificate has dates; the driver's clock may not run yet")]
    pub(crate) fn issue_with(&self, keys: Arc<Ed25519Keys>, name: &NodeName, at: &[IpAddr]) -> Result<NodeIdentity, AuthorityError> {
        self.issue_at(keys, name, at, SystemTime::now())
    }

    /// Issues a certificate under `name` for the key that a request carries and proves, and says what is to be shown beside it. Whether
    /// the key is admitted under that name, and reached at these addresses, is for the caller to know.
    ///
    /// # Errors
    /// [`AuthorityError`].
    #[expect(clippy::disallowed_methods, reason = "a certificate has dates")]
    pub(crate) fn sign(
        &self,
        key: &rcgen::PublicKey,
        name: &NodeName,
        at: &[IpAddr],
    ) -> Result<Vec<CertificateDer<'static>>, AuthorityError> {
        let params = self.params(name, at, SystemTime::now())?;
        Ok(self.chain(params.signed_by(key, &self.issuer)?.der().clone()))
    }

    fn chain(&self, certificate: CertificateDer<'static>) -> Vec<CertificateDer<'static>> {
        std::iter::once(certificate).chain(self.bridge.clone()).collect()
    }

    fn issue_at(&self, keys: Arc<Ed25519Keys>, name: &NodeName, at: &[IpAddr], now: SystemTime) -> Result<NodeIdentity, AuthorityError> {
        let pair = KeyPair::try_from(keys.pkcs8())?;
        let certificate = self.params(name, at, now)?.signed_by(&pair, &self.issuer)?.der().clone();
        Ok(NodeIdentity::from_parts(keys, self.chain(certificate), vec![self.certificate.clone()]))
    }

    fn params(&self, name: &NodeName, at: &[IpAddr], now: SystemTime) -> Result<CertificateParams, AuthorityError> {
        let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(name.as_str());
        params.not_before = rcgen::date_time_ymd(1970, 1, 1) + since_1970.saturating_sub(BACKDATED);
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + since_1970 + self.lifetime;
        let id = SanType::URI(format!("{}/node/{name}", trust_domain(self.cluster)).try_into()?);
        // Peers go by the id alone. Programs that speak HTTPS know nothing of it.
        params.subject_alt_names = vec![id, SanType::DnsName(name.as_str().try_into()?)];
        params.subject_alt_names.extend(at.iter().copied().map(SanType::IpAddress));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        Ok(params)
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({})", self.cluster)
    }
}

/// The SPIFFE trust domain of a cluster.
fn trust_domain(cluster: ClusterId) -> String {
    format!("spiffe://{cluster}")
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// Below an authority there may be the bridge to the one that follows it.
const ROOT_DEPTH: u8 = 1;

/// All of it follows from the cluster and the key, so that a loaded authority issues under the very name that its certificate carries, and
/// programs that know authorities by their names tell two of one cluster apart.
fn authority_params(cluster: ClusterId, key: &KeyPair, depth: u8) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    let raw: &[u8] = key.public_key_raw();
    let number = u32::from_be_bytes(*hash(&[raw]).0.first_chunk().expect("32 bytes"));
    params.distinguished_name = common_name(&format!("hivemind authority {number:08x} of cluster {cluster}"));
    // A node whose clock is in 1970 follows a bridge too.
    params.not_before = rcgen::date_time_ymd(1970, 1, 1);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(depth));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.subject_alt_names = vec![SanType::URI(trust_domain(cluster).try_into()?)];
    Ok(params)
}
