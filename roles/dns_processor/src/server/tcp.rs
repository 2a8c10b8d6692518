//! TCP: messages with their length before them (RFC 1035 section 4.2.2), as many on a connection as the client likes (RFC 7766).

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Shared;
use crate::answer::{Transport, answer};

/// Connections at one listener. Whoever comes while there are as many is closed at once.
const MAX_CONNECTIONS: usize = 256;
/// How long a client may take for its next query, all of it, and for taking a response.
const PATIENCE: Duration = Duration::from_secs(10);
/// Responses are gathered up to this many octets while further queries are there already. A connection has no
/// more queries in flight than fit into it and into [`READ_AHEAD`].
const GATHERED: usize = 16 << 10;
/// Octets that are read ahead.
const READ_AHEAD: usize = 4 << 10;
/// How long accepting pauses where the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts and answers until the server stops; then the queries that are being answered are finished.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut stopped = pin!(shared.stopped());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < MAX_CONNECTIONS => {
                    connections.spawn(connection(stream, shared.clone()));
                }
                Ok(_) => shared.counters.count_connection_refused(),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let mut stopped = pin!(shared.stopped());
    // Small responses must not wait for the acknowledgement of the last one.
    let _ = stream.set_nodelay(true);
    let mut stream = BufReader::with_capacity(READ_AHEAD, stream);
    let (mut query, mut responses) = (Vec::new(), Vec::new());
    loop {
        let next = tokio::select! {
            () = &mut stopped => return,
            next = timeout(PATIENCE, read(&mut stream, &mut query)) => next,
        };
        match next {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return,
            Ok(Err(_)) | Err(_) => break,
        }
        respond(&query, &mut responses, &shared);
        if responses.len() < GATHERED && holds_message(stream.buffer()) {
            continue;
        }
        if !matches!(timeout(PATIENCE, stream.write_all(&responses)).await, Ok(Ok(()))) {
            break;
        }
        responses.clear();
    }
    shared.counters.count_connection_dropped();
}

/// Reads the next message; false where the client is done.
async fn read(stream: &mut BufReader<TcpStream>, query: &mut Vec<u8>) -> io::Result<bool> {
    let mut length = [0; 2];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(false);
    }
    stream.read_exact(&mut length[1..]).await?;
    query.resize(u16::from_be_bytes(length).into(), 0);
    stream.read_exact(query).await?;
    Ok(true)
}

/// Whether a whole message has been read ahead.
fn holds_message(buffer: &[u8]) -> bool {
    buffer.split_first_chunk().is_some_and(|(length, rest)| rest.len() >= u16::from_be_bytes(*length) as usize)
}

/// Appends the response with its length before it.
fn respond(query: &[u8], responses: &mut Vec<u8>, shared: &Shared) {
    let at = responses.len();
    responses.extend_from_slice(&[0; 2]);
    let zone = shared.zone();
    shared.counters.count(answer(&zone, query, Transport::Tcp, responses));
    match u16::try_from(responses.len() - at - 2) {
        Ok(0) => responses.truncate(at),
        Ok(length) => responses[at..at + 2].copy_from_slice(&length.to_be_bytes()),
        Err(_) => unreachable!("a response has at most 65,535 octets"),
    }
}
