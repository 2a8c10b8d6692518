//! The cluster of one process: its nodes, each kept by a task of its own, and what may be done with them.

mod front;
mod gauge;
mod journal;
mod keeper;
mod kept;
mod prepare;
mod progress;
mod shared;
mod verbs;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hivemind_core::ids::NodeName;
use hivemind_host::FolderChange;
use hivemind_host::file::FileError;
use tokio::time::Instant;

pub use prepare::PrepareError;
pub use progress::{Progress, StartError};
pub use verbs::VerbError;

use crate::args::{DNS_STEM, VOTER_STEM};
use crate::screen::Screen;
use crate::show::{Kind, Life, Log, NodePicture, Picture};
use keeper::{Keeper, Order, OrderError, Plan, carried_out};
use shared::Shared;

/// Nodes that do not stop within this are left to end with the process.
const STOP_PATIENCE: Duration = Duration::from_secs(8);

/// All nodes of the process.
pub struct Cluster {
    shared: Arc<Shared>,
    keepers: Mutex<BTreeMap<NodeName, Keeper>>,
    /// Host files that are wrong now, and what is wrong with them.
    wrong: Mutex<BTreeMap<PathBuf, Vec<String>>>,
    /// Hosts that run on what they published before, and the files that were wrong from the start.
    standing: Mutex<BTreeMap<PathBuf, NodeName>>,
    voters: usize,
}

impl Cluster {
    /// One node.
    fn keeper(&self, name: &NodeName) -> Option<Keeper> {
        self.keepers.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All nodes: voters, then dns_processors, then hosts, each by number or name.
    fn keepers(&self) -> Vec<Keeper> {
        let keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keepers: Vec<Keeper> = keepers.values().cloned().collect();
        // Shorter names first, so that voter10 comes behind voter9.
        keepers.sort_by_key(|keeper| match keeper.plan.kind {
            kind @ (Kind::Voter | Kind::Dns) => (kind, keeper.plan.name.as_str().len(), keeper.plan.name.clone()),
            kind @ Kind::Host => (kind, 0, keeper.plan.name.clone()),
        });
        keepers
    }

    fn keep(&self, keeper: Keeper) {
        self.keepers.lock().unwrap_or_else(PoisonError::into_inner).insert(keeper.plan.name.clone(), keeper);
    }

    /// The node of a host: a new one where there is none of its name.
    fn host(&self, name: &NodeName) -> Keeper {
        let mut keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = || Plan { name: name.clone(), kind: Kind::Host, dns: None };
        keepers.entry(name.clone()).or_insert_with(|| Keeper::new(plan(), None, self.shared.clone())).clone()
    }

    /// Takes in what moved in the folder of host files: hosts are started, publish, and leave. Does not
    /// wait for the control plane; what a later change says comes after what an earlier one said.
    pub async fn take(self: &Arc<Self>, mut change: FolderChange) {
        self.resume_wrong(&change).await;
        self.note_wrong(&change);
        // What a file says that is right again replaces what stood; a file that is gone takes it along.
        for file in &change.corrected {
            let stood = self.standing.lock().unwrap_or_else(PoisonError::into_inner).remove(file);
            change.removed.extend(stood.filter(|name| change.changed.iter().all(|host| host.name != *name)));
        }
        for name in change.removed {
            let Some(keeper) = self.keeper(&name) else { continue };
            let member = self.member(&name);
            let screen = self.shared.screen;
            let retired = keeper.ordered(|answer| Order::Retire { member, answer }).await;
            tokio::spawn(async move {
                match carried_out(retired).await {
                    Ok(()) => screen.notice(&format!("{name}: its host file is gone, and it left")),
                    Err(error) => {
                        screen.error(&format!("its host file is gone, but {error}; it is stopped, and leaves when that is noticed"))
                    }
                }
            });
        }
        for host in change.changed {
            self.host(&host.name).publish(host.sections()).await;
        }
        self.shared.keep_places();
    }

    fn note_wrong(&self, change: &FolderChange) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        for file in &change.corrected {
            wrong.remove(file);
        }
        for error in &change.errors {
            self.shared.screen.error(&error.to_string());
            wrong.entry(error.file.clone()).or_default().push(error.to_string());
        }
        drop(wrong);
        let in_force = |error: &FileError| {
            host_of(&error.file)
                .and_then(|name| self.keeper(&name))
                .is_some_and(|keeper| keeper.plan.kind == Kind::Host && keeper.shown().life != Life::Gone)
        };
        if change.errors.iter().any(in_force) {
            self.shared.screen.notice("what a wrong file last said rightly stays in force until it is corrected or removed");
        }
    }

