//! Which certificate authorities a cluster trusts, and how one follows another.
//!
//! The control plane keeps the certificates of authorities as bytes: what they say is for those who check connections. Their private
//! keys are never here: voters hand them to each other.
//!
//! A new authority is announced, then it takes over when a majority of the voters hold its key, then the former one is retired. Whoever
//! missed the announcement trusts the new one by its bridge, which the former one signed.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::{Digest256, NodeId};
use crate::keys::hash;

/// The certificate of an authority, as DER: 1 to [`CertificateBytes::MAX`] bytes, which nobody here looks into. Clones share it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct CertificateBytes(Arc<[u8]>);

/// That is none, or too long a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a certificate of {length} bytes; an authority's has 1 to {}", CertificateBytes::MAX)]
pub struct CertificateLength {
    /// How many bytes were given.
    pub length: usize,
}

impl CertificateBytes {
    /// The most bytes: several times what the certificate of an authority takes.
    pub const MAX: usize = 2048;

    /// Takes a certificate.
    ///
    /// # Errors
    /// [`CertificateLength`].
    pub fn new(der: &[u8]) -> Result<Self, CertificateLength> {
        match der.len() {
            1..=Self::MAX => Ok(CertificateBytes(der.into())),
            length => Err(CertificateLength { length }),
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// By what the authority is named in short: SHA-256 of its certificate.
    pub fn digest(&self) -> Digest256 {
        hash(&[&self.0])
    }
}

impl TryFrom<Vec<u8>> for CertificateBytes {
    type Error = CertificateLength;

    fn try_from(der: Vec<u8>) -> Result<Self, CertificateLength> {
        CertificateBytes::new(&der)
    }
}

impl From<CertificateBytes> for Vec<u8> {
    fn from(certificate: CertificateBytes) -> Self {
        certificate.0.to_vec()
    }
}

impl fmt::Debug for CertificateBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate {:?}", self.digest())
    }
}

/// An authority that follows another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Successor {
    /// Its own certificate, self-signed.
    pub certificate: CertificateBytes,
    /// A certificate of the same key, signed by the authority before it.
    pub bridge: CertificateBytes,
}

/// What moved among the authorities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthorityChange {
    /// Another one is trusted beside the present one, and follows it as soon as a majority of the voters hold its key. It takes the place
    /// of one that was announced before and did not get so far.
    Announced {
        /// The certificate of the present one.
        present: CertificateBytes,
        /// The other one.
        next: Successor,
    },
    /// A voter holds the key of an authority.
    Held {
        /// Who.
        node: NodeId,
        /// Which: [`CertificateBytes::digest`].
        authority: Digest256,
    },
    /// The former authority is trusted no more.
    Retired,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::WireError;
    use crate::wire::codec;

    #[test]
    fn a_certificate_has_limits_also_where_it_comes_from_the_network() {
        let long = vec![0_u8; CertificateBytes::MAX + 1];
        assert_eq!(CertificateBytes::new(&long), Err(CertificateLength { length: 2049 }));
        assert_eq!(CertificateBytes::new(&[]), Err(CertificateLength { length: 0 }));
        assert_eq!(codec::decode::<CertificateBytes, 10_000>(&codec::encode(&long)), Err(WireError::Malformed));
        let whole = CertificateBytes::new(&long[1..]).unwrap();
        assert_eq!(codec::decode::<CertificateBytes, 10_000>(&codec::encode(&whole)), Ok(whole));
    }
}
