//! Plain verbs over a world, for scenarios in tests: the same bodies run over real sockets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hivemind_core::ids::{NodeName, Position, RequestId, Seq};
use hivemind_core::machine::{HaltReason, Reply, Status};
use hivemind_core::settings::Settings;
use hivemind_core::time::Time;
use hivemind_core::view::View;
use hivemind_core::wire::command::{Command, Outcome};
use hivemind_core::wire::config::Section;
use hivemind_core::wire::event::LeaveReason;

use super::checkers::Violation;
use super::network::Slot;
use super::node::Part;
use super::profile::Profile;
use super::roles::{Names, is_answered};
use super::world::{World, WorldOptions};

/// How often a condition is looked at.
const SLICE: Duration = Duration::from_millis(10);
/// A request is answered within this or never: above the proposal timeout of the settings, with its retries.
const REPLY_BOUND: Duration = Duration::from_secs(30);

/// What a cluster is made from.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Where all chance comes from.
    pub seed: u64,
    /// How links and disks behave.
    pub profile: Profile,
    /// How nodes are tuned.
    pub settings: Settings,
}

impl ClusterOptions {
    /// A LAN without faults, with default settings.
    pub fn new(seed: u64) -> Self {
        ClusterOptions { seed, profile: Profile::default(), settings: Settings::default() }
    }
}

/// A node to be started.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// Its name.
    pub name: NodeName,
    /// What it is there for.
    pub part: Part,
    /// What it publishes, where it is a host.
    pub sections: Vec<Section>,
}

/// Why a verb failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// A checker saw an invariant broken: the product is at fault.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The test named a node that there is not.
    #[error("there is no node {0}")]
    NoSuchNode(String),
    /// The node's process does not run.
    #[error("{0} is not running")]
    NotRunning(NodeName),
    /// The first node must be a voter, and voters come first: joiners ask them.
    #[error("the first nodes of a cluster must be its voters")]
    VotersFirst,
    /// What was waited for did not come.
    #[error("after {} s of virtual time still not: {what}", bound.as_secs())]
    TimedOut {
        /// As the test put it.
        what: String,
        /// How long it waited.
        bound: Duration,
    },
    /// The node answered a request with another reply than it asks for.
    #[error("{node} answered {reply:?}")]
    Unexpected {
        /// Which node.
        node: NodeName,
        /// What it said.
        reply: Reply,
    },
}

/// The views of the nodes that run and have one, by name.
pub type ViewsByName = BTreeMap<String, Arc<View>>;

/// A simulated cluster. Every verb that lets time pass fails at the first broken invariant.
pub struct Cluster {
    world: World,
}

impl Cluster {
    /// Starts a cluster: the first node gives birth to it, the others join through the voters. Returns at once; wait for
    /// what is needed.
    ///
    /// # Errors
    /// [`ClusterError::VotersFirst`], or a violation.
    pub fn start(options: ClusterOptions, nodes: Vec<NodeSpec>) -> Result<Self, ClusterError> {
        let voters = nodes.iter().take_while(|node| node.part == Part::Voter).count();
        if voters == 0 || nodes[voters..].iter().any(|node| node.part == Part::Voter) {
            return Err(ClusterError::VotersFirst);
        }
        let ClusterOptions { seed, profile, settings } = options;
        let voters = u32::try_from(voters).expect("a cluster has fewer than 2^32 voters");
        let mut cluster = Cluster { world: World::new(WorldOptions { seed, profile, settings }, voters) };
        nodes.into_iter().try_for_each(|node| cluster.join(node))?;
        Ok(cluster)
    }

    /// Starts one more node.
    ///
    /// # Errors
    /// A violation.
    pub fn join(&mut self, node: NodeSpec) -> Result<(), ClusterError> {
        let slot = self.world.add(node.name, node.part, node.sections);
        Ok(self.world.start(slot)?)
    }

