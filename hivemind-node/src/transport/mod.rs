//! Frames between nodes, over QUIC (RFC 9000) with mutual TLS.
//!
//! One endpoint per node, made for IPv4 and IPv6 alike. Connections are known by the peer's key and
//! made on demand; of two that are made at the same time, both ends keep the one that the smaller key
//! made. [`Channel::Datagram`] travels in QUIC datagrams, [`Channel::Ordered`] on one long-lived stream
//! in each direction, [`Channel::Bulk`] on a stream per frame, of lower priority.
//!
//! Whatever a peer does costs bounded memory: what it sends waits unread in QUIC's windows once the
//! inbox is full, and what it does not take is dropped on this side and counted.

mod backlog;
mod connection;
mod counters;
mod dial;
mod filter;
mod greeting;
mod inbox;
mod registry;
mod settings;
mod socket;
mod streams;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use hivemind_core::ids::PublicKey;
use hivemind_core::machine::Destination;
use hivemind_core::wire::frame::{Channel, STREAM_LIMIT};
use quinn::{AsyncUdpSocket, Endpoint, Runtime, SendDatagramError, TokioRuntime, VarInt};
use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc};

pub(crate) use connection::is_of_other_authority;
pub use counters::{Discard, Flow, Flows, Refused, TransportStats};
pub use filter::Filter;
pub use greeting::WireVersions;
pub use inbox::Inbox;
pub use settings::TransportSettings;
pub use tls::IdentityError;
pub(crate) use tls::{ENROLL_ALPN, proven_key};

use crate::authority::{NodeIdentity, Validity};
use crate::tasks::Tasks;
use connection::CloseCode;
use greeting::Greeting;
use inbox::{InboxIn, inbox};
use registry::{Live, Registry, Route};

/// How long a stop waits for its goodbyes to go out. QUIC would go on to wait for what peers still have
/// on their way (RFC 9000 section 10.2), which nobody here is interested in.
const FAREWELL: Duration = Duration::from_millis(50);

/// Why a transport does not listen. Nothing changed.
#[derive(Debug, Error)]
pub enum BindError {
    /// The address is taken, is not this machine's, or may not be used.
    #[error("can not listen on {address} (UDP): {source}; stop what uses it, or choose another address or port (0 lets the system choose)")]
    Address {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The identity can not be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The operating system gave no randomness.
    #[error("the operating system gives no randomness")]
    NoRandomness,
}

/// What comes from the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A frame.
    Frame {
        /// The key that the connection was proven with.
        peer: PublicKey,
        /// Where it came from.
        source: SocketAddr,
        /// How it came.
        channel: Channel,
        /// The frame.
        bytes: Bytes,
    },
    /// The last connection to this key was lost, or none could be made.
    Lost {
        /// Whose.
        peer: PublicKey,
    },
}

/// A node's endpoint. Clones are the same endpoint.
#[derive(Clone, Debug)]
pub struct Transport {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    own: PublicKey,
    /// What every peer is told first.
    greeting: Greeting,
    address: SocketAddr,
    /// Held by the endpoint and its connections.
    socket: Weak<dyn AsyncUdpSocket>,
    endpoint: Endpoint,
    registry: Mutex<Registry>,
    counters: counters::Counters,
    filter: Filter,
    inbox: InboxIn,
    settings: TransportSettings,
    dials: Semaphore,
    shown: Arc<tls::Shown>,
    /// Who takes the connections of nodes that enroll.
    enrollments: Mutex<Enrollments>,
    tasks: Tasks,
}

