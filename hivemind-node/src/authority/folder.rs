//! The authority on disk: `authority.pem`, and `authority.key` that only its owner can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use rcgen::{Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use thiserror::Error;

use super::verify::{authority_cluster, peer_key};
use super::{Authority, CERTIFICATE_LIFETIME, ROOT_DEPTH, authority_params};
use crate::storage::sync_folder;

const CERTIFICATE_FILE: &str = "authority.pem";
const KEY_FILE: &str = "authority.key";

/// Why an authority was not saved or loaded.
#[derive(Debug, Error)]
pub enum AuthorityFolderError {
    /// The folder or a file in it can not be read or written. Where it was a save, no file is half written.
    #[error("{path}: {source}; check that the folder exists, has room, and that this user may use it")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what it should be: it was damaged, or is not an authority's.
    #[error("{path}: {why}; restore the file from a copy, or choose another folder for a new cluster")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Why a certificate and a key are no authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Unfit {
    #[error("no certificate")]
    NoCertificate,
    #[error("no private key")]
    NoKey,
    #[error("not the authority of a cluster")]
    NoAuthority,
    #[error("not the key of the certificate beside it")]
    OtherKey,
    #[error("a bridge of another key")]
    OtherBridge,
}

/// A certificate as text (RFC 7468).
pub(crate) fn certificate_pem(certificate: &CertificateDer<'_>) -> String {
    let body = BASE64.encode(certificate);
    let lines: Vec<&str> = (0..body.len()).step_by(64).map(|at| &body[at..body.len().min(at + 64)]).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

impl Authority {
    /// Keeps the authority in `folder`, which is made where it is missing. The key file gets mode 0600.
    ///
    /// # Errors
    /// [`AuthorityFolderError::Io`].
    pub fn save(&self, folder: &Path) -> Result<(), AuthorityFolderError> {
        make(folder, sync_folder).map_err(|source| AuthorityFolderError::Io { path: folder.to_owned(), source })?;
        write_whole(&folder.join(KEY_FILE), self.issuer.key().serialize_pem().as_bytes())?;
        write_whole(&folder.join(CERTIFICATE_FILE), self.certificates_pem().as_bytes())
    }

    /// Where its key is in a folder.
    pub(crate) fn key_file(folder: &Path) -> PathBuf {
        folder.join(KEY_FILE)
    }

    /// Its certificate, and its bridge behind it.
    fn certificates_pem(&self) -> String {
        std::iter::once(&self.certificate).chain(&self.bridge).map(certificate_pem).collect()
    }

    /// All of it as PEM, its private key too: for other voters, and never for a log.
    pub(crate) fn whole_pem(&self) -> String {
        self.certificates_pem() + &self.issuer.key().serialize_pem()
    }

    /// What [`whole_pem`](Self::whole_pem) wrote.
    ///
    /// # Errors
    /// What is wrong with it; whoever sent it is at fault.
    pub(crate) fn from_whole_pem(text: &str) -> Result<Self, Unfit> {
        Authority::from_parts(&certificates(text)?, text)
    }

    /// The authority of a certificate, and maybe its bridge, and the key to it.
    ///
    /// # Errors
    /// What is wrong with them; whoever kept or sent them is at fault.
    fn from_parts(certificates: &[CertificateDer<'static>], key_pem: &str) -> Result<Self, Unfit> {
        // There may be certificates before it.
        let key = PrivatePkcs8KeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| Unfit::NoKey)?;
        let key = KeyPair::try_from(key.secret_pkcs8_der()).map_err(|_| Unfit::NoKey)?;
        let (certificate, bridge) = match certificates {
            [certificate] => (certificate.clone(), None),
            [certificate, bridge] => (certificate.clone(), Some(bridge.clone())),
            [] => return Err(Unfit::NoCertificate),
            [..] => return Err(Unfit::NoAuthority),
        };
        let cluster = authority_cluster(&certificate).ok_or(Unfit::NoAuthority)?;
        if peer_key(&certificate).is_none_or(|certified| certified.0 != *key.public_key_raw()) {
            return Err(Unfit::OtherKey);
        }
        if bridge.as_ref().is_some_and(|bridge| peer_key(bridge) != peer_key(&certificate)) {
            return Err(Unfit::OtherBridge);
        }
        let params = authority_params(cluster, &key, ROOT_DEPTH).map_err(|_| Unfit::NoAuthority)?;
        Ok(Authority { cluster, issuer: Issuer::new(params, key), certificate, bridge, lifetime: CERTIFICATE_LIFETIME })
    }

    /// Finds the authority that was kept in `folder`; `None` where there is none.
    ///
    /// # Errors
    /// [`AuthorityFolderError`].
    pub fn load(folder: &Path) -> Result<Option<Self>, AuthorityFolderError> {
        let certificate_path = folder.join(CERTIFICATE_FILE);
        let key_path = folder.join(KEY_FILE);
        let Some(pem) = read(&certificate_path)? else { return Ok(None) };
        let damaged = |path: &Path, why| AuthorityFolderError::Damaged { path: path.to_owned(), why };
        let key = read(&key_path)?.ok_or_else(|| damaged(&key_path, "missing beside its certificate"))?;
        let made = certificates(&pem).and_then(|certificates| Authority::from_parts(&certificates, &key));
        made.map(Some).map_err(|why| match why {
            Unfit::NoCertificate => damaged(&certificate_path, "no certificate"),
            Unfit::NoKey => damaged(&key_path, "no private key"),
            Unfit::OtherKey => damaged(&key_path, "not the key of the certificate beside it"),
            Unfit::NoAuthority => damaged(&certificate_path, "not the authority of a cluster"),
            Unfit::OtherBridge => damaged(&certificate_path, "its second certificate is of another key"),
        })
    }
}

/// The certificates in a text, whatever else is in it.
fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, Unfit> {
    CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>().map_err(|_| Unfit::NoCertificate)
}

/// A file of text; bytes that are none read as a text that no parser takes.
fn read(path: &Path) -> Result<Option<String>, AuthorityFolderError> {
    match fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(AuthorityFolderError::Io { path: path.to_owned(), source }),
    }
}

