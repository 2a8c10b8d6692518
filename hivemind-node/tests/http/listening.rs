//! Where it listens, and how.

use std::sync::Arc;
use std::time::Duration;

use hivemind_node::http::{BindFailure, HttpListener, HttpSettings, Limits};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::{get, text, within};
use crate::nodes::{Cluster, limits, loopback};

fn tls() -> (Arc<rustls::ServerConfig>, Arc<rustls::ClientConfig>) {
    let issued = rcgen::generate_simple_self_signed(["box.example".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(issued.signing_key.serialize_der().into());
    let server = rustls::ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![issued.cert.der().clone()], key).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(issued.cert.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    (Arc::new(server), Arc::new(client.with_root_certificates(roots).with_no_client_auth()))
}

#[tokio::test]
async fn plain_http_stays_on_this_machine_and_a_taken_address_is_named() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let settings = HttpSettings { listen: address.parse().unwrap(), ..loopback() };
        let error = HttpListener::bind(settings).unwrap_err();
        assert!(matches!(error, BindFailure::NotLoopback { .. }), "{error}");
        assert!(error.to_string().contains("listen on 127.0.0.1"), "{error}");
    }
    let taken = HttpListener::bind(loopback()).unwrap();
    let again = HttpListener::bind(HttpSettings { listen: taken.local_addr(), ..loopback() }).unwrap_err();
    assert!(matches!(again, BindFailure::InUse { address } if address == taken.local_addr()), "{again}");
}

#[tokio::test]
async fn tls_is_spoken_where_it_is_configured() {
    let (server, client) = tls();
    let listen = "0.0.0.0:0".parse().unwrap();
    let hosts = vec!["box.example".to_owned()];
    let cluster = Cluster::with_secrets(HttpSettings { listen, tls: Some(server), hosts, ..loopback() }).await;
    let at = ([127, 0, 0, 1], cluster.at.port()).into();
    let stream = TcpStream::connect::<std::net::SocketAddr>(at).await.unwrap();
    let connector = TlsConnector::from(client);
    let mut stream = within("a handshake", connector.connect(ServerName::try_from("box.example").unwrap(), stream)).await.unwrap();
    let asked = text("GET", "/api/v1/status", &[("Authorization", "Bearer reader")], "").replace("localhost", "box.example");
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut heard = String::new();
    let _ = within("an answer", stream.read_to_string(&mut heard)).await;
    assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");

    let mut plain = TcpStream::connect::<std::net::SocketAddr>(at).await.unwrap();
    plain.write_all(text("GET", "/healthz", &[], "").as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    let _ = within("the end", plain.read_to_end(&mut heard)).await;
    assert!(!String::from_utf8_lossy(&heard).contains("HTTP/1.1 200"));
}

#[tokio::test]
async fn more_connections_than_may_be_wait_and_silent_ones_make_room() {
    let limits = Limits { connections: 1, time: Duration::from_millis(300), ..limits() };
    let cluster = Cluster::born(HttpSettings { limits, ..loopback() }).await;
    let silent = TcpStream::connect(cluster.at).await.unwrap();
    assert_eq!(get(cluster.at, "/healthz").await.status, 200, "once the silent one was put out");
    drop(silent);
}

#[tokio::test]
async fn a_stopped_server_leaves_its_address() {
    let cluster = Cluster::born(loopback()).await;
    assert_eq!(get(cluster.at, "/healthz").await.status, 200);
    cluster.http.stop().await;
    HttpListener::bind(HttpSettings { listen: cluster.at, ..loopback() }).unwrap();
}
