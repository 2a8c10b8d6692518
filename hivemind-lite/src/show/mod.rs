//! How a cluster is shown: a picture of all its nodes at one moment, and the tables drawn from it. Pure.

mod configs;
mod events;
mod members;
mod status;
mod table;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hivemind_core::ids::{NodeId, NodeName, Position, Seq};
use hivemind_core::machine::{Phase, Status};
use hivemind_core::view::View;
use hivemind_core::wire::event::VoterPart;

pub use configs::configs;
pub use events::{Log, events};
pub use members::members;
pub use status::{Health, status};

/// What a node of this process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It votes.
    Voter,
    /// It answers DNS.
    Dns,
    /// It publishes a host file.
    Host,
}

/// Where a node of this process stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    /// It is being started, or joins.
    Starting,
    /// It runs.
    Running,
    /// `kill` stopped it.
    Killed,
    /// Its membership was ended, and it was stopped.
    Left,
    /// Its host file is gone, and so is it.
    Gone,
    /// It stopped by itself, or did not start; why.
    Failed(String),
}

/// One node.
#[derive(Clone, Debug)]
pub struct NodePicture {
    /// Its name.
    pub name: NodeName,
    /// What it is for.
    pub kind: Kind,
    /// Where it stands.
    pub life: Life,
    /// Whether `isolate` cut it off.
    pub isolated: bool,
    /// Where it listens for peers.
    pub address: Option<SocketAddr>,
    /// Its own account, while it runs.
    pub status: Option<Status>,
    /// What it knows, while it runs.
    pub view: Option<Arc<View>>,
    /// What its roles and its disk complain of.
    pub complaints: Vec<String>,
    /// Where it answers DNS, and how many queries it has answered.
    pub dns: Vec<(SocketAddr, u64)>,
    /// What it published last, and how long ago that was.
    pub published: Option<(Seq, Duration)>,
}

/// All nodes of the process, in the order that they are shown in.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// Voters first, then dns_processors, then hosts.
    pub nodes: Vec<NodePicture>,
    /// Host files that are wrong now: what is wrong.
    pub wrong_files: Vec<String>,
}

impl NodePicture {
    /// Whether it runs, as a member or on its way to be one.
    pub fn is_running(&self) -> bool {
        matches!(self.life, Life::Running | Life::Starting) && self.status.as_ref().is_some_and(|status| status.phase != Phase::Stopped)
    }

    /// Whether its own view says that the control plane has no quorum.
    pub fn sees_degraded(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.condition.degraded)
    }

    fn position(&self) -> Option<Position> {
        self.view.as_ref().map(|view| view.facts.position())
    }
}

impl Picture {
    /// One node, by name.
    pub fn node(&self, name: &NodeName) -> Option<&NodePicture> {
        self.nodes.iter().find(|node| &node.name == name)
    }

    /// The view that knows most: of the latest position, one that a voter holds first.
    pub fn best_view(&self) -> Option<&Arc<View>> {
        let running = self.nodes.iter().filter(|node| node.is_running());
        let rank = |node: &&NodePicture| (node.position().map(|position| position.index), !node.isolated, node.kind == Kind::Voter);
        running.filter(|node| node.view.is_some()).max_by_key(rank)?.view.as_ref()
    }

    /// The name of a member, or its id where it is none any more.
    fn name_of(&self, node: NodeId) -> String {
        let known = self.best_view().and_then(|view| view.facts.member(node).map(|member| member.name.to_string()));
        known.unwrap_or_else(|| node.to_string())
    }
}

fn part_name(part: VoterPart) -> &'static str {
    match part {
        VoterPart::None => "-",
        VoterPart::Learner => "learner",
        VoterPart::Voter => "voter",
    }
}

/// A time as a person says it: in its largest unit.
fn ago(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86400),
    }
}

/// `1 host`, `2 hosts`.
pub fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
pub(crate) mod sketch;
