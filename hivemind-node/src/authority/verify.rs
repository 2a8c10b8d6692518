//! Whether a certificate lets its holder speak to this cluster.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hivemind_core::ids::{ClusterId, PublicKey};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::{CertificateError, OtherError};
use thiserror::Error;
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyUsage, anchor_from_trusted_cert};

use super::{BACKDATED, CheckServer, trust_domain};
use crate::keys::key_of_spki;

/// A certificate is accepted for this long after its end: 90 days, so that a cluster that was off for
/// a month returns by itself. One that is not yet valid is always accepted: a board without a battery
/// boots in 1970. The chain to the authority, and the key, are checked in either case; whether that
/// key is a member's and was not revoked is for the applied state to say.
pub const CERTIFICATE_GRACE: Duration = Duration::from_secs(90 * 24 * 3600);

/// What is wrong with a certificate that the authority did issue.
#[derive(Debug, Error)]
enum Unfit {
    #[error("the certificate must name exactly one SPIFFE id of this cluster")]
    SpiffeId,
    #[error("the certificate's key must be an Ed25519 key")]
    Key,
    #[error(transparent)]
    Chain(#[from] webpki::Error),
}

impl From<Unfit> for rustls::Error {
    fn from(unfit: Unfit) -> Self {
        let reason = match unfit {
            Unfit::Chain(webpki::Error::UnknownIssuer) => CertificateError::UnknownIssuer,
            Unfit::Chain(webpki::Error::CertExpired { time, not_after }) => CertificateError::ExpiredContext { time, not_after },
            // A chain that does not hold is one that this authority did not make.
            Unfit::Chain(webpki::Error::InvalidSignatureForPublicKey) => CertificateError::UnknownIssuer,
            other @ (Unfit::SpiffeId | Unfit::Key | Unfit::Chain(_)) => CertificateError::Other(OtherError(Arc::new(other))),
        };
        rustls::Error::InvalidCertificate(reason)
    }
}

/// The cluster that a SPIFFE id belongs to; `None` where it is no id of a hivemind cluster.
pub fn parse_spiffe_cluster(uri: &str) -> Option<ClusterId> {
    let domain = uri.strip_prefix("spiffe://")?.split('/').next()?;
    let number = u64::from_str_radix(domain, 16).ok()?;
    let cluster = ClusterId(number);
    (cluster.to_string() == domain).then_some(cluster)
}

/// The cluster of an authority's certificate.
pub(crate) fn authority_cluster(certificate: &CertificateDer<'static>) -> Option<ClusterId> {
    let parsed = EndEntityCert::try_from(certificate).ok()?;
    parsed.valid_uri_names().find_map(parse_spiffe_cluster)
}

/// Whether it is the certificate of an authority, and of no node.
#[cfg(feature = "cli")]
pub(crate) fn is_authority(certificate: &CertificateDer<'static>) -> bool {
    let names = |parsed: EndEntityCert<'_>| parsed.valid_uri_names().map(str::to_owned).collect::<Vec<_>>();
    let cluster = authority_cluster(certificate).map(trust_domain);
    cluster.is_some_and(|domain| EndEntityCert::try_from(certificate).is_ok_and(|parsed| names(parsed) == [domain]))
}

/// Whether an authority is its own word: it is no bridge, which another one signed.
pub(crate) fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(certificate).is_ok_and(|parsed| parsed.issuer() == parsed.subject())
}

/// Whether a certificate names an address.
pub(crate) fn names_address(certificate: &CertificateDer<'_>, address: IpAddr) -> bool {
    let name = ServerName::IpAddress(address.into());
    EndEntityCert::try_from(certificate).is_ok_and(|parsed| parsed.verify_is_valid_for_subject_name(&name).is_ok())
}

/// The key that a connection was proven with.
pub(crate) fn peer_key(certificate: &CertificateDer<'_>) -> Option<PublicKey> {
    let parsed = EndEntityCert::try_from(certificate).ok()?;
    key_of_spki(&parsed.subject_public_key_info())
}

/// After 1970; no certificate's date reaches it: X.509 ends with the year 9999.
const FAR_FUTURE: Duration = Duration::from_secs(1 << 40);

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Not before this moment.
    pub from: SystemTime,
    /// Not after this one. It is accepted for [`CERTIFICATE_GRACE`] longer.
    pub until: SystemTime,
}

impl Validity {
    /// How long it is valid, from its issue on.
    pub(crate) fn life(&self) -> Duration {
        self.until.duration_since(self.from + BACKDATED).unwrap_or_default()
    }

    /// Whether it should have been renewed by now: less than a quarter of its life is left.
    pub(crate) fn is_late(&self, now: SystemTime) -> bool {
        self.until.duration_since(now).unwrap_or_default() < self.life() / 4
    }

