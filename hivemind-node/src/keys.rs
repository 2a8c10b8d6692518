//! A node's Ed25519 key: its lasting identity, and the signing scheme of real nodes.

use hivemind_core::ids::{Digest256, PublicKey};
use hivemind_core::keys::{Keys, Signature};
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use thiserror::Error;

/// What stands before the 32 raw bytes in the `SubjectPublicKeyInfo` of an Ed25519 key (RFC 8410
/// section 4): a sequence of the algorithm 1.3.101.112 and a bit string.
const ED25519_SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What stands before the 32 bytes of a seed in PKCS#8 (RFC 8410 section 7).
const ED25519_PKCS8_PREFIX: [u8; 16] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Why there is no key. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The operating system gave no randomness.
    #[error("the operating system gives no randomness; a key can not be made")]
    NoRandomness,
    /// The bytes are not an Ed25519 key in PKCS#8: the file that they come from is damaged, or of another kind.
    #[error("not an Ed25519 private key in PKCS#8")]
    Malformed,
}

/// A node's own Ed25519 key (RFC 8032). Signs with itself, checks others' signatures.
pub struct Ed25519Keys {
    pair: Ed25519KeyPair,
    public: PublicKey,
    pkcs8: Box<[u8]>,
}

impl Ed25519Keys {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn generate() -> Result<Self, KeyError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::NoRandomness)?;
        Ed25519Keys::from_pkcs8(document.as_ref())
    }

    /// The key of a seed: 32 random bytes (RFC 8032 section 5.1.5).
    pub(crate) fn from_seed(seed: &[u8; 32]) -> Self {
        let pkcs8 = [&ED25519_PKCS8_PREFIX[..], seed].concat();
        Ed25519Keys::from_pkcs8(&pkcs8).expect("any 32 bytes are the seed of an Ed25519 key")
    }

    /// Takes a key as it was kept.
    ///
    /// # Errors
    /// [`KeyError::Malformed`].
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| KeyError::Malformed)?;
        let public = PublicKey(pair.public_key().as_ref().try_into().map_err(|_| KeyError::Malformed)?);
        Ok(Ed25519Keys { pair, public, pkcs8: pkcs8.into() })
    }

    /// The private key, to be kept where only this node can read it.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }
}

impl std::fmt::Debug for Ed25519Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ed25519Keys({:?})", self.public)
    }
}

impl Keys for Ed25519Keys {
    fn public(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, digest: &Digest256) -> Signature {
        let signature = self.pair.sign(&digest.0);
        Signature(signature.as_ref().try_into().expect("an Ed25519 signature has 64 bytes"))
    }

    fn verify(&self, key: &PublicKey, digest: &Digest256, signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, key.0).verify(&digest.0, &signature.0).is_ok()
    }
}

/// The raw key of an encoded `SubjectPublicKeyInfo`, where it is an Ed25519 one.
pub(crate) fn key_of_spki(spki: &[u8]) -> Option<PublicKey> {
    let raw = spki.strip_prefix(&ED25519_SPKI_PREFIX)?;
    Some(PublicKey(raw.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_key_and_digest_alone() {
        let ours = Ed25519Keys::generate().unwrap();
        let theirs = Ed25519Keys::generate().unwrap();
        let digest = Digest256([7; 32]);
        let signature = ours.sign(&digest);
        assert!(theirs.verify(&ours.public(), &digest, &signature));
        assert!(!theirs.verify(&theirs.public(), &digest, &signature));
        assert!(!theirs.verify(&ours.public(), &Digest256([8; 32]), &signature));
    }

    #[test]
    fn a_kept_key_is_the_same_key_again() {
        let keys = Ed25519Keys::generate().unwrap();
        assert_eq!(Ed25519Keys::from_pkcs8(keys.pkcs8()).unwrap().public(), keys.public());
    }

    #[test]
    fn bytes_that_are_no_key_are_refused() {
        let keys = Ed25519Keys::generate().unwrap();
        assert_eq!(Ed25519Keys::from_pkcs8(b"").unwrap_err(), KeyError::Malformed);
        assert_eq!(Ed25519Keys::from_pkcs8(&keys.pkcs8()[..20]).unwrap_err(), KeyError::Malformed);
        assert_eq!(key_of_spki(&[0x30; 44]), None);
        assert_eq!(key_of_spki(&ED25519_SPKI_PREFIX), None);
    }
}
