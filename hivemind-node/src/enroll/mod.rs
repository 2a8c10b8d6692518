//! How a node gets its certificate: from nothing to the first one by a join token, and a new one at half of its life.
//!
//! A node makes its own key, which never leaves it. It sends a certificate request to a voter, over the port for peers,
//! under a protocol name of its own. The voter lets the control plane decide, and signs. The node knows the voter by the
//! authority's fingerprint, which its token carries; the voter knows the node by what the token's key has signed. What
//! passes by is of no use to anybody else.

mod caller;
mod custody;
mod desk;
mod error;
mod keep;
mod places;
mod reached;
mod renewal;
mod safe;
mod token;
mod trust;
mod words;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use hivemind_core::ids::{ClusterId, NodeName};
use hivemind_core::keys::Keys;
use hivemind_core::wire::access::{Admits, Enrollment, SignedEnrollment};
use rustls::pki_types::CertificateDer;

use crate::authority::{Authority, NodeIdentity, certificate_request, parse_spiffe_cluster};
use crate::keys::Ed25519Keys;
use crate::storage::{Options, Storage};

use caller::{Asked, Caller, Known, PATIENCE};
pub(crate) use custody::Custody;
pub(crate) use desk::{Desk, voter_addresses};
pub use error::EnrollFailure;
#[cfg(feature = "cli")]
pub(crate) use keep::has_certificate;
pub(crate) use keep::{load, save};
pub(crate) use places::AT_ONCE;
#[cfg(feature = "cli")]
pub(crate) use reached::certifiable;
pub(crate) use renewal::Renewal;
pub(crate) use safe::Safe;
pub use token::{JoinToken, MAX_TOKEN_ADDRESSES, TokenError};
#[cfg(feature = "http")]
pub(crate) use trust::{certificate, is_by};
use words::{Answer, MAX_CERTIFICATES, Request};

/// How a node that keeps its certificate in its data folder comes by the first one.
#[derive(Clone, Debug)]
pub enum Entry {
    /// It has one.
    Kept,
    /// By this token, where it has none.
    Token(JoinToken),
    /// It gives birth to the cluster, and this is the new cluster's authority, which it keeps.
    Founder(Arc<Authority>),
}

/// Whether a member of the cluster can be spoken to at an address: a handshake, and nothing more.
///
/// # Errors
/// What stands against it.
#[cfg(feature = "cli")]
pub(crate) async fn reach(identity: &NodeIdentity, address: std::net::SocketAddr) -> Result<(), &'static str> {
    let caller = Caller::member(identity).map_err(|_| "can not be called with this certificate")?;
    caller.reach(address).await
}

/// Makes a bare host one that can join: makes the data folder and the key in it where they are missing, has the key admitted
/// under `name`, and keeps the certificate there. A start with [`Entry::Kept`] and [`JoinToken::addresses`] as its seeds
/// makes it a member. Doing it again, after whatever went wrong, costs no further use of the token.
///
/// # Errors
/// [`EnrollFailure`].
pub async fn enroll(folder: &Path, token: &JoinToken, name: &NodeName, wants: &Admits) -> Result<NodeIdentity, EnrollFailure> {
    let new = Ed25519Keys::generate()?;
    let place = folder.to_owned();
    let open = move || {
        let new_key = || new.pkcs8().to_vec();
        Storage::open(&place, &Options::new(&new_key))
    };
    let (storage, _, key) = tokio::task::spawn_blocking(open).await.expect("opening a folder neither panics nor is aborted")?;
    let keys = Arc::new(Ed25519Keys::from_pkcs8(key.as_pkcs8())?);
    let identity = by_token(token, keys, name, wants).await?;
    save(folder, &identity)?;
    drop(storage);
    Ok(identity)
}

/// Has a key admitted by a token, and gets its first certificate.
pub(crate) async fn by_token(
    token: &JoinToken,
    keys: Arc<Ed25519Keys>,
    name: &NodeName,
    wants: &Admits,
) -> Result<NodeIdentity, EnrollFailure> {
    let secret = token.keys();
    let request = certificate_request(&keys, name)?;
    let ask = |cluster: ClusterId| {
        let (token, key) = (secret.public(), keys.public());
        let enrollment = Enrollment { cluster, token, key, name: name.clone(), wants: wants.clone() };
        let proof = secret.sign(&enrollment.digest());
        Request::Enroll { enrollment: SignedEnrollment { enrollment, proof }, request: request.clone() }
    };
    let caller = Caller::stranger(Known::Fingerprint(token.authority()))?;
    let (answer, asked) = caller.ask(token.addresses(), ask, PATIENCE).await?;
    accept(answer, asked, keys, name)
}

/// Gets a new certificate for a key that is admitted, from one of these.
pub(crate) async fn again(identity: &NodeIdentity, name: &NodeName, at: &[SocketAddr]) -> Result<NodeIdentity, EnrollFailure> {
    let request = certificate_request(identity.keys(), name)?;
    let caller = Caller::renewing(identity)?;
    let (answer, asked) = caller.ask(at, |_| Request::Renew { request: request.clone() }, PATIENCE).await?;
    accept(answer, asked, identity.keys().clone(), name)
}

/// A certificate is taken from whoever answered only where it is what was asked for, of an authority that is trusted already: who answers may be
/// any member.
fn accept(answer: Answer, asked: Asked, keys: Arc<Ed25519Keys>, name: &NodeName) -> Result<NodeIdentity, EnrollFailure> {
    let Asked { cluster, roots } = asked;
    let chain: Vec<_> = match answer {
        Answer::Issued { chain } if chain.len() <= MAX_CERTIFICATES => chain.into_iter().map(CertificateDer::from).collect(),
        Answer::Issued { .. } => return Err(EnrollFailure::Answer),
        Answer::Refused(refusal) => return Err(EnrollFailure::Refused(refusal)),
        Answer::Elsewhere { .. } | Answer::Later | Answer::AuthorityKey { .. } => return Err(EnrollFailure::Answer),
    };
    let names = chain.first().map(keep::names).unwrap_or_default();
    let named = names.iter().any(|id| parse_spiffe_cluster(id) == Some(cluster) && id.ends_with(&format!("/node/{name}")));
    let own = chain.first().and_then(crate::authority::peer_key) == Some(keys.public());
    let identity = NodeIdentity::from_parts(keys, chain, roots);
    if own && named && identity.validity().is_some() { Ok(identity) } else { Err(EnrollFailure::Answer) }
}
