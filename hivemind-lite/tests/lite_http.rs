//! The HTTP interface of a real `hivemind-lite`.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail as tests do")]

mod lite;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use hivemind_node::http::model::{MemberState, Members, Services, Status};
use lite::{BOUND, Hosts, Lite};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

const WEB: &str = "addresses = ['10.0.0.1']\n[[service]]\nname = 'web'\nport = 80\n";

/// What is answered, or `None` where nobody listens.
fn get(at: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(at).ok()?;
    stream.set_read_timeout(Some(BOUND)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n").ok()?;
    let mut heard = String::new();
    stream.read_to_string(&mut heard).ok()?;
    Some(heard)
}

fn json<T: DeserializeOwned>(at: SocketAddr, path: &str) -> Option<T> {
    let heard = get(at, path)?;
    let (head, body) = heard.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200 ").then(|| serde_json::from_str(body).unwrap())
}

/// Waits until an answer is as `found` says.
fn until<T: DeserializeOwned>(at: SocketAddr, path: &str, found: impl Fn(&T) -> bool) -> T {
    let end = Instant::now() + BOUND;
    loop {
        if let Some(answer) = json(at, path).filter(&found) {
            return answer;
        }
        assert!(Instant::now() < end, "{path} went on saying {:?}", get(at, path));
    }
}

#[test]
fn voter1_tells_of_the_cluster_over_http_while_it_runs() {
    let hosts = Hosts::new(&[("web1.toml", WEB), ("web2.toml", WEB)]);
    let mut lite = Lite::start(&["--hosts", hosts.dir(), "--dns", "1"]);
    let at = lite.http();

    let services: Services = until(at, "/api/v1/services", |services: &Services| services.complete && services.total == 2);
    let hosts_of: Vec<&str> = services.services.iter().map(|service| service.host.as_str()).collect();
    assert_eq!(hosts_of, ["web1", "web2"]);
    until(at, "/api/v1/status?consistency=linearizable", |status: &Status| status.name == "voter1" && status.members == 6);
    assert!(get(at, "/").unwrap().contains("web2"));

    lite.say("kill web2", "killed web2");
    let gone = |members: &Members| members.members.iter().all(|one| one.name != "web2" || one.state == MemberState::Unreachable);
    until(at, "/api/v1/members", gone);

    lite.say("kill voter1", "killed voter1");
    assert_eq!(get(at, "/healthz"), None, "it is gone as in a crash");
    lite.say("start voter1", "started voter1");
    until(at, "/api/v1/services", |services: &Services| services.complete);
    lite.quit();
}
