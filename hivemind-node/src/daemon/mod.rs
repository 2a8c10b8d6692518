//! The daemon `hivemind-node`: one node, run from its settings file until it is told to stop.

mod args;
mod log;
mod notify;
mod reload;
pub(crate) mod roles;
mod signals;
mod thrift;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use hivemind_core::machine::{HaltReason, Phase};
use hivemind_core::wire::command::{Command, Outcome, Refusal};
use thiserror::Error;
use tokio::time::timeout;

pub use args::Args;
pub use log::Log;
use notify::Notifier;
pub use roles::RoleFailure;
pub(crate) use roles::Roles;
use signals::{Signals, Told};

use crate::driver::StopReason;
use crate::enroll::Entry;
use crate::http::{BindFailure, HttpListener, HttpServer, HttpSettings, SocketFailure, is_beyond_this_machine};
use crate::node::{Node, NodeBuilder, NodeHandle, StartFailure};
use crate::settings_file::{HttpPart, NodeSettings, SettingsFailure};
use crate::storage::settle;

/// The status where the node could not start or go on.
const FAILED: u8 = 1;
/// The status where the settings are at fault.
const USAGE: u8 = 2;
/// An announcement of a restart that is not committed by then is given up: the stop goes on.
const ANNOUNCE: Duration = Duration::from_secs(5);
/// Another voter takes over in a round trip or two, or not at all.
const HAND_OVER: Duration = Duration::from_secs(3);

/// Why the daemon ended without being told to. The message says what to do.
#[derive(Debug, Error)]
pub enum DaemonFailure {
    /// The settings are at fault. Nothing was started.
    #[error(transparent)]
    Settings(#[from] SettingsFailure),
    /// A role can not be performed. Nothing was started.
    #[error(transparent)]
    Role(#[from] RoleFailure),
    /// The node can not start.
    #[error(transparent)]
    Start(#[from] Box<StartFailure>),
    /// HTTP can not be served.
    #[error("http.listen: {0}")]
    Http(#[from] BindFailure),
    /// The socket can not be served.
    #[error("http.socket: {0}")]
    Socket(#[from] SocketFailure),
    /// The node stopped by itself.
    #[error("the node stopped: {0}")]
    Stopped(StopReason),
    /// The system lacks something.
    #[error("the system gives no {what}: {source}")]
    System {
        /// What it lacks.
        what: &'static str,
        /// What it says.
        source: std::io::Error,
    },
}

impl DaemonFailure {
    /// The status that a process ends with.
    pub fn status(&self) -> u8 {
        match self {
            DaemonFailure::Settings(_) => USAGE,
            DaemonFailure::Role(_)
            | DaemonFailure::Start(_)
            | DaemonFailure::Http(_)
            | DaemonFailure::Socket(_)
            | DaemonFailure::Stopped(_)
            | DaemonFailure::System { .. } => FAILED,
        }
    }
}

/// The program: reads its arguments, and runs until it is told to stop.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let started = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ran = match started {
        Ok(runtime) => {
            let ran = runtime.block_on(run(&args.config));
            // Everything has ended but, maybe, the look-up of a seed's name that the system's resolver does not come back from.
            runtime.shutdown_background();
            ran
        }
        Err(source) => Err(DaemonFailure::System { what: "threads", source }),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hivemind-node: {error}");
            ExitCode::from(error.status())
        }
    }
}

/// A node as its settings say, which keeps its certificate in its data folder; `entry` says how it came by it.
pub(crate) fn builder(settings: &NodeSettings, entry: Entry) -> NodeBuilder {
    Node::builder(settings.name.clone())
        .data_dir(&settings.data_dir)
        .certified(entry)
        .listen(settings.listen)
        .advertise(settings.addresses.clone())
        .voter(settings.voter)
        .seeds(settings.seeds.clone())
        .names_addresses(is_beyond_this_machine(settings.http.listen))
}

/// Runs the node of a settings file until SIGTERM or SIGINT, or until it stops by itself. Must be called within a tokio runtime with
/// time, io and signals.
///
/// # Errors
/// [`DaemonFailure`].
pub async fn run(config: &Path) -> Result<(), DaemonFailure> {
    let settings = NodeSettings::load(config)?;
    let log = Log::start(settings.log);
    let notifier = Notifier::from_environment();
    let mut signals = Signals::new().map_err(|source| DaemonFailure::System { what: "signals", source })?;
    // The folder is locked before anything is bound: a second daemon is told that it is one, and of no port.
    let builder = builder(&settings, Entry::Kept).open().await.map_err(Box::new)?;
    let (builder, roles) = Roles::install(builder, &settings).await?;
    let node = match builder.start().await {
        Ok(node) => node,
        Err(error) => {
            roles.stop().await;
            return Err(Box::new(error).into());
        }
    };
    let http = match serve(&settings, node.handle()) {
        Ok(http) => http,
        Err(error) => {
            node.stop().await;
            roles.stop().await;
            return Err(error);
        }
    };
    tracing::info!(name = %settings.name, peers = %node.local_addr(), http = %http.local_addr(), "started");
    let roles = roles.start(node.handle());
    let mut daemon = Daemon { config, settings, log, notifier };
    let reason = tokio::select! {
        reason = daemon.attend(&mut signals, node.handle()) => reason,
        reason = node.handle().stopped() => Some(reason),
    };
    daemon.notifier.say("STOPPING=1");
    if reason.is_none() {
        daemon.announce(node.handle()).await;
        hand_over(node.handle()).await;
    }
    http.stop().await;
    roles.stop().await;
    node.stop().await;
    match reason {
        None | Some(StopReason::Asked) => tracing::info!("stopped"),
        Some(StopReason::Halted(HaltReason::Left)) => {
            tracing::warn!(
                "this node left the cluster, or was put out; to bring the host back, remove the data folder and join with a new token"
            );
        }
        Some(reason @ (StopReason::Halted(_) | StopReason::Killed | StopReason::Panicked(_))) => {
            return Err(DaemonFailure::Stopped(reason));
        }
    }
    Ok(())
}

fn serve(settings: &NodeSettings, handle: &NodeHandle) -> Result<HttpServer, DaemonFailure> {
    settle(&settings.data_dir).map_err(|error| Box::new(StartFailure::from(error)))?;
    let HttpPart { listen, anonymous, hosts, socket } = &settings.http;
    let http = HttpSettings { listen: *listen, anonymous: *anonymous, hosts: hosts.clone(), ..HttpSettings::default() };
    let http = if is_beyond_this_machine(http.listen) { http.with_certificate_of(handle) } else { http };
    let listener = HttpListener::bind(http)?.with_socket(socket)?;
    Ok(listener.serve(handle.clone()))
}

/// A leader that stops lets another voter lead first: the cluster need not miss it before it goes on.
async fn hand_over(handle: &NodeHandle) {
    let status = handle.status().machine;
    if status.phase != Phase::Member || status.leader != Some(status.node) {
        return;
    }
    match timeout(HAND_OVER, handle.propose(Command::Lead { heir: None })).await {
        Ok(Outcome::Committed { .. }) => tracing::info!("another voter leads now"),
        Ok(Outcome::Refused(Refusal::NoHeir)) => tracing::info!("there is no other voter to lead"),
        Ok(Outcome::Refused(refusal)) => tracing::warn!("leadership was not handed over: {refusal}"),
        Ok(Outcome::OutcomeUnknown) | Err(_) => tracing::warn!("nobody took over leadership in time"),
    }
}

/// What goes on beside the node.
struct Daemon<'a> {
    config: &'a Path,
    settings: NodeSettings,
    log: Log,
    notifier: Notifier,
}

impl Daemon<'_> {
    /// Does what is asked from outside, until it is told to stop.
    async fn attend(&mut self, signals: &mut Signals, handle: &NodeHandle) -> Option<StopReason> {
        let member = handle.status_where(|status| status.machine.phase == Phase::Member);
        let mut member = std::pin::pin!(member);
        let mut is_ready = false;
        let mut watchdog = self.notifier.watchdog();
        let log = self.log.clone();
        let mut left_out = std::pin::pin!(log.tell_left_out());
        loop {
            tokio::select! {
                () = &mut left_out => {}
                told = signals.next() => match told {
                    Told::Stop => return None,
                    Told::Reload => self.reload(is_ready),
                },
                Some(status) = &mut member, if !is_ready => {
                    is_ready = true;
                    tracing::info!(node = %status.machine.node, "a member");
                    self.compare(handle);
                    self.notifier.say("READY=1");
                }
                () = watchdog.due() => {
                    // Only a machine that still answers counts as alive.
                    let _ = handle.tokens().await;
                    self.notifier.say("WATCHDOG=1");
                }
            }
        }
    }

