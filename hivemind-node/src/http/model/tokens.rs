//! Who may come in, and who may ask: join tokens and credentials.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::actions::ActionStage;
use super::whole::whole;

/// The join tokens. Their secrets are kept nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Tokens {
    /// All that there are, by id; those that are expired or used up too, until they are collected.
    pub tokens: Vec<Token>,
}

/// A join token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Token {
    /// Its name: 64 hexadecimal digits.
    pub id: String,
    /// What people call it.
    pub label: String,
    /// The roles that it admits.
    pub roles: Vec<String>,
    /// Whether it admits nodes that may become voters.
    pub voter: bool,
    /// From when on it admits nobody, in milliseconds since 1970.
    pub expires_ms: u64,
    /// The same, in UTC by RFC 3339, to the second.
    pub expires: String,
    /// How many more nodes it admits.
    pub uses: u32,
}

/// The hosts that were admitted, and are no members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Admissions {
    /// Those that never ran, and those whose membership ended for failure: each may join at any time.
    pub admitted: Vec<Admission>,
}

/// A host that was admitted, and is no member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Admission {
    /// The name that is kept for it.
    pub name: String,
    /// Its key: 64 hexadecimal digits.
    pub key: String,
    /// The roles that it may perform.
    pub roles: Vec<String>,
    /// Whether it may become a voter.
    pub voter: bool,
    /// The join token that admitted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// What a new join token is to admit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenBody {
    /// What people call it: 1 to 64 characters, none of them a control character.
    #[cfg_attr(feature = "http", schemars(length(min = 1, max = 64), regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$")))]
    pub label: String,
    /// The roles that it admits: at most 16, each once.
    #[serde(default)]
    #[cfg_attr(feature = "http", schemars(length(max = 16), inner(regex(pattern = "^[a-z0-9_-]{1,32}$")), extend("uniqueItems" = true)))]
    pub roles: Vec<String>,
    /// Whether it admits nodes that may become voters.
    #[serde(default)]
    pub voter: bool,
    /// For how many seconds, up to 366 days.
    #[cfg_attr(feature = "http", schemars(range(min = 1, max = 31_622_400)))]
    #[serde(deserialize_with = "whole")]
    pub ttl_s: u64,
    /// How many nodes: at least 1.
    #[cfg_attr(feature = "http", schemars(range(min = 1, max = 4_294_967_295_u32)))]
    #[serde(deserialize_with = "whole")]
    pub uses: u32,
}

/// A join token that was just made. `Debug` does not show the secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct NewToken {
    /// Its name.
    pub id: String,
    /// The line for `hivemind join`. It holds the secret, which nobody can show again.
    pub line: String,
}

/// The credentials. Their secrets are kept nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Credentials {
    /// All that there are, by id.
    pub credentials: Vec<Credential>,
}

/// A credential, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Credential {
    /// Its name: 16 hexadecimal digits.
    pub id: String,
    /// What people call it.
    pub label: String,
    /// What its bearer may do.
    pub right: Right,
}

/// What a bearer may do. Each right includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Look.
    Read,
    /// Look, and make dry runs.
    Write,
    /// Everything.
    Admin,
}

/// What a new credential is to allow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CredentialBody {
    /// What people call it: 1 to 64 characters, none of them a control character.
    #[cfg_attr(feature = "http", schemars(length(min = 1, max = 64), regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$")))]
    pub label: String,
    /// What its bearer may do.
    pub right: Right,
}

/// A credential that was just made. `Debug` does not show the secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct NewCredential {
    /// Its name.
    pub id: String,
    /// Its secret, which nobody can show again.
    pub secret: String,
}

/// A dry run of making something: nothing was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Tried {
    /// How far it went: [`ActionStage::Possible`].
    pub stage: ActionStage,
    /// The position of the view that it was judged by.
    pub position: String,
}

/// What became of a revocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Revoked {
    /// What was revoked.
    pub id: String,
    /// How far it went.
    pub stage: ActionStage,
    /// The position at which it is worth nothing; in a dry run, that of the view that it was judged by.
    pub position: String,
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewToken").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for NewCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewCredential").field("id", &self.id).finish_non_exhaustive()
    }
}
