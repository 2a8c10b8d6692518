//! Where a node is asked, and how it is known to be the one.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::args::ServerArgs;
use super::failure::Failure;
use super::show::Screen;
use crate::authority::{NamedVerifier, Proven, Wanted, is_authority, is_self_signed};
use crate::http::DEFAULT_HTTP_PORT;
use crate::settings_file::{DEFAULT_CONFIG, NodeSettings};

/// The node's certificate and its authority's, in the data folder.
const CERTIFICATES: &str = "certificate.pem";

/// Where.
pub(super) enum Place {
    /// A socket of this machine.
    Socket(PathBuf),
    /// Host and port, in the clear: on this machine.
    Plain(String),
    /// Host and port, by TLS.
    Tls(String, Tls),
}

/// What a connection by TLS needs.
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

/// A connection of either kind.
pub(super) trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection for S {}

impl Place {
    /// By the arguments, the environment, the settings file, in this order; else the usual address.
    pub(super) fn new(args: &ServerArgs, screen: &Screen) -> Result<Self, Failure> {
        match args.at.clone().or_else(|| std::env::var("HIVEMIND_ADDR").ok()) {
            Some(url) => Place::of_url(&url, args),
            None => match NodeSettings::load(&args.config) {
                Ok(settings) => Ok(Place::Socket(settings.http.socket)),
                Err(error) if error.is_missing() && args.config != Path::new(DEFAULT_CONFIG) => Err(Failure::Usage(error.to_string())),
                Err(error) if error.is_missing() => Ok(Place::Plain(format!("127.0.0.1:{DEFAULT_HTTP_PORT}"))),
                // The daemon was started before the mistake was made, and may be well.
                Err(error) => {
                    let socket = NodeSettings::socket_of(&args.config);
                    screen.note(&format!("{error}\n{} is asked all the same", socket.display()));
                    Ok(Place::Socket(socket))
                }
            },
        }
    }

    fn of_url(url: &str, args: &ServerArgs) -> Result<Self, Failure> {
        let wrong = || {
            let examples = format!("http://127.0.0.1:{DEFAULT_HTTP_PORT}, or https://eu1.example.org:{DEFAULT_HTTP_PORT}");
            Failure::Usage(format!("{url:?} is no address to ask at; write one as {examples}"))
        };
        let (rest, is_tls, usual) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (rest, false, 80),
            (None, Some(rest)) => (rest, true, 443),
            (None, None) => return Err(wrong()),
        };
        let rest = rest.trim_end_matches('/');
        let parsed: axum::http::uri::Authority = rest.parse().map_err(|_| wrong())?;
        if rest.contains('@') {
            return Err(wrong());
        }
        let authority = format!("{}:{}", parsed.host(), parsed.port_u16().unwrap_or(usual));
        let bare = parsed.host().strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(parsed.host());
        if is_tls {
            let name = ServerName::try_from(bare.to_owned()).map_err(|_| wrong())?;
            let wanted = args.node.as_ref().map_or_else(|| wanted(bare), |node| Wanted::Node(node.as_str().to_owned()));
            return Ok(Place::Tls(authority, Tls { config: config(&authorities(args)?, wanted)?, name }));
        }
        let is_here = bare.parse::<IpAddr>().map_or(bare.eq_ignore_ascii_case("localhost"), |ip| ip.to_canonical().is_loopback());
        if is_here {
            return Ok(Place::Plain(authority));
        }
        Err(Failure::Usage(format!(
            "{url}: http would send a credential there in the clear; ask by https, or over an SSH tunnel to 127.0.0.1"
        )))
    }

    /// What the header `Host` says.
    pub(super) fn host(&self) -> &str {
        match self {
            Place::Socket(_) => "localhost",
            Place::Plain(authority) | Place::Tls(authority, _) => authority,
        }
    }

    /// A connection to the node.
    ///
    /// # Errors
    /// [`Failure::Unasked`]: nobody is there, or another one than is asked for.
    pub(super) async fn connect(&self) -> Result<Box<dyn Connection>, Failure> {
        let nobody = |error: std::io::Error| {
            Failure::Unasked(format!("{self}: {error}; check that hivemind-node runs there, and that this user may reach it"))
        };
        Ok(match self {
            Place::Socket(path) => Box::new(UnixStream::connect(path).await.map_err(nobody)?),
            Place::Plain(authority) => Box::new(TcpStream::connect(authority).await.map_err(nobody)?),
            Place::Tls(authority, tls) => {
                let stream = TcpStream::connect(authority).await.map_err(nobody)?;
                let connecting = TlsConnector::from(tls.config.clone()).connect(tls.name.clone(), stream);
                Box::new(connecting.await.map_err(|error| Failure::Unasked(format!("{self}: {}", untrusted(&error))))?)
            }
        })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Socket(path) => write!(f, "{}", path.display()),
            Place::Plain(authority) => write!(f, "http://{authority}"),
            Place::Tls(authority, _) => write!(f, "https://{authority}"),
        }
    }
}

