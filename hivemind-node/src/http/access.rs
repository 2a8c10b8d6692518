//! Who may do what.

use axum::http::{HeaderMap, header};
use hivemind_core::view::View;
use hivemind_core::wire::access::{CredentialId, Right};

use super::failure::Failure;
use super::model::ProblemKind;
use super::settings::Anonymous;

/// The credential that something goes on by, and the right that this takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    id: CredentialId,
    needed: Right,
}

impl Held {
    /// Whether it still gives the right.
    pub(super) fn holds_in(self, view: &View) -> bool {
        view.facts.credentials().get(&self.id).is_some_and(|credential| credential.right >= self.needed)
    }
}

/// Whether a request has a right, and by which credential; none where it needs none. `anonymous` is what one without a credential may do
/// where it comes from; `known` says what the bearer of a secret may do, and is asked with every request, so that a revoked credential is
/// worth nothing at once; it fails where the node can not say.
pub(super) fn check(
    known: impl FnOnce(&str) -> Result<Option<(CredentialId, Right)>, Failure>,
    anonymous: Anonymous,
    headers: &HeaderMap,
    needed: Right,
) -> Result<Option<Held>, Failure> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (given.next(), given.next());
    let lacking = |detail: String| Err(Failure::new(ProblemKind::Unauthorized, detail));
    match (first, second) {
        (None, _) if anonymous.right() >= Some(needed) => Ok(None),
        (None, _) => {
            lacking(format!("this needs a credential with the right `{}`; send it as `Authorization: Bearer SECRET`", needed.name()))
        }
        (Some(_), Some(_)) => lacking("there is more than one `Authorization` header; send one".to_owned()),
        (Some(value), None) => {
            let Some(secret) = value.to_str().ok().and_then(bearer) else {
                return lacking("the `Authorization` header is of another form than `Bearer SECRET`".to_owned());
            };
            match known(secret)? {
                None => lacking("this credential is not known; it may have been revoked, or be of another cluster".to_owned()),
                Some((id, right)) if right >= needed => Ok(Some(Held { id, needed })),
                Some((_, right)) => Err(Failure::new(
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

    fn one(secret: &str) -> Option<(CredentialId, Right)> {
        (secret == "s3cret").then_some((CredentialId(1), Right::Write))
    }

    fn ask(authorization: &[&str], anonymous: Anonymous, needed: Right) -> Option<ProblemKind> {
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        check(|secret| Ok(one(secret)), anonymous, &headers, needed).err().map(|failure| failure.kind)
    }

    #[test]
    fn a_credential_gives_its_right_and_those_below() {
        assert_eq!(ask(&["Bearer s3cret"], Anonymous::None, Right::Read), None);
        assert_eq!(ask(&["bearer s3cret"], Anonymous::None, Right::Write), None);
        assert_eq!(ask(&["Bearer s3cret"], Anonymous::None, Right::Admin), Some(ProblemKind::Forbidden));
    }

    #[test]
    fn a_node_that_knows_nothing_yet_calls_no_credential_unknown() {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, "Bearer s3cret".parse().unwrap())]);
        let starting = |_: &str| Err(Failure::new(ProblemKind::Unavailable, "the node starts"));
        let failure = check(starting, Anonymous::None, &headers, Right::Read).unwrap_err();
        assert_eq!(failure.kind, ProblemKind::Unavailable);
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
