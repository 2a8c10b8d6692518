//! Who may do what.

use axum::http::{HeaderMap, header};
pub use hivemind_core::wire::access::Right;
use ring::digest;
use subtle::ConstantTimeEq as _;

use super::failure::Failure;
use super::model::ProblemKind;
use super::settings::Anonymous;

/// The SHA-256 hash of a secret: what is kept, and compared, in its place. Comparing takes the same time wherever two differ.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Of a secret as its holder sends it. Secrets are random and long, so one round is enough.
    pub fn of(secret: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref());
        SecretHash(hash)
    }

    /// A hash that was kept.
    pub const fn from_bytes(hash: [u8; 32]) -> Self {
        SecretHash(hash)
    }

    /// To be kept.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretHash {}

impl std::fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretHash")
    }
}

/// Where credentials are kept.
pub trait Access: Send + Sync + 'static {
    /// What the holder of the secret with this hash may do; `None` where there is no such credential, or none any more.
    /// Asked with every request. Compare with `==` of [`SecretHash`], and look at all of them.
    fn right_of(&self, presented: &SecretHash) -> Option<Right>;
}

/// There are no credentials: only what anonymous requests may do is done.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCredentials;

impl Access for NoCredentials {
    fn right_of(&self, _presented: &SecretHash) -> Option<Right> {
        None
    }
}

/// Whether a request has a right. `anonymous` is what one without a credential may do where it comes from.
pub(super) fn check(access: &dyn Access, anonymous: Anonymous, headers: &HeaderMap, needed: Right) -> Result<(), Failure> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (given.next(), given.next());
    let lacking = |detail: String| Err(Failure::new(ProblemKind::Unauthorized, detail));
    match (first, second) {
        (None, _) if anonymous.right() >= Some(needed) => Ok(()),
        (None, _) => {
            lacking(format!("this needs a credential with the right `{}`; send it as `Authorization: Bearer SECRET`", needed.name()))
        }
        (Some(_), Some(_)) => lacking("there is more than one `Authorization` header; send one".to_owned()),
        (Some(value), None) => {
            let Some(secret) = value.to_str().ok().and_then(bearer) else {
                return lacking("the `Authorization` header is of another form than `Bearer SECRET`".to_owned());
            };
            match access.right_of(&SecretHash::of(secret)) {
                None => lacking("this credential is not known; it may have been revoked, or be of another cluster".to_owned()),
                Some(right) if right >= needed => Ok(()),
                Some(right) => Err(Failure::new(
                    ProblemKind::Forbidden,
                    format!("this needs the right `{}`; the credential has `{}`", needed.name(), right.name()),
                )),
            }
        }
    }
}

/// The secret in `Bearer SECRET` (RFC 6750 section 2.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, secret) = value.split_once(' ')?;
    let is_token = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~+/=".contains(&octet);
    (scheme.eq_ignore_ascii_case("bearer") && !secret.is_empty() && secret.bytes().all(is_token)).then_some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One;

    impl Access for One {
        fn right_of(&self, presented: &SecretHash) -> Option<Right> {
            (*presented == SecretHash::of("s3cret")).then_some(Right::Write)
        }
    }

    fn ask(authorization: &[&str], anonymous: Anonymous, needed: Right) -> Option<ProblemKind> {
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        check(&One, anonymous, &headers, needed).err().map(|failure| failure.kind)
    }

    #[test]
    fn a_credential_gives_its_right_and_those_below() {
        assert_eq!(ask(&["Bearer s3cret"], Anonymous::None, Right::Read), None);
        assert_eq!(ask(&["bearer s3cret"], Anonymous::None, Right::Write), None);
        assert_eq!(ask(&["Bearer s3cret"], Anonymous::None, Right::Admin), Some(ProblemKind::Forbidden));
    }

    #[test]
    fn a_wrong_credential_is_worse_than_none() {
        for wrong in
            [&["Bearer s3creT"][..], &["Basic s3cret"], &["Bearer"], &["Bearer "], &["Bearer a b"], &["Bearer s3cret", "Bearer s3cret"]]
        {
            assert_eq!(ask(wrong, Anonymous::Write, Right::Read), Some(ProblemKind::Unauthorized), "{wrong:?}");
        }
        assert_eq!(ask(&[], Anonymous::Write, Right::Write), None);
        assert_eq!(ask(&[], Anonymous::Write, Right::Admin), Some(ProblemKind::Unauthorized));
        assert_eq!(ask(&[], Anonymous::None, Right::Read), Some(ProblemKind::Unauthorized));
    }
}
