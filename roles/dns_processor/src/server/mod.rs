//! The io half: a DNS server over UDP and TCP that answers from the zone it was given last.

mod bind;
mod counters;
mod tcp;
mod udp;

use std::collections::HashSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use hivemind_core::role::Apply;
use quinn_udp::UdpSocketState;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::memory::Memory;
use crate::zone::Zone;
pub use bind::BindError;
use counters::Counters;
pub use counters::Statistics;

/// A running DNS server. Dropping it ends it at once; [`stop`](Self::stop) lets it finish what it is answering.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

/// What the tasks of a server share.
#[derive(Debug)]
struct Shared {
    zone: watch::Sender<Arc<Zone>>,
    stop: watch::Sender<bool>,
    counters: Counters,
}

impl Shared {
    /// The zone in force. Nothing is locked while it is read.
    fn zone(&self) -> Arc<Zone> {
        self.zone.borrow().clone()
    }

    /// Comes back when the server is to stop.
    async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        // The sender is in `self`: it can not be gone.
        let _ = stop.wait_for(|stop| *stop).await;
    }

    /// The zone in force, given the one that was in force a moment ago.
    fn fresher(&self, last: Arc<Zone>) -> Arc<Zone> {
        let current = self.zone.borrow();
        if Arc::ptr_eq(&current, &last) { last } else { current.clone() }
    }
}

impl Server {
    /// Binds all `addresses`, UDP and TCP, and answers from `zone` until it is given another. A port 0 takes a free one.
    ///
    /// # Errors
    /// [`BindError`] names the address that could not be had and says what to do. Nothing is bound then.
    ///
    /// # Panics
    /// Outside of a tokio runtime with io and time enabled.
    pub fn bind(addresses: &[SocketAddr], zone: Zone) -> Result<Self, BindError> {
        if addresses.is_empty() {
            return Err(BindError::NoAddress);
        }
        let mut sockets = Vec::new();
        for address in addresses {
            let (udp, tcp) = bind::bind(*address)?;
            let broken = |source| BindError::Other { address: *address, protocol: "udp", source };
            let bound = udp.local_addr().map_err(broken)?;
            let state = UdpSocketState::new((&udp).into()).map_err(broken)?;
            sockets.push((bound, udp, state, tcp));
        }
        let (zone, _) = watch::channel(Arc::new(zone));
        let (stop, _) = watch::channel(false);
        let shared = Arc::new(Shared { zone, stop, counters: Counters::default() });
        let mut server = Server { addresses: Vec::new(), shared, tasks: JoinSet::new() };
        for (bound, udp, state, tcp) in sockets {
            server.start(bound, udp, state, tcp);
        }
        Ok(server)
    }

    fn start(&mut self, address: SocketAddr, udp: UdpSocket, state: UdpSocketState, tcp: TcpListener) {
        tracing::info!(%address, "answering DNS over UDP and TCP");
        self.addresses.push(address);
        self.tasks.spawn(udp::serve(udp, state, self.shared.clone()));
        self.tasks.spawn(tcp::serve(tcp, self.shared.clone()));
    }

    /// Where it answers.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What puts a new zone in force.
    pub fn applier(&self) -> ZoneApplier {
        ZoneApplier { shared: self.shared.clone(), told: HashSet::new(), memory: None }
    }

    /// What it did so far.
    pub fn statistics(&self) -> Statistics {
        self.shared.counters.read()
    }

    /// Stops: queries that are being answered are finished, connections are closed, the addresses are free afterwards.
    pub async fn stop(mut self) {
        self.shared.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Puts zones in force at a running [`Server`]: a query sees one zone or the next, never something between.
#[derive(Debug)]
pub struct ZoneApplier {
    shared: Arc<Shared>,
    /// What the log has already been told is not in force.
    told: HashSet<String>,
    memory: Option<Memory>,
}

impl ZoneApplier {
    /// Keeps over a restart what no longer can be found out then. What it held already is for the role
    /// ([`DnsProcessor::remembering`](crate::role::DnsProcessor::remembering)).
    #[must_use]
    pub fn keeping(self, memory: Memory) -> Self {
        ZoneApplier { memory: Some(memory), ..self }
    }
}

impl Apply<Zone> for ZoneApplier {
    type Error = Infallible;

    async fn apply(&mut self, desired: Arc<Zone>) -> Result<(), Infallible> {
        let rejected = desired.rejected().into_iter();
        let told =
            rejected.map(|rejected| format!("{} (config {} of {}): {}", rejected.kind, rejected.seq, rejected.name, rejected.reason));
        let told: HashSet<_> = told.collect();
        for text in told.difference(&self.told) {
            tracing::warn!("a section is not in force: {text}");
        }
        self.told = told;
        self.shared.zone.send_replace(desired.clone());
        if let Some(memory) = &mut self.memory {
            memory.keep(&desired).await;
        }
        Ok(())
    }
}
