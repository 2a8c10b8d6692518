//! Who may come in, and who may ask: join tokens, enrollments, credentials of the API.
//!
//! No secret stands here. A token is known by the public half of the key that its secret is, so that whoever passes an
//! enrollment on can use nothing of it; a credential by the hash of its secret.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::codec;
use super::member::{JoinRequest, MAX_ROLES};
use crate::ids::{ClusterId, Digest256, NodeName, PublicKey, SectionKind};
use crate::keys::{Purpose, Signature};
use crate::time::Timestamp;

/// The most tokens that there are at a time.
pub const MAX_TOKENS: usize = 1_000;
/// The most credentials that there are at a time.
pub const MAX_CREDENTIALS: usize = 1_000;
/// The most keys that are enrolled at a time.
pub const MAX_ENROLLED: usize = 1 << 16;

/// Who may become a member. Fixed at the birth of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdmissionPolicy {
    /// Whoever has a certificate of the cluster's authority, unless its key was revoked.
    #[default]
    Open,
    /// Only keys that were enrolled with a token.
    Enrolled,
}

/// What people call a token or a credential: 1 to 64 characters, none of them a control character.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(Arc<str>);

/// Why a text is no [`Label`]. The caller is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LabelError {
    /// Nothing, or too much.
    #[error("a label of {length} characters; give 1 to {}", Label::MAX_LEN)]
    Length {
        /// The characters given.
        length: usize,
    },
    /// A control character.
    #[error("a label with the control character {found:?}; leave it out")]
    Control {
        /// The first one.
        found: char,
    },
}

impl Label {
    /// The longest label, in characters.
    pub const MAX_LEN: usize = 64;

    /// Checks and takes a label.
    ///
    /// # Errors
    /// [`LabelError`].
    pub fn new(text: &str) -> Result<Self, LabelError> {
        let length = text.chars().count();
        if length == 0 || length > Self::MAX_LEN {
            return Err(LabelError::Length { length });
        }
        match text.chars().find(|c| c.is_control()) {
            Some(found) => Err(LabelError::Control { found }),
            None => Ok(Label(text.into())),
        }
    }

    /// The label as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Label {
    type Error = LabelError;

    fn try_from(text: String) -> Result<Self, LabelError> {
        Label::new(&text)
    }
}

impl From<Label> for String {
    fn from(label: Label) -> String {
        label.0.as_ref().into()
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What a node may be: what a token admits, and what an enrolled key was admitted for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admits {
    /// The roles that it may perform. At most [`MAX_ROLES`]. A node without a role is always admitted.
    pub roles: Vec<SectionKind>,
    /// Whether it may be eligible as a voter.
    pub voter: bool,
}

impl Admits {
    /// The first role of `wanted` that is not admitted.
    pub fn lacks<'a>(&self, mut wanted: impl Iterator<Item = &'a SectionKind>) -> Option<SectionKind> {
        wanted.find(|role| !self.roles.contains(role)).cloned()
    }

    /// Whether its list is no longer than a node's may be.
    pub fn is_sound(&self) -> bool {
        self.roles.len() <= MAX_ROLES
    }
}

/// A join token, as the control plane knows it. Its name is the public half of the key that its secret is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What people call it.
    pub label: Label,
    /// For what it admits a node.
    pub admits: Admits,
    /// From when on it admits nobody, by the clock of the log.
    pub expires: Timestamp,
    /// How many more keys it admits.
    pub uses: u32,
}

/// A token and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownToken {
    /// The public half of its key.
    pub id: PublicKey,
    /// What is known of it.
    pub token: Token,
}

/// A host that was admitted and is no member: it never ran, or its membership ended for failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Its key.
    pub key: PublicKey,
    /// What it was enrolled for.
    pub enrolled: Enrolled,
}

/// A node's wish that its key be admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrollment {
    /// To which cluster.
    pub cluster: ClusterId,
    /// The token that admits it.
    pub token: PublicKey,
    /// The node's key.
    pub key: PublicKey,
    /// The name that the key wants.
    pub name: NodeName,
    /// What it wants to be.
    pub wants: Admits,
}

impl Enrollment {
    /// What the token's key signs.
    pub fn digest(&self) -> Digest256 {
        Purpose::Enrollment.digest(&codec::encode(self))
    }
}

/// An enrollment, and the proof that its node has the token's secret. The secret itself stays with the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedEnrollment {
    /// What is wanted.
    pub enrollment: Enrollment,
    /// By the token's key, over [`Enrollment::digest`].
    pub proof: Signature,
}

/// A key that was admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// The name that it may join under, and nobody else.
    pub name: NodeName,
    /// What it may be.
    pub admits: Admits,
    /// The token that admitted it. `None`: it gave birth to the cluster, and nothing limits what it may be.
    pub token: Option<PublicKey>,
}

impl Enrolled {
    /// The first role of a join that is not admitted.
    pub fn lacks_role(&self, request: &JoinRequest) -> Option<SectionKind> {
        let _by_token = self.token?;
        self.admits.lacks(request.roles.iter().map(|role| &role.name))
    }

    /// Whether a join wants to vote, and may not.
    pub fn lacks_vote(&self, request: &JoinRequest) -> bool {
        self.token.is_some() && request.voter_eligible && !self.admits.voter
    }
}

/// What the bearer of a credential may do. Each right includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Right {
    /// Look.
    Read,
    /// Publish, and speak for hosts.
    Write,
    /// Everything: members, voters, tokens, credentials.
    Admin,
}

impl Right {
    /// As it is written in settings and messages.
    pub fn name(self) -> &'static str {
        match self {
            Right::Read => "read",
            Right::Write => "write",
            Right::Admin => "admin",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of a credential, drawn at random by who makes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CredentialId(pub u64);

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "credential {self}")
    }
}

/// A credential of the API, as every node knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// What people call it.
    pub label: Label,
    /// SHA-256 of the secret: 256 random bits, so that neither salt nor slow hashing would add anything.
    pub hash: Digest256,
    /// What its bearer may do.
    pub right: Right,
}

/// What moved among the credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccessChange {
    /// There is a new one.
    CredentialCreated {
        /// Its name.
        id: CredentialId,
        /// What is known of it.
        credential: Credential,
    },
    /// One is worth nothing any more.
    CredentialRevoked {
        /// Its name.
        id: CredentialId,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::WireError;

    #[test]
    fn a_label_has_limits_also_where_it_comes_from_the_network() {
        assert_eq!(Label::new("").unwrap_err(), LabelError::Length { length: 0 });
        assert_eq!(Label::new(&"ä".repeat(65)).unwrap_err(), LabelError::Length { length: 65 });
        assert_eq!(Label::new("a\u{1b}[2J").unwrap_err(), LabelError::Control { found: '\u{1b}' });
        assert_eq!(Label::new("Rack 7, für Anna").unwrap().as_str(), "Rack 7, für Anna");
        assert_eq!(codec::decode::<Label, 100>(&codec::encode("two\nlines")), Err(WireError::Malformed));
    }

    #[test]
    fn each_right_includes_those_before_it() {
        assert!(Right::Read < Right::Write && Right::Write < Right::Admin);
    }
}
