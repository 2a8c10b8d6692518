//! The server, asked over real sockets on loopback.

mod cluster;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use cluster::{Host, example, node, query};
use domain::base::Message;
use domain::base::iana::{Rcode, Rtype};
use hivemind_core::role::Apply;
use hivemind_dns_processor::memory::Memory;
use hivemind_dns_processor::server::{BindError, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

/// What no answer on loopback takes: a bound against hanging, not a measure.
const BOUND: Duration = Duration::from_secs(30);

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn start() -> Server {
    Server::bind(&[loopback(0)], example()).expect("a free port")
}

async fn bounded<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, what).await.expect("it comes within the bound")
}

/// One question over UDP; the response and who sent it.
async fn ask_udp(server: SocketAddr, bytes: &[u8]) -> (Message<Vec<u8>>, SocketAddr) {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await.expect("a free port");
    socket.send_to(bytes, server).await.expect("loopback takes it");
    let mut response = vec![0; 2000];
    let (length, from) = bounded(socket.recv_from(&mut response)).await.expect("a response");
    response.truncate(length);
    (Message::from_octets(response).expect("a header"), from)
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

async fn read_framed(stream: &mut TcpStream) -> Message<Vec<u8>> {
    let length = bounded(stream.read_u16()).await.expect("a length");
    let mut response = vec![0; length.into()];
    bounded(stream.read_exact(&mut response)).await.expect("a response");
    Message::from_octets(response).expect("a header")
}

#[tokio::test]
async fn udp_and_tcp_answer_at_one_port() {
    let server = start();
    let address = server.addresses()[0];
    let bytes = query("web1.node.hive", Rtype::A);
    let (response, from) = ask_udp(address, &bytes).await;
    assert_eq!((response.header_counts().ancount(), from), (1, address));
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(&framed(&bytes)).await.expect("it reads");
    assert_eq!(read_framed(&mut stream).await.as_slice(), response.as_slice());
    assert_eq!(server.statistics().answers, 2);
    server.stop().await;
}

#[tokio::test]
async fn ipv6_is_answered_too() {
    let server = Server::bind(&[loopback(0), (Ipv6Addr::LOCALHOST, 0).into()], example()).expect("free ports");
    let bytes = query("web1.node.hive", Rtype::AAAA);
    for address in server.addresses() {
        let (response, from) = ask_udp(*address, &bytes).await;
        assert_eq!((response.header_counts().ancount(), from), (1, *address));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_server_at_all_addresses_answers_from_the_one_that_was_asked() {
    let server = Server::bind(&[(Ipv4Addr::UNSPECIFIED, 0).into()], example()).expect("a free port");
    let port = server.addresses()[0].port();
    for asked in [Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 7)] {
        let (_, from) = ask_udp((asked, port).into(), &query("web1.node.hive", Rtype::A)).await;
        assert_eq!(from, (asked, port).into());
    }
    server.stop().await;
}

#[tokio::test]
async fn many_queries_on_one_connection_are_answered_in_order() {
    let server = start();
    let mut stream = TcpStream::connect(server.addresses()[0]).await.expect("it listens");
    let mut bytes = Vec::new();
    for id in 0..500u16 {
        let mut one = query("web1.node.hive", Rtype::A);
        one[..2].copy_from_slice(&id.to_be_bytes());
        bytes.extend(framed(&one));
    }
    let (mut reader, mut writer) = stream.split();
    let write = async {
        // In pieces that end within messages.
        for piece in bytes.chunks(77) {
            writer.write_all(piece).await.expect("it reads");
        }
    };
    let read = async {
        for id in 0..500u16 {
            let length = reader.read_u16().await.expect("a length");
            let mut response = vec![0; length.into()];
            reader.read_exact(&mut response).await.expect("a response");
            assert_eq!(response[..2], id.to_be_bytes());
        }
    };
    bounded(async { tokio::join!(write, read) }).await;
    server.stop().await;
}

#[tokio::test]
async fn a_new_zone_is_answered_at_once() {
    let server = start();
    let address = server.addresses()[0];
    let bytes = query("new.node.hive", Rtype::A);
    assert_eq!(ask_udp(address, &bytes).await.0.header().rcode(), Rcode::NXDOMAIN);
    let mut edit = example().edit();
    edit.set_host(node(99), Some(Host { addresses: vec!["10.0.0.99"], ..Host::default() }.facts("new", 99)));
    server.applier().apply(Arc::new(edit.finish())).await.expect("it can not fail");
    assert_eq!(ask_udp(address, &bytes).await.0.header_counts().ancount(), 1);
    server.stop().await;
}

#[tokio::test]
async fn junk_is_counted_and_the_next_query_is_answered() {
    let server = start();
    let address = server.addresses()[0];
    let socket = UdpSocket::bind(loopback(0)).await.expect("a free port");
    for junk in [&b""[..], b"x", &[0xff; 12], &[0; 4096], &[0xc0; 60_000]] {
        socket.send_to(junk, address).await.expect("loopback takes it");
    }
    let mut broken = TcpStream::connect(address).await.expect("it listens");
    broken.write_all(&[0, 3, 1, 2, 3, 0xff, 0xff, 0, 0]).await.expect("it reads");
    drop(broken);
    let (response, _) = ask_udp(address, &query("web1.node.hive", Rtype::A)).await;
    assert_eq!(response.header_counts().ancount(), 1);
    let statistics = server.statistics();
    // Nothing, one octet, and a response; the zeros and the last have a header.
    assert!(statistics.malformed >= 3 && statistics.form_err >= 1, "{statistics:?}");
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn silent_and_slow_clients_are_dropped() {
    let server = start();
    let mut silent = TcpStream::connect(server.addresses()[0]).await.expect("it listens");
    let mut slow = TcpStream::connect(server.addresses()[0]).await.expect("it listens");
    slow.write_all(&[0]).await.expect("it reads");
    // Virtual time: both wait for their 10 s without that anybody sleeps.
    for stream in [&mut silent, &mut slow] {
        assert!(matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_)));
    }
    assert_eq!(server.statistics().connections_dropped, 2);
    server.stop().await;
}

/// Virtual time, as above.
#[tokio::test(start_paused = true)]
async fn who_sends_a_part_of_a_query_is_dropped_before_who_is_silent() {
    let server = start();
    let mut silent = TcpStream::connect(server.addresses()[0]).await.expect("it listens");
    let mut slow = TcpStream::connect(server.addresses()[0]).await.expect("it listens");
    slow.write_all(&[0, 40, 1]).await.expect("it reads");
    assert!(matches!(slow.read(&mut [0; 1]).await, Ok(0) | Err(_)));
    assert_eq!(server.statistics().connections_dropped, 1);
    assert!(matches!(silent.read(&mut [0; 1]).await, Ok(0) | Err(_)));
    server.stop().await;
}

/// Connects from `client`, asks once and gets its answer: the connection was accepted.
async fn connected(client: Ipv4Addr, server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((client, 0).into()).expect("a free port");
    let mut stream = socket.connect(server).await.expect("it listens");
    ask_again(&mut stream).await;
    stream
}

async fn ask_again(stream: &mut TcpStream) {
    stream.write_all(&framed(&query("web1.node.hive", Rtype::A))).await.expect("it reads");
    read_framed(stream).await;
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(bounded(stream.read(&mut [0; 1])).await, Ok(0) | Err(_))
}

#[tokio::test]
async fn a_newcomer_beyond_the_limit_takes_the_place_of_the_longest_idle() {
    let server = start();
    let address = server.addresses()[0];
    let mut within = Vec::new();
    for _ in 0..256 {
        within.push(connected(Ipv4Addr::LOCALHOST, address).await);
    }
    ask_again(&mut within[0]).await;
    let mut newcomer = connected(Ipv4Addr::LOCALHOST, address).await;
    assert!(is_closed(&mut within[1]).await);
    assert_eq!(server.statistics().connections_displaced, 1);
    ask_again(&mut within[0]).await;
    ask_again(&mut within[2]).await;
    ask_again(&mut newcomer).await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_with_many_connections_makes_room_for_others_and_not_they_for_it() {
    let server = start();
    let address = server.addresses()[0];
    let [modest, greedy, late] = [7, 8, 9].map(|last| Ipv4Addr::new(127, 0, 0, last));
    let mut first = connected(modest, address).await;
    let mut many = Vec::new();
    for _ in 0..255 {
        many.push(connected(greedy, address).await);
    }
    let mut more = connected(greedy, address).await;
    assert!(is_closed(&mut many[0]).await);
    let mut newcomer = connected(late, address).await;
    assert!(is_closed(&mut many[1]).await);
    for stream in [&mut first, &mut many[2], &mut more, &mut newcomer] {
        ask_again(stream).await;
    }
    assert_eq!(server.statistics().connections_displaced, 2);
    server.stop().await;
}

#[tokio::test]
async fn a_taken_address_is_named_with_what_to_do() {
    let taken = TcpListener::bind(loopback(0)).await.expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    let error = Server::bind(&[address], example()).expect_err("TCP is taken");
    assert!(matches!(&error, BindError::Taken { address: named, protocol: "tcp" } if *named == address), "{error}");
    let text = error.to_string();
    assert!(
        text.contains(&address.to_string()) && text.contains("systemd-resolved") && !text.contains("--dns-listen"),
        "whose setting it is says who set it: {text}"
    );
    let taken = UdpSocket::bind(loopback(0)).await.expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    let error = Server::bind(&[address], example()).expect_err("UDP is taken");
    assert!(matches!(error, BindError::Taken { protocol: "udp", .. }), "{error}");
}

#[tokio::test]
async fn an_address_of_another_machine_is_named() {
    let elsewhere = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 5300));
    let error = Server::bind(&[elsewhere], example()).expect_err("a documentation address");
    assert!(matches!(error, BindError::NotHere { address, .. } if address == elsewhere), "{error}");
    assert!(matches!(Server::bind(&[], example()), Err(BindError::NoAddress)));
}

