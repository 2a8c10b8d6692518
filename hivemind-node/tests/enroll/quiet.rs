//! Connections that ask nothing: they hold up neither those that enroll nor those that renew.

use std::net::Ipv4Addr;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::UnixTime;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use tokio::task::JoinSet;

use super::*;

#[derive(Debug)]
struct TrustsAnyone;

impl ServerCertVerifier for TrustsAnyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// Calls from an address of this machine.
fn caller(from: Ipv4Addr) -> Endpoint {
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustsAnyone))
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"hivemind-enroll/1".to_vec()];
    let mut endpoint = Endpoint::client((from, 0).into()).unwrap();
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap())));
    endpoint
}

async fn quiet(endpoint: &Endpoint, at: SocketAddr) -> Option<Connection> {
    endpoint.connect(at, "hivemind").unwrap().await.ok()
}

#[tokio::test]
async fn two_quiet_addresses_hold_up_nobody_that_enrolls() {
    let cluster = Cluster::new(DAY).await;
    let token = cluster.token(hosts(), 1).await;
    let endpoints = [2, 3].map(|number| caller(Ipv4Addr::new(127, 0, 0, number)));
    let mut held = Vec::new();
    for endpoint in endpoints.iter().cycle().take(40) {
        held.extend(quiet(endpoint, cluster.at()).await);
    }
    let folder = tempfile::tempdir().unwrap();
    let (node, wants) = (name("web1"), hosts());
    let enrolled = enroll(folder.path(), &token, &node, &wants);
    tokio::time::timeout(Duration::from_secs(8), enrolled).await.expect("nothing holds it up").unwrap();
    within("who asks nothing is hung up on", all_closed(&held)).await;
    cluster.founder.stop().await;
}

async fn all_closed(connections: &[Connection]) {
    for connection in connections {
        connection.closed().await;
    }
}

/// More quiet addresses than there are places, and each comes back at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_quiet_addresses_there_are_members_renew() {
    let cluster = Cluster::new(DAY).await;
    let token = cluster.token(hosts(), 1).await;
    let folder = tempfile::tempdir().unwrap();
    within("it is enrolled", enroll(folder.path(), &token, &name("web1"), &hosts())).await.unwrap();
    let host = on(folder.path(), "web1", Entry::Kept).seeds([cluster.at()]).role_without_apply(Host).start().await.unwrap();
    is_member(&host).await;
    let at = cluster.at();
    let mut crowd = JoinSet::new();
    for number in 10..60 {
        crowd.spawn(async move {
            let endpoint = caller(Ipv4Addr::new(127, 0, 0, number));
            loop {
                if let Some(connection) = quiet(&endpoint, at).await {
                    connection.closed().await;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = host.handle().status().certificate.unwrap();
    cluster.founder.handle().rotate_authority().await.unwrap();
    let renewed = comes_true("it is renewed", || host.handle().status().certificate != Some(before));
    tokio::time::timeout(Duration::from_secs(15), renewed).await.expect("nothing holds it up");
    crowd.abort_all();
    host.stop().await;
    cluster.founder.stop().await;
}
