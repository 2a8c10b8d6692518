//! One connection: HTTP/1.1 with bounds on its headers and on the time that they take.

use std::convert::Infallible;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::call::{Operator, Peer};
use super::desk::Stopping;
use super::gate::Gate;
use super::head::SLACK;
use super::stalling::Stalling;

/// Serves a connection to its end, or until the server stops.
pub(super) async fn serve(stream: TcpStream, peer: Peer, gate: Gate, tls: Option<TlsAcceptor>, stopping: Stopping) {
    let limits = gate.desk().settings.limits;
    // An answer is one write or few; waiting for more to send would only delay it.
    let _ = stream.set_nodelay(true);
    match tls {
        None => speak(Stalling::new(stream, limits.unread), peer, gate, stopping).await,
        Some(acceptor) => match timeout(limits.time, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => speak(Stalling::new(stream, limits.unread), peer, gate, stopping).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS on a connection for HTTP"),
            Err(_) => tracing::debug!(%peer, "TLS did not come in time on a connection for HTTP"),
        },
    }
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