/// Makes a folder and those above it where they are missing, and has each that got a new one in it made durable.
fn make(folder: &Path, mut sync: impl FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let missing = folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.is_dir()).count();
    fs::create_dir_all(folder)?;
    let parents = folder.ancestors().skip(1).take(missing);
    parents.map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent }).try_for_each(&mut sync)
}

/// Written beside, synced, renamed: after a crash there is the whole file or none.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), AuthorityFolderError> {
    let beside = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        let folder = path.parent().expect("the path of a file in a folder");
        sync_folder(folder)
    };
    write().map_err(|source| AuthorityFolderError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use hivemind_core::ids::ClusterId;

    use super::*;

    #[test]
    fn a_saved_authority_loads_as_the_same_one() {
        let folder = tempfile::tempdir().unwrap();
        let made = Authority::new(ClusterId(0x1234)).unwrap();
        made.save(folder.path()).unwrap();
        let loaded = Authority::load(folder.path()).unwrap().unwrap();
        assert_eq!(loaded.cluster(), ClusterId(0x1234));
        assert_eq!(loaded.certificate, made.certificate);
        let mode = fs::metadata(folder.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn every_folder_that_got_a_new_one_is_synced() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("authority").join("next");
        let mut synced = Vec::new();
        let mut made = |path: &Path| {
            make(path, |parent| {
                synced.push(parent.to_owned());
                Ok(())
            })
        };
        made(&place).unwrap();
        made(&place).unwrap();
        made(&folder.path().join("other")).unwrap();
        assert_eq!(synced, [folder.path().join("authority"), folder.path().to_owned(), folder.path().to_owned()]);
        assert!(place.is_dir());
    }

    #[test]
    fn an_empty_folder_has_no_authority() {
        assert!(Authority::load(tempfile::tempdir().unwrap().path()).unwrap().is_none());
    }

    #[test]
    fn a_damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        Authority::new(ClusterId(1)).unwrap().save(folder.path()).unwrap();
        fs::write(folder.path().join(KEY_FILE), b"\xff\xfe nonsense").unwrap();
        let error = Authority::load(folder.path()).unwrap_err();
        assert!(error.to_string().contains("authority.key: no private key"), "{error}");
        Authority::new(ClusterId(1)).unwrap().save(folder.path()).unwrap();
        fs::write(folder.path().join(CERTIFICATE_FILE), b"").unwrap();
        let error = Authority::load(folder.path()).unwrap_err();
        assert!(error.to_string().contains("authority.pem: no certificate"), "{error}");
    }

    #[test]
    fn the_key_of_another_authority_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        Authority::new(ClusterId(1)).unwrap().save(folder.path()).unwrap();
        Authority::new(ClusterId(1)).unwrap().save(other.path()).unwrap();
        fs::copy(other.path().join(KEY_FILE), folder.path().join(KEY_FILE)).unwrap();
        let error = Authority::load(folder.path()).unwrap_err();
        assert!(error.to_string().contains("not the key of the certificate"), "{error}");
    }
}
