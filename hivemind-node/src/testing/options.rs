//! What is decided before a test cluster starts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hivemind_core::settings::Settings;

use super::place::Configure;
use super::{TestCluster, TestClusterError};
use crate::node::NodeBuilder;

/// The most nodes of a test cluster: more wait for each other's processor, not for the network.
pub const MAX_NODES: u16 = 40;
/// How long a condition is waited for, unless told otherwise.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What is decided before a [`TestCluster`] starts.
///
/// ```
/// use hivemind_core::ids::{NodeName, SectionKind};
/// use hivemind_core::role::{Role, RoleSpec};
/// use hivemind_core::view::{Changed, View};
/// use hivemind_node::testing::TestClusterOptions;
///
/// /// Counts the members.
/// struct Census;
///
/// impl Role for Census {
///     type Desired = usize;
///
///     fn spec(&self) -> RoleSpec {
///         let name = SectionKind::new("census").expect("a valid name");
///         RoleSpec { name, requires: vec![], bootstraps_from: vec![], publishes: vec![], consumes: vec![] }
///     }
///
///     fn desired(&self, view: &View, _changed: &Changed, _last: Option<&usize>) -> usize {
///         view.facts.members().len()
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), hivemind_node::testing::TestClusterError> {
/// let cluster = TestClusterOptions::new(2)
///     .voters(1)
///     .configure(|name, node| if name.as_str() == "node2" { node.role_without_apply(Census) } else { node })
///     .start()
///     .await?;
/// assert_eq!(cluster.node("node2")?.status().roles.len(), 1);
/// # cluster.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TestClusterOptions {
    pub(super) nodes: u16,
    pub(super) voters: u16,
    pub(super) settings: Settings,
    pub(super) patience: Duration,
    pub(super) configure: Arc<Configure>,
}

impl TestClusterOptions {
    /// So many nodes, 1 to [`MAX_NODES`]; everything else as the other methods say.
    pub fn new(nodes: u16) -> Self {
        TestClusterOptions { nodes, voters: 3, settings: Settings::one_machine(), patience: PATIENCE, configure: Arc::new(|_, node| node) }
    }

    /// How many nodes, the first ones, may vote: at least 1. Default: 3.
    #[must_use]
    pub fn voters(mut self, voters: u16) -> Self {
        self.voters = voters.max(1);
        self
    }

    /// How the machines are tuned. Default: [`Settings::one_machine`]. The number of voters is that of [`voters`](Self::voters) all the same.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// How long [`TestCluster::wait_for`] waits. Default: a minute, since a busy machine is no failure. The start is waited for that long at
    /// least.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// What a node does: called with its name and what was decided so far, at each of its starts. Name, data, certificate, address and
    /// seeds are decided already.
    #[must_use]
    pub fn configure(
        mut self,
        configure: impl Fn(&hivemind_core::ids::NodeName, NodeBuilder) -> NodeBuilder + Send + Sync + 'static,
    ) -> Self {
        self.configure = Arc::new(configure);
        self
    }

    /// Starts the nodes, and waits until each of them knows all, and as many vote as may. Must be called within a tokio runtime with
    /// time and io.
    ///
    /// # Errors
    /// [`TestClusterError`].
    pub async fn start(mut self) -> Result<TestCluster, TestClusterError> {
        self.settings.control.voters = usize::from(self.voters);
        TestCluster::form(self).await
    }
}

impl fmt::Debug for TestClusterOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClusterOptions").field("nodes", &self.nodes).field("voters", &self.voters).finish_non_exhaustive()
    }
}
