//! A whole cluster within a test: real nodes in this process, over QUIC on loopback, with their data in a folder that
//! goes with them (feature `testing`).
//!
//! ```
//! use hivemind_node::testing::TestCluster;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), hivemind_node::testing::TestClusterError> {
//! let mut cluster = TestCluster::start(4).await?;
//! cluster.kill("node4").await?;
//! cluster.wait_for("node4 is gone from every view", |views| {
//!     views.values().all(|view| view.facts.members().len() == 3)
//! }).await?;
//! cluster.restart("node4").await?;
//! cluster.wait_for("node4 is back", |views| views.values().all(|view| view.facts.members().len() == 4)).await?;
//! cluster.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! A voter that was killed stays a member while nobody may take its vote: give the cluster more nodes than voters, and they all may
//! (`TestClusterOptions::configure`), to see one replaced.

mod options;
mod place;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hivemind_core::ids::NodeName;
use hivemind_core::machine::Phase;
use hivemind_core::view::View;
use tempfile::TempDir;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;

use options::PATIENCE;
pub use options::{MAX_NODES, TestClusterOptions};
use place::{BIRTH, Ground, Place, Running};

use crate::authority::AuthorityError;
use crate::node::{NodeHandle, StartFailure};

/// What each running node knows, by its name. One that is no member yet is not in it.
pub type Views = BTreeMap<String, Arc<View>>;

/// Why a test cluster does not do what it is told. Only [`TestClusterError::Timeout`] leaves it as it was.
#[derive(Debug, Error)]
pub enum TestClusterError {
    /// It is to have no node, or more than make sense in one process. Nothing runs.
    #[error("a test cluster of {0} nodes; give it 1 to {MAX_NODES}")]
    Size(u16),
    /// No folder for the nodes' data. Nothing runs.
    #[error("no temporary folder for the nodes' data: {0}; look at TMPDIR")]
    Folder(#[from] std::io::Error),
    /// No authority for the nodes' certificates. Nothing runs.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A node did not start; those that did are dropped with the cluster.
    #[error("{name} did not start: {source}")]
    Start {
        /// Which.
        name: NodeName,
        /// Why.
        source: StartFailure,
    },
    /// There is no node of this name. Nothing changed.
    #[error("there is no node `{typed}`; there are {known}")]
    NoSuchNode {
        /// What was asked for.
        typed: String,
        /// The names that there are.
        known: String,
    },
    /// It does not run. Nothing changed.
    #[error("{0} does not run; `restart` starts it")]
    NotRunning(NodeName),
    /// It did not come in time. Nothing changed.
    #[error("after {bound:?} still not: {what}\n{nodes}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// For how long.
        bound: Duration,
        /// How each node fares, a line each.
        nodes: String,
    },
}

/// Real nodes in this process, named `node1`, `node2` and so on. Dropped, all are killed, and nothing is left behind.
pub struct TestCluster {
    // Nodes go before their data does.
    places: BTreeMap<NodeName, Place>,
    ground: Ground,
    options: TestClusterOptions,
    moved: watch::Sender<()>,
    _folder: TempDir,
}

impl TestCluster {
    /// Starts so many nodes, of which the first three may vote, and waits until each of them knows all.
    ///
    /// # Errors
    /// [`TestClusterError`].
    pub async fn start(nodes: u16) -> Result<Self, TestClusterError> {
        TestClusterOptions::new(nodes).start().await
    }

