//! What stands in the log, and what never does.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use data_encoding::{BASE64_MIME_PERMISSIVE, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use rustix::process::Signal;
use serde_json::Value;

use crate::host::{Daemon, Host, free_port};

/// So much of a secret is a secret, in whatever shape it is written.
const TELLING: usize = 16;
/// What stands before the 32 octets of a private key, in the binary form of every key (RFC 8410 section 7).
const BEFORE_A_KEY: [u8; 4] = [0x04, 0x22, 0x04, 0x20];

/// The shapes in which octets may be written, also in the midst of others.
fn shapes(octets: &[u8]) -> Vec<String> {
    let listed = format!("{octets:?}");
    let mut shapes = vec![HEXLOWER.encode(octets), HEXUPPER.encode(octets), listed.trim_matches(['[', ']']).to_owned()];
    for shift in 0..3 {
        shapes.extend([BASE64URL_NOPAD.encode(&octets[shift..]), BASE64_NOPAD.encode(&octets[shift..])]);
    }
    shapes
}

/// The piece of a secret that stands in a log.
fn leak(log: &str, secret: &[u8]) -> Option<String> {
    let shapes = shapes(secret);
    let mut pieces = shapes.iter().flat_map(|shape| shape.as_bytes().windows(TELLING));
    pieces.find_map(|piece| str::from_utf8(piece).ok().filter(|piece| log.contains(piece)).map(str::to_owned))
}

/// The keys in a file, as it is or as PEM.
fn keys_in(file: &Path) -> Vec<Vec<u8>> {
    let octets = std::fs::read(file).unwrap();
    let text = String::from_utf8_lossy(&octets).into_owned();
    let body: String =
        text.lines().skip_while(|line| !line.contains("PRIVATE KEY")).skip(1).take_while(|line| !line.contains("-----")).collect();
    let whole = body.get(..body.len() / 4 * 4).unwrap_or_default();
    let decoded = BASE64_MIME_PERMISSIVE.decode(whole.as_bytes()).unwrap_or_default();
    let key_in = |octets: &[u8]| {
        let at = octets.windows(BEFORE_A_KEY.len()).position(|piece| piece == BEFORE_A_KEY)?;
        octets.get(at + BEFORE_A_KEY.len()..).and_then(|rest| rest.get(..32)).map(<[u8]>::to_vec)
    };
    [octets.as_slice(), &decoded].into_iter().filter_map(key_in).collect()
}

/// The keys in the data folder of a host: its own, and the authority's where it holds that.
fn keys_of(host: &Host) -> Vec<Vec<u8>> {
    let mut keys = keys_in(&host.path("data/identity"));
    assert_eq!(keys.len(), 1, "a node has a key");
    if let Ok(files) = std::fs::read_dir(host.path("data/authority")) {
        keys.extend(files.flat_map(|file| keys_in(&file.unwrap().path())));
    }
    keys
}

