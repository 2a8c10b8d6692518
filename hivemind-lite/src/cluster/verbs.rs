//! What a person may do with the nodes of a running cluster.

use std::time::Duration;

use hivemind_core::ids::{NodeId, NodeName};
use hivemind_core::machine::Phase;
use hivemind_node::NodeHandle;
use thiserror::Error;

use super::{Cluster, Keeper, Order, OrderError, carried_out};
use crate::console::command::nearest;
use crate::show::{Kind, Life, Picture};

/// How long a started node is waited for until it is a member.
const JOIN_PATIENCE: Duration = Duration::from_secs(10);

/// Why a command was not carried out.
#[derive(Debug, Error)]
pub enum VerbError {
    /// There is no such node. Nothing changed.
    #[error("there is no node `{typed}`; {hint}")]
    NoSuchNode {
        /// What was typed.
        typed: String,
        /// The nearest name, or where they are listed.
        hint: String,
    },
    /// The node did not do it; the message says what changed.
    #[error("{0}")]
    Order(String),
    /// It runs, and is no member yet.
    #[error("{name} runs, but is not a member yet ({phase}){why}")]
    NotAMember {
        /// Which node.
        name: NodeName,
        /// Where it stands.
        phase: &'static str,
        /// What may be in the way.
        why: &'static str,
    },
}

impl From<OrderError> for VerbError {
    fn from(error: OrderError) -> Self {
        VerbError::Order(error.to_string())
    }
}

impl Cluster {
    /// Stops a node as a crash would.
    ///
    /// # Errors
    /// [`VerbError`].
    pub async fn kill(&self, name: &str) -> Result<String, VerbError> {
        let keeper = self.named(name)?;
        keeper.order(Order::Kill).await?;
        Ok(format!("killed {name}"))
    }

    /// Starts a node again, and waits until it is a member.
    ///
    /// # Errors
    /// [`VerbError`].
    pub async fn start(&self, name: &str) -> Result<String, VerbError> {
        let keeper = self.named(name)?;
        keeper.order(Order::Start).await?;
        self.shared.keep_places();
        let name = keeper.plan.name.clone();
        let Some(handle) = keeper.shown().handle else { return Err(VerbError::Order(format!("{name} stopped again"))) };
        let member = handle.status_where(|status| status.machine.phase == Phase::Member);
        match tokio::time::timeout(JOIN_PATIENCE, member).await {
            Ok(Some(status)) => Ok(format!("started {name}, member {}", status.machine.node)),
            Ok(None) => Err(VerbError::Order(format!("{name} stopped again: {}", handle.stopped().await))),
            Err(_) => Err(self.not_a_member(name, &handle)),
        }
    }

    fn not_a_member(&self, name: NodeName, handle: &NodeHandle) -> VerbError {
        let phase = match handle.status().machine.phase {
            Phase::Starting => "starting",
            Phase::Joining => "joining",
            Phase::Resuming => "resuming",
            Phase::Member => "just now it became one",
            Phase::Resyncing => "resyncing",
            Phase::Stopped => "stopped",
        };
        let keepers = self.keepers();
        let voters: Vec<Keeper> = keepers.into_iter().filter(|keeper| keeper.plan.kind == Kind::Voter).collect();
        let up = |keeper: &&Keeper| keeper.shown().life == Life::Running;
        let reachable = |keeper: &&Keeper| up(keeper) && !keeper.shown().isolated;
        let quorum = self.voters / 2 + 1;
        let why = if self.keeper(&name).is_some_and(|keeper| keeper.shown().isolated) {
            "; it is isolated, `heal` ends it"
        } else if voters.iter().filter(up).count() < quorum {
            "; too few voters run for a quorum, `start` them"
        } else if voters.iter().filter(reachable).count() < quorum {
            "; too many voters are isolated for a quorum, `heal` ends it"
        } else {
            "; it goes on trying, `status` shows whether there is a quorum"
        };
        VerbError::NotAMember { name, phase, why }
    }

    /// Cuts each of these nodes off from all others.
    ///
    /// # Errors
    /// [`VerbError::NoSuchNode`]; then none is cut off.
    pub async fn isolate(&self, names: &[String]) -> Result<String, VerbError> {
        let keepers: Vec<Keeper> = names.iter().map(|name| self.named(name)).collect::<Result<_, _>>()?;
        for keeper in &keepers {
            keeper.order(|answer| Order::Isolate(true, answer)).await?;
        }
        Ok(format!("isolated {}; `heal` ends it", names.join(", ")))
    }

    /// Lets all nodes reach each other again.
    ///
    /// # Errors
    /// [`VerbError::Order`]: the cluster is stopping.
    pub async fn heal(&self) -> Result<String, VerbError> {
        // All are told first: one that is held up, by a leave without a quorum say, does not hold up the others.
        let mut told = Vec::new();
        for keeper in self.keepers() {
            told.push(keeper.ordered(|answer| Order::Isolate(false, answer)).await);
        }
        for answered in told {
            carried_out(answered).await?;
        }
        Ok("healed: all nodes reach each other".to_owned())
    }

    /// Ends a node's membership, then stops it. A voter is made an ordinary member first.
    ///
    /// # Errors
    /// [`VerbError`].
    pub async fn leave(&self, name: &str) -> Result<String, VerbError> {
        let keeper = self.named(name)?;
        let member = self.member(&keeper.plan.name);
        let left = member.as_ref().map(|(node, _)| node.to_string()).unwrap_or_default();
        keeper.order(|answer| Order::Leave { member, answer }).await?;
        Ok(format!("{name} left: member {left} is none any more; `start {name}` makes it a new one"))
    }

    /// The membership of a node, and another node to speak of it through.
    pub(super) fn member(&self, name: &NodeName) -> Option<(NodeId, NodeHandle)> {
        let picture = self.picture();
        let node = picture.best_view()?.facts.named(name)?.node;
        Some((node, self.speaker(&picture, name)?))
    }

    /// A node other than `name` that most likely reaches the leader.
    fn speaker(&self, picture: &Picture, name: &NodeName) -> Option<NodeHandle> {
        let running = picture.nodes.iter().filter(|node| node.is_running() && &node.name != name);
        let rank = |node: &&crate::show::NodePicture| (!node.isolated, !node.sees_degraded(), node.kind == Kind::Voter);
        let best = running.max_by_key(rank)?;
        self.keeper(&best.name)?.shown().handle
    }

    fn named(&self, typed: &str) -> Result<Keeper, VerbError> {
        let keepers = self.keepers();
        if let Some(keeper) = keepers.iter().find(|keeper| keeper.plan.name.as_str() == typed) {
            return Ok(keeper.clone());
        }
        let near = nearest(typed, keepers.iter().map(|keeper| keeper.plan.name.as_str()));
        let hint = near.map_or_else(|| "`members` lists them".to_owned(), |near| format!("did you mean `{near}`?"));
        Err(VerbError::NoSuchNode { typed: typed.to_owned(), hint })
    }
}