    async fn form(options: TestClusterOptions) -> Result<Self, TestClusterError> {
        let nodes = options.nodes;
        if nodes == 0 || nodes > MAX_NODES {
            return Err(TestClusterError::Size(nodes));
        }
        let folder = tempfile::Builder::new().prefix("hivemind-test-").tempdir()?;
        let ground = Ground::new(folder.path(), options.settings.clone(), options.configure.clone())?;
        let mut cluster = TestCluster { places: BTreeMap::new(), ground, options, moved: watch::Sender::new(()), _folder: folder };
        let mut others = JoinSet::new();
        let mut first = None;
        for number in 1..=nodes {
            let mut place = cluster.ground.place(number, number <= cluster.options.voters);
            match first {
                None => {
                    let running = cluster.ground.run(&place, Some(BIRTH), &cluster.moved).await?;
                    place.listen = running.node.local_addr();
                    first = Some(place.listen);
                    place.running = Some(running);
                    cluster.places.insert(place.name.clone(), place);
                }
                Some(seed) => {
                    place.seeds = vec![seed];
                    let (ground, moved) = (cluster.ground.clone(), cluster.moved.clone());
                    others.spawn(async move {
                        let running = ground.run(&place, None, &moved).await?;
                        place.listen = running.node.local_addr();
                        place.running = Some(running);
                        Ok::<_, TestClusterError>(place)
                    });
                }
            }
        }
        while let Some(started) = others.join_next().await {
            // A panic of a start is this test's.
            let place = started.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
            cluster.places.insert(place.name.clone(), place);
        }
        cluster.all_seeds();
        let (members, voters) = (usize::from(nodes), usize::from(cluster.options.voters.min(nodes)));
        let formed = move |views: &Views| {
            let knows_all = |view: &Arc<View>| {
                let voting = view.facts.members().keys().filter(|node| view.facts.is_voter(**node)).count();
                view.facts.members().len() == members && voting == voters && !view.condition.stale
            };
            views.len() == members && views.values().all(knows_all)
        };
        let bound = cluster.options.patience.max(PATIENCE);
        cluster.wait_within(bound, "all nodes are members, and as many vote as may", formed).await?;
        Ok(cluster)
    }

    /// From now on each node finds the others wherever one of them still runs.
    fn all_seeds(&mut self) {
        let listening: Vec<_> = self.places.values().map(|place| (place.name.clone(), place.listen)).collect();
        for place in self.places.values_mut() {
            place.seeds = listening.iter().filter(|(name, _)| *name != place.name).map(|(_, listen)| *listen).collect();
        }
    }

    /// The names of all nodes, whether they run or not.
    pub fn names(&self) -> impl Iterator<Item = &NodeName> {
        self.places.keys()
    }

    /// A running node, to publish, propose and read through.
    ///
    /// # Errors
    /// [`TestClusterError::NoSuchNode`], [`TestClusterError::NotRunning`].
    pub fn node(&self, name: &str) -> Result<&NodeHandle, TestClusterError> {
        Ok(self.running(name)?.node.handle())
    }

    /// What each running node knows now.
    pub fn views(&self) -> Views {
        let running = self.places.values().filter_map(|place| Some((place, place.running.as_ref()?)));
        let live = running.filter(|(_, running)| running.node.handle().status().stopped.is_none());
        live.filter_map(|(place, running)| Some((place.name.to_string(), running.node.handle().view()?))).collect()
    }

    /// Waits until the views are as `reached` says, for as long as [`TestClusterOptions::patience`] at most. It is asked anew with each
    /// change of a view.
    ///
    /// # Errors
    /// [`TestClusterError::Timeout`], with a line about each node.
    pub async fn wait_for(&self, what: &str, reached: impl FnMut(&Views) -> bool) -> Result<Views, TestClusterError> {
        self.wait_within(self.options.patience, what, reached).await
    }

    async fn wait_within(&self, bound: Duration, what: &str, mut reached: impl FnMut(&Views) -> bool) -> Result<Views, TestClusterError> {
        let mut moved = self.moved.subscribe();
        let waiting = async {
            loop {
                let views = self.views();
                if reached(&views) {
                    return views;
                }
                // The sender is this cluster's own.
                let _ = moved.changed().await;
            }
        };
        let waited = tokio::time::timeout(bound, waiting).await;
        waited.map_err(|_| TestClusterError::Timeout { what: what.to_owned(), bound, nodes: self.sketch() })
    }

