//! One task owns the machine: it hands in what happens, in the order that it happens, and does what the
//! machine wants done, in the order that it wants it.

mod clock;
mod disk;
mod log;
mod outlets;
mod requests;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hivemind_core::ids::NodeName;
use hivemind_core::machine::{Effect, HaltReason, Input, Machine, StartError, Startup};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

pub(crate) use outlets::{Account, Outlets};
pub use outlets::{AppliedEvent, NodeStatus, RoleReport};
pub(crate) use requests::{Look, Request};

use crate::storage::Storage;
use crate::tasks::Tasks;
use crate::transport::{Inbox, Incoming, Transport};
pub(crate) use clock::Clock;
use disk::{Disk, Panicked};
use log::ReportLog;
use requests::{Pending, Taken};

/// After so many inputs in a row the account of the node is brought up to date, however busy it is.
const BURST: usize = 128;

/// Why a node stopped.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StopReason {
    /// Its owner stopped it.
    #[error("the node was stopped")]
    Asked,
    /// Its owner killed it, or dropped it without a stop.
    #[error("the node was killed")]
    Killed,
    /// The machine can not go on.
    #[error(transparent)]
    Halted(#[from] HaltReason),
    /// The machine panicked, or the disk's thread did: a bug of this program. What was acknowledged is on disk.
    #[error("the node's machine panicked, which is a bug: {0}; start the node again, or remove its data folder so that it joins anew")]
    Panicked(String),
}

/// How a node is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// What is queued is written, peers are told.
    Orderly,
    /// As if the process had died.
    Abrupt,
}

/// What the text of a panic was.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a message")
}

/// The machine of a node, and what moves it.
pub(crate) struct Driver {
    node: NodeName,
    /// Boxed: it is large, and would leave a copy on the stack of each function that hands it on.
    machine: Box<Machine>,
    clock: Clock,
    storage: Storage,
}

/// The far ends of what a node hears.
pub(crate) struct Inlets {
    pub(crate) incoming: Inbox,
    pub(crate) requests: mpsc::Receiver<Request>,
    /// Dropped: the node is killed.
    pub(crate) ending: oneshot::Receiver<Ending>,
}

/// Why there is no machine to drive.
#[derive(Debug, Error)]
pub(crate) enum DriverError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{0}")]
    Panicked(String),
}

impl Driver {
    /// Makes the machine. Nothing moves before [`Driver::start`].
    pub(crate) fn new(startup: Startup, storage: Storage) -> Result<Self, DriverError> {
        let clock = Clock::starting_now();
        let node = startup.name.clone();
        let made = catch_unwind(AssertUnwindSafe(|| Machine::new(startup, clock.now()).map(Box::new)));
        let machine = made.map_err(|payload| DriverError::Panicked(panic_text(payload.as_ref()).to_owned()))??;
        Ok(Driver { node, machine, clock, storage })
    }

    pub(crate) fn account(&self) -> Account {
        Account::of(&self.machine)
    }

    /// What the times of its account are counted by.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// Lets it run until it ends, or is ended.
    pub(crate) fn start(self, inlets: Inlets, outlets: Outlets, transport: Transport, tasks: &Tasks) {
        self.start_with(Disk::start, inlets, outlets, transport, tasks);
    }

    fn start_with(self, disk: impl FnOnce(Storage, &Tasks) -> Disk, inlets: Inlets, outlets: Outlets, transport: Transport, tasks: &Tasks) {
        let running = Running {
            disk: disk(self.storage, tasks),
            machine: self.machine,
            clock: self.clock,
            log: ReportLog::new(self.node.clone()),
            node: self.node,
            transport,
            inlets,
            outlets,
            pending: Pending::default(),
        };
        tasks.spawn(running.run());
    }
}

struct Running {
    node: NodeName,
    machine: Box<Machine>,
    clock: Clock,
    disk: Disk,
    transport: Transport,
    inlets: Inlets,
    outlets: Outlets,
    pending: Pending,
    log: ReportLog,
}

enum Happened {
    Input(Input),
    Look(Look),
    End(Ending),
    Panic(Panicked),
}

impl Running {
    async fn run(mut self) {
        // Making the machine may have left something to be done.
        let mut moved = self.turn(None).await;
        let reason = loop {
            self.outlets.account(&self.machine);
            match moved {
                Ok(()) => moved = self.burst().await,
                Err(reason) => break reason,
            }
        };
        self.end(reason).await;
    }

