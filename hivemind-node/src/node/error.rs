//! What may go wrong for the owner of a node, by operation.

use hivemind_core::ids::{ClusterId, NodeName};
use hivemind_core::machine::{PublishError, StartError};
use thiserror::Error;

use crate::authority::{AuthorityError, AuthorityFolderError};
use crate::enroll::EnrollFailure;
use crate::keys::KeyError;
use crate::storage::OpenError;
use crate::transport::BindError;

/// Why a node did not start. Nothing that was stored was altered; nothing runs.
#[derive(Debug, Error)]
pub enum StartFailure {
    /// Neither `data_dir` nor `in_memory` was called.
    #[error("it was not decided where the node {0} keeps its data; call `data_dir` or `in_memory`")]
    NoStorage(NodeName),
    /// None of `identity`, `authority` and `certified` was called.
    #[error("the node {0} has nothing to prove itself with; call `identity`, `authority` or `certified`")]
    NoIdentity(NodeName),
    /// It listens everywhere, and was not told where others reach it.
    #[error("the node {0} listens on every address, so it must be told where others reach it; call `advertise`, or listen on one address")]
    NoAddress(NodeName),
    /// The identity is of another key than the data folder's.
    #[error("the data folder of the node {0} holds another key than the identity; choose another folder, or issue for the folder's key")]
    OtherKey(NodeName),
    /// The data, or the birth, is of another cluster than the authority.
    #[error("{what} is of cluster {found}, and the authority of cluster {expected}; choose another folder or the other authority")]
    OtherCluster {
        /// What does not fit.
        what: &'static str,
        /// Its cluster.
        found: ClusterId,
        /// The authority's.
        expected: ClusterId,
    },
    /// The identity's roots name no cluster.
    #[error("the identity has no certificate of a hivemind authority; issue it with this cluster's authority")]
    NoAuthority,
    /// The key could not be made, or is damaged.
    #[error("the key of the node: {0}")]
    Key(#[from] KeyError),
    /// The certificate could not be issued.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// It has no certificate, and gets none.
    #[error(transparent)]
    Enroll(#[from] EnrollFailure),
    /// The authority could not be kept, or is damaged.
    #[error(transparent)]
    AuthorityFolder(#[from] AuthorityFolderError),
    /// The data folder can not be used.
    #[error(transparent)]
    Storage(#[from] OpenError),
    /// It can not listen.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The machine can not begin with what is on disk.
    #[error(transparent)]
    Machine(#[from] StartError),
    /// The machine panicked: a bug of this program.
    #[error("the node's machine panicked at its start, which is a bug: {0}; remove the data folder so that the node joins anew")]
    Panicked(String),
}

/// Why it is not known that something was published.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PublishFailure {
    /// Nothing changed.
    #[error(transparent)]
    Refused(#[from] PublishError),
    /// The node stopped before it answered: it may have been stored, and then comes with the next start.
    #[error("the node stopped before it answered; what it had stored is published at its next start")]
    Stopped,
}

/// Why a read can not be called linearizable. Nothing changed; the view shows what this node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReadFailure {
    /// The control plane did not say in time what was committed.
    #[error("the control plane did not answer in time; try again, or read the view as it is")]
    Unavailable,
    /// The node stopped before it answered.
    #[error("the node stopped before it answered")]
    Stopped,
}