    /// When it should be renewed: at half of its life, which began when it was issued.
    pub(crate) fn half_life(&self) -> SystemTime {
        self.from + BACKDATED + self.life() / 2
    }
}

/// Checks the certificates of both sides of every connection.
#[derive(Debug)]
pub(crate) struct PeerVerifier {
    anchors: Vec<TrustAnchor<'static>>,
    clusters: Vec<String>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PeerVerifier {
    /// Accepts what the authorities of `roots` issued; `None` where one of them is no authority of a cluster.
    pub(crate) fn new(roots: &[CertificateDer<'static>], algorithms: WebPkiSupportedAlgorithms) -> Option<Self> {
        let mut anchors = Vec::new();
        let mut clusters = Vec::new();
        for root in roots {
            anchors.push(anchor_from_trusted_cert(root).ok()?.to_owned());
            clusters.push(format!("{}/node/", trust_domain(authority_cluster(root)?)));
        }
        (!anchors.is_empty()).then_some(PeerVerifier { anchors, clusters, algorithms })
    }

    /// From when to when a certificate that the authorities issued is valid; `None` where it is not theirs. Behind it are those between.
    pub(crate) fn validity(&self, chain: &[CertificateDer<'_>]) -> Option<Validity> {
        let (certificate, beside) = chain.split_first()?;
        let parsed = EndEntityCert::try_from(certificate).ok()?;
        let at =
            |time| parsed.verify_for_usage(self.algorithms.all, &self.anchors, beside, time, KeyUsage::server_auth(), None, None).err();
        let begin = UnixTime::since_unix_epoch(Duration::ZERO);
        let not_before = match at(begin) {
            // Issued by a clock in 1970.
            None => begin,
            Some(webpki::Error::CertNotValidYet { not_before, .. }) => not_before,
            Some(_) => return None,
        };
        let Some(webpki::Error::CertExpired { not_after, .. }) = at(UnixTime::since_unix_epoch(FAR_FUTURE)) else { return None };
        // Dates are looked at before signatures: only this says that the authority issued it.
        if at(not_before).is_some() {
            return None;
        }
        let moment = |time: UnixTime| SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs());
        Some(Validity { from: moment(not_before), until: moment(not_after) })
    }

    /// Whether a certificate is one that a client of these authorities shows, at this time or within the grace.
    pub(super) fn check_client(&self, own: &CertificateDer<'_>, beside: &[CertificateDer<'_>], now: UnixTime) -> Result<(), rustls::Error> {
        Ok(self.check(own, beside, now, KeyUsage::client_auth())?)
    }

    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        usage: impl ExtendedKeyUsageValidator + Copy,
    ) -> Result<(), Unfit> {
        let certificate = EndEntityCert::try_from(end_entity)?;
        let chain_at =
            |time| certificate.verify_for_usage(self.algorithms.all, &self.anchors, intermediates, time, usage, None, None).map(|_| ());
        match chain_at(now) {
            Err(webpki::Error::CertExpired { time, not_after })
                if time.as_secs().saturating_sub(not_after.as_secs()) <= CERTIFICATE_GRACE.as_secs() =>
            {
                chain_at(not_after)?;
            }
            Err(webpki::Error::CertNotValidYet { not_before, .. }) => chain_at(not_before)?,
            other => other?,
        }
        self.node_name(&certificate)?;
        key_of_spki(&certificate.subject_public_key_info()).map(|_| ()).ok_or(Unfit::Key)
    }
}

impl PeerVerifier {
    /// The name in the one SPIFFE id of a certificate.
    fn node_name<'a>(&self, certificate: &'a EndEntityCert<'_>) -> Result<&'a str, Unfit> {
        let mut ids = certificate.valid_uri_names();
        let id = ids.next().ok_or(Unfit::SpiffeId)?;
        let name = self.clusters.iter().find_map(|cluster| id.strip_prefix(cluster.as_str())).filter(|name| !name.is_empty());
        if ids.next().is_some() { Err(Unfit::SpiffeId) } else { name.ok_or(Unfit::SpiffeId) }
    }

    /// The name of the node that a certificate was issued for, where it is valid at this very time: without the grace, so that one
    /// that was put out is nobody a day later.
    #[cfg(feature = "cli")]
    pub(super) fn node_now(
        &self,
        certificate: &CertificateDer<'_>,
        beside: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<String, rustls::Error> {
        let strictly = || {
            let certificate = EndEntityCert::try_from(certificate)?;
            certificate.verify_for_usage(self.algorithms.all, &self.anchors, beside, now, KeyUsage::server_auth(), None, None)?;
            Ok::<_, Unfit>(self.node_name(&certificate)?.to_owned())
        };
        Ok(strictly()?)
    }
}

impl CheckServer for PeerVerifier {
    /// Whether it is one of these authorities, at this time or within the grace.
    fn check_server(&self, own: &CertificateDer<'_>, beside: &[CertificateDer<'_>], now: UnixTime) -> Result<(), rustls::Error> {
        Ok(self.check(own, beside, now, KeyUsage::server_auth())?)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "certificates are issued by the wall clock")]
