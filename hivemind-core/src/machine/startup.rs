//! What a machine is made from.

use std::net::SocketAddr;
use std::sync::Arc;

use thiserror::Error;

use crate::ids::{ClusterId, NodeName};
use crate::keys::Keys;
use crate::role::InstalledRole;
use crate::settings::Settings;
use crate::storage::Recovered;

/// Everything that a machine is made from.
pub struct Startup {
    /// The member's name, and its host's.
    pub name: NodeName,
    /// Where it listens for peers, best first.
    pub addresses: Vec<SocketAddr>,
    /// What it performs.
    pub roles: Vec<InstalledRole>,
    /// Whether it may become a voter.
    pub voter_eligible: bool,
    /// Where members may listen that can take its join on.
    pub seeds: Vec<SocketAddr>,
    /// Whether [`Input::Seeds`](super::Input::Seeds) may bring others later, so that a start with none yet waits for them.
    pub awaits_seeds: bool,
    /// Where nothing is recovered: begin a new cluster as its first voter, instead of joining one.
    pub birth: Option<Birth>,
    /// What was found on disk.
    pub recovered: Recovered,
    /// How it is tuned.
    pub settings: Settings,
    /// Its key, and the signing scheme.
    pub keys: Arc<dyn Keys>,
    /// Where all its chance comes from.
    pub seed: u64,
}

/// What a new cluster is called by its frames. Both drawn at random by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Birth {
    /// The cluster.
    pub cluster: ClusterId,
    /// The tag of its first epoch.
    pub tag: u64,
}

/// Why a machine can not be made. Nothing changed on disk.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StartError {
    /// The data folder is of a node with another name.
    #[error("the data folder belongs to the node {found}, not {expected}; choose another folder or the old name")]
    OtherName {
        /// Whose it is.
        found: NodeName,
        /// The name that was asked for.
        expected: NodeName,
    },
    /// Neither data, nor birth, nor seeds, and none to wait for.
    #[error("there is nothing to start from: no data, and no address of a member to join through")]
    NoSeeds,
}
