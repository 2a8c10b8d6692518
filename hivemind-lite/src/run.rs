//! The main job: start a cluster, follow the host files, take commands, stop.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use hivemind_host::watch::WatchError;
use hivemind_host::{FolderChange, FolderWatch, HostFile};
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, sleep_until};

use crate::args::{RunArgs, RunOptions};
use crate::cluster::{Cluster, PrepareError, Progress, StartError};
use crate::console;
use crate::console::command::{self, Command};
use crate::greeting::greeting;
use crate::home::HomeError;
use crate::screen::{Paint, Screen};
use crate::show::{self, Health};

/// The status of a job that failed.
const FAILED: u8 = 1;
/// The status of arguments that make no sense.
pub const USAGE: u8 = 2;

const PROMPT: &str = "hivemind> ";
/// A start that takes longer says what it waits for, and again after as long.
const SLOW_START: Duration = Duration::from_secs(5);
/// A command that takes longer does not hold up the next one.
const COMMAND_PATIENCE: Duration = Duration::from_secs(1);

/// Why there is no cluster (any more). The message says what to do.
#[derive(Debug, Error)]
enum RunError {
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    #[error("--hosts: {0}")]
    Watch(#[from] WatchError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error("the system gives no {what}: {source}")]
    System { what: &'static str, source: std::io::Error },
}

/// Checks host files without running anything: mistakes go to standard output. The status is 0 where
/// there are none, 1 where there are, 2 where the arguments make no sense.
pub fn check(args: &RunArgs, screen: &Screen) -> ExitCode {
    let rules = match args.rules() {
        Ok(rules) => rules,
        Err(error) => {
            screen.error(&error.to_string());
            return ExitCode::from(USAGE);
        }
    };
    let report = hivemind_host::check(&args.check, &rules);
    screen.data(&report.to_string());
    let files = show::count(report.files, "host file");
    if report.is_clean() {
        screen.notice(&format!("checked {files}: no mistakes"));
        return ExitCode::SUCCESS;
    }
    screen.notice(&format!("checked {files}: {}", show::count(report.errors.len(), "mistake")));
    ExitCode::from(FAILED)
}

/// Runs a cluster until it is told to stop.
pub async fn run(options: RunOptions, screen: &'static Screen) -> ExitCode {
    match try_run(options, screen).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen.last_line("");
            screen.error(&error.to_string());
            ExitCode::from(FAILED)
        }
    }
}

async fn try_run(options: RunOptions, screen: &'static Screen) -> Result<(), RunError> {
    let began = Instant::now();
    let mut stop = Stop::new()?;
    let (mut watch, hosts) = FolderWatch::start(&options.hosts, options.rules.clone()).await?;
    let cluster = Cluster::prepare(&options, screen)?;
    let mut seen = hosts.changed.clone();
    seen.sort_by(|a, b| a.name.cmp(&b.name));
    let result = tokio::select! {
        result = serve(&cluster, &options, &mut watch, hosts, &seen, began) => result,
        () = stop.asked() => Ok(()),
    };
    screen.last_line("");
    screen.notice("stopping");
    tokio::select! {
        () = cluster.stop() => {}
        () = stop.asked() => screen.notice("stopping at once"),
    }
    watch.stop().await;
    result
}

/// Starts everything, and carries on until `quit`. Commands are taken from the very start: a cluster that
/// does not come up is what they are needed for.
async fn serve(
    cluster: &Arc<Cluster>,
    options: &RunOptions,
    watch: &mut FolderWatch,
    hosts: FolderChange,
    seen: &[HostFile],
    began: Instant,
) -> Result<(), RunError> {
    cluster.screen().notice(&format!(
        "starting {}, {} and {}",
        show::count(usize::from(options.voters), "voter"),
        show::count(options.dns.len(), "dns_processor"),
        show::count(seen.len(), "host")
    ));
    let run = async {
        // What the folder held first is taken in before what moved in it since.
        cluster.start_all(hosts).await;
        tokio::select! {
            () = follow(cluster, watch) => Ok(()),
            Err(error) = greet(cluster, options, seen, began) => Err(error),
        }
    };
    tokio::select! {
        result = run => result,
        result = converse(cluster) => result,
    }
}

