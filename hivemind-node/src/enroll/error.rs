//! What may go wrong on the way to a certificate.

use std::net::SocketAddr;

use hivemind_core::wire::command::Refusal;
use thiserror::Error;

use crate::authority::{AuthorityError, AuthorityFolderError};
use crate::keys::KeyError;
use crate::storage::OpenError;
use crate::transport::IdentityError;

/// Why there is no certificate. Doing it again is harmless.
#[derive(Debug, Error)]
pub enum EnrollFailure {
    /// The control plane refuses it.
    #[error("the cluster refuses this node: {0}")]
    Refused(Refusal),
    /// Who answered is of another cluster.
    #[error(
        "what answers at {address} is not of the cluster that this join token is of; check the address and the clocks of both machines, or make a new token there"
    )]
    OtherAuthority {
        /// Where.
        address: SocketAddr,
    },
    /// Nobody answered, or nobody could decide.
    #[error("no voter decided: {}; check that these addresses are reachable by UDP and that a majority of voters runs, then try again", tried(.0))]
    Undecided(Vec<(SocketAddr, &'static str)>),
    /// The answer is not what was asked for.
    #[error("what was answered is no certificate for this node's key and name; the server may run another version")]
    Answer,
    /// The key could not be made, or is damaged.
    #[error("the key of the node: {0}")]
    Key(#[from] KeyError),
    /// The request could not be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The own certificate can not be shown.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The data folder can not be used.
    #[error(transparent)]
    Storage(#[from] OpenError),
    /// A certificate could not be kept, or read.
    #[error(transparent)]
    Folder(#[from] AuthorityFolderError),
    /// There is no socket to ask from.
    #[error("can not open a UDP socket: {0}")]
    Socket(std::io::Error),
    /// The clock of a voter that would issue it is wrong.
    #[error("this machine's clock is behind the issue of its own certificate; set it, so that certificates get dates that others accept")]
    Clock,
    /// There is none in the data folder, and no way to get one was given.
    #[error("the data folder holds no certificate; enroll this node with a join token first")]
    NoCertificate,
}

fn tried(places: &[(SocketAddr, &'static str)]) -> String {
    let places: Vec<String> = places.iter().map(|(address, why)| format!("{address} {why}")).collect();
    if places.is_empty() { "there was nobody to ask".to_owned() } else { places.join(", ") }
}
