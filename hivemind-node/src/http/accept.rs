//! Taking connections, wherever they come in.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::counts::Unshaken;
use super::desk::Stopping;
use super::gate::Gate;
use super::places::Places;
use super::socket::Socket;

/// Requests under way may take so long to end when the server stops. Streams end at once.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// After a connection could not be taken, as where file descriptors ran out, the next is tried after this.
const PAUSE: Duration = Duration::from_millis(100);

/// Where connections come in.
pub(super) trait Door: Send + Sync + 'static {
    /// A connection, with what is known of the other side.
    type Came: Send;
    /// What it is called in the log.
    const NAME: &'static str;

    /// The next one.
    fn next(&self) -> impl Future<Output = io::Result<Self::Came>> + Send;

    /// The address that one has come from.
    fn from(came: &Self::Came) -> Option<IpAddr>;
}

impl Door for TcpListener {
    type Came = (TcpStream, SocketAddr);
    const NAME: &'static str = "net";

    async fn next(&self) -> io::Result<Self::Came> {
        self.accept().await
    }

    fn from((_, peer): &Self::Came) -> Option<IpAddr> {
        Some(peer.ip())
    }
}

impl Door for Socket {
    type Came = UnixStream;
    const NAME: &'static str = "socket";

    async fn next(&self) -> io::Result<Self::Came> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    fn from(_: &Self::Came) -> Option<IpAddr> {
        None
    }
}

/// Takes connections until the server stops, and has them served. Each door has places of its own: clients elsewhere do not keep
/// operators out. Where TLS is spoken, anybody may come, and one address gets a share of them; without it all come from this machine.
pub(super) async fn accept<D: Door, F: Future<Output = ()> + Send + 'static>(
    door: D,
    gate: Gate,
    mut stopping: Stopping,
    serve: impl Fn(D::Came, Gate, Stopping) -> F,
) {
    let all = gate.desk().settings.limits.connections.max(1);
    let places = Arc::new(Semaphore::new(all));
    let shares = gate.desk().settings.tls.is_some().then(|| Places::new(all));
    let mut connections = JoinSet::new();
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let next = async {
            // Those for whom there is no place wait outside.
            let place = place.await;
            (place, door.next().await)
        };
        tokio::select! {
            (place, came) = next => match came {
                Ok(came) => {
                    gate.desk().counts.connected();
                    let share = match shares.as_ref().zip(D::from(&came)).map(|(shares, from)| shares.take(from)) {
                        Some(None) => {
                            gate.desk().counts.unshaken(Unshaken::TooMany);
                            continue;
                        }
                        Some(share) => share,
                        None => None,
                    };
                    let serving = serve(came, gate.clone(), stopping.clone());
                    connections.spawn(async move {
                        let _place = (place, share);
                        serving.await;
                    });
                }
                Err(error) => {
                    tracing::warn!(door = D::NAME, %error, "a connection for HTTP was not taken");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            // A panic of one connection is told by the runtime, and ends no other.
            Some(_ended) = connections.join_next() => {}
            () = stopping.stopped() => break,
        }
    }
    drop(door);
    end(connections).await;
}

/// Those under way end within the grace.
async fn end(mut connections: JoinSet<()>) {
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_GRACE, all).await.is_err() {
        connections.shutdown().await;
    }
}
