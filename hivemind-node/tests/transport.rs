//! The transport over real sockets on loopback: what arrives, what is refused, what stays bounded.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail as tests do")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hivemind_core::ids::{ClusterId, NodeName, PublicKey};
use hivemind_core::machine::Destination;
use hivemind_core::wire::frame::{Channel, STREAM_LIMIT};
use hivemind_node::authority::{Authority, NodeIdentity};
use hivemind_node::keys::Ed25519Keys;
use hivemind_node::transport::{BindError, Discard, Inbox, Incoming, Refused, Transport, TransportSettings, TransportStats};

/// Nothing here takes longer, on any machine that is alive.
const BOUND: Duration = Duration::from_secs(20);

struct Peer {
    transport: Transport,
    incoming: Inbox,
}

fn authority() -> Authority {
    Authority::new(ClusterId(7)).unwrap()
}

fn identity(authority: &Authority) -> NodeIdentity {
    authority.issue(Arc::new(Ed25519Keys::generate().unwrap()), &NodeName::new("peer").unwrap()).unwrap()
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn start_at(listen: SocketAddr, identity: &NodeIdentity, settings: TransportSettings) -> Peer {
    let (transport, incoming) = Transport::bind(listen, identity, settings).unwrap();
    Peer { transport, incoming }
}

fn start(authority: &Authority) -> Peer {
    start_at(loopback(), &identity(authority), TransportSettings::default())
}

impl Peer {
    fn destination(&self) -> Destination {
        Destination { key: Some(self.transport.public()), addresses: vec![self.transport.local_addr()] }
    }

    fn send(&self, to: &Peer, channel: Channel, bytes: impl Into<Bytes>) {
        self.transport.send(&to.destination(), channel, bytes.into());
    }

    async fn next(&mut self) -> Incoming {
        tokio::time::timeout(BOUND, self.incoming.recv()).await.expect("something comes").expect("the transport is open")
    }

    async fn frame(&mut self) -> (PublicKey, Channel, Bytes) {
        match self.next().await {
            Incoming::Frame { peer, channel, bytes, .. } => (peer, channel, bytes),
            Incoming::Lost { peer } => panic!("lost {peer}"),
        }
    }

    async fn until(&self, reached: impl Fn(&TransportStats) -> bool) -> TransportStats {
        let wait = async {
            loop {
                let stats = self.transport.stats();
                if reached(&stats) {
                    return stats;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(BOUND, wait).await;
        waited.unwrap_or_else(|_| panic!("not reached: {:?}", self.transport.stats()))
    }
}

/// Sends until the other side hears: for what may lose frames on the way there.
async fn send_until_heard(from: &Peer, to: &mut Peer, bytes: &'static [u8]) {
    let exchange = async {
        loop {
            from.send(to, Channel::Ordered, bytes);
            let heard = tokio::time::timeout(Duration::from_millis(100), to.incoming.recv()).await;
            if matches!(heard, Ok(Some(Incoming::Frame { bytes: heard, .. })) if heard == bytes) {
                return;
            }
        }
    };
    tokio::time::timeout(BOUND, exchange).await.expect("the frame is heard");
}

#[tokio::test]
async fn frames_travel_on_every_channel_in_both_directions() {
    let authority = authority();
    let (mut a, mut b) = (start(&authority), start(&authority));
    for channel in [Channel::Ordered, Channel::Datagram, Channel::Bulk] {
        a.send(&b, channel, &b"to b"[..]);
        assert_eq!(b.frame().await, (a.transport.public(), channel, Bytes::from_static(b"to b")));
        b.send(&a, channel, &b"to a"[..]);
        assert_eq!(a.frame().await, (b.transport.public(), channel, Bytes::from_static(b"to a")));
    }
    let stats = a.transport.stats();
    assert_eq!((stats.open, stats.dialed, stats.accepted), (1, 1, 0));
    assert_eq!((stats.sent.bulk.frames, stats.received.datagram.bytes), (1, 4));
}

#[tokio::test]
async fn the_ordered_channel_keeps_the_order_and_large_frames_pass() {
    let authority = authority();
    let (a, mut b) = (start(&authority), start(&authority));
    for number in 0..50u8 {
        a.send(&b, Channel::Ordered, vec![number; 1 + usize::from(number) * 997]);
    }
    for number in 0..50u8 {
        assert_eq!(b.frame().await.2, vec![number; 1 + usize::from(number) * 997]);
    }
    for channel in [Channel::Ordered, Channel::Bulk] {
        a.send(&b, channel, vec![7; STREAM_LIMIT]);
        assert_eq!(b.frame().await.2.len(), STREAM_LIMIT);
        a.send(&b, channel, vec![7; STREAM_LIMIT + 1]);
    }
    assert_eq!(a.transport.stats().discarded[&Discard::TooLarge], 2);
}

#[tokio::test]
async fn a_datagram_that_the_path_does_not_carry_goes_by_stream() {
    let authority = authority();
    let (a, mut b) = (start(&authority), start(&authority));
    a.send(&b, Channel::Datagram, vec![1; 60_000]);
    assert_eq!(b.frame().await.2.len(), 60_000);
    assert_eq!(a.transport.stats().datagrams_by_stream, 1);
}

#[tokio::test]
async fn a_seed_is_reached_by_its_address_alone_and_over_ipv6() {
    let authority = authority();
    let mut seed = start_at("[::]:0".parse().unwrap(), &identity(&authority), TransportSettings::default());
    let port = seed.transport.local_addr().port();
    for (listen, at) in [("127.0.0.1:0", format!("127.0.0.1:{port}")), ("[::1]:0", format!("[::1]:{port}"))] {
        let mut joiner = start_at(listen.parse().unwrap(), &identity(&authority), TransportSettings::default());
        let to = Destination { key: None, addresses: vec![at.parse().unwrap()] };
        joiner.transport.send(&to, Channel::Bulk, Bytes::from_static(b"join"));
        let Incoming::Frame { peer, source, .. } = seed.next().await else { panic!("lost") };
        assert_eq!((peer, source), (joiner.transport.public(), joiner.transport.local_addr()));
        seed.transport.send(&Destination { key: Some(peer), addresses: Vec::new() }, Channel::Bulk, Bytes::from_static(b"granted"));
        assert_eq!(joiner.frame().await.2, Bytes::from_static(b"granted"));
    }
}

#[tokio::test]
async fn simultaneous_dials_end_with_one_connection() {
    let authority = authority();
    for _ in 0..3 {
        let (mut a, mut b) = (start(&authority), start(&authority));
        a.send(&b, Channel::Ordered, &b"one"[..]);
        b.send(&a, Channel::Ordered, &b"two"[..]);
        assert_eq!(b.frame().await.2, Bytes::from_static(b"one"));
        assert_eq!(a.frame().await.2, Bytes::from_static(b"two"));
        a.until(|stats| stats.open == 1).await;
        b.until(|stats| stats.open == 1).await;
        a.send(&b, Channel::Ordered, &b"three"[..]);
        b.send(&a, Channel::Ordered, &b"four"[..]);
        assert_eq!(b.frame().await.2, Bytes::from_static(b"three"));
        assert_eq!(a.frame().await.2, Bytes::from_static(b"four"));
    }
}

#[tokio::test]
async fn a_peer_of_another_authority_is_refused_and_disturbs_nobody() {
    let ours = authority();
    let (a, mut b) = (start(&ours), start(&ours));
    let stranger = start(&authority());
    stranger.send(&b, Channel::Ordered, &b"let me in"[..]);
    b.until(|stats| stats.refused.contains_key(&Refused::OtherAuthority)).await;
    stranger.until(|stats| stats.discarded.contains_key(&Discard::Unreachable)).await;
    a.send(&b, Channel::Ordered, &b"hello"[..]);
    assert_eq!(b.frame().await.2, Bytes::from_static(b"hello"));
    assert_eq!(b.transport.stats().open, 1);
}

#[tokio::test]
async fn a_peer_with_another_key_than_the_called_one_gets_no_frame() {
    let authority = authority();
    let (mut a, b) = (start(&authority), start(&authority));
    let wanted = PublicKey([9; 32]);
    let to = Destination { key: Some(wanted), addresses: vec![b.transport.local_addr()] };
    a.transport.send(&to, Channel::Ordered, Bytes::from_static(b"secret"));
    assert_eq!(a.next().await, Incoming::Lost { peer: wanted });
    let stats = a.transport.stats();
    assert_eq!((stats.refused[&Refused::OtherKey], stats.discarded[&Discard::Unreachable]), (1, 1));
    assert_eq!(b.transport.stats().received.ordered.frames, 0);
}

#[tokio::test]
async fn a_node_does_not_connect_to_itself() {
    let a = start(&authority());
    let to = Destination { key: None, addresses: vec![a.transport.local_addr()] };
    a.transport.send(&to, Channel::Bulk, Bytes::from_static(b"join"));
    let stats = a.until(|stats| stats.discarded.contains_key(&Discard::Unreachable)).await;
    assert!(stats.refused[&Refused::Own] >= 1);
    assert_eq!(stats.open, 0);
}

#[tokio::test]
async fn a_restarted_peer_at_the_same_address_is_reached_again() {
    let authority = authority();
    let mut a = start(&authority);
    let its_identity = identity(&authority);
    let mut b = start_at(loopback(), &its_identity, TransportSettings::default());
    let address = b.transport.local_addr();
    a.send(&b, Channel::Ordered, &b"before"[..]);
    b.frame().await;
    b.transport.abort().await;
    let mut b = start_at(address, &its_identity, TransportSettings::default());
    send_until_heard(&a, &mut b, b"after").await;
    assert_eq!(a.next().await, Incoming::Lost { peer: b.transport.public() });
}

#[tokio::test]
async fn a_restarted_peer_that_calls_replaces_its_old_connection() {
    let authority = authority();
    let mut a = start(&authority);
    let its_identity = identity(&authority);
    let mut b = start_at(loopback(), &its_identity, TransportSettings::default());
    a.send(&b, Channel::Ordered, &b"before"[..]);
    b.frame().await;
    b.transport.abort().await;
    let mut b = start_at(loopback(), &its_identity, TransportSettings::default());
    b.send(&a, Channel::Ordered, &b"back"[..]);
    assert_eq!(a.frame().await.2, Bytes::from_static(b"back"));
    a.send(&b, Channel::Ordered, &b"welcome"[..]);
    assert_eq!(b.frame().await.2, Bytes::from_static(b"welcome"));
}

#[tokio::test]
async fn a_closed_transport_tells_its_peers_and_frees_its_port() {
    let authority = authority();
    let (mut a, mut b) = (start(&authority), start(&authority));
    a.send(&b, Channel::Ordered, &b"hello"[..]);
    b.frame().await;
    let (address, key) = (b.transport.local_addr(), b.transport.public());
    b.transport.close().await;
    assert_eq!(a.next().await, Incoming::Lost { peer: key });
    start_at(address, &identity(&authority), TransportSettings::default());
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let authority = authority();
    let a = start(&authority);
    let error = Transport::bind(a.transport.local_addr(), &identity(&authority), TransportSettings::default()).unwrap_err();
    assert!(matches!(error, BindError::Address { address, .. } if address == a.transport.local_addr()));
    assert!(error.to_string().contains(&a.transport.local_addr().to_string()));
}

#[tokio::test]
async fn a_flood_to_a_node_that_does_not_read_is_bounded_on_both_sides() {
    let authority = authority();
    let settings = TransportSettings { inbox: 8, ..TransportSettings::default() };
    let mut victim = start_at(loopback(), &identity(&authority), settings);
    let (flood, quiet) = (start(&authority), start(&authority));
    flood.send(&victim, Channel::Ordered, &b"first"[..]);
    victim.frame().await;
    let (frame, sent) = (Bytes::from(vec![1; 64 << 10]), 1000);
    for _ in 0..sent {
        flood.send(&victim, Channel::Ordered, frame.clone());
        flood.send(&victim, Channel::Bulk, frame.clone());
        flood.send(&victim, Channel::Datagram, Bytes::from_static(b"d"));
    }
    let stats = flood.transport.stats();
    let queued = (stats.sent.ordered.bytes + stats.sent.bulk.bytes) as usize;
    assert!(stats.discarded[&Discard::QueueFull] > 0, "{stats:?}");
    assert!(queued < 40 << 20, "{queued} bytes were taken of {}", 2 * sent * frame.len());
    // Another peer is heard all the same, once the machine reads again.
    quiet.send(&victim, Channel::Ordered, &b"quiet"[..]);
    let hears = async {
        loop {
            if victim.frame().await.0 == quiet.transport.public() {
                return;
            }
        }
    };
    tokio::time::timeout(BOUND, hears).await.unwrap();
}

#[tokio::test]
async fn what_a_node_keeps_unread_is_bounded_in_octets_and_nothing_of_a_stream_is_lost() {
    let authority = authority();
    let settings = TransportSettings { inbox_bytes: 1 << 20, ..TransportSettings::default() };
    let mut victim = start_at(loopback(), &identity(&authority), settings);
    let flood = start(&authority);
    flood.send(&victim, Channel::Ordered, &b"first"[..]);
    victim.frame().await;
    let (frame, sent) = (Bytes::from(vec![1; 256 << 10]), 24);
    for _ in 0..sent {
        flood.send(&victim, Channel::Ordered, frame.clone());
    }
    let full = |stats: &TransportStats| stats.received.ordered.frames > 4;
    victim.until(full).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let read = victim.transport.stats().received.ordered.frames;
    assert!(read <= 1 + 4 + 1, "four fit, and one waits for its room: {read}");
    for _ in 0..sent {
        assert_eq!(victim.frame().await.2, frame);
    }
}

#[tokio::test]
async fn blocked_peers_hear_nothing_until_healed() {
    let authority = authority();
    let (a, mut b, mut c) = (start(&authority), start(&authority), start(&authority));
    a.send(&b, Channel::Ordered, &b"before"[..]);
    b.frame().await;
    a.transport.filter().isolate([c.transport.public()]);
    a.send(&b, Channel::Ordered, &b"blocked"[..]);
    a.send(&c, Channel::Ordered, &b"inside"[..]);
    assert_eq!(c.frame().await.2, Bytes::from_static(b"inside"));
    b.send(&a, Channel::Ordered, &b"blocked too"[..]);
    let stats = a.until(|stats| stats.discarded.get(&Discard::Blocked) == Some(&2)).await;
    assert_eq!(stats.received.ordered.frames, 0);
    a.transport.filter().heal();
    a.send(&b, Channel::Ordered, &b"after"[..]);
    assert_eq!(b.frame().await.2, Bytes::from_static(b"after"));
}

#[tokio::test]
async fn frames_for_an_address_where_nobody_listens_are_given_up() {
    let settings = TransportSettings { handshake_timeout: Duration::from_millis(50), ..TransportSettings::default() };
    let mut a = start_at(loopback(), &identity(&authority()), settings);
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let wanted = PublicKey([9; 32]);
    let to = Destination { key: Some(wanted), addresses: vec![nobody.local_addr().unwrap()] };
    a.transport.send(&to, Channel::Ordered, Bytes::from_static(b"anyone?"));
    assert_eq!(a.next().await, Incoming::Lost { peer: wanted });
    assert_eq!(a.transport.stats().discarded[&Discard::Unreachable], 1);
}
