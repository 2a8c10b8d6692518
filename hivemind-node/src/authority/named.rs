//! Whether whoever answers over HTTPS is the node that was asked for. Peers need no more than a member, whose frames say who it is; a
//! credential must go to no other node than the one that it is meant for.

use std::net::IpAddr;

use rustls::CertificateError;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};

use super::{CheckServer, PeerVerifier, names_address};

/// Who is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The node of this name.
    Node(String),
    /// The node that the authority knows at this address.
    At(IpAddr),
}

/// Checks who answers.
#[derive(Debug)]
pub(crate) struct NamedVerifier {
    peers: PeerVerifier,
    wanted: Wanted,
}

impl NamedVerifier {
    /// Accepts one node of these authorities; `None` where one of them is no authority of a cluster, or there is none.
    pub(crate) fn new(roots: &[CertificateDer<'static>], algorithms: WebPkiSupportedAlgorithms, wanted: Wanted) -> Option<Self> {
        Some(NamedVerifier { peers: PeerVerifier::new(roots, algorithms)?, wanted })
    }
}

impl CheckServer for NamedVerifier {
    fn check_server(&self, own: &CertificateDer<'_>, beside: &[CertificateDer<'_>], now: UnixTime) -> Result<(), rustls::Error> {
        let name = self.peers.node_now(own, beside, now)?;
        let is_wanted = match &self.wanted {
            Wanted::Node(wanted) => name == *wanted,
            Wanted::At(address) => names_address(own, *address),
        };
        if is_wanted { Ok(()) } else { Err(CertificateError::NotValidForName.into()) }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "certificates are issued by the wall clock")]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use hivemind_core::ids::{ClusterId, NodeName};

    use super::*;
    use crate::authority::{Authority, CERTIFICATE_LIFETIME};
    use crate::keys::Ed25519Keys;

    fn check(by: &Authority, of: &Authority, wanted: Wanted, after: Duration) -> Result<(), CertificateError> {
        let at: IpAddr = "192.0.2.1".parse().unwrap();
        let shown = of.issue_with(Arc::new(Ed25519Keys::generate().unwrap()), &NodeName::new("web1").unwrap(), &[at]).unwrap();
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        let verifier = NamedVerifier::new(&[by.certificate().clone()], algorithms, wanted).unwrap();
        let now = SystemTime::now() + after;
        let now = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap());
        match verifier.check_server(&shown.chain()[0], &[], now) {
            Ok(()) => Ok(()),
            Err(rustls::Error::InvalidCertificate(error)) => Err(error),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn only_the_node_that_is_asked_for_is_accepted_and_only_while_its_certificate_is_valid() {
        let (ours, theirs) = (Authority::new(ClusterId(1)).unwrap(), Authority::new(ClusterId(1)).unwrap());
        let node = |name: &str| Wanted::Node(name.to_owned());
        let at = |address: &str| Wanted::At(address.parse().unwrap());
        let soon = Duration::ZERO;
        for wanted in [node("web1"), at("192.0.2.1")] {
            assert_eq!(check(&ours, &ours, wanted.clone(), soon), Ok(()));
            assert_eq!(check(&ours, &theirs, wanted.clone(), soon), Err(CertificateError::UnknownIssuer));
            let late = check(&ours, &ours, wanted, CERTIFICATE_LIFETIME + Duration::from_secs(60));
            assert!(matches!(late, Err(CertificateError::ExpiredContext { .. })), "{late:?}");
        }
        for other in [node("web2"), node("web"), at("192.0.2.2")] {
            assert_eq!(check(&ours, &ours, other, soon), Err(CertificateError::NotValidForName));
        }
    }

    #[test]
    fn the_certificate_of_a_node_is_no_authority() {
        let authority = Authority::new(ClusterId(1)).unwrap();
        let node = authority.issue(Arc::new(Ed25519Keys::generate().unwrap()), &NodeName::new("web1").unwrap()).unwrap();
        assert!(crate::authority::is_authority(authority.certificate()));
        assert!(!crate::authority::is_authority(&node.chain()[0]));
    }
}
