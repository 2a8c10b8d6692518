//! The stage in real time: nodes of the library in one process, over QUIC on loopback, with folders on disk.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Poll;
use std::time::Duration;

use hivemind_core::ids::{ClusterId, Position, Seq};
use hivemind_core::machine::{Birth, HaltReason, Status};
use hivemind_core::settings::Settings;
use hivemind_core::wire::command::{Command, Outcome};
use hivemind_core::wire::config::Section;
use hivemind_core::wire::event::LeaveReason;
use hivemind_lite::sim::roles::{Directory, Publisher};
use hivemind_node::authority::Authority;
use hivemind_node::{Node, NodeHandle, StopReason};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{NodeSpec, Part, Stage, ViewsByName, scenarios};

/// What is added to every bound: a machine may be busy with other tests.
const SLACK: Duration = Duration::from_secs(60);
/// The cluster of every stage: their authorities keep them apart.
const BIRTH: Birth = Birth { cluster: ClusterId(0x5ce7e), tag: 11 };

/// Nodes in this process. Dropped: all are killed, and nothing is left behind.
pub struct Real {
    // In the order in which they must go.
    players: BTreeMap<String, Player>,
    runtime: Runtime,
    folder: TempDir,
    authority: Arc<Authority>,
    settings: Settings,
    address: IpAddr,
    /// Where the voters listen.
    voters: Vec<SocketAddr>,
    /// How many folders were given out.
    folders: u32,
}

/// A node's place: it outlives processes and memberships.
struct Player {
    spec: NodeSpec,
    folder: PathBuf,
    listen: SocketAddr,
    seeds: Vec<SocketAddr>,
    running: Option<Running>,
}

struct Running {
    node: Node,
    /// Remembers which views the stage has looked at.
    watcher: NodeHandle,
}

type Change<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Settings for scenarios in real time: what takes seconds on a LAN takes less where a packet takes
/// microseconds. Failure detection keeps its pace, since a busy machine is no crash.
pub fn brisk() -> Settings {
    let mut settings = Settings::default();
    settings.control.beat = Duration::from_millis(250);
    settings.control.voter_degraded_after = Duration::from_millis(1500);
    settings.control.degraded_after = Duration::from_secs(3);
    settings.configs.compare = Duration::from_millis(500);
    settings.duplicate_after = Duration::from_secs(1);
    settings
}

impl Running {
    fn has_stopped(&self) -> bool {
        self.watcher.status().stopped.is_some()
    }

    /// Ends with the next change of its view; never once the node has stopped.
    fn next_change(&mut self) -> Change<'_> {
        Box::pin(async {
            if self.watcher.changed().await.is_none() {
                std::future::pending::<()>().await;
            }
        })
    }
}

impl Real {
    /// Copies a node's disk while it does not run, and starts both: the node and its copy have one key and
    /// one id. Waits until one of the two has stopped, and says why.
    pub fn clone_disk(&mut self, name: &str) -> HaltReason {
        self.kill(name);
        let (spec, folder, seeds) = {
            let player = self.player(name);
            (player.spec.clone(), player.folder.clone(), player.seeds.clone())
        };
        let copy = self.new_folder();
        copy_folder(&folder, &copy).expect("a folder of this stage can be copied");
        self.restart(name);
        let listen = SocketAddr::new(self.address, 0);
        let clone = self.run(&Player { spec, folder: copy, listen, seeds, running: None }, false);
        let (original, copied) = (self.handle(name), clone.watcher.clone());
        let reason = self.within("one of two nodes with one id has stopped", Duration::ZERO, async {
            tokio::select! {
                reason = original.stopped() => reason,
                reason = copied.stopped() => reason,
            }
        });
        self.runtime.block_on(clone.node.kill());
        halt_reason(name, reason)
    }

    fn player(&self, name: &str) -> &Player {
        self.players.get(name).unwrap_or_else(|| panic!("there is no node {name}"))
    }