/// Waits until all is there, or as much as there will be soon, and says so.
async fn greet(cluster: &Cluster, options: &RunOptions, seen: &[HostFile], began: Instant) -> Result<(), RunError> {
    let screen = cluster.screen();
    let progress = ready(cluster).await?;
    cluster.settled()?;
    screen.last_line("");
    let servers = cluster.dns_addresses();
    screen.data(&greeting(
        usize::from(options.voters),
        &servers,
        cluster.http_address(),
        seen,
        options.rules.cluster_zone(),
        began.elapsed(),
    ));
    if !progress.is_done() {
        screen.notice(&format!(
            "without all nodes: still waiting for {}; they go on trying, `members` and `status` show how they fare, \
             `leave NAME` and `start NAME` make a node a new member",
            progress.missing()
        ));
    }
    screen.last_line(PROMPT);
    Ok(())
}

/// Waits until all is there, showing how far it is; where there is a quorum, only until nothing has moved
/// for a while.
async fn ready(cluster: &Cluster) -> Result<Progress, RunError> {
    let screen = cluster.screen();
    let (moved, mut progress) = watch::channel(Progress::default());
    let ready = cluster.ready(|now| {
        moved.send_if_modified(|last| {
            let has_moved = now != last;
            if has_moved {
                screen.last_line(&now.line());
                *last = now.clone();
            }
            has_moved
        });
    });
    let slow = async {
        let mut since = Instant::now();
        let mut tell = interval_at(since + SLOW_START, SLOW_START);
        loop {
            let is_led = progress.borrow_and_update().led;
            tokio::select! {
                _ = progress.changed() => since = Instant::now(),
                () = sleep_until(since + SLOW_START), if is_led => return progress.borrow().clone(),
                _ = tell.tick() => screen.notice(&format!("still waiting for {}", progress.borrow().missing())),
            }
        }
    };
    tokio::select! {
        ready = ready => Ok(ready?),
        progress = slow => Ok(progress),
    }
}

/// Publishes what changes in the folder, for as long as it is watched.
async fn follow(cluster: &Arc<Cluster>, watch: &mut FolderWatch) {
    while let Some(change) = watch.next().await {
        cluster.take(change).await;
    }
    cluster.screen().error("the folder of host files is not watched any more; restart to publish further changes");
    std::future::pending().await
}

/// Carries out what is typed, until `quit`. The end of the input ends nothing.
async fn converse(cluster: &Arc<Cluster>) -> Result<(), RunError> {
    let screen = cluster.screen();
    let mut lines = console::lines().map_err(|source| RunError::System { what: "thread for standard input", source })?;
    while let Some(line) = lines.recv().await {
        screen.last_line_ended();
        match command::parse(&line) {
            Ok(Some(Command::Quit)) => return Ok(()),
            Ok(Some(command)) => {
                let cluster = cluster.clone();
                let carried_out = tokio::spawn(async move { carry_out(&cluster, command).await });
                // What waits for the control plane goes on by itself, and tells its end then. A panic was told of.
                if tokio::time::timeout(COMMAND_PATIENCE, carried_out).await.is_err() {
                    screen.notice("this takes longer: its outcome follows, and other commands are taken meanwhile");
                }
            }
            Ok(None) => {}
            Err(wrong) => screen.error(&wrong),
        }
        // Where lines were typed ahead, the next one is carried out at once.
        if lines.is_empty() {
            screen.last_line(PROMPT);
        }
    }
    screen.last_line("");
    std::future::pending().await
}

async fn carry_out(cluster: &Cluster, command: Command) {
    let screen = cluster.screen();
    let done = match command {
        Command::Status => return screen.data(&status(cluster)),
        Command::Members => return screen.data(&show::members(&cluster.picture())),
        Command::Events => return screen.data(&show::events(&cluster.picture(), &cluster.events())),
        Command::Configs => return screen.data(&show::configs(&cluster.picture())),
        Command::Help => return screen.data(&command::help()),
        // `converse` ends with it.
        Command::Quit => return,
        Command::Kill { name } => cluster.kill(&name).await,
        Command::Start { name } => cluster.start(&name).await,
        Command::Isolate { names } => cluster.isolate(&names).await,
        Command::Heal => cluster.heal().await,
        Command::Leave { name } => cluster.leave(&name).await,
    };
    match done {
        Ok(said) => screen.data(&format!("{said}\n")),
        Err(error) => screen.error(&error.to_string()),
    }
}

fn status(cluster: &Cluster) -> String {
    let picture = cluster.picture();
    let health = match Health::of(&picture) {
        Health::Ok => cluster.screen().paint(Paint::Good, "ok"),
        Health::Degraded => cluster.screen().paint(Paint::Bad, "degraded"),
    };
    show::status(&picture, &health)
}

/// What tells the process from outside to stop.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    /// The terminal was closed.
    hangup: Signal,
}

impl Stop {
    fn new() -> Result<Self, RunError> {
        let listen = |kind| signal(kind).map_err(|source| RunError::System { what: "signals", source });
        Ok(Stop {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