    /// Starts one more node that asks to join only at these.
    ///
    /// # Errors
    /// [`ClusterError::NoSuchNode`], or a violation.
    pub fn join_through(&mut self, node: NodeSpec, through: &[&str]) -> Result<(), ClusterError> {
        let through = through.iter().map(|name| self.slot(name)).collect::<Result<Vec<_>, _>>()?;
        let slot = self.world.add(node.name, node.part, node.sections);
        self.world.join_through(slot, &through);
        Ok(self.world.start(slot)?)
    }

    /// Kills a node's process: what it had not made durable is lost.
    ///
    /// # Errors
    /// [`ClusterError::NoSuchNode`].
    pub fn kill(&mut self, name: &str) -> Result<(), ClusterError> {
        let slot = self.slot(name)?;
        self.world.kill(slot);
        Ok(())
    }

    /// Starts a node's process again, on its disk.
    ///
    /// # Errors
    /// [`ClusterError::NoSuchNode`], or a violation.
    pub fn restart(&mut self, name: &str) -> Result<(), ClusterError> {
        let slot = self.slot(name)?;
        Ok(self.world.start(slot)?)
    }

    /// Lets a node ask to leave, and waits until it has stopped because it left.
    ///
    /// # Errors
    /// [`ClusterError::Unexpected`] where that is refused; else as [`Cluster::propose`].
    pub fn leave(&mut self, name: &str) -> Result<(), ClusterError> {
        let slot = self.slot(name)?;
        let not_running = || ClusterError::NotRunning(self.world.node(slot).name.clone());
        let node = self.world.node(slot).id().ok_or_else(not_running)?;
        let request = self.world.propose(slot, Command::Leave { node, reason: LeaveReason::Asked })?;
        match self.reply(slot, request) {
            Ok(Reply::Proposed(Outcome::Committed { .. } | Outcome::OutcomeUnknown)) | Err(ClusterError::NotRunning(_)) => {}
            Ok(refused) => return Err(self.unexpected(slot, refused)),
            Err(error) => return Err(error),
        }
        self.wait("it has left", REPLY_BOUND, |cluster| cluster.halted(name) == Some(&HaltReason::Left))
    }

    /// Cuts each of these nodes off from every other node.
    ///
    /// # Errors
    /// [`ClusterError::NoSuchNode`].
    pub fn isolate(&mut self, names: &[&str]) -> Result<(), ClusterError> {
        for name in names {
            let slot = self.slot(name)?;
            self.world.isolate(slot);
        }
        Ok(())
    }

    /// Ends every isolation.
    pub fn heal(&mut self) {
        self.world.heal();
    }

    /// Publishes sections on a node, and waits until they are durable there.
    ///
    /// # Errors
    /// Where it does not run or refuses, and violations.
    pub fn publish(&mut self, name: &str, sections: Vec<Section>) -> Result<Seq, ClusterError> {
        let slot = self.slot(name)?;
        let request = self.world.publish(slot, sections)?;
        match self.reply(slot, request)? {
            Reply::Published { seq } => Ok(seq),
            other => Err(self.unexpected(slot, other)),
        }
    }

    /// Proposes a command at a node, and waits for what becomes of it.
    ///
    /// # Errors
    /// Where it does not run or stops, and violations. A refusal is an [`Outcome`].
    pub fn propose(&mut self, name: &str, command: Command) -> Result<Outcome, ClusterError> {
        let slot = self.slot(name)?;
        let request = self.world.propose(slot, command)?;
        match self.reply(slot, request)? {
            Reply::Proposed(outcome) => Ok(outcome),
            other => Err(self.unexpected(slot, other)),
        }
    }

    /// A linearizable read at a node: the position that its view is at, at least.
    ///
    /// # Errors
    /// Where it does not run or the control plane can not say, and violations.
    pub fn read(&mut self, name: &str) -> Result<Position, ClusterError> {
        let slot = self.slot(name)?;
        let request = self.world.read(slot)?;
        match self.reply(slot, request)? {
            Reply::Readable { position } => Ok(position),
            other => Err(self.unexpected(slot, other)),
        }
    }

