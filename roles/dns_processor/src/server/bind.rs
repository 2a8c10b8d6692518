//! Binding the addresses that DNS is answered at.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::net::{TcpListener, UdpSocket};

/// Octets of the socket's queues: a burst of queries waits here while a batch is answered.
const UDP_BUFFER: usize = 4 << 20;
/// Connections that wait to be accepted.
const TCP_BACKLOG: i32 = 256;

/// Why the server could not start. Nothing is bound then.
#[derive(Debug, Error)]
pub enum BindError {
    /// No address at all.
    #[error("no address to answer DNS at; give one")]
    NoAddress,
    /// Another process has the address.
    #[error(
        "{address}/{protocol} is taken: another DNS server (systemd-resolved, dnsmasq, another hivemind?) listens there; \
         stop it or choose another address"
    )]
    Taken {
        /// The address.
        address: SocketAddr,
        /// `udp` or `tcp`.
        protocol: &'static str,
    },
    /// A port that this process may not use.
    #[error(
        "{address}/{protocol} may not be used by this user: ports below 1024 need the capability CAP_NET_BIND_SERVICE \
         (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE); grant it or choose another address"
    )]
    Forbidden {
        /// The address.
        address: SocketAddr,
        /// `udp` or `tcp`.
        protocol: &'static str,
    },
    /// An address that no interface of this machine has.
    #[error("{address}/{protocol} is not an address of this machine; choose one that is")]
    NotHere {
        /// The address.
        address: SocketAddr,
        /// `udp` or `tcp`.
        protocol: &'static str,
    },
    /// Something else went wrong.
    #[error("{address}/{protocol} can not be bound: {source}; choose another address")]
    Other {
        /// The address.
        address: SocketAddr,
        /// `udp` or `tcp`.
        protocol: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

impl BindError {
    fn new(address: SocketAddr, protocol: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => BindError::Taken { address, protocol },
            io::ErrorKind::PermissionDenied => BindError::Forbidden { address, protocol },
            io::ErrorKind::AddrNotAvailable => BindError::NotHere { address, protocol },
            _ => BindError::Other { address, protocol, source },
        }
    }
}

/// How often a free port is looked for that both protocols can have.
const PORT_TRIES: usize = 16;

/// Binds one address for both protocols. Port 0 takes a free one, the same for both.
pub(super) fn bind(address: SocketAddr) -> Result<(UdpSocket, TcpListener), BindError> {
    let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let udp = udp(address).map_err(|source| BindError::new(address, "udp", source))?;
        let bound = udp.local_addr().map_err(|source| BindError::new(address, "udp", source))?;
        match tcp(bound) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(_) if tries > 0 => {}
            Err(source) => return Err(BindError::new(bound, "tcp", source)),
        }
    }
}

fn udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // Each family has its own socket, so that 0.0.0.0 and :: can be bound side by side.
        socket.set_only_v6(true)?;
    }
    // The system may grant less; it is no reason not to answer.
    let _ = socket.set_recv_buffer_size(UDP_BUFFER);
    let _ = socket.set_send_buffer_size(UDP_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for the connections of the last run to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(TCP_BACKLOG)?;
    TcpListener::from_std(socket.into())
}