    /// Waits for something to happen, and takes what else has happened with it.
    async fn burst(&mut self) -> Result<(), StopReason> {
        let mut happened = self.wait().await;
        for _ in 0..BURST {
            match happened {
                Happened::Input(input) => self.turn(Some(input)).await?,
                Happened::Look(look) => look.answer(&self.machine),
                Happened::End(Ending::Orderly) => return Err(StopReason::Asked),
                Happened::End(Ending::Abrupt) => return Err(StopReason::Killed),
                Happened::Panic(Panicked(why)) => return Err(StopReason::Panicked(why)),
            }
            match self.inlets.incoming.try_recv() {
                Ok(incoming) => happened = Happened::Input(input_of(incoming)),
                Err(_nothing_now) => break,
            }
        }
        Ok(())
    }

    async fn wait(&mut self) -> Happened {
        let due = self.machine.poll_timeout().map(|time| self.clock.instant(time));
        let timeout = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let room = self.pending.has_room();
        tokio::select! {
            biased;
            ending = &mut self.inlets.ending => Happened::End(ending.unwrap_or(Ending::Abrupt)),
            answer = self.disk.answer() => answer.map_or_else(Happened::Panic, Happened::Input),
            () = timeout => Happened::Input(Input::Timeout),
            Some(request) = self.inlets.requests.recv(), if room => match self.pending.take(request) {
                Taken::Input(input) => Happened::Input(input),
                Taken::Look(look) => Happened::Look(look),
            },
            Some(incoming) = self.inlets.incoming.recv() => Happened::Input(input_of(incoming)),
        }
    }

    /// One input, and all that follows from it.
    async fn turn(&mut self, input: Option<Input>) -> Result<(), StopReason> {
        let now = self.clock.now();
        let machine = &mut self.machine;
        let effects = catch_unwind(AssertUnwindSafe(|| {
            if let Some(input) = input {
                machine.handle(input, now);
            }
            std::iter::from_fn(|| machine.poll_effect()).collect::<Vec<_>>()
        }));
        let effects = effects.map_err(|payload| StopReason::Panicked(panic_text(payload.as_ref()).to_owned()))?;
        for effect in effects {
            self.perform(effect).await?;
        }
        Ok(())
    }

    async fn perform(&mut self, effect: Effect) -> Result<(), StopReason> {
        match effect {
            Effect::Store { ticket, writes } => self.disk.write(ticket, writes).await,
            Effect::Send { to, channel, bytes } => self.transport.send(&to, channel, bytes),
            Effect::Reply { request, reply } => self.pending.answer(request, reply),
            Effect::View { view, changed: _ } => drop(self.outlets.view.send_replace(Some(view))),
            Effect::Applied { position, logged, event } => {
                self.outlets.events.tell(AppliedEvent { position, logged, event: Arc::new(event) });
            }
            Effect::Desired { role, desired } => {
                if let Some(wishes) = self.outlets.desired.get(role).and_then(Option::as_ref) {
                    wishes.send_replace(Some(desired));
                }
            }
            Effect::Report(report) => {
                self.log.log(&report, Instant::now());
                self.outlets.reports.tell(Arc::new(report));
            }
            Effect::Halt(reason) => return Err(StopReason::Halted(reason)),
        }
        Ok(())
    }

    async fn end(self, reason: StopReason) {
        match &reason {
            // A leave is what somebody wanted.
            StopReason::Asked | StopReason::Killed | StopReason::Halted(HaltReason::Left) => tracing::info!(node = %self.node, "{reason}"),
            StopReason::Halted(_) | StopReason::Panicked(_) => tracing::error!(node = %self.node, "{reason}"),
        }
        // The inbox first: who waits to put something in would hold the transport up.
        drop(self.inlets);
        if reason == StopReason::Killed {
            self.disk.abandon();
            self.transport.abort().await;
        } else {
            self.transport.close().await;
        }
        self.outlets.stopped.send_replace(Some(reason));
    }
}

fn input_of(incoming: Incoming) -> Input {
    match incoming {
        Incoming::Frame { peer, source, channel, bytes } => Input::Received { peer, source, channel, bytes },
        Incoming::Lost { peer } => Input::Disconnected { peer },
    }
}

#[cfg(test)]
mod tests;
