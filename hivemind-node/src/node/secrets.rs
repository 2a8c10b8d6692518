//! Making tokens and credentials: their secrets are drawn here and shown once; the control plane learns what proves them.

use std::fmt;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use hivemind_core::ids::Digest256;
use hivemind_core::keys::hash;
use hivemind_core::wire::access::{Admits, Credential, CredentialId, Label, Right};
use hivemind_core::wire::command::{Command, Outcome};
use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;

use super::NodeHandle;
use crate::authority::Fingerprint;
use crate::enroll::{JoinToken, MAX_TOKEN_ADDRESSES, voter_addresses};
use crate::keys::KeyError;

/// What every secret of a credential begins with, so that scanners for secrets find one that got where it should not be.
const PREFIX: &str = "hmc1-";

/// What a join token is to be made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenWish {
    /// What people call it.
    pub label: Label,
    /// For what it admits a node.
    pub admits: Admits,
    /// How long it admits nodes, by the clock of the control plane.
    pub ttl: Duration,
    /// How many.
    pub uses: u32,
}

/// Why there is no token or credential to show.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SecretFailure {
    /// No secret could be drawn. Nothing changed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The node knows no voter yet, or no authority. Nothing changed.
    #[error("this node is not a member yet; ask again when it is")]
    NotAMember,
    /// What became of the command instead. Where it is not known, make another one, and revoke the one that nobody has seen.
    #[error("{}", told(.0))]
    NotCommitted(Outcome),
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Refused(refusal) => refusal.to_string(),
        Outcome::Committed { .. } | Outcome::OutcomeUnknown => {
            "it is not known whether it was made; list what there is, revoke what nobody has, and try again".to_owned()
        }
    }
}

/// The secret of a credential, as its bearer shows it. `Debug` does not show it; [`CredentialSecret::line`] alone does.
#[derive(Clone, PartialEq, Eq)]
pub struct CredentialSecret(String);

impl CredentialSecret {
    fn generate() -> Result<Self, KeyError> {
        let mut secret = [0; 32];
        SystemRandom::new().fill(&mut secret).map_err(|_| KeyError::NoRandomness)?;
        Ok(CredentialSecret(format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&secret))))
    }

    /// The secret, for the eyes of its bearer, never for a log.
    pub fn line(&self) -> &str {
        &self.0
    }

    /// By what every node knows the bearer of a secret.
    pub fn hash_of(secret: &str) -> Digest256 {
        hash(&[secret.as_bytes()])
    }
}

impl fmt::Debug for CredentialSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialSecret")
    }
}

/// A credential that was just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCredential {
    /// Its name.
    pub id: CredentialId,
    /// Its secret, which nobody can show again.
    pub secret: CredentialSecret,
}

impl NodeHandle {
    /// Makes a join token: what it returns is to be shown once.
    ///
    /// # Errors
    /// [`SecretFailure`].
    pub async fn create_token(&self, wish: TokenWish) -> Result<JoinToken, SecretFailure> {
        let authority = self.identity().roots().first().and_then(Fingerprint::of_certificate);
        let (Some(view), Some(authority)) = (self.view(), authority) else { return Err(SecretFailure::NotAMember) };
        let own = view.facts.is_voter(view.node).then(|| view.facts.member(view.node)).flatten();
        let own = own.and_then(|own| own.addresses.first().copied());
        let addresses: Vec<_> = own.into_iter().chain(voter_addresses(&view)).take(MAX_TOKEN_ADDRESSES).collect();
        let made = JoinToken::generate(authority, &addresses)?;
        let TokenWish { label, admits, ttl, uses } = wish;
        self.committed(Command::TokenCreate { id: made.id(), label, admits, ttl, uses }).await.map(|()| made)
    }

    /// Makes a credential of the API: its secret is to be shown once.
    ///
    /// # Errors
    /// [`SecretFailure`].
    pub async fn create_credential(&self, label: Label, right: Right) -> Result<NewCredential, SecretFailure> {
        let mut number = [0; 8];
        SystemRandom::new().fill(&mut number).map_err(|_| KeyError::NoRandomness)?;
        let made = NewCredential { id: CredentialId(u64::from_be_bytes(number)), secret: CredentialSecret::generate()? };
        let credential = Credential { label, hash: CredentialSecret::hash_of(made.secret.line()), right };
        self.committed(Command::CredentialCreate { id: made.id, credential }).await.map(|()| made)
    }

    /// What the bearer of a secret may do, as far as this node knows: it asks nobody. `None`: nothing.
    pub fn right_of(&self, secret: &str) -> Option<(CredentialId, Right)> {
        let view = self.view()?;
        let (id, credential) = view.facts.credential_of(&CredentialSecret::hash_of(secret))?;
        Some((id, credential.right))
    }

    async fn committed(&self, command: Command) -> Result<(), SecretFailure> {
        match self.propose(command).await {
            Outcome::Committed { .. } => Ok(()),
            outcome @ (Outcome::Refused(_) | Outcome::OutcomeUnknown) => Err(SecretFailure::NotCommitted(outcome)),
        }
    }
}
