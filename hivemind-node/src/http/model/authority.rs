//! The cluster's certificate authority, and the one that follows it.

use serde::{Deserialize, Serialize};

use super::actions::ActionStage;
use super::members::MemberRef;

/// The authorities that the asked node trusts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Authorities {
    /// The one that issues.
    pub present: Authority,
    /// The one that is to follow it, and does as soon as a majority of the voters hold its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Authority>,
    /// The one before it, until it is retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<Authority>,
    /// Whether the present one issued the certificate that the asked node shows.
    pub shown: bool,
    /// The voters that said to hold the key of the one that is to follow, or else of the present one. A lone voter says nothing.
    pub holders: Vec<MemberRef>,
}

/// An authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Authority {
    /// SHA-256 of its public key, in hexadecimal digits: by this a join token knows the cluster.
    pub fingerprint: String,
    /// Its certificate, as PEM (RFC 7468).
    pub certificate: String,
}

/// Another authority was announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Rotated {
    /// Its fingerprint. Not there in a dry run: none was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// How far it went. It takes over later: look at `/api/v1/authority`.
    pub stage: ActionStage,
    /// The position at which it is announced; in a dry run, that of the view that it was judged by.
    pub position: String,
}

/// The body of a retirement. It may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RetireBody {
    /// Also before all nodes that run must have a certificate of the present authority.
    #[serde(default)]
    pub now: bool,
}

/// The former authority is trusted no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(schemars::JsonSchema))]
pub struct Retired {
    /// How far it went.
    pub stage: ActionStage,
    /// The position at which it is done; in a dry run, that of the view that it was judged by.
    pub position: String,
}
