//! The UDP loop: datagrams are received and answered in batches (recvmmsg, sendmmsg), from the address that was asked.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use rustix::net::addr::SocketAddrArg;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};
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
    let mut batch = Batch::default();
    // A socket that is bound to all addresses has to name the one that was asked; another has only one.
    let everywhere = socket.local_addr().is_ok_and(|address| address.ip().is_unspecified());
    let mut zone = shared.zone();
    loop {
        // An error here is one of an earlier datagram (an ICMP message), and is gone with having been read.
        if socket.readable().await.is_err() {
            continue;
        }
        zone = shared.fresher(zone);
        for _ in 0..BATCHES_A_TURN {
            match socket.try_io(Interest::READABLE, || batch.receive(socket, state)) {
                Ok(count) => batch.answer(count, &zone, shared),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => continue,
            }
            match everywhere {
                true => batch.send_each(socket, state, shared).await,
                false => batch.send_together(socket, shared).await,
            }
        }
        tokio::task::yield_now().await;
    }
}

/// The buffers of one socket's loop.
struct Batch {
    queries: Vec<u8>,
    metas: [RecvMeta; BATCH_SIZE],
    /// The responses, one behind the other.
    octets: Vec<u8>,
    responses: Vec<Response>,
}

/// A response in [`Batch::octets`].
struct Response {
    to: SocketAddr,
    /// The address that was asked.
    from: Option<IpAddr>,
    place: Range<usize>,
}

impl Default for Batch {
    fn default() -> Self {
        Batch {
            queries: vec![0; BATCH_SIZE * QUERY_LIMIT],
            metas: [RecvMeta::default(); BATCH_SIZE],
            octets: Vec::with_capacity(BATCH_SIZE * QUERY_LIMIT),
            responses: Vec::with_capacity(BATCH_SIZE),
        }
    }
}

impl Batch {
    fn receive(&mut self, socket: &UdpSocket, state: &UdpSocketState) -> io::Result<usize> {
        let mut chunks = self.queries.chunks_exact_mut(QUERY_LIMIT);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().expect("there is a chunk for each place of the batch")));
        state.recv(socket.into(), &mut slices, &mut self.metas)
    }

    fn answer(&mut self, count: usize, zone: &Zone, shared: &Shared) {
        self.octets.clear();
        self.responses.clear();
        for (meta, received) in self.metas[..count].iter().zip(self.queries.chunks_exact(QUERY_LIMIT)) {
            // The system may hand over several datagrams of one sender as one (GRO), `stride` octets each.
            for query in received[..meta.len].chunks(meta.stride.max(1)) {
                let start = self.octets.len();
                shared.counters.count(answer(zone, query, Transport::Udp, &mut self.octets));
                let place = start..self.octets.len();
                if !place.is_empty() {
                    self.responses.push(Response { to: meta.addr, from: meta.dst_ip, place });
                }
            }
        }
    }

    /// Sends each response from the address that its query was sent to.
    async fn send_each(&self, socket: &UdpSocket, state: &UdpSocketState, shared: &Shared) {
        for response in &self.responses {
            let contents = &self.octets[response.place.clone()];
            let transmit = Transmit { destination: response.to, ecn: None, contents, segment_size: None, src_ip: response.from };
            if when_writable(socket, || state.try_send(socket.into(), &transmit)).await.is_err() {
                shared.counters.count_unsent();
            }
        }
    }

    /// Sends the responses with as few system calls as the socket's queue allows.
    async fn send_together(&self, socket: &UdpSocket, shared: &Shared) {
        let mut sent = 0;
        while sent < self.responses.len() {
            match when_writable(socket, || self.send_from(sent, socket)).await {
                Ok(more) => sent += more,
                Err(_) => {
                    // The first of them is the one that can not be sent (to port 0, say): the others still can.
                    shared.counters.count_unsent();
                    sent += 1;
                }
            }
        }
    }

    fn send_from(&self, first: usize, socket: &UdpSocket) -> io::Result<usize> {
        let responses = &self.responses[first..];
        let addresses: Vec<SocketAddrAny> = responses.iter().map(|response| response.to.as_any()).collect();
        let slices: Vec<[IoSlice<'_>; 1]> = responses.iter().map(|response| [IoSlice::new(&self.octets[response.place.clone()])]).collect();
        let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> = responses.iter().map(|_| SendAncillaryBuffer::default()).collect();
        let parts = addresses.iter().zip(&slices).zip(&mut controls);
        let mut messages: Vec<MMsgHdr<'_>> =
            parts.map(|((address, slice), control)| MMsgHdr::new_with_addr(address, slice, control)).collect();
        Ok(sendmmsg(socket, &mut messages, SendFlags::empty())?)
    }
}

async fn when_writable<T>(socket: &UdpSocket, mut send: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match socket.try_io(Interest::WRITABLE, &mut send) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.writable().await?,
            done => return done,
        }
    }
}