impl Transport {
    /// Listens at `listen`, whose port may be 0. What comes is received from the second value, which
    /// must be read: while it is full, peers are not read either. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind(listen: SocketAddr, identity: &NodeIdentity, settings: TransportSettings) -> Result<(Self, Inbox), BindError> {
        let configs = tls::Configs::new(identity, &settings)?;
        let mut instance = [0; 8];
        SystemRandom::new().fill(&mut instance).map_err(|_| BindError::NoRandomness)?;
        let instance = u64::from_be_bytes(instance);
        let open = || {
            let socket = socket::open(listen)?;
            let address = socket.local_addr()?;
            let socket = TokioRuntime.wrap_udp_socket(socket)?;
            let in_use = Arc::downgrade(&socket);
            let endpoint = Endpoint::new_with_abstract_socket(configs.endpoint, Some(configs.server), socket, Arc::new(TokioRuntime))?;
            Ok((endpoint, address, in_use))
        };
        let (mut endpoint, address, in_use) = open().map_err(|source| BindError::Address { address: listen, source })?;
        endpoint.set_default_client_config(configs.client);
        let (inbox, incoming) = inbox(settings.inbox, settings.inbox_bytes);
        let own = identity.public();
        let shared = Arc::new(Shared {
            own,
            greeting: Greeting { instance, wire: settings.wire, features: settings.features.clone() },
            address,
            socket: in_use,
            endpoint,
            registry: Mutex::new(Registry::new(own, instance)),
            counters: counters::Counters::default(),
            filter: Filter::default(),
            inbox,
            dials: Semaphore::new(settings.max_dials),
            shown: configs.shown,
            enrollments: Mutex::new(Enrollments::Refused),
            settings,
            tasks: Tasks::new(),
        });
        shared.tasks.spawn(dial::accept(shared.clone()));
        Ok((Transport { shared }, incoming))
    }

    /// Where it listens; with the port that the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.address
    }

    /// The key that it proves itself with.
    pub fn public(&self) -> PublicKey {
        self.shared.own
    }

    /// Shows another certificate of the same key to whoever connects from now on. Connections that there are go on.
    ///
    /// # Errors
    /// [`IdentityError`]; the one before it is still shown.
    pub fn renew(&self, identity: &NodeIdentity) -> Result<(), IdentityError> {
        self.shared.shown.renew(identity)
    }

    /// What it proves itself with, and whom it accepts, as of now.
    pub(crate) fn identity(&self) -> NodeIdentity {
        self.shared.shown.identity()
    }

    /// When the certificate that it shows is valid; `None` where its roots did not issue it.
    pub fn certificate(&self) -> Option<Validity> {
        self.shared.shown.validity()
    }

    /// What is shown to whoever connects, for servers of other protocols.
    #[cfg(feature = "http")]
    pub(crate) fn shown(&self) -> Arc<dyn rustls::server::ResolvesServerCert> {
        self.shared.shown.clone()
    }

    /// Takes the connections of nodes that enroll; until this is called they are closed. At most `waiting` wait.
    pub(crate) fn enrollments(&self, waiting: usize) -> mpsc::Receiver<quinn::Connection> {
        let (sender, receiver) = mpsc::channel(waiting);
        let mut enrollments = self.shared.enrollments.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*enrollments, Enrollments::Ended) {
            *enrollments = Enrollments::Taken(sender);
        }
        receiver
    }

    /// What keeps peers apart on purpose.
    pub fn filter(&self) -> &Filter {
        &self.shared.filter
    }

    /// What it counted.
    pub fn stats(&self) -> TransportStats {
        let open = self.shared.registry().open();
        self.shared.counters.stats(open)
    }

    /// Sends a frame, or queues it; never waits. A frame that can not be sent is counted and dropped.
    /// Must be called within a tokio runtime.
    pub fn send(&self, to: &Destination, channel: Channel, bytes: Bytes) {
        let shared = &self.shared;
        if bytes.is_empty() || bytes.len() > STREAM_LIMIT {
            return shared.counters.discarded(Discard::TooLarge, 1);
        }
        if !shared.filter.passes(to.key.as_ref()) {
            return shared.counters.discarded(Discard::Blocked, 1);
        }
        let route = shared.registry().route(to, channel, bytes, &shared.settings);
        match route {
            Route::Live(live, bytes) => shared.transmit(&live, channel, bytes),
            Route::Waits { dropped: 0 } => {}
            Route::Waits { dropped } => shared.counters.discarded(Discard::BacklogFull, dropped),
            Route::Dial { target, addresses } => shared.tasks.spawn(dial::dial(shared.clone(), target, addresses)),
            Route::Discard(why) => shared.counters.discarded(why, 1),
        }
    }

    /// Closes all connections, telling the peers so, and frees the port. Waits until all is done.
    pub async fn close(&self) {
        let shared = &self.shared;
        shared.shut();
        // A peer that the goodbye does not reach in time finds out by itself.
        let _ = tokio::time::timeout(FAREWELL, shared.endpoint.wait_idle()).await;
        shared.fall_silent();
        shared.ended().await;
    }

    /// Falls silent at once, as a process that crashes: no peer is told. Frees the port.
    pub async fn abort(&self) {
        self.shared.fall_silent();
        self.shared.shut();
        self.shared.ended().await;
    }
}

