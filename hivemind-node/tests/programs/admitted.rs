//! Hosts that were admitted and do not run: they are seen, put out, and enrolled again.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use hivemind_node::http::model::{Admissions, Status};
use rustix::process::Signal;

use crate::host::Host;

/// What is answered to a request at a host's socket.
fn post(host: &Host, path: &str, body: &str) -> String {
    let mut stream = UnixStream::connect(Path::new(&host.data()).join("hivemind.sock")).unwrap();
    let head = format!("Host: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
    write!(stream, "POST {path} HTTP/1.1\r\n{head}\r\n\r\n{body}").unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

#[test]
fn one_that_was_admitted_and_never_ran_is_seen_and_put_out() {
    let (founder, _daemon) = Host::founder();
    let token = founder.ask(&["token", "create", "--roles", "host", "--uses", "3"]).done();
    assert!(founder.ask(&["admitted", "--json"]).json::<Admissions>().admitted.is_empty());
    let thief = Host::new();
    thief.join(&[token.trim()], "burn").done();
    let admitted = founder.ask(&["admitted", "--json"]).json::<Admissions>().admitted;
    assert_eq!(admitted.iter().map(|one| (one.name.as_str(), one.roles.len(), one.voter)).collect::<Vec<_>>(), [("burn", 1, false)]);
    let again = Host::new().join(&[token.trim()], "burn");
    assert!(again.status == 1 && again.err.contains("burn"), "the name is its key's: {again:?}");

    let said = post(&founder, "/api/v1/members/burn/evict", "{\"node\": \"1.9\"}");
    assert!(said.starts_with("HTTP/1.1 404 "), "a membership was meant, and it has none: {said}");
    assert_eq!(founder.ask(&["admitted", "--json"]).json::<Admissions>().admitted.len(), 1);
    assert_eq!(founder.ask(&["evict", "burn"]).done(), "burn was put out, and its key is revoked\n");
    assert!(founder.ask(&["admitted", "--json"]).json::<Admissions>().admitted.is_empty());
    assert_eq!(founder.ask(&["evict", "burn"]).status, 1, "there is none any more");
    let said = thief.run();
    assert!(said.status == 1 && said.err.contains("revoked"), "{said:?}");
    Host::new().join(&[token.trim()], "burn").done();
}

#[test]
fn one_that_lost_its_certificate_is_enrolled_again_as_the_same_member() {
    let (founder, _daemon) = Host::founder();
    let token = founder.ask(&["token", "create", "--roles", "host", "--uses", "3"]).done();
    let web = Host::new();
    web.join(&[token.trim()], "web1").done();
    let daemon = web.start();
    let before: Status = web.ask(&["status", "--json"]).json();
    daemon.signal(Signal::TERM);
    daemon.ended();

    let (settings, aside) = (web.path("node.toml"), web.path("aside.toml"));
    std::fs::rename(&settings, &aside).unwrap();
    let said = web.join(&[token.trim()], "web1");
    assert!(said.status == 1 && said.err.contains("holds the data of web1"), "it has what it needs: {said:?}");
    std::fs::remove_file(Path::new(&web.data()).join("certificate.pem")).unwrap();
    let said = web.join(&[token.trim()], "web2");
    assert!(said.status == 1 && said.err.contains("holds the data of web1"), "it is another's: {said:?}");
    web.join(&[token.trim()], "web1").done();
    std::fs::rename(&aside, &settings).unwrap();
    let _daemon = web.start();
    let after: Status = web.ask(&["status", "--json"]).json();
    assert_eq!(after.node, before.node);
}