    /// Ends a node as a crash would: it falls silent, and what was not on disk is lost.
    ///
    /// # Errors
    /// [`TestClusterError::NoSuchNode`], [`TestClusterError::NotRunning`].
    pub async fn kill(&mut self, name: &str) -> Result<(), TestClusterError> {
        self.running(name)?;
        let running = self.place_mut(name)?.running.take();
        if let Some(running) = running {
            running.node.kill().await;
        }
        self.moved.send_replace(());
        Ok(())
    }

    /// Starts a node again with the data that it has, at the address that it had; one that runs is killed first. It may not be a member
    /// yet when this returns.
    ///
    /// # Errors
    /// [`TestClusterError::NoSuchNode`], [`TestClusterError::Start`].
    pub async fn restart(&mut self, name: &str) -> Result<(), TestClusterError> {
        match self.kill(name).await {
            Ok(()) | Err(TestClusterError::NotRunning(_)) => {}
            Err(error) => return Err(error),
        }
        let (ground, moved) = (self.ground.clone(), self.moved.clone());
        let place = self.place_mut(name)?;
        place.running = Some(ground.run(place, None, &moved).await?);
        Ok(())
    }

    /// Cuts each of these nodes off from all others, silently, as a network would. A restart ends it.
    ///
    /// # Errors
    /// [`TestClusterError::NoSuchNode`], [`TestClusterError::NotRunning`]; then none is cut off.
    pub fn isolate(&self, names: &[&str]) -> Result<(), TestClusterError> {
        let nodes: Vec<&Running> = names.iter().map(|name| self.running(name)).collect::<Result<_, _>>()?;
        for running in nodes {
            running.node.filter().isolate([]);
        }
        Ok(())
    }

    /// Lets all nodes reach each other again.
    pub fn heal(&self) {
        self.places.values().filter_map(|place| place.running.as_ref()).for_each(|running| running.node.filter().heal());
    }

    /// Stops all nodes in order, and waits until they have ended.
    pub async fn stop(mut self) {
        let mut stopping = JoinSet::new();
        for running in self.places.values_mut().filter_map(|place| place.running.take()) {
            stopping.spawn(running.node.stop());
        }
        while stopping.join_next().await.is_some() {}
    }

    fn place(&self, name: &str) -> Result<&Place, TestClusterError> {
        self.places.values().find(|place| place.name.as_str() == name).ok_or_else(|| self.no_such(name))
    }

    fn place_mut(&mut self, name: &str) -> Result<&mut Place, TestClusterError> {
        let unknown = self.no_such(name);
        self.places.values_mut().find(|place| place.name.as_str() == name).ok_or(unknown)
    }

    fn no_such(&self, name: &str) -> TestClusterError {
        let known: Vec<&str> = self.places.keys().map(NodeName::as_str).collect();
        TestClusterError::NoSuchNode { typed: name.to_owned(), known: known.join(", ") }
    }

    fn running(&self, name: &str) -> Result<&Running, TestClusterError> {
        let place = self.place(name)?;
        place.running.as_ref().ok_or_else(|| TestClusterError::NotRunning(place.name.clone()))
    }

    /// A line about each node, for whoever looks for what is missing.
    fn sketch(&self) -> String {
        let line = |place: &Place| {
            let Some(running) = &place.running else { return format!("{}: killed", place.name) };
            let status = running.node.handle().status();
            if let Some(reason) = status.stopped {
                return format!("{}: stopped: {reason}", place.name);
            }
            let phase = match status.machine.phase {
                Phase::Starting => "starting",
                Phase::Joining => "joining",
                Phase::Resuming => "resuming",
                Phase::Member => "a member",
                Phase::Resyncing => "resyncing",
                Phase::Stopped => "stopped",
            };
            let Some(view) = running.node.handle().view() else { return format!("{}: {phase}, no view yet", place.name) };
            let known: Vec<&str> = view.facts.members().values().map(|member| member.name.as_str()).collect();
            format!("{}: {phase}, at {}, knows {}", place.name, view.facts.position(), known.join(" "))
        };
        self.places.values().map(line).collect::<Vec<_>>().join("\n")
    }
}

impl std::fmt::Debug for TestCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sketch())
    }
}
