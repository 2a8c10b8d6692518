//! The UDP loop: datagrams are received in batches (recvmmsg), and answered from the address that was asked.

use std::io::{self, IoSliceMut};
use std::sync::Arc;

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::Shared;
use crate::answer::{Transport, answer};
use crate::zone::Zone;

/// The octets of a query that are looked at; a query of this length or more is not one that a client sends.
const QUERY_LIMIT: usize = 4096;
/// Batches that are answered before other tasks get their turn.
const BATCHES_A_TURN: usize = 16;

/// Answers at one socket until the server stops.
pub(super) async fn serve(socket: UdpSocket, state: UdpSocketState, shared: Arc<Shared>) {
    tokio::select! {
        () = shared.stopped() => {}
        () = answer_all(&socket, &state, &shared) => {}
    }
}

async fn answer_all(socket: &UdpSocket, state: &UdpSocketState, shared: &Shared) {
    let mut batch = Batch::new(socket);
    let mut zone = shared.zone();
    loop {
        // An error here is one of an earlier datagram (an ICMP message), and is gone with having been read.
        if socket.readable().await.is_err() {
            continue;
        }
        zone = shared.fresher(zone);
        for _ in 0..BATCHES_A_TURN {
            let received = socket.try_io(Interest::READABLE, || batch.receive(socket, state));
            match received {
                Ok(count) => batch.answer(count, &zone, socket, state, shared).await,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {}
            }
        }
        tokio::task::yield_now().await;
    }
}

/// The buffers of one socket's loop.
struct Batch {
    queries: Vec<u8>,
    metas: [RecvMeta; BATCH_SIZE],
    response: Vec<u8>,
    /// Whether the socket is bound to all addresses, so that the one that was asked has to be named.
    names_source: bool,
}

impl Batch {
    fn new(socket: &UdpSocket) -> Self {
        Batch {
            queries: vec![0; BATCH_SIZE * QUERY_LIMIT],
            metas: [RecvMeta::default(); BATCH_SIZE],
            response: Vec::with_capacity(QUERY_LIMIT),
            names_source: socket.local_addr().is_ok_and(|address| address.ip().is_unspecified()),
        }
    }

    fn receive(&mut self, socket: &UdpSocket, state: &UdpSocketState) -> io::Result<usize> {
        let mut chunks = self.queries.chunks_exact_mut(QUERY_LIMIT);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().expect("there is a chunk for each place of the batch")));
        state.recv(socket.into(), &mut slices, &mut self.metas)
    }

    async fn answer(&mut self, count: usize, zone: &Zone, socket: &UdpSocket, state: &UdpSocketState, shared: &Shared) {
        for (meta, received) in self.metas[..count].iter().zip(self.queries.chunks_exact(QUERY_LIMIT)) {
            // The system may hand over several datagrams of one sender as one (GRO), `stride` octets each.
            for query in received[..meta.len].chunks(meta.stride.max(1)) {
                self.response.clear();
                shared.counters.count(answer(zone, query, Transport::Udp, &mut self.response));
                if self.response.is_empty() {
                    continue;
                }
                let transmit = Transmit {
                    destination: meta.addr,
                    ecn: None,
                    contents: &self.response,
                    segment_size: None,
                    src_ip: meta.dst_ip.filter(|_| self.names_source),
                };
                if send(socket, state, &transmit).await.is_err() {
                    shared.counters.count_unsent();
                }
            }
        }
    }
}

async fn send(socket: &UdpSocket, state: &UdpSocketState, transmit: &Transmit<'_>) -> io::Result<()> {
    loop {
        match socket.try_io(Interest::WRITABLE, || state.try_send(socket.into(), transmit)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.writable().await?,
            done => return done,
        }
    }
}
