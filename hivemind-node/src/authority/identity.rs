//! What a node proves itself with.

use std::sync::Arc;

use hivemind_core::ids::{ClusterId, PublicKey};
use hivemind_core::keys::Keys;
use rustls::pki_types::CertificateDer;

use crate::keys::Ed25519Keys;

/// A node's key, the certificate that lets it speak to its cluster, and the authority that it accepts
/// others' certificates from.
#[derive(Clone, Debug)]
pub struct NodeIdentity {
    keys: Arc<Ed25519Keys>,
    chain: Vec<CertificateDer<'static>>,
    roots: Vec<CertificateDer<'static>>,
}

impl NodeIdentity {
    /// An identity of parts that were made elsewhere: the node's key, its certificate followed by
    /// those between it and the authority, and the authority's own.
    ///
    /// Whether they fit together shows when a node binds with them.
    pub fn from_parts(keys: Arc<Ed25519Keys>, chain: Vec<CertificateDer<'static>>, roots: Vec<CertificateDer<'static>>) -> Self {
        NodeIdentity { keys, chain, roots }
    }

    /// The node's public key.
    pub fn public(&self) -> PublicKey {
        self.keys.public()
    }

    /// The cluster whose authority it trusts; `None` where its roots are no authority of one.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.roots.iter().find_map(super::verify::authority_cluster)
    }

    /// When its certificate is valid; `None` where it is none of its roots.
    pub fn validity(&self) -> Option<super::Validity> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        super::PeerVerifier::new(&self.roots, algorithms)?.validity(&self.chain)
    }

    /// The node's key.
    pub fn keys(&self) -> &Arc<Ed25519Keys> {
        &self.keys
    }

    /// The certificate, and those between it and the authority.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The authority's certificates.
    pub fn roots(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }
}
