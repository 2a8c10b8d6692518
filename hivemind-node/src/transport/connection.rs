//! One connection: made sure of, then read and written until it ends. One task drives all of it, so
//! that whatever ends one part ends the connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use hivemind_core::ids::PublicKey;
use hivemind_core::wire::frame::Channel;
use quinn::{Connection, ConnectionError, RecvStream, SendStream, VarInt};
use tokio::task::JoinSet;

use super::backlog::{QueueOut, queue};
use super::counters::{Discard, Refused};
use super::greeting::{Greeting, GreetingError, WireVersions};
use super::registry::Live;
use super::streams::{FrameError, read_bulk, read_ordered, write_ordered};
use super::tls::proven_key;
use super::{Incoming, Shared};

/// Frames of the bulk channel that are read at the same time from one peer: what it can make this side
/// hold is this many frames.
const BULK_AT_ONCE: usize = 4;
/// Frames that are written to the ordered stream in one go.
const WRITE_BATCH: usize = 64;
/// Bulk yields to everything else.
const BULK_PRIORITY: i32 = -1;
/// A connection that another one replaced is closed after this: what is on its way arrives first.
const LINGER: Duration = Duration::from_secs(1);

/// What a peer is told when its connection is closed.
#[derive(Clone, Copy, Debug)]
pub(super) enum CloseCode {
    /// The node stops.
    Stopping = 0,
    /// Another connection between the two does the work.
    Replaced = 1,
    /// The peer is not whom this side called.
    NotWanted = 2,
    /// The peer sent what is no frame.
    Malformed = 3,
    /// A frame did not come to its end in time.
    Stalled = 4,
    /// Nobody is enrolled here, or too many at once.
    NoEnrollment = 5,
    /// The two speak no version of the wire in common. What follows is the range of whoever says so.
    OtherVersion = 6,
}

impl CloseCode {
    pub(super) fn close(self, connection: &Connection) {
        self.close_with(connection, b"");
    }

    fn close_with(self, connection: &Connection, reason: &[u8]) {
        connection.close(VarInt::from_u32(self as u32), reason);
    }
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug)]
enum End {
    Lost,
    Close(CloseCode),
}

impl From<FrameError> for End {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Malformed => End::Close(CloseCode::Malformed),
            FrameError::Lost => End::Lost,
        }
    }
}

/// A connection whose peer has proven itself, and the two ordered streams.
pub(super) struct Established {
    pub(super) connection: Connection,
    pub(super) peer: PublicKey,
    instance: u64,
    send: SendStream,
    receive: RecvStream,
}

/// Exchanges what comes first on the ordered streams: a greeting each.
pub(super) async fn establish(connection: Connection, own: &Greeting) -> Result<Established, Refused> {
    let Some(peer) = proven_key(&connection) else {
        CloseCode::NotWanted.close(&connection);
        return Err(Refused::NoCertificate);
    };
    let send = async {
        let mut stream = connection.open_uni().await.map_err(|_| broken(&connection, own.wire))?;
        stream.write_all(&own.encode()).await.map_err(|_| broken(&connection, own.wire))?;
        Ok(stream)
    };
    let receive = async {
        let mut stream = connection.accept_uni().await.map_err(|_| broken(&connection, own.wire))?;
        let greeting = Greeting::read(&mut stream).await.map_err(|error| match error {
            GreetingError::Malformed => {
                CloseCode::Malformed.close(&connection);
                Refused::Malformed
            }
            GreetingError::Lost => broken(&connection, own.wire),
        })?;
        Ok((stream, greeting))
    };
    let (send, (receive, greeting)) = tokio::try_join!(send, receive)?;
    let Greeting { instance, wire, features } = greeting;
    let Some(version) = own.wire.common(wire) else {
        tell_versions(&connection, own.wire, wire);
        CloseCode::OtherVersion.close_with(&connection, &[own.wire.oldest, own.wire.newest]);
        return Err(Refused::OtherVersion);
    };
    tracing::debug!(peer = %connection.remote_address(), wire = version, ?features, "connected");
    Ok(Established { connection, peer, instance, send, receive })
}

fn tell_versions(connection: &Connection, own: WireVersions, peer: WireVersions) {
    let (at, older) = (connection.remote_address(), own.older(peer));
    tracing::warn!(%at, "this node speaks wire {own}, the peer {peer}: upgrade {older}");
}

/// Why a connection ended in the middle of the greetings: the other side may have read ours first, and say that it speaks no such version.
fn broken(connection: &Connection, own: WireVersions) -> Refused {
    let Some(error) = connection.close_reason() else { return Refused::Handshake };
    if let ConnectionError::ApplicationClosed(close) = &error
        && close.error_code == VarInt::from_u32(CloseCode::OtherVersion as u32)
        && let [oldest, newest] = close.reason[..]
    {
        tell_versions(connection, own, WireVersions { oldest, newest });
        return Refused::OtherVersion;
    }
    refusal(&error)
}

/// What a failed handshake was about: TLS alerts are the low byte of QUIC's crypto errors (RFC 9001
/// section 4.8), their numbers those of RFC 8446 section 6.
pub(super) fn refusal(error: &ConnectionError) -> Refused {
    let code = match error {
        ConnectionError::TransportError(error) => u64::from(error.code),
        ConnectionError::ConnectionClosed(close) => u64::from(close.error_code),
        ConnectionError::VersionMismatch
        | ConnectionError::ApplicationClosed(_)
        | ConnectionError::Reset
        | ConnectionError::TimedOut
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => return Refused::Handshake,
    };
    match code {
        0x174 => Refused::NoCertificate,
        0x12a..=0x130 => Refused::OtherAuthority,
        _ => Refused::Handshake,
    }
}

