//! Keys for simulations: cheap, deterministic, and **not secure**.
//!
//! Whoever knows the world's seed can make every signature. That is the point: a check costs some
//! nanoseconds, and still tells a key's own signature from any other's.

use hivemind_core::ids::{Digest256, PublicKey};
use hivemind_core::keys::{Keys, Signature};
use hivemind_core::rng::split_mix;

/// The key of one simulated node, and the rule by which all keys of its world are checked.
#[derive(Clone, Debug)]
pub struct SimKeys {
    world: u64,
    public: PublicKey,
}

impl SimKeys {
    /// The key number `number` of the world with this seed.
    pub fn new(world: u64, number: u64) -> Self {
        let mut mixer = world ^ number.wrapping_mul(0xA24B_AED4_963E_E407);
        let mut public = [0; 32];
        for part in public.chunks_exact_mut(8) {
            part.copy_from_slice(&split_mix(&mut mixer).to_le_bytes());
        }
        SimKeys { world, public: PublicKey(public) }
    }

    fn signature(&self, key: &PublicKey, digest: &Digest256) -> Signature {
        let mut state = self.world;
        for word in key.0.chunks_exact(8).chain(digest.0.chunks_exact(8)) {
            state ^= u64::from_le_bytes(word.try_into().expect("a chunk of eight bytes"));
            state = split_mix(&mut state);
        }
        let mut signature = [0; 64];
        for part in signature.chunks_exact_mut(8) {
            part.copy_from_slice(&split_mix(&mut state).to_le_bytes());
        }
        Signature(signature)
    }
}

impl Keys for SimKeys {
    fn public(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, digest: &Digest256) -> Signature {
        self.signature(&self.public, digest)
    }

    fn verify(&self, key: &PublicKey, digest: &Digest256, signature: &Signature) -> bool {
        self.signature(key, digest) == *signature
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_key_and_one_digest_only() {
        let (alice, bob) = (SimKeys::new(7, 1), SimKeys::new(7, 2));
        let (one, two) = (Digest256([1; 32]), Digest256([2; 32]));
        let signature = alice.sign(&one);
        assert!(bob.verify(&alice.public(), &one, &signature));
        assert!(!bob.verify(&alice.public(), &two, &signature));
        assert!(!bob.verify(&bob.public(), &one, &signature));
        assert_ne!(alice.public(), bob.public());
        assert_ne!(SimKeys::new(8, 1).public(), alice.public());
    }
}
