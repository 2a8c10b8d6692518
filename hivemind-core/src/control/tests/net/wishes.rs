//! Keys, and wishes to join that are signed with them.

use super::V1;
use crate::ids::{Digest256, Index, NodeName, PublicKey};
use crate::keys::{Keys, Purpose, Signature, hash};
use crate::wire::codec;
use crate::wire::command::Command;
use crate::wire::member::{JoinRequest, MemberRecord, SignedJoin};

/// A scheme for tests: anybody could forge it, but nothing verifies that was not signed.
pub(in crate::control::tests) struct TestKeys(pub(in crate::control::tests) PublicKey);

pub(in crate::control::tests) fn sign(key: &PublicKey, digest: &Digest256) -> Signature {
    let half = hash(&[&key.0, &digest.0]).0;
    let mut whole = [0; 64];
    whole[..32].copy_from_slice(&half);
    whole[32..].copy_from_slice(&half);
    Signature(whole)
}

impl Keys for TestKeys {
    fn public(&self) -> PublicKey {
        self.0
    }

    fn sign(&self, digest: &Digest256) -> Signature {
        sign(&self.0, digest)
    }

    fn verify(&self, key: &PublicKey, digest: &Digest256, signature: &Signature) -> bool {
        sign(key, digest) == *signature
    }
}

/// The key that a name's node has, unless a test says otherwise.
pub(in crate::control::tests) fn key_of(name: &str) -> PublicKey {
    PublicKey(hash(&[b"key of", name.as_bytes()]).0)
}

/// The member that a cluster is born with.
pub(in crate::control::tests) fn first_member() -> MemberRecord {
    MemberRecord {
        node: V1,
        name: NodeName::new("v1").unwrap(),
        key: key_of("v1"),
        addresses: Vec::new(),
        roles: Vec::new(),
        voter_eligible: true,
        features: Default::default(),
        address_seq: 0,
        joined: Index(0),
    }
}

pub(in crate::control::tests) fn request(name: &str, nonce: u64) -> JoinRequest {
    JoinRequest {
        nonce,
        name: NodeName::new(name).unwrap(),
        key: key_of(name),
        addresses: vec!["127.0.0.1:6550".parse().unwrap()],
        roles: Vec::new(),
        voter_eligible: true,
        features: Default::default(),
        previous: None,
    }
}

pub(in crate::control::tests) fn signed(request: JoinRequest) -> Command {
    let signature = sign(&request.key, &Purpose::Join.digest(&codec::encode(&request)));
    Command::Join(SignedJoin { request, signature })
}
