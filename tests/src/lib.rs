//! Scenarios of whole clusters. Each is one body, generic over a [`Stage`], and is run on two of them:
//!
//! | stage | what it is |
//! |---|---|
//! | [`simulated`] | machines in virtual time, over `hivemind_lite::sim`: every checker looks on, one seed is one trace |
//! | [`real`] | nodes of `hivemind_node` in real time: QUIC over loopback, folders on disk |
//!
//! A stage fails by panicking, since it is only ever a test. Nothing here sleeps: a body waits for a
//! condition, and says within which [`bounds`] it must come.

pub mod bounds;
pub mod real;
pub mod scenarios;
pub mod simulated;

use std::sync::Arc;
use std::time::Duration;

use hivemind_core::ids::{NodeId, NodeName, Position, Seq};
use hivemind_core::machine::{HaltReason, Status};
use hivemind_core::settings::Settings;
use hivemind_core::view::View;
use hivemind_core::wire::command::{Command, Outcome};
use hivemind_core::wire::config::Section;

pub use hivemind_lite::sim::cluster::{NodeSpec, ViewsByName};
pub use hivemind_lite::sim::node::Part;

/// Where a scenario is played: plain verbs over a cluster. Nodes are named; a name that there is not is
/// the body's mistake. Every verb panics where the cluster does what it must not.
pub trait Stage: Sized {
    /// What a stage is made from.
    type Options;

    /// Starts a cluster of these nodes, the voters first: the first one gives birth to it, the others ask
    /// the voters to join. Returns at once.
    fn open(options: Self::Options, cast: Vec<NodeSpec>) -> Self;

    /// How its nodes are tuned.
    fn settings(&self) -> &Settings;

    /// Starts one more node, which asks the voters to join.
    fn start(&mut self, node: NodeSpec);

    /// Starts one more node, which knows of this member alone.
    fn start_through(&mut self, node: NodeSpec, member: &str);

    /// Lets a node with a key and a disk of its own ask for the name of another one, and waits until it
    /// has stopped. From here on, the name is that node's in every verb but [`Stage::views`].
    fn start_impostor(&mut self, node: NodeSpec) -> HaltReason;

    /// Kills a node's process.
    fn kill(&mut self, name: &str);

    /// Starts a node that was killed or has stopped, on its disk.
    fn restart(&mut self, name: &str);

    /// Lets a node ask to leave, and waits until it has stopped because it left.
    fn leave(&mut self, name: &str);

    /// Waits until a node has stopped by itself, and says why.
    fn stopped(&mut self, name: &str) -> HaltReason;

    /// Cuts each of these nodes off from every other node.
    fn isolate(&mut self, names: &[&str]);

    /// Ends every isolation.
    fn heal(&mut self);

    /// Publishes sections on a node, and waits until they are durable there.
    fn publish(&mut self, name: &str, sections: Vec<Section>) -> Seq;

    /// Proposes a command at a node, and waits for what becomes of it.
    fn propose(&mut self, name: &str, command: Command) -> Outcome;

    /// A linearizable read at a node: the position that its view is at, at least.
    fn read(&mut self, name: &str) -> Position;

    /// The views of the nodes that run and have one.
    fn views(&self) -> ViewsByName;

    /// A running node's account of itself.
    fn status(&self, name: &str) -> Option<Status>;

    /// Messages of this kind that were sent so far by all nodes; `None` where the stage does not look into
    /// them.
    fn sent(&self, kind: &str) -> Option<u64>;

    /// Waits until `is_so`, of the views of all running nodes; `what` says it in words. `bound` is in the
    /// time of an unhurried machine: a stage in real time adds what a busy one may need.
    fn wait_until(&mut self, what: &str, bound: Duration, is_so: impl FnMut(&ViewsByName) -> bool);

    /// What a node knows now. It must be running, and a member.
    fn view(&self, name: &str) -> Arc<View> {
        self.views().remove(name).unwrap_or_else(|| panic!("{name} has no view: {:?}", self.status(name)))
    }

    /// The membership of a node. It must be running, and a member.
    fn id(&self, name: &str) -> NodeId {
        self.view(name).node
    }
}

/// A name that a scenario made up.
///
/// # Panics
/// It is none.
pub fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}