    fn player_mut(&mut self, name: &str) -> &mut Player {
        self.players.get_mut(name).unwrap_or_else(|| panic!("there is no node {name}"))
    }

    fn handle(&self, name: &str) -> NodeHandle {
        let running = self.player(name).running.as_ref();
        running.unwrap_or_else(|| panic!("{name} is not running")).watcher.clone()
    }

    fn new_folder(&mut self) -> PathBuf {
        self.folders += 1;
        self.folder.path().join(self.folders.to_string())
    }

    /// Starts a node in a place. The system chose the port at the first start; later ones use it again.
    fn run(&self, player: &Player, born: bool) -> Running {
        let NodeSpec { name, part, sections } = player.spec.clone();
        let mut builder = Node::builder(name.clone())
            .data_dir(&player.folder)
            .authority(Arc::clone(&self.authority))
            .listen(player.listen)
            .seeds(player.seeds.clone())
            .settings(self.settings.clone());
        if born {
            builder = builder.birth(BIRTH);
        }
        builder = match part {
            Part::Voter => builder.voter(true),
            Part::Consumer => builder.role_without_apply(Directory),
            Part::Host => builder.role_without_apply(Publisher::new(Arc::new(sections))),
        };
        let node = self.runtime.block_on(builder.start()).unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let watcher = node.handle().clone();
        Running { node, watcher }
    }

    fn enter(&mut self, spec: NodeSpec, seeds: Vec<SocketAddr>, born: bool) {
        let name = spec.name.to_string();
        let mut player = Player { spec, folder: self.new_folder(), listen: SocketAddr::new(self.address, 0), seeds, running: None };
        let running = self.run(&player, born);
        player.listen = running.node.local_addr();
        if player.spec.part == Part::Voter {
            self.voters.push(player.listen);
        }
        player.running = Some(running);
        self.players.insert(name, player);
    }

    fn within<T>(&self, what: &str, bound: Duration, waiting: impl Future<Output = T>) -> T {
        let bound = bound + SLACK;
        let waited = self.runtime.block_on(async { tokio::time::timeout(bound, waiting).await });
        waited.unwrap_or_else(|_| self.fail(what, bound))
    }

    fn fail(&self, what: &str, bound: Duration) -> ! {
        let views: Vec<String> = self.views().iter().map(|(name, view)| scenarios::sketch(name, view)).collect();
        panic!("after {bound:?} still not: {what}\n{}", views.join("\n"))
    }
}

impl Stage for Real {
    type Options = Settings;

