//! One connection: HTTP/1.1 with bounds on its headers and on the time that they take.

use std::convert::Infallible;
use std::net::SocketAddr;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::call::{Operator, Peer};
use super::counts::Unshaken;
use super::desk::Stopping;
use super::gate::Gate;
use super::head::SLACK;
use super::stalling::Stalling;
use super::tls::{HandshakeFailure, Handshakes, Shaken};

/// Serves a connection to its end, or until the server stops.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, gate: Gate, tls: Option<Handshakes>, mut stopping: Stopping) {
    let unread = gate.desk().settings.limits.unread;
    // An answer is one write or few; waiting for more to send would only delay it.
    let _ = stream.set_nodelay(true);
    let Some(handshakes) = tls else { return speak(Stalling::new(stream, unread), Peer::Net(peer), gate, stopping).await };
    let shaken = tokio::select! {
        shaken = shake(stream, peer, &gate, &handshakes) => shaken,
        () = stopping.stopped() => return,
    };
    match shaken {
        Ok(Shaken::Tls(stream)) => speak(Stalling::new(stream, unread), Peer::Net(peer), gate, stopping).await,
        Ok(Shaken::Plain(stream)) => {
            gate.desk().counts.unshaken(Unshaken::Plain);
            speak(Stalling::new(stream, unread), Peer::Net(peer), gate.without_tls(), stopping).await;
        }
        Err(failure) => {
            gate.desk().counts.unshaken(match &failure {
                HandshakeFailure::Tls(_) => Unshaken::Tls,
                HandshakeFailure::Slow => Unshaken::Slow,
                HandshakeFailure::TooMany => Unshaken::TooMany,
            });
            tracing::debug!(%peer, "{failure}");
        }
    }
}

/// A handshake counts as a request of its address: it is the dearer one.
async fn shake(stream: TcpStream, peer: SocketAddr, gate: &Gate, handshakes: &Handshakes) -> Result<Shaken, HandshakeFailure> {
    gate.desk().admit(Peer::Net(peer)).map_err(|_| HandshakeFailure::TooMany)?;
    handshakes.shake(stream).await
}

/// Serves a connection of the socket.
pub(super) async fn serve_socket(stream: UnixStream, gate: Gate, stopping: Stopping) {
    let unread = gate.desk().settings.limits.unread;
    // The log says who did what; one whom the kernel does not name does nothing.
    match stream.peer_cred() {
        Ok(found) => {
            let operator = Operator { user: found.uid(), process: found.pid() };
            speak(Stalling::new(stream, unread), Peer::Socket(operator), gate, stopping).await;
        }
        Err(error) => tracing::warn!(%error, "the kernel does not say who opened the socket; the connection is closed"),
    }
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin>(stream: S, peer: Peer, gate: Gate, mut stopping: Stopping) {
    let limits = gate.desk().settings.limits;
    let service = service_fn(move |request| {
        let gate = gate.clone();
        async move { Ok::<_, Infallible>(gate.pass(peer, request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.time)
        .max_headers(limits.headers.saturating_mul(SLACK))
        .max_buf_size(limits.head.saturating_mul(SLACK).max(8 << 10));
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stopping.stopped() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection for HTTP broke off");
    }
}
