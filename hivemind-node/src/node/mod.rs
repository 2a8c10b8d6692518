//! A node, as its owner holds it.

mod assembly;
mod builder;
mod error;
mod handle;
mod proof;
mod rotation;
mod secrets;

use std::net::SocketAddr;

use hivemind_core::ids::{NodeName, PublicKey};
use tokio::sync::oneshot;

pub use builder::{DEFAULT_PORT, NodeBuilder};
pub use error::{PublishFailure, ReadFailure, StartFailure};
pub use handle::NodeHandle;
pub use rotation::RotationFailure;
pub use secrets::{CredentialSecret, NewCredential, SecretFailure, TokenWish};

use crate::driver::{Ending, StopReason};
use crate::tasks::Tasks;
use crate::transport::{Filter, Transport};

/// A running node. Dropping it kills it, as [`Node::kill`] does, without waiting.
#[derive(Debug)]
pub struct Node {
    handle: NodeHandle,
    transport: Transport,
    tasks: Tasks,
    ending: oneshot::Sender<Ending>,
}

impl Node {
    /// Begins to make a node. See [`NodeBuilder`] for what is to be decided.
    pub fn builder(name: NodeName) -> NodeBuilder {
        NodeBuilder::new(name)
    }

    /// What the rest of the program speaks to the node through.
    pub fn handle(&self) -> &NodeHandle {
        &self.handle
    }

    /// Where it listens for peers; with the port that the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.transport.local_addr()
    }

    /// Its public key: its lasting identity.
    pub fn public(&self) -> PublicKey {
        self.transport.public()
    }

    /// Keeps peers apart from it on purpose.
    pub fn filter(&self) -> &Filter {
        self.transport.filter()
    }

    /// Stops in order: what was to be stored is stored, peers are told, what is being applied gets a few
    /// seconds to end, all tasks have ended. It stays a member: a leave is a command of its own. Says
    /// why the node stopped, which may have been earlier.
    pub async fn stop(self) -> StopReason {
        self.end(Ending::Orderly).await
    }

    /// Ends as if the process had died: no peer is told, and what waits for the disk is not written.
    /// Waits until all tasks have ended and the port is free.
    pub async fn kill(self) -> StopReason {
        self.end(Ending::Abrupt).await
    }

    async fn end(self, ending: Ending) -> StopReason {
        // Where it stopped by itself there is nobody to be told.
        let _ = self.ending.send(ending);
        let reason = self.handle.stopped().await;
        self.tasks.all_ended().await;
        reason
    }
}
