//! Where a node is spoken to.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::accept::accept;
use super::call::router;
use super::connection;
use super::desk::{Desk, Stopping};
use super::gate::Gate;
use super::settings::HttpSettings;
use super::socket::{Socket, SocketFailure};
use super::tls::{Handshakes, is_beyond_this_machine};
use crate::node::NodeHandle;
use crate::tasks::Tasks;

/// Why HTTP is not served. Nothing listens; the settings are at fault, or another program.
#[derive(Debug, Error)]
pub enum BindFailure {
    /// Whoever is on the way could read along.
    #[error("plain HTTP is served on loopback addresses alone, and {address} is none; listen on 127.0.0.1 or [::1], or give TLS")]
    NotLoopback {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// Another program listens there.
    #[error("{address} is in use by another program; stop that one, or choose another port for HTTP")]
    InUse {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// The system says no.
    #[error("HTTP can not be served on {address}: {source}; choose another address or port")]
    System {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// An address that is taken. Clients wait there until a node is [served](Self::serve).
#[derive(Debug)]
pub struct HttpListener {
    listener: TcpListener,
    address: SocketAddr,
    socket: Option<Socket>,
    settings: HttpSettings,
}

impl HttpListener {
    /// Takes the address of `settings`. Must be called within a tokio runtime with time and io.
    ///
    /// # Errors
    /// [`BindFailure`].
    pub fn bind(settings: HttpSettings) -> Result<Self, BindFailure> {
        let address = settings.listen;
        if settings.tls.is_none() && is_beyond_this_machine(address) {
            return Err(BindFailure::NotLoopback { address });
        }
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BindFailure::InUse { address },
            _ => BindFailure::System { address, source },
        };
        let listener = listen(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(HttpListener { listener, address, socket: None, settings })
    }

    /// Serves at a Unix socket too, with every right: whoever may open it, this user and its group, is an operator. A socket of a process
    /// that is gone is replaced; nothing else is.
    ///
    /// # Errors
    /// [`SocketFailure`].
    pub fn with_socket(self, path: &Path) -> Result<Self, SocketFailure> {
        Ok(HttpListener { socket: Some(Socket::make(path)?), ..self })
    }

    /// Where it is; with the port that the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Lets a node be spoken to, by those who have a credential of its cluster. Goes on until it is stopped or dropped, also after the node has
    /// stopped: then it says so.
    pub fn serve(self, handle: NodeHandle) -> HttpServer {
        let tasks = Tasks::new();
        let (stop, stopping) = watch::channel(false);
        let stopping = Stopping(stopping);
        let desk = Arc::new(Desk::new(handle.clone(), self.settings, tasks.clone(), stopping.clone()));
        let follow = {
            let (journal, mut stopping) = (Arc::clone(&desk.journal), stopping.clone());
            async move {
                tokio::select! {
                    () = journal.follow(handle) => {}
                    () = stopping.stopped() => {}
                }
            }
        };
        tasks.spawn(follow);
        let gate = Gate::new(Arc::clone(&desk), router(desk));
        if let Some(socket) = self.socket {
            tasks.spawn(accept(socket, gate.clone(), stopping.clone(), connection::serve_socket));
        }
        let settings = &gate.desk().settings;
        let tls = settings.tls.clone().map(|config| Handshakes::new(config, settings.limits.handshakes, settings.limits.time));
        let serve = move |(stream, peer), gate, stopping| connection::serve(stream, peer, gate, tls.clone(), stopping);
        tasks.spawn(accept(self.listener, gate, stopping, serve));
        HttpServer { address: self.address, stop, tasks }
    }
}

/// As the runtime's own: a port is free again as soon as its last server has gone.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    if address.is_ipv6() {
        // IPv4 has a listener of its own, or none: `::` does not stand for both.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    TcpListener::from_std(socket.into())
}

/// A node that is spoken to. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: Tasks,
}

impl HttpServer {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, ends those under way within two seconds, and waits until all tasks have ended; the address is free then.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.tasks.all_ended().await;
    }
}