/// Whether a handshake failed since the other side is of another authority, by the word of either.
pub(crate) fn is_of_other_authority(error: &ConnectionError) -> bool {
    refusal(error) == Refused::OtherAuthority
}

/// Takes an established connection into the registry, sends what waited for it, and drives it in a task
/// of its own until it ends.
pub(super) fn start(shared: &Arc<Shared>, established: Established, dialed: bool) {
    let Established { connection, peer, instance, send, receive } = established;
    let (ordered, ordered_out) = queue(shared.settings.queue_bytes);
    let (bulk, bulk_out) = queue(shared.settings.queue_bytes);
    let live = Arc::new(Live { peer, instance, dialed, connection, ordered, bulk, retired: Default::default() });
    let Some(adopted) = shared.registry().adopt(&live) else {
        return CloseCode::Stopping.close(&live.connection);
    };
    let counter = if dialed { &shared.counters.dialed } else { &shared.counters.accepted };
    counter.fetch_add(1, Ordering::Relaxed);
    for old in adopted.closed {
        CloseCode::Replaced.close(&old.connection);
    }
    for needless in adopted.retired {
        needless.retired.notify_one();
    }
    for (channel, bytes) in adopted.waited {
        shared.transmit(&live, channel, bytes);
    }
    shared.tasks.spawn(drive(shared.clone(), live, send, receive, ordered_out, bulk_out));
}

async fn drive(
    shared: Arc<Shared>,
    live: Arc<Live>,
    mut send: SendStream,
    mut receive: RecvStream,
    mut ordered: QueueOut,
    mut bulk: QueueOut,
) {
    let end = tokio::select! {
        end = datagrams_in(&shared, &live) => end,
        end = ordered_in(&shared, &live, &mut receive) => end,
        end = bulk_in(&shared, &live) => end,
        end = ordered_out(&mut send, &mut ordered) => end,
        end = bulk_out(&live.connection, &mut bulk) => end,
        end = retire(&live) => end,
        // The other parts may all be waiting for the inbox.
        _ = live.connection.closed() => End::Lost,
    };
    match end {
        End::Lost => {}
        End::Close(code) => {
            if matches!(code, CloseCode::Malformed | CloseCode::Stalled) {
                shared.counters.refused(Refused::Malformed);
            }
            code.close(&live.connection);
        }
    }
    shared.counters.discarded(Discard::Closed, ordered.len() + bulk.len());
    let was_last = shared.registry().forget(&live);
    if was_last {
        // Where nobody listens any more, nobody needs to know.
        let _ = shared.inbox.put(Incoming::Lost { peer: live.peer }).await;
    }
}

/// Hands a frame to the machine; waits while its inbox is full, and so slows the peer down.
async fn deliver(shared: &Shared, live: &Live, channel: Channel, bytes: Bytes) -> Result<(), End> {
    let source = live.remote();
    if !shared.filter.passes(Some(&live.peer)) {
        shared.counters.discarded(Discard::Blocked, 1);
        return Ok(());
    }
    shared.counters.received(channel, bytes.len());
    let frame = Incoming::Frame { peer: live.peer, source, channel, bytes };
    shared.inbox.put(frame).await.map_err(|_| End::Close(CloseCode::Stopping))
}

async fn datagrams_in(shared: &Shared, live: &Live) -> End {
    loop {
        let Ok(bytes) = live.connection.read_datagram().await else { return End::Lost };
        if let Err(end) = deliver(shared, live, Channel::Datagram, bytes).await {
            return end;
        }
    }
}

async fn ordered_in(shared: &Shared, live: &Live, stream: &mut RecvStream) -> End {
    loop {
        let read = read_ordered(stream).await.map_err(End::from);
        let delivered = match read {
            Ok(bytes) => deliver(shared, live, Channel::Ordered, bytes).await,
            Err(end) => Err(end),
        };
        if let Err(end) = delivered {
            return end;
        }
    }
}

async fn bulk_in(shared: &Shared, live: &Live) -> End {
    let mut reading = JoinSet::new();
    loop {
        let read = tokio::select! {
            stream = live.connection.accept_uni(), if reading.len() < BULK_AT_ONCE => {
                let Ok(stream) = stream else { return End::Lost };
                reading.spawn(tokio::time::timeout(shared.settings.frame_timeout, read_bulk(stream)));
                continue;
            }
            Some(read) = reading.join_next() => read.expect("reading a stream neither panics nor is aborted"),
        };
        let delivered = match read {
            Ok(Ok(bytes)) => deliver(shared, live, Channel::Bulk, bytes).await,
            Ok(Err(error)) => Err(error.into()),
            Err(_elapsed) => Err(End::Close(CloseCode::Stalled)),
        };
        if let Err(end) = delivered {
            return end;
        }
    }
}

async fn ordered_out(stream: &mut SendStream, queue: &mut QueueOut) -> End {
    while let Some(frames) = queue.next(WRITE_BATCH).await {
        if write_ordered(stream, frames).await.is_err() {
            break;
        }
    }
    End::Lost
}

async fn bulk_out(connection: &Connection, queue: &mut QueueOut) -> End {
    while let Some(mut frames) = queue.next(1).await {
        let Ok(mut stream) = connection.open_uni().await else { return End::Lost };
        // Neither can fail on a stream that was just opened, but by the loss of the connection.
        if stream.set_priority(BULK_PRIORITY).is_err() {
            return End::Lost;
        }
        if stream.write_all_chunks(&mut frames).await.is_err() || stream.finish().is_err() {
            return End::Lost;
        }
    }
    End::Lost
}

async fn retire(live: &Live) -> End {
    live.retired.notified().await;
    tokio::time::sleep(LINGER).await;
    End::Close(CloseCode::Replaced)
}