    fn open(settings: Settings, cast: Vec<NodeSpec>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let mut stage = Real {
            players: BTreeMap::new(),
            runtime: runtime.expect("threads can be started"),
            folder: tempfile::tempdir().expect("a folder for tests can be made"),
            authority: Arc::new(Authority::new(BIRTH.cluster).expect("the system has randomness")),
            settings,
            address: own_address(),
            voters: Vec::new(),
            folders: 0,
        };
        for spec in cast {
            let (seeds, born) = (stage.voters.clone(), stage.players.is_empty());
            stage.enter(spec, seeds, born);
        }
        stage
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn start(&mut self, node: NodeSpec) {
        self.enter(node, self.voters.clone(), false);
    }

    fn start_through(&mut self, node: NodeSpec, member: &str) {
        let seeds = vec![self.player(member).listen];
        self.enter(node, seeds, false);
    }

    fn start_impostor(&mut self, node: NodeSpec) -> HaltReason {
        let name = node.name.to_string();
        let owner = self.players.remove(&name);
        self.enter(node, self.voters.clone(), false);
        let reason = self.stopped(&name);
        if let Some(owner) = owner {
            self.players.insert(name, owner);
        }
        reason
    }

    fn kill(&mut self, name: &str) {
        if let Some(running) = self.player_mut(name).running.take() {
            self.runtime.block_on(running.node.kill());
        }
    }

    fn restart(&mut self, name: &str) {
        self.kill(name);
        let running = self.run(self.player(name), false);
        self.player_mut(name).running = Some(running);
    }

    fn leave(&mut self, name: &str) {
        let node = self.id(name);
        let outcome = self.propose(name, Command::Leave { node, reason: LeaveReason::Asked });
        assert!(!matches!(outcome, Outcome::Refused(_)), "{name} may not leave: {outcome:?}");
        assert_eq!(self.stopped(name), HaltReason::Left);
    }

    fn stopped(&mut self, name: &str) -> HaltReason {
        let handle = self.handle(name);
        let reason = self.within(&format!("{name} has stopped"), Duration::ZERO, handle.stopped());
        halt_reason(name, reason)
    }

    fn isolate(&mut self, names: &[&str]) {
        for name in names {
            let running = self.player(name).running.as_ref().unwrap_or_else(|| panic!("{name} is not running"));
            running.node.filter().isolate([]);
        }
    }

    fn heal(&mut self) {
        self.players.values().filter_map(|player| player.running.as_ref()).for_each(|running| running.node.filter().heal());
    }

    fn publish(&mut self, name: &str, sections: Vec<Section>) -> Seq {
        let handle = self.handle(name);
        // What a restart publishes: the "host file" of this machine.
        self.player_mut(name).spec.sections.clone_from(&sections);
        let stored = self.within(&format!("{name} has published"), Duration::ZERO, handle.publish(sections));
        stored.unwrap_or_else(|error| panic!("{name} does not publish: {error}"))
    }

    fn propose(&mut self, name: &str, command: Command) -> Outcome {
        let handle = self.handle(name);
        self.within(&format!("{name} knows what became of {command:?}"), Duration::ZERO, handle.propose(command))
    }

    fn read(&mut self, name: &str) -> Position {
        let handle = self.handle(name);
        let read = self.within(&format!("{name} has read"), Duration::ZERO, handle.read());
        read.unwrap_or_else(|error| panic!("{name} does not read: {error}"))
    }

    fn views(&self) -> ViewsByName {
        let running = self.players.iter().filter_map(|(name, player)| Some((name, player.running.as_ref()?)));
        let live = running.filter(|(_, running)| !running.has_stopped());
        live.filter_map(|(name, running)| Some((name.clone(), running.watcher.view()?))).collect()
    }

    fn status(&self, name: &str) -> Option<Status> {
        let running = self.player(name).running.as_ref().filter(|running| !running.has_stopped())?;
        Some(running.watcher.status().machine)
    }

    fn sent(&self, _kind: &str) -> Option<u64> {
        None
    }

    fn wait_until(&mut self, what: &str, bound: Duration, mut is_so: impl FnMut(&ViewsByName) -> bool) {
        let bound = bound + SLACK;
        let end = self.runtime.block_on(async { tokio::time::Instant::now() }) + bound;
        while !is_so(&self.views()) {
            let running = self.players.values_mut().filter_map(|player| player.running.as_mut());
            let changes: Vec<Change<'_>> = running.map(Running::next_change).collect();
            let waited = self.runtime.block_on(async { tokio::time::timeout_at(end, any(changes)).await });
            if waited.is_err() {
                self.fail(what, bound);
            }
        }
    }
}

/// Waits for the first of these.
async fn any(mut changes: Vec<Change<'_>>) {
    poll_fn(|context| {
        let ready = changes.iter_mut().any(|change| change.as_mut().poll(context).is_ready());
        if ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await
}

fn halt_reason(name: &str, reason: StopReason) -> HaltReason {
    match reason {
        StopReason::Halted(reason) => reason,
        StopReason::Asked | StopReason::Killed | StopReason::Panicked(_) => panic!("{name} has stopped: {reason}"),
    }
}

/// A loopback address of its own for each stage, so that a port which a killed node left is there when it
/// comes back: the system gives out the ports of each address apart.
fn own_address() -> IpAddr {
    static STAGES: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let stage = STAGES.fetch_add(1, Ordering::Relaxed);
    IpAddr::V4(Ipv4Addr::new(127, high | 1, low, stage))
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
