//! The certificate in the data folder: `certificate.pem`, the node's own, what is shown beside it, and behind these the authorities that the
//! node trusts.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use webpki::EndEntityCert;

use crate::authority::{AuthorityFolderError, NodeIdentity, certificate_pem, is_self_signed, peer_key, write_whole};
use crate::keys::Ed25519Keys;

const FILE: &str = "certificate.pem";

/// Keeps what an identity shows. Its key is kept already: with the data.
pub(crate) fn save(folder: &Path, identity: &NodeIdentity) -> Result<(), AuthorityFolderError> {
    let text: String = identity.chain().iter().chain(identity.roots()).map(certificate_pem).collect();
    write_whole(&folder.join(FILE), text.as_bytes())
}

/// Whether anything is kept there.
#[cfg(feature = "cli")]
pub(crate) fn has_certificate(folder: &Path) -> bool {
    fs::exists(folder.join(FILE)).unwrap_or(true)
}

/// What was kept for this key; `None` where nothing was. None of its authorities may have issued the certificate: where the node heard that
/// the one that did is none any more, and ended before it was issued another one, it has to be issued that now.
pub(crate) fn load(folder: &Path, keys: &Arc<Ed25519Keys>) -> Result<Option<NodeIdentity>, AuthorityFolderError> {
    let path = folder.join(FILE);
    let damaged = |why| AuthorityFolderError::Damaged { path: path.clone(), why };
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(AuthorityFolderError::Io { path, source }),
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let (roots, chain) = found.map_err(|_| damaged("no certificates"))?.into_iter().partition(is_self_signed);
    let identity = NodeIdentity::from_parts(keys.clone(), chain, roots);
    if identity.chain().first().and_then(peer_key) != Some(identity.public()) || identity.cluster().is_none() {
        return Err(damaged("not a certificate of this node's key, or its authority's is missing"));
    }
    Ok(Some(identity))
}

/// The URIs that a certificate names.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let parsed = EndEntityCert::try_from(certificate);
    parsed.map(|parsed| parsed.valid_uri_names().map(str::to_owned).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use hivemind_core::ids::{ClusterId, NodeName};

    use super::*;
    use crate::authority::Authority;

    #[test]
    fn what_was_kept_is_the_same_identity_again_and_of_no_other_key() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Arc::new(Ed25519Keys::generate().unwrap());
        assert!(load(folder.path(), &keys).unwrap().is_none());
        let made = Authority::new(ClusterId(3)).unwrap().issue(keys.clone(), &NodeName::new("web1").unwrap()).unwrap();
        save(folder.path(), &made).unwrap();
        let loaded = load(folder.path(), &keys).unwrap().unwrap();
        assert_eq!((loaded.chain(), loaded.roots()), (made.chain(), made.roots()));
        assert!(load(folder.path(), &Arc::new(Ed25519Keys::generate().unwrap())).is_err());
        let without_root = NodeIdentity::from_parts(keys.clone(), made.chain().to_vec(), Vec::new());
        save(folder.path(), &without_root).unwrap();
        assert!(load(folder.path(), &keys).is_err());
        fs::write(folder.path().join(FILE), b"-----BEGIN CERTIFICATE-----\nAAAA\n").unwrap();
        assert!(load(folder.path(), &keys).is_err());
    }

    #[test]
    fn a_certificate_of_an_authority_that_is_none_any_more_is_kept_until_it_is_renewed() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Arc::new(Ed25519Keys::generate().unwrap());
        let former = Authority::new(ClusterId(3)).unwrap();
        let made = former.issue(keys.clone(), &NodeName::new("web1").unwrap()).unwrap();
        let present = vec![former.successor().unwrap().certificate().clone()];
        save(folder.path(), &NodeIdentity::from_parts(keys.clone(), made.chain().to_vec(), present.clone())).unwrap();
        let loaded = load(folder.path(), &keys).unwrap().unwrap();
        assert_eq!((loaded.chain(), loaded.roots()), (made.chain(), &present[..]));
        assert_eq!(loaded.validity(), None, "it is renewed at once");
    }
}
