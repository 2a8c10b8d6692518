//! TCP: messages with their length before them (RFC 1035 section 4.2.2), as many on a connection as the client likes (RFC 7766).

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::timeout;

use super::Shared;
use crate::answer::{Transport, answer};

/// Connections at one listener. Whoever comes while there are as many takes the place of another.
const MAX_CONNECTIONS: usize = 256;
/// Connections of one client that are safe where others wait.
const FAIR_SHARE: usize = MAX_CONNECTIONS / 4;
/// How long a client may be silent before its next query, and how long it may take for taking a response.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a query may take from its first octet to its last.
const WHOLE_QUERY: Duration = Duration::from_secs(3);
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
    let mut open = Open::default();
    loop {
        tokio::select! {
            () = &mut stopped => break,
            Some(ended) = connections.join_next_with_id() => {
                let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                open.connections.remove(&id);
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    let client = client(address.ip());
                    if open.make_room_for(client) {
                        shared.counters.count_connection_displaced();
                    }
                    let active = Active::new(&open.turn);
                    let task = connections.spawn(connection(stream, active.clone(), shared.clone()));
                    open.connections.insert(task.id(), Connection { client, active, task });
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    while connections.join_next().await.is_some() {}
}

/// Who counts as one client: an IPv4 address, or the /64 that one IPv6 host has to itself.
fn client(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// The connections of a listener that were not told to end.
#[derive(Default)]
struct Open {
    connections: HashMap<Id, Connection>,
    /// Raised by whoever does something: it orders the connections by when they last did.
    turn: Arc<AtomicU64>,
}

struct Connection {
    client: IpAddr,
    active: Active,
    task: AbortHandle,
}

/// When a connection last was accepted or asked a whole query; parts of a query do not count.
#[derive(Clone)]
struct Active {
    turn: Arc<AtomicU64>,
    last: Arc<AtomicU64>,
}

impl Active {
    fn new(turn: &Arc<AtomicU64>) -> Self {
        let active = Active { turn: turn.clone(), last: Arc::default() };
        active.now();
        active
    }

    fn now(&self) {
        self.last.store(self.turn.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl Open {
    /// Closes the connection that is idle for longest where there are too many, and says whether it did. It is one of
    /// the newcomer's own where that has its share; else one of a client that has more than its share, if there is one.
    fn make_room_for(&mut self, newcomer: IpAddr) -> bool {
        if self.connections.len() < MAX_CONNECTIONS {
            return false;
        }
        let mut held: HashMap<IpAddr, usize> = HashMap::new();
        for connection in self.connections.values() {
            *held.entry(connection.client).or_default() += 1;
        }
        let is_greedy = |client: &IpAddr| held.get(client).is_some_and(|&count| count > FAIR_SHARE);
        let has_share = held.get(&newcomer).is_some_and(|&count| count >= FAIR_SHARE);
        let is_any_greedy = held.keys().any(is_greedy);
        let may_go = |connection: &&Connection| match has_share {
            true => connection.client == newcomer,
            false => !is_any_greedy || is_greedy(&connection.client),
        };
        let longest_idle = self.connections.values().filter(may_go).min_by_key(|connection| connection.active.last.load(Ordering::Relaxed));
        let Some(id) = longest_idle.map(|connection| connection.task.id()) else { return false };
        let displaced = self.connections.remove(&id);
        displaced.inspect(|connection| connection.task.abort()).is_some()
    }
}

async fn connection(stream: TcpStream, active: Active, shared: Arc<Shared>) {
    let mut stopped = pin!(shared.stopped());
    // Small responses must not wait for the acknowledgement of the last one.
    let _ = stream.set_nodelay(true);
    let mut stream = BufReader::with_capacity(READ_AHEAD, stream);
    let (mut query, mut responses) = (Vec::new(), Vec::new());
    loop {
        let next = tokio::select! {
            () = &mut stopped => return,
            next = read(&mut stream, &mut query) => next,
        };
        match next {
            Ok(true) => active.now(),
            Ok(false) => return,
            Err(_) => break,
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

/// Reads the next message; false where the client is done. A client that is too slow is an error.
async fn read(stream: &mut BufReader<TcpStream>, query: &mut Vec<u8>) -> io::Result<bool> {
    let mut length = [0; 2];
    if timeout(PATIENCE, stream.read(&mut length[..1])).await?? == 0 {
        return Ok(false);
    }
    let rest = async {
        stream.read_exact(&mut length[1..]).await?;
        query.resize(u16::from_be_bytes(length).into(), 0);
        stream.read_exact(query).await
    };
    timeout(WHOLE_QUERY, rest).await??;
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
