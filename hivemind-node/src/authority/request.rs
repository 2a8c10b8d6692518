//! Certificate requests (PKCS#10, RFC 2986): what a node sends instead of its key.

use hivemind_core::ids::{NodeName, PublicKey};
use rcgen::{CertificateParams, CertificateSigningRequestParams, KeyPair, PKCS_ED25519, PublicKeyData};
use rustls::pki_types::CertificateSigningRequestDer;
use thiserror::Error;

use super::{AuthorityError, common_name};
use crate::keys::Ed25519Keys;

/// Why bytes are no request that a certificate is issued for. Their sender is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// Not a request, or not signed by the key in it.
    #[error("the certificate request does not decode, or is not signed by its key")]
    Malformed,
    /// A key of another kind.
    #[error("the certificate request is not for an Ed25519 key")]
    Key,
}

/// The request of a node for a certificate under `name`, signed by its key: the proof that it has it.
///
/// # Errors
/// [`AuthorityError`]: the key is none that requests are made for.
pub fn certificate_request(keys: &Ed25519Keys, name: &NodeName) -> Result<Vec<u8>, AuthorityError> {
    let pair = KeyPair::try_from(keys.pkcs8())?;
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(name.as_str());
    Ok(params.serialize_request(&pair)?.der().to_vec())
}

/// The key that a request carries, proven by its signature. Nothing else that it says is of interest: names and uses are the
/// authority's to give.
///
/// # Errors
/// [`RequestError`].
pub(crate) fn requested(request: &[u8]) -> Result<(PublicKey, rcgen::PublicKey), RequestError> {
    let request = CertificateSigningRequestDer::from(request.to_vec());
    let parsed = CertificateSigningRequestParams::from_der(&request).map_err(|_| RequestError::Malformed)?;
    let key = parsed.public_key;
    let raw = <[u8; 32]>::try_from(key.der_bytes()).map_err(|_| RequestError::Key)?;
    if *key.algorithm() != PKCS_ED25519 {
        return Err(RequestError::Key);
    }
    Ok((PublicKey(raw), key))
}

#[cfg(test)]
mod tests {
    use hivemind_core::keys::Keys;

    use super::*;

    #[test]
    fn a_request_carries_its_key_and_proves_it() {
        let keys = Ed25519Keys::generate().unwrap();
        let request = certificate_request(&keys, &NodeName::new("web1").unwrap()).unwrap();
        assert_eq!(requested(&request).unwrap().0, keys.public());
        for at in 0..request.len() {
            let mut altered = request.clone();
            altered[at] ^= 1;
            assert!(requested(&altered).is_err() || requested(&altered).unwrap().0 == keys.public(), "byte {at}");
            assert!(requested(&request[..at]).is_err(), "truncated at {at}");
        }
    }

    #[test]
    fn the_request_of_another_kind_of_key_is_refused() {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let request = CertificateParams::default().serialize_request(&pair).unwrap();
        assert_eq!(requested(request.der()).err(), Some(RequestError::Key));
    }
}