mod tests {
    use hivemind_core::ids::NodeName;
    use hivemind_core::keys::Keys;

    use super::*;
    use crate::authority::{Authority, CERTIFICATE_LIFETIME, NodeIdentity};
    use crate::keys::Ed25519Keys;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn issued(authority: &Authority, at: SystemTime) -> NodeIdentity {
        authority.issue_at(Arc::new(Ed25519Keys::generate().unwrap()), &NodeName::new("web1").unwrap(), &[], at).unwrap()
    }

    fn check(verifier_of: &NodeIdentity, whose: &NodeIdentity, at: SystemTime) -> Result<(), Unfit> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        let verifier = PeerVerifier::new(verifier_of.roots(), algorithms).unwrap();
        let now = UnixTime::since_unix_epoch(at.duration_since(SystemTime::UNIX_EPOCH).unwrap());
        verifier.check(&whose.chain()[0], &[], now, KeyUsage::server_auth())
    }

    #[test]
    fn a_certificate_carries_the_key_and_one_spiffe_id() {
        let authority = Authority::new(ClusterId(0xab)).unwrap();
        let identity = issued(&authority, SystemTime::now());
        let certificate = EndEntityCert::try_from(&identity.chain()[0]).unwrap();
        let ids: Vec<_> = certificate.valid_uri_names().collect();
        assert_eq!(ids, ["spiffe://00000000000000ab/node/web1"]);
        assert_eq!(peer_key(&identity.chain()[0]), Some(identity.keys().public()));
    }

    #[test]
    fn an_expired_certificate_is_accepted_within_the_grace_and_not_after_it() {
        let authority = Authority::new(ClusterId(1)).unwrap();
        let now = SystemTime::now();
        let identity = issued(&authority, now);
        let end = now + CERTIFICATE_LIFETIME;
        assert!(check(&identity, &identity, end + CERTIFICATE_GRACE - DAY).is_ok());
        let refused = check(&identity, &identity, end + CERTIFICATE_GRACE + DAY);
        assert!(matches!(refused, Err(Unfit::Chain(webpki::Error::CertExpired { .. }))), "{refused:?}");
    }

    #[test]
    fn a_board_that_boots_in_1970_accepts_its_peers() {
        let authority = Authority::new(ClusterId(1)).unwrap();
        let identity = issued(&authority, SystemTime::now());
        assert!(check(&identity, &identity, SystemTime::UNIX_EPOCH).is_ok());
    }

    #[test]
    fn another_authority_is_refused_at_any_date() {
        let ours = issued(&Authority::new(ClusterId(1)).unwrap(), SystemTime::now());
        let theirs = issued(&Authority::new(ClusterId(1)).unwrap(), SystemTime::now());
        for at in [SystemTime::UNIX_EPOCH, SystemTime::now(), SystemTime::now() + 2 * CERTIFICATE_LIFETIME] {
            let refused = check(&ours, &theirs, at);
            assert!(matches!(refused, Err(Unfit::Chain(_))), "{refused:?}");
        }
    }

    #[test]
    fn a_certificate_is_renewed_at_half_of_its_life() {
        let authority = Authority::new(ClusterId(1)).unwrap();
        let issued_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let validity = issued(&authority, issued_at).validity().unwrap();
        assert_eq!(validity.until, issued_at + CERTIFICATE_LIFETIME);
        assert_eq!(validity.half_life(), issued_at + CERTIFICATE_LIFETIME / 2);
        let in_1970 = issued(&authority, SystemTime::UNIX_EPOCH).validity().unwrap();
        assert_eq!(in_1970.until, SystemTime::UNIX_EPOCH + CERTIFICATE_LIFETIME);
        let other = issued(&Authority::new(ClusterId(1)).unwrap(), issued_at);
        let mixed = NodeIdentity::from_parts(other.keys().clone(), other.chain().to_vec(), vec![authority.certificate().clone()]);
        assert_eq!(mixed.validity(), None, "it is not this authority's");
    }

    #[test]
    fn only_canonical_ids_name_a_cluster() {
        assert_eq!(parse_spiffe_cluster("spiffe://00000000000000ff/node/a"), Some(ClusterId(255)));
        for other in ["spiffe://ff/node/a", "spiffe://00000000000000FF", "http://00000000000000ff", "spiffe://", ""] {
            assert_eq!(parse_spiffe_cluster(other), None, "{other}");
        }
    }
}