    /// Lets time pass until `is_so`, of the views of all running nodes; `what` says it in words.
    ///
    /// # Errors
    /// [`ClusterError::TimedOut`] after `bound` of virtual time, and violations.
    pub fn wait_until(&mut self, what: &str, bound: Duration, mut is_so: impl FnMut(&ViewsByName) -> bool) -> Result<(), ClusterError> {
        self.wait(what, bound, |cluster| is_so(&cluster.views()))
    }

    /// As [`Cluster::wait_until`], of the whole cluster.
    ///
    /// # Errors
    /// As [`Cluster::wait_until`].
    pub fn wait(&mut self, what: &str, bound: Duration, mut is_so: impl FnMut(&Cluster) -> bool) -> Result<(), ClusterError> {
        let end = self.world.now() + bound;
        while !is_so(self) {
            if self.world.now() >= end {
                return Err(ClusterError::TimedOut { what: what.to_owned(), bound });
            }
            self.world.run_for(SLICE)?;
        }
        Ok(())
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// Violations.
    pub fn run_for(&mut self, duration: Duration) -> Result<(), ClusterError> {
        Ok(self.world.run_for(duration)?)
    }

    /// The views of the nodes that run and have one.
    pub fn views(&self) -> ViewsByName {
        let with_view = |node: &super::node::SimNode| Some((node.name.to_string(), node.view()?.clone()));
        self.world.nodes().iter().filter_map(with_view).collect()
    }

    /// Whether a consumer's DNS answers with an address for a host.
    pub fn is_answered(&self, consumer: &str, host: &NodeName) -> bool {
        let Ok(slot) = self.slot(consumer) else { return false };
        let zone = self.world.node(slot).process.as_ref().and_then(|process| process.zone.as_ref());
        zone.is_some_and(|zone| is_answered(zone, host))
    }

    /// What is in force on a consumer; `None` where it does not run or is none.
    pub fn answers(&self, name: &str) -> Option<&Names> {
        let slot = self.slot(name).ok()?;
        self.world.node(slot).process.as_ref()?.names.as_ref()
    }

    /// A running node's account of itself.
    pub fn status(&self, name: &str) -> Option<Status> {
        let slot = self.slot(name).ok()?;
        Some(self.world.node(slot).process.as_ref()?.machine.status())
    }

    /// Why a node stopped by itself.
    pub fn halted(&self, name: &str) -> Option<&HaltReason> {
        self.world.node(self.slot(name).ok()?).halted.as_ref()
    }

    /// The virtual time.
    pub fn now(&self) -> Time {
        self.world.now()
    }

    /// The world below, to look at.
    pub fn world(&self) -> &World {
        &self.world
    }

    fn slot(&self, name: &str) -> Result<Slot, ClusterError> {
        let slot = NodeName::new(name).ok().and_then(|name| self.world.named(&name));
        slot.ok_or_else(|| ClusterError::NoSuchNode(name.to_owned()))
    }

    fn reply(&mut self, slot: Slot, request: Option<RequestId>) -> Result<Reply, ClusterError> {
        let not_running = || ClusterError::NotRunning(self.world.node(slot).name.clone());
        let request = request.ok_or_else(not_running)?;
        let end = self.world.now() + REPLY_BOUND;
        loop {
            if let Some(reply) = self.world.take_reply(request) {
                return Ok(reply);
            }
            if self.world.node(slot).process.is_none() {
                return Err(ClusterError::NotRunning(self.world.node(slot).name.clone()));
            }
            if self.world.now() >= end {
                return Err(ClusterError::TimedOut { what: "a reply".to_owned(), bound: REPLY_BOUND });
            }
            self.world.run_for(SLICE)?;
        }
    }

    fn unexpected(&self, slot: Slot, reply: Reply) -> ClusterError {
        ClusterError::Unexpected { node: self.world.node(slot).name.clone(), reply }
    }
}
