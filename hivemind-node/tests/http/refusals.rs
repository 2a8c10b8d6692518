//! What is wrong with a request is told, never with a 5xx.

use std::time::Duration;

use hivemind_node::http::model::ProblemKind;
use hivemind_node::http::{Anonymous, HttpSettings, Limits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{ask, get, raw, send, within};
use crate::nodes::{Cluster, limits, loopback};

fn writable(limits: Limits) -> HttpSettings {
    HttpSettings { anonymous: Anonymous::Write, limits, ..loopback() }
}

const LEAVE: &str = "/api/v1/members/voter1/leave?dry_run=true";
const JSON: (&str, &str) = ("Content-Type", "application/json");

#[tokio::test]
async fn paths_names_and_queries_that_make_no_sense_are_refused() {
    let cluster = Cluster::born(loopback()).await;
    let at = cluster.at;
    for path in ["/nothing", "/api/v2/status", "/api/v1/", "/api/v1/members/", "/api/v1/members/a/b", "/assets/../openapi.json"] {
        assert_eq!(get(at, path).await.problem(), ProblemKind::NoRoute, "{path}");
    }
    for name in ["nobody", "Voter1", "%00", "%ff", "..", "a%2Fb", "%22%3E", &"x".repeat(5000)] {
        let path = format!("/api/v1/members/{name}");
        assert_eq!(get(at, &path).await.problem(), ProblemKind::NotFound, "{path}");
    }
    assert_eq!(get(at, "/api/v1/configs/voter1").await.problem(), ProblemKind::NotFound);
    for query in ["x=1", "limit=0", "limit=1e3", "after=1.0", "consistency=strong", "limit=1&limit=2", "dry_run=true", "%ff=%ff"] {
        let path = format!("/api/v1/events?{query}");
        assert_eq!(get(at, &path).await.problem(), ProblemKind::BadQuery, "{path}");
    }
}

#[tokio::test]
async fn bodies_that_are_huge_deep_or_no_json_are_refused() {
    let cluster = Cluster::born(writable(limits())).await;
    let at = cluster.at;
    let post = async |body: &str, headers: &[(&str, &str)]| ask(at, "POST", LEAVE, headers, body).await;
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let deep_field = format!("{{\"node\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for body in ["{", "null", "[]", "{\"node\":1}", "{\"nodes\":\"1.1\"}", "\u{1f41d}", "{}{}", &deep, &deep_field] {
        assert_eq!(post(body, &[JSON]).await.problem(), ProblemKind::BadBody, "{}", &body[..body.len().min(20)]);
    }
    assert_eq!(post("{}", &[]).await.problem(), ProblemKind::MediaType);
    assert_eq!(post("a=1", &[("Content-Type", "application/x-www-form-urlencoded")]).await.problem(), ProblemKind::MediaType);
    assert_eq!(post(&"x".repeat(70_000), &[JSON]).await.problem(), ProblemKind::TooLarge);
    let chunk = format!("{:x}\r\n{}\r\n", 60_000, "x".repeat(60_000));
    let chunked =
        format!("POST {LEAVE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(raw(at, &format!("{chunked}{chunk}{chunk}")).await.problem(), ProblemKind::TooLarge, "without a length too");
    let claims = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999999\r\n\r\n";
    assert_eq!(raw(at, claims).await.status, 413);
    assert_eq!(post("{\"node\":\"9.9\"}", &[JSON]).await.problem(), ProblemKind::Conflict);
    assert_eq!(post("{}", &[JSON]).await.status, 200);
    assert_eq!(get(at, "/healthz").await.status, 200);
}

#[tokio::test]
async fn who_is_slow_is_not_waited_for() {
    let cluster = Cluster::born(writable(Limits { time: Duration::from_millis(300), ..limits() })).await;
    let at = cluster.at;
    let half = format!("POST {LEAVE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{");
    let mut slow = TcpStream::connect(at).await.unwrap();
    slow.write_all(half.as_bytes()).await.unwrap();
    let mut heard = String::new();
    within("an answer to half a body", slow.read_to_string(&mut heard)).await.unwrap();
    assert!(heard.starts_with("HTTP/1.1 408 ") && heard.contains("request-timeout"), "{heard}");

    let mut silent = TcpStream::connect(at).await.unwrap();
    silent.write_all(b"GET / HTTP/1.1\r\nHost: loc").await.unwrap();
    let mut rest = Vec::new();
    let _ = within("the end of half a head", silent.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn heads_without_end_and_what_is_no_http_are_refused() {
    let cluster = Cluster::born(loopback()).await;
    let at = cluster.at;
    let head = async |path: &str, more: &str| {
        raw(at, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n")).await.problem()
    };
    assert_eq!(head("/healthz", &"X: y\r\n".repeat(63)).await, ProblemKind::HeadTooLarge);
    assert_eq!(head("/healthz", &format!("X: {}\r\n", "y".repeat(16 << 10))).await, ProblemKind::HeadTooLarge);
    assert_eq!(head(&format!("/{}", "y".repeat(16 << 10)), "").await, ProblemKind::UriTooLong);
    let many = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(1000));
    assert!(send(at, many.as_bytes()).await.starts_with("HTTP/1.1 431 "));
    let long = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "y".repeat(1 << 20));
    let answer = send(at, long.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let path = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "y".repeat(1 << 20));
    let answer = send(at, path.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 414 ") || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    for garbage in [&b"\x16\x03\x01\x02\x00"[..], b"\r\n\r\n\r\n", b"GET\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[0xff; 9000]] {
        let answer = send_and_end(at, garbage).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    let twice = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab";
    assert!(send(at, twice.as_bytes()).await.starts_with("HTTP/1.1 400 "));
    assert_eq!(get(at, "/healthz").await.status, 200);
}

async fn send_and_end(at: std::net::SocketAddr, octets: &[u8]) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let _ = stream.write_all(octets).await;
    let _ = stream.shutdown().await;
    let mut heard = Vec::new();
    let _ = within("the end", stream.read_to_end(&mut heard)).await;
    String::from_utf8_lossy(&heard).into_owned()
}

#[tokio::test]
async fn pages_and_names_of_elsewhere_are_refused_over_loopback() {
    let cluster = Cluster::born(HttpSettings { hosts: vec!["box.example".to_owned()], ..loopback() }).await;
    let at = cluster.at;
    let from = async |host: &str| raw(at, &format!("GET /api/v1/status HTTP/1.1\r\nConnection: close\r\n{host}\r\n")).await;
    assert_eq!(from("Host: evil.example\r\n").await.problem(), ProblemKind::Misdirected);
    assert_eq!(from("").await.problem(), ProblemKind::BadRequest);
    assert_eq!(from("Host: localhost\r\nHost: localhost\r\n").await.problem(), ProblemKind::BadRequest);
    assert_eq!(from("Host: box.example:6553\r\n").await.status, 200);
    assert_eq!(from(&format!("Host: {at}\r\n")).await.status, 200);
    let by = async |origin: &str| ask(at, "GET", "/api/v1/status", &[("Origin", origin)], "").await;
    assert_eq!(by("https://evil.example").await.problem(), ProblemKind::ForeignOrigin);
    assert_eq!(by("null").await.problem(), ProblemKind::ForeignOrigin);
    assert_eq!(by("http://localhost:6553").await.status, 200);
    let absolute = raw(at, "GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert_eq!(absolute.problem(), ProblemKind::Misdirected);
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let cluster = Cluster::born(HttpSettings { limits: Limits { rate: 1, burst: 3, ..limits() }, ..loopback() }).await;
    let mut refused = None;
    for _ in 0..20 {
        let answer = get(cluster.at, "/healthz").await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("20 requests take less than 17 seconds");
    assert_eq!(refused.problem(), ProblemKind::TooMany);
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
}

#[tokio::test]
async fn requests_carry_an_id_that_a_log_can_hold() {
    let cluster = Cluster::born(loopback()).await;
    let with =
        async |id: &str| ask(cluster.at, "GET", "/healthz", &[("X-Request-Id", id)], "").await.header("x-request-id").unwrap().to_owned();
    assert_eq!(with("abc-1").await, "abc-1");
    for bad in ["a b", "a\"b", &"x".repeat(100)] {
        assert_ne!(with(bad).await, *bad);
    }
}