    /// The cluster knows what a member performs from its join: says where the settings have changed since.
    fn compare(&self, handle: &NodeHandle) {
        let Some(view) = handle.view() else { return };
        let Some(own) = view.facts.member(view.node) else { return };
        let mut joined: Vec<&str> = own.roles.iter().map(|role| role.name.as_str()).collect();
        let mut performed = self.settings.role_names();
        joined.sort_unstable();
        performed.sort_unstable();
        if joined != performed || own.voter_eligible != self.settings.voter {
            tracing::warn!(
                "this node joined with the roles {joined:?} and voter = {}, and its settings say {performed:?} and voter = {}: to change that, let it \
                 leave, remove its data folder and join with a new token",
                own.voter_eligible,
                self.settings.voter
            );
        }
    }

    /// Rereads the settings, and follows what can be followed. The service manager hears of it where it was told that the node is ready.
    fn reload(&mut self, is_ready: bool) {
        if is_ready {
            self.notifier.reloading();
        }
        match reload::read(self.config, &self.settings.name) {
            Ok(new) => {
                reload::follow(&self.settings, &new, &self.log);
                self.settings.log.level = new.log.level;
                self.settings.restart_grace = new.restart_grace;
            }
            Err(error) => tracing::error!("the settings stay as they were: {error}"),
        }
        if is_ready {
            self.notifier.say("READY=1");
        }
    }

    /// Asks the cluster to keep this node's place.
    async fn announce(&self, handle: &NodeHandle) {
        let (grace, status) = (self.settings.restart_grace, handle.status().machine);
        if grace.is_zero() || status.phase != Phase::Member {
            return;
        }
        let announced = handle.propose(Command::Restarting { node: status.node, grace });
        match timeout(ANNOUNCE, announced).await {
            Ok(Outcome::Committed { .. }) => tracing::info!(?grace, "the cluster keeps this node's place"),
            Ok(Outcome::Refused(refusal)) => tracing::warn!("the cluster does not keep this node's place: {refusal}"),
            Ok(Outcome::OutcomeUnknown) | Err(_) => tracing::warn!("no voter answered in time whether this node's place is kept"),
        }
    }
}
