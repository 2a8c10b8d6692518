//! Whom a node accepts: another set of authorities, once one follows another, for connections that are made from then on.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};

use super::{CheckServer, PeerVerifier};

/// Checks the certificates of both sides of every connection, by the authorities that are trusted at the time. Clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Trusted {
    current: Arc<RwLock<Arc<PeerVerifier>>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Trusted {
    /// Trusts these; `None` where one of them is no authority of a cluster, or there is none.
    pub(crate) fn new(roots: &[CertificateDer<'static>], algorithms: WebPkiSupportedAlgorithms) -> Option<Self> {
        let current = Arc::new(RwLock::new(Arc::new(PeerVerifier::new(roots, algorithms)?)));
        Some(Trusted { current, algorithms })
    }

    /// Trusts these from now on. `None`, and nothing changes, where one of them is no authority of a cluster, or there is none.
    pub(crate) fn trust(&self, roots: &[CertificateDer<'static>]) -> Option<()> {
        let next = Arc::new(PeerVerifier::new(roots, self.algorithms)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Some(())
    }

    fn now(&self) -> Arc<PeerVerifier> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn check_client(&self, own: &CertificateDer<'_>, beside: &[CertificateDer<'_>], now: UnixTime) -> Result<(), rustls::Error> {
        self.now().check_client(own, beside, now)
    }
}

impl CheckServer for Trusted {
    fn check_server(&self, own: &CertificateDer<'_>, beside: &[CertificateDer<'_>], now: UnixTime) -> Result<(), rustls::Error> {
        self.now().check_server(own, beside, now)
    }
}
