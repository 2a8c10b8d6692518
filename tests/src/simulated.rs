//! The stage in virtual time. Its checkers look on after every step; one that is broken fails the scenario
//! with the seed that repeats it.

use std::time::Duration;

use hivemind_core::ids::{Position, Seq};
use hivemind_core::machine::{HaltReason, Status};
use hivemind_core::settings::Settings;
use hivemind_core::wire::command::{Command, Outcome};
use hivemind_core::wire::config::Section;
use hivemind_lite::sim::cluster::{Cluster, ClusterError, ClusterOptions};
use hivemind_lite::sim::profile::Faults;
use hivemind_lite::sim::trace::TraceHash;

use crate::{NodeSpec, Stage, ViewsByName, bounds};

/// What a run is a function of.
#[derive(Clone, Debug)]
pub struct SimulatedOptions {
    /// Where all chance comes from.
    pub seed: u64,
    /// What the network does to messages.
    pub faults: Faults,
    /// How nodes are tuned.
    pub settings: Settings,
}

/// A simulated cluster.
pub struct Simulated {
    options: SimulatedOptions,
    cluster: Cluster,
}

impl SimulatedOptions {
    /// Default settings, for a LAN.
    pub fn new(seed: u64, faults: Faults) -> Self {
        SimulatedOptions { seed, faults, settings: Settings::default() }
    }
}

impl Simulated {
    /// The hash over everything that happened.
    pub fn trace(&self) -> TraceHash {
        self.cluster.world().trace()
    }

    fn run<T>(&mut self, what: &str, play: impl FnOnce(&mut Cluster) -> Result<T, ClusterError>) -> T {
        match play(&mut self.cluster) {
            Ok(value) => value,
            Err(error) => self.fail(what, &error),
        }
    }

    fn fail(&self, what: &str, error: &ClusterError) -> ! {
        let SimulatedOptions { seed, faults, .. } = &self.options;
        let views: Vec<String> = self.cluster.views().iter().map(|(name, view)| crate::scenarios::sketch(name, view)).collect();
        panic!("seed {seed}, faults {}, at {:?}: {what}: {error}\n{}", faults.name(), self.cluster.now(), views.join("\n"))
    }
}

impl Stage for Simulated {
    type Options = SimulatedOptions;

    fn open(options: SimulatedOptions, cast: Vec<NodeSpec>) -> Self {
        let SimulatedOptions { seed, faults, settings } = options.clone();
        let started = Cluster::start(ClusterOptions { seed, profile: faults.profile(), settings }, cast);
        let cluster = started.unwrap_or_else(|error| panic!("seed {seed}: the cluster does not start: {error}"));
        Simulated { options, cluster }
    }

    fn settings(&self) -> &Settings {
        &self.options.settings
    }

    fn start(&mut self, node: NodeSpec) {
        self.run("start", |cluster| cluster.join(node));
    }

    fn start_through(&mut self, node: NodeSpec, member: &str) {
        self.run("start through a member", |cluster| cluster.join_through(node, &[member]));
    }

    fn start_impostor(&mut self, node: NodeSpec) -> HaltReason {
        let name = node.name.clone();
        self.start(node);
        self.stopped(name.as_str())
    }

    fn kill(&mut self, name: &str) {
        self.run("kill", |cluster| cluster.kill(name));
    }

    fn restart(&mut self, name: &str) {
        self.run("restart", |cluster| cluster.restart(name));
    }

    fn leave(&mut self, name: &str) {
        self.run("leave", |cluster| cluster.leave(name));
    }

    fn stopped(&mut self, name: &str) -> HaltReason {
        let bound = bounds::join(self.settings());
        self.run("it stops", |cluster| cluster.wait(&format!("{name} has stopped"), bound, |cluster| cluster.halted(name).is_some()));
        self.cluster.halted(name).cloned().expect("waited for")
    }

    fn isolate(&mut self, names: &[&str]) {
        self.run("isolate", |cluster| cluster.isolate(names));
    }

    fn heal(&mut self) {
        self.cluster.heal();
    }

    fn publish(&mut self, name: &str, sections: Vec<Section>) -> Seq {
        self.run("publish", |cluster| cluster.publish(name, sections))
    }

    fn propose(&mut self, name: &str, command: Command) -> Outcome {
        self.run("propose", |cluster| cluster.propose(name, command))
    }

    fn read(&mut self, name: &str) -> Position {
        self.run("read", |cluster| cluster.read(name))
    }

    fn views(&self) -> ViewsByName {
        self.cluster.views()
    }

    fn status(&self, name: &str) -> Option<Status> {
        self.cluster.status(name)
    }

    fn sent(&self, kind: &str) -> Option<u64> {
        let kinds = self.cluster.world().traffic().kinds();
        Some(kinds.filter(|(of, _)| of.to_string() == kind).map(|(_, count)| count.messages).sum())
    }

    fn wait_until(&mut self, what: &str, bound: Duration, is_so: impl FnMut(&ViewsByName) -> bool) {
        self.run("wait", |cluster| cluster.wait_until(what, bound, is_so));
    }
}