/// Whom a URL's host means.
fn wanted(host: &str) -> Wanted {
    match host.parse::<IpAddr>() {
        Ok(address) => Wanted::At(address.to_canonical()),
        Err(_) => Wanted::Node(host.split('.').next().unwrap_or(host).to_ascii_lowercase()),
    }
}

fn config(roots: &[CertificateDer<'static>], wanted: Wanted) -> Result<Arc<ClientConfig>, Failure> {
    let unfit =
        |why: &dyn std::fmt::Display| Failure::Usage(format!("https with this authority is not possible: {why}; name another with --ca"));
    let provider = Arc::new(default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let named = NamedVerifier::new(roots, algorithms, wanted).ok_or_else(|| unfit(&"it is damaged"))?;
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
    let builder =
        builder.map_err(|error| unfit(&error))?.dangerous().with_custom_certificate_verifier(Arc::new(Proven::new(named, algorithms)));
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The authority by the arguments, the environment, or the data folder, in this order.
fn authorities(args: &ServerArgs) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let named = args.ca.clone().or_else(|| std::env::var_os("HIVEMIND_CA_FILE").map(PathBuf::from));
    match (named, NodeSettings::load(&args.config)) {
        (Some(file), _) => authorities_in(&file),
        (None, Ok(settings)) => own_authorities(&settings),
        (None, Err(_)) => Err(Failure::Usage(
            "https needs the cluster's authority: write it with `hivemind authority` on a host of the cluster, and name the file with --ca or HIVEMIND_CA_FILE"
                .to_owned(),
        )),
    }
}

/// Those that a node trusts.
pub(super) fn own_authorities(settings: &NodeSettings) -> Result<Vec<CertificateDer<'static>>, Failure> {
    authorities_in(&settings.data_dir.join(CERTIFICATES))
}

fn authorities_in(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::Usage(format!("{}: {why}; `hivemind authority` on a host of the cluster writes what is needed", file.display()))
    };
    let text = std::fs::read(file).map_err(|error| wrong(&error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let mut found = found.map_err(|_| wrong(&"no certificates"))?;
    found.retain(|one| is_authority(one) && is_self_signed(one));
    if found.is_empty() { Err(wrong(&"no authority of a cluster")) } else { Ok(found) }
}

/// What stands against whoever answered, and what to do.
fn untrusted(error: &std::io::Error) -> String {
    use rustls::CertificateError as Fault;
    let fault = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let hint = match fault {
        Some(rustls::Error::InvalidCertificate(Fault::NotValidForName)) => {
            "another node of the cluster answers, or it is not known at this address; ask by its name, or say it with --node"
        }
        Some(rustls::Error::InvalidCertificate(Fault::UnknownIssuer)) => "it is of another cluster; check the URL and --ca",
        Some(rustls::Error::InvalidCertificate(Fault::ExpiredContext { .. } | Fault::NotValidYetContext { .. })) => {
            "its certificate is not valid at this time; check the clock here, and that the node renews it"
        }
        Some(_) | None => "check that a hivemind-node serves https there",
    };
    format!("{error}; nothing was sent: {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_node_by_its_first_label_or_an_address() {
        assert_eq!(wanted("EU1.example.org"), Wanted::Node("eu1".to_owned()));
        assert_eq!(wanted("eu1"), Wanted::Node("eu1".to_owned()));
        assert_eq!(wanted("192.0.2.1"), Wanted::At("192.0.2.1".parse().unwrap()));
        assert_eq!(wanted("::ffff:192.0.2.1"), Wanted::At("192.0.2.1".parse().unwrap()));
    }
}