    /// Starts the hosts whose files are wrong from the start, and whose data is kept: what they published
    /// before stays in force.
    async fn resume_wrong(&self, change: &FolderChange) {
        let files: BTreeSet<&PathBuf> = change.errors.iter().map(|error| &error.file).collect();
        for file in files {
            let Some(name) = host_of(file) else { continue };
            let is_known = self.keeper(&name).is_some() || change.changed.iter().any(|host| host.name == name);
            if is_known || !self.shared.home.keeps(&name) {
                continue;
            }
            self.standing.lock().unwrap_or_else(PoisonError::into_inner).insert(file.clone(), name.clone());
            if let Err(error) = self.host(&name).order(Order::Resume).await {
                self.shared.screen.error(&error.to_string());
            }
        }
    }

    /// All nodes at this moment.
    pub fn picture(&self) -> Picture {
        let nodes = self.keepers().iter().map(picture_of).collect();
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        Picture { nodes, wrong_files: wrong.values().flatten().cloned().collect() }
    }

    /// Where DNS is answered, dns1 first.
    pub fn dns_addresses(&self) -> Vec<SocketAddr> {
        self.keepers().iter().filter_map(|keeper| keeper.plan.dns).collect()
    }

    /// Where voter1 serves HTTP, while it runs.
    pub fn http_address(&self) -> SocketAddr {
        self.shared.front.address()
    }

    /// Where this cluster speaks to people.
    pub fn screen(&self) -> &'static Screen {
        self.shared.screen
    }

    /// The end of the event log since the process started.
    pub fn events(&self) -> Log {
        self.shared.journal.read()
    }

    /// Stops all nodes, in order and at once.
    pub async fn stop(&self) {
        let mut stopping = tokio::task::JoinSet::new();
        for keeper in self.keepers() {
            stopping.spawn(async move { keeper.order(Order::Stop).await });
        }
        let all = async { while stopping.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_PATIENCE, all).await.is_err() {
            self.shared.screen.error("some nodes do not stop in time; they end with the process, as in a crash");
        }
        self.shared.keep_places();
    }
}

/// The host that a file is of where it names none: none for the names of the cluster's own nodes.
fn host_of(file: &Path) -> Option<NodeName> {
    let stem = file.file_stem()?.to_str()?;
    let is_number = |rest: &str| !rest.is_empty() && rest.bytes().all(|octet| octet.is_ascii_digit());
    let reserved = [VOTER_STEM, DNS_STEM].iter().any(|own| stem.strip_prefix(own).is_some_and(is_number));
    if reserved { None } else { NodeName::new(stem).ok() }
}

fn picture_of(keeper: &Keeper) -> NodePicture {
    let shown = keeper.shown();
    let status = shown.handle.as_ref().map(hivemind_node::NodeHandle::status);
    let mut complaints = Vec::new();
    for role in status.iter().flat_map(|status| &status.roles) {
        let pure = role.role.failing.as_ref().map(|why| format!("role {}: {why}", role.spec.name));
        let io = role.apply.as_ref().and_then(|apply| apply.failing.as_ref()).map(|why| format!("role {}: {why}", role.spec.name));
        complaints.extend(pure.into_iter().chain(io));
    }
    NodePicture {
        name: keeper.plan.name.clone(),
        kind: keeper.plan.kind,
        life: shown.life,
        isolated: shown.isolated,
        address: keeper.place(),
        status: status.map(|status| status.machine),
        view: shown.handle.as_ref().and_then(hivemind_node::NodeHandle::view),
        complaints,
        dns: keeper.answered(),
        published: shown.published.map(|(seq, at)| (seq, Instant::now().duration_since(at))),
    }
}

/// Whether a node is one that the process is to run.
fn is_wanted(life: &Life) -> bool {
    match life {
        Life::Starting | Life::Running | Life::Killed | Life::Failed(_) => true,
        Life::Left | Life::Gone => false,
    }
}