fn replace_setting(host: &Host, commented: &str, setting: &str) {
    let path = host.path("node.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(commented), "{text}");
    std::fs::write(&path, text.replace(commented, setting)).unwrap();
}

fn stopped(daemon: Daemon) -> String {
    daemon.signal(Signal::TERM);
    let (status, log) = daemon.ended();
    assert_eq!(status, 0, "{log}");
    log
}

/// A founder that serves HTTP at a port that is known.
fn founder() -> (Host, u16) {
    let (founder, port) = (Host::new(), free_port());
    founder.init_with_http(&format!("127.0.0.1:{port}")).done();
    (founder, port)
}

/// Sends a request with these lines in its head, and returns the answer.
fn request(port: u16, path: &str, head: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{head}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_secret_is_found_in_every_shape() {
    let secret: Vec<u8> = (0..32_u8).map(|octet| octet.wrapping_mul(37).wrapping_add(201)).collect();
    let embedded = [&[1, 2, 3, 4][..], &secret, &[5]].concat();
    for log in [BASE64URL_NOPAD.encode(&embedded), BASE64_NOPAD.encode(&embedded[1..]), HEXUPPER.encode(&embedded), format!("{embedded:?}")]
    {
        assert!(leak(&log, &secret).is_some(), "{log}");
    }
    assert_eq!(leak(&HEXLOWER.encode(&[7; 64]), &secret), None);
}

#[test]
fn no_secret_is_ever_in_the_log() {
    let (founder, port) = founder();
    replace_setting(&founder, "# level = \"info\"", "level = \"debug\"");
    let daemon = founder.start();
    let token = founder.ask(&["token", "create", "--uses", "2"]).done();
    let web = Host::new();
    let joined = web.join(&[token.trim()], "web1");
    let mut log = joined.err.clone();
    joined.done();
    replace_setting(&web, "# level = \"info\"", "level = \"debug\"");
    let web_daemon = web.start();
    let credential = founder.ask(&["credential", "create", "--right", "admin"]).done();
    let secret = credential.trim();
    let mut secrets = keys_of(&founder);
    assert_eq!(secrets.len(), 2, "a voter has the authority's key");

    let file = founder.path("credential").display().to_string();
    std::fs::write(&file, secret).unwrap();
    let at = format!("http://127.0.0.1:{port}");
    founder.ask(&["token", "list", "--at", &at, "--credential-file", &file]).done();
    for (path, head, status) in [
        ("/api/v1/tokens", format!("Authorization: Bearer {secret}\r\n"), 200),
        ("/api/v1/tokens", format!("Authorization: Basic {secret}\r\n"), 401),
        ("/api/v1/tokens", format!("Authorization: Bearer {secret}x\r\n"), 401),
        (&format!("/api/v1/members?token={secret}"), String::new(), 400),
    ] {
        let answer = request(port, path, &head);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {head}: {answer}");
    }
    founder.ask(&["authority", "rotate"]).done();
    // Refused, with the token in the request: the name is taken.
    let twice = Host::new().join(&[token.trim()], "eu1");
    assert_ne!(twice.status, 0);
    log.push_str(&twice.err);

    secrets.extend(keys_of(&founder));
    secrets.extend(keys_of(&web));
    secrets.push(BASE64URL_NOPAD.decode(token.trim().trim_start_matches("hm1-").as_bytes()).unwrap()[33..65].to_vec());
    secrets.push(BASE64URL_NOPAD.decode(secret.trim_start_matches("hmc1-").as_bytes()).unwrap());
    for daemon in [web_daemon, daemon] {
        let own = stopped(daemon);
        assert!(own.lines().any(|line| line.contains(" DEBUG hivemind_node")), "every detail is there: {own}");
        log.push_str(&own);
    }
    for secret in &secrets {
        assert_eq!(leak(&log, secret), None, "{log}");
    }
    for text in ["hm1-", "hmc1-", "PRIVATE KEY", "-----BEGIN"] {
        assert!(!log.contains(text), "{text}: {log}");
    }
}

#[test]
fn a_request_is_found_in_the_log_by_its_id() {
    let (founder, port) = founder();
    let daemon = founder.start();
    let named = request(port, "/api/v1/status", "X-Request-Id: deploy-42.b\r\n");
    let unnamed = request(port, "/api/v1/members", "");
    let id_of =
        |answer: &str| answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap_or_else(|| panic!("{answer}")).to_owned();
    assert_eq!(id_of(&named), "deploy-42.b");
    let log = stopped(daemon);
    for (id, path) in [(id_of(&named), "/api/v1/status"), (id_of(&unnamed), "/api/v1/members")] {
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(&format!("id={id} "))).collect();
        assert!(lines.len() == 1 && lines[0].contains(path) && lines[0].contains("status=200"), "{id}: {log}");
    }
}

#[test]
fn who_asks_often_keeps_no_change_out_of_the_log() {
    let (founder, port) = founder();
    let daemon = founder.start();
    for _ in 0..250 {
        request(port, "/healthz", "");
    }
    founder.ask(&["credential", "create", "--right", "read"]).done();
    let log = stopped(daemon);
    assert!(log.matches("path=\"/healthz\"").count() < 250, "some are left out: {log}");
    assert_eq!(log.matches("method=POST path=\"/api/v1/credentials\"").count(), 1, "{log}");
}

#[test]
fn a_log_for_programs_has_an_object_a_line() {
    let (founder, port) = founder();
    replace_setting(&founder, "# format = \"text\"", "format = \"json\"");
    let daemon = founder.start();
    request(port, "/api/v1/status", "X-Request-Id: deploy-42\r\n");
    let log = stopped(daemon);
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    for line in &lines {
        let time = line["timestamp"].as_str().unwrap_or_default();
        assert!(time.contains('T') && time.ends_with('Z'), "{line}");
        assert!(["INFO", "WARN", "ERROR"].contains(&line["level"].as_str().unwrap_or_default()), "{line}");
        assert!(line["fields"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{line}");
    }
    let said = |message: &str| lines.iter().find(|line| line["fields"]["message"] == message);
    assert!(said("started").is_some() && said("stopped").is_some(), "{log}");
    let request = said("http").unwrap();
    assert_eq!((&request["fields"]["id"], &request["fields"]["status"]), (&Value::from("deploy-42"), &Value::from(200)), "{request}");
}