/// Where the connections of nodes that enroll go.
#[derive(Debug)]
enum Enrollments {
    /// Nowhere, as long as nobody asks for them.
    Refused,
    /// There.
    Taken(mpsc::Sender<quinn::Connection>),
    /// Nowhere any more: whoever asks for them after the transport was closed is not made to wait for them.
    Ended,
}

impl Shared {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the connection of a node that enrolls to who takes it.
    fn pass_on(&self, connection: quinn::Connection) -> Result<(), Refused> {
        let passed = match &*self.enrollments.lock().unwrap_or_else(PoisonError::into_inner) {
            Enrollments::Taken(taker) => Some(taker.try_send(connection.clone())),
            Enrollments::Refused | Enrollments::Ended => None,
        };
        let refused = match passed {
            Some(Ok(())) => return Ok(()),
            Some(Err(TrySendError::Full(_))) => Refused::TooMany,
            Some(Err(TrySendError::Closed(_))) | None => Refused::NotEnrolling,
        };
        CloseCode::NoEnrollment.close(&connection);
        Err(refused)
    }

    fn shut(&self) {
        *self.enrollments.lock().unwrap_or_else(PoisonError::into_inner) = Enrollments::Ended;
        let waited = self.registry().close();
        self.counters.discarded(Discard::Closed, waited);
        self.endpoint.close(VarInt::from_u32(CloseCode::Stopping as u32), b"");
    }

    fn fall_silent(&self) {
        let silence = Arc::new(socket::Silence { address: self.address });
        // The endpoint goes on listening on the socket before the last: so twice.
        for _ in 0..2 {
            self.endpoint.rebind_abstract(silence.clone()).expect("the address of this socket is at hand");
        }
    }

    /// Waits until nothing of the transport runs, and each connection has let go of the socket.
    async fn ended(&self) {
        self.tasks.all_ended().await;
        // quinn does not say when it drops a socket.
        while self.socket.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Sends a frame on an established connection, without waiting.
    fn transmit(&self, live: &Live, channel: Channel, bytes: Bytes) {
        if !self.filter.passes(Some(&live.peer)) {
            return self.counters.discarded(Discard::Blocked, 1);
        }
        let length = bytes.len();
        let sent = match channel {
            Channel::Datagram => self.datagram(live, bytes),
            Channel::Ordered => live.ordered.offer(bytes).map_err(|_| Discard::QueueFull),
            Channel::Bulk => live.bulk.offer(bytes).map_err(|_| Discard::QueueFull),
        };
        match sent {
            Ok(()) => self.counters.sent(channel, length),
            Err(why) => self.counters.discarded(why, 1),
        }
    }

    fn datagram(&self, live: &Live, bytes: Bytes) -> Result<(), Discard> {
        match live.connection.send_datagram(bytes.clone()) {
            Ok(()) => Ok(()),
            Err(SendDatagramError::ConnectionLost(_)) => Err(Discard::Closed),
            Err(SendDatagramError::TooLarge | SendDatagramError::UnsupportedByPeer | SendDatagramError::Disabled) => {
                self.counters.datagrams_by_stream.fetch_add(1, Ordering::Relaxed);
                live.bulk.offer(bytes).map_err(|_| Discard::QueueFull)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hivemind_core::ids::{ClusterId, NodeName};

    use super::*;
    use crate::authority::Authority;
    use crate::keys::Ed25519Keys;

    #[tokio::test]
    async fn nobody_waits_for_the_enrollments_of_a_closed_transport() {
        let authority = Authority::new(ClusterId(1)).unwrap();
        let identity = authority.issue(Arc::new(Ed25519Keys::generate().unwrap()), &NodeName::new("a").unwrap()).unwrap();
        let address = (std::net::Ipv4Addr::LOCALHOST, 0).into();
        let (transport, incoming) = Transport::bind(address, &identity, TransportSettings::default()).unwrap();
        drop(incoming);
        transport.close().await;
        assert!(transport.enrollments(1).recv().await.is_none());
    }
}
