//! What a node opens and proves itself with before it starts.

use std::path::PathBuf;
use std::sync::Arc;

use hivemind_core::ids::{ClusterId, NodeName};
use hivemind_core::keys::Keys;
use hivemind_core::machine::Birth;
use hivemind_core::storage::Recovered;
use hivemind_core::wire::access::Admits;

use super::error::StartFailure;
use crate::authority::{Authority, NodeIdentity};
use crate::enroll::{self, EnrollFailure, Entry, Safe};
use crate::keys::Ed25519Keys;
use crate::storage::{NodeKey, Options, Storage};

/// Where a node keeps its data.
pub(super) enum Place {
    Folder(PathBuf),
    Memory,
    /// It is open, and nobody else's.
    Open(PathBuf, Box<Opened>),
}

pub(super) type Opened = (Storage, Recovered, NodeKey);

/// How it comes by what it proves itself with.
pub(super) enum Proof {
    Identity(NodeIdentity),
    Authority(Arc<Authority>),
    Certified(Entry),
}

/// Opens the data. The disk may take its time, so the runtime is not made to wait.
pub(super) async fn open(place: Place, proof: &Proof) -> Result<Opened, StartFailure> {
    let new = match proof {
        Proof::Identity(identity) => identity.keys().clone(),
        Proof::Authority(_) | Proof::Certified(_) => Arc::new(Ed25519Keys::generate()?),
    };
    let open = move || {
        let new_key = || new.pkcs8().to_vec();
        match place {
            Place::Folder(folder) => Storage::open(&folder, &Options::new(&new_key)),
            Place::Memory => Ok(Storage::in_memory(&Options::new(&new_key))),
            Place::Open(_, opened) => Ok(*opened),
        }
    };
    Ok(tokio::task::spawn_blocking(open).await.expect("opening a folder neither panics nor is aborted")?)
}

/// What a node proves itself with, and where it has the authority, if it may have it.
pub(super) struct Proven {
    pub(super) identity: NodeIdentity,
    pub(super) safe: Option<Arc<Safe>>,
}

pub(super) async fn prove(
    proof: Proof,
    key: &NodeKey,
    name: &NodeName,
    folder: Option<&PathBuf>,
    wants: &Admits,
) -> Result<Proven, StartFailure> {
    let keys = Arc::new(Ed25519Keys::from_pkcs8(key.as_pkcs8())?);
    match proof {
        Proof::Identity(identity) if identity.public() == keys.public() => Ok(Proven { identity, safe: None }),
        Proof::Identity(_) => Err(StartFailure::OtherKey(name.clone())),
        Proof::Authority(authority) => {
            let identity = authority.issue(keys, name)?;
            Ok(Proven { identity, safe: Some(Arc::new(Safe::of(authority))) })
        }
        Proof::Certified(entry) => certify(entry, keys, name, folder, wants).await,
    }
}

async fn certify(
    entry: Entry,
    keys: Arc<Ed25519Keys>,
    name: &NodeName,
    folder: Option<&PathBuf>,
    wants: &Admits,
) -> Result<Proven, StartFailure> {
    let safe = Arc::new(Safe::open(folder)?);
    let kept = match folder {
        Some(folder) => enroll::load(folder, &keys)?,
        None => None,
    };
    let identity = match (kept, entry) {
        (Some(identity), Entry::Kept | Entry::Token(_) | Entry::Founder(_)) => return Ok(Proven { identity, safe: Some(safe) }),
        (None, Entry::Kept) => return Err(EnrollFailure::NoCertificate.into()),
        (None, Entry::Token(token)) => enroll::by_token(&token, keys, name, wants).await?,
        (None, Entry::Founder(authority)) => {
            let identity = authority.issue(keys, name)?;
            safe.put(authority)?;
            identity
        }
    };
    if let Some(folder) = folder {
        enroll::save(folder, &identity)?;
    }
    Ok(Proven { identity, safe: Some(safe) })
}

/// That all that a node is given is of one cluster.
pub(super) fn check_cluster(identity: &NodeIdentity, recovered: &Recovered, birth: Option<Birth>) -> Result<(), StartFailure> {
    let expected = identity.cluster().ok_or(StartFailure::NoAuthority)?;
    let check = |what, found: Option<ClusterId>| match found {
        Some(found) if found != expected => Err(StartFailure::OtherCluster { what, found, expected }),
        Some(_) | None => Ok(()),
    };
    check("the birth", birth.map(|birth| birth.cluster))?;
    check("the data folder", recovered.identity.as_ref().map(|identity| identity.cluster))
}