#[tokio::test]
async fn a_stopped_server_frees_its_addresses_and_closes_its_connections() {
    let server = start();
    let address = server.addresses()[0];
    let mut open = TcpStream::connect(address).await.expect("it listens");
    open.write_all(&framed(&query("web1.node.hive", Rtype::A))).await.expect("it reads");
    read_framed(&mut open).await;
    bounded(server.stop()).await;
    assert!(matches!(bounded(open.read(&mut [0; 1])).await, Ok(0) | Err(_)));
    let again = Server::bind(&[address], example()).expect("the address is free again");
    ask_udp(address, &query("web1.node.hive", Rtype::A)).await;
    again.stop().await;
}

#[tokio::test]
async fn what_is_in_force_and_published_no_more_is_kept_in_a_file_until_it_is_mended() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("last-good");
    let good = example();
    let mut wrong = Host::default().facts("web1", 10);
    wrong.sections.values_mut().for_each(|section| *section = vec![0xff; 9].into());
    let mut edit = good.edit();
    edit.set_host(node(10), Some(wrong));
    let bad = edit.finish();
    assert_ne!(bad.last_good(), []);

    let server = start();
    let memory = Memory::open(file.clone());
    assert_eq!(memory.last_good(), []);
    let mut applier = server.applier().keeping(memory);
    applier.apply(Arc::new(good.clone())).await.expect("it never fails");
    assert!(!file.exists(), "there is nothing to keep");
    applier.apply(Arc::new(bad.clone())).await.expect("it never fails");
    assert_eq!(Memory::open(file.clone()).last_good(), bad.last_good());
    let octets = std::fs::read(&file).expect("it is there");
    assert_eq!(std::fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
    applier.apply(Arc::new(good)).await.expect("it never fails");
    assert!(!file.exists(), "it was mended");

    // A file that is damaged, and a disk that fails, cost nothing else.
    for damaged in [&octets[..octets.len() - 1], &[0xff; 64], &[octets.as_slice(), b"x"].concat()] {
        std::fs::write(&file, damaged).expect("written");
        assert_eq!(Memory::open(file.clone()).last_good(), []);
    }
    let mut applier = server.applier().keeping(Memory::open(folder.path().join("nowhere/last-good")));
    applier.apply(Arc::new(bad)).await.expect("it never fails");
}
