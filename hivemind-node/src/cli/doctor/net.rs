//! Ports, and who can be reached.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use super::{Finding, fail, ok, warn};
use crate::authority::NodeIdentity;
use crate::enroll::{EnrollFailure, again, reach};
use crate::http::model::Status;
use crate::settings_file::NodeSettings;

/// Whether the ports of the settings can be had, or are held by the daemon that answers.
pub(super) fn ports(settings: &NodeSettings, daemon: Option<&Status>) -> Vec<Finding> {
    let held = daemon.is_some_and(|status| status.name == settings.name.as_str());
    let mut findings = vec![
        port("peers", settings.listen, "listen", held, UdpSocket::bind(settings.listen).err()),
        port("http", settings.http.listen, "http.listen", held, TcpListener::bind(settings.http.listen).err()),
    ];
    for &address in settings.dns_processor.iter().flat_map(|part| &part.listen) {
        let refused = UdpSocket::bind(address).err().or_else(|| TcpListener::bind(address).err());
        findings.push(port("dns", address, "roles.dns_processor.listen", held, refused));
    }
    findings
}

fn port(check: &'static str, address: SocketAddr, setting: &str, held: bool, refused: Option<io::Error>) -> Finding {
    let Some(error) = refused else {
        return if held && address.port() != 0 {
            warn(check, format!("{address} is free while the daemon runs: it listens elsewhere; restart it to follow {setting}"))
        } else {
            ok(check, format!("{address} is free"))
        };
    };
    match error.kind() {
        io::ErrorKind::AddrInUse if held => ok(check, format!("{address} is held, by the daemon that answers here")),
        io::ErrorKind::AddrInUse => {
            fail(check, format!("{address} is held by another program, or by a daemon that does not answer; stop it, or change {setting}"))
        }
        io::ErrorKind::PermissionDenied => fail(
            check,
            format!(
                "{address} needs a privilege: give the daemon CAP_NET_BIND_SERVICE, as its systemd unit may, or use a port from 1024 on in {setting}"
            ),
        ),
        io::ErrorKind::AddrNotAvailable => fail(check, format!("{address} is not an address of this host; change {setting}")),
        _ => fail(check, format!("{address}: {error}; change {setting}")),
    }
}

/// Whether the names of seeds are resolved, and, with what proves this node, whether the seeds can be spoken to: only a node that does not run
/// needs to ask.
pub(super) async fn seeds(settings: &NodeSettings, identity: Option<&NodeIdentity>) -> Vec<Finding> {
    let (mut findings, mut up) = (Vec::new(), Vec::new());
    for seed in &settings.seeds {
        let addresses = match seed.resolve().await {
            Ok(addresses) => addresses,
            Err(error) => {
                let says = format!(
                    "the name of {seed} is not resolved: {error}; see that it is spelled right and that the resolver of this host answers"
                );
                findings.push(warn("seed", says));
                continue;
            }
        };
        for address in addresses {
            let shown = if seed.address().is_some() { seed.to_string() } else { format!("{seed} is {address}, which") };
            let Some(identity) = identity else { continue };
            findings.push(match reach(identity, address).await {
                Ok(()) => {
                    up.push(address);
                    ok("seed", format!("{shown} answers"))
                }
                Err(why) => warn("seed", format!("{shown} {why}: is the node there up, and UDP open between here and there?")),
            });
        }
    }
    if let Some(identity) = identity.filter(|_| !up.is_empty()) {
        findings.push(membership(settings, identity, &up).await);
    }
    findings
}

/// Whether the cluster admits this node's key: a voter is asked for a certificate, which is not kept.
async fn membership(settings: &NodeSettings, identity: &NodeIdentity, up: &[SocketAddr]) -> Finding {
    match again(identity, &settings.name, up).await {
        Ok(_) => ok("membership", "the cluster admits its key"),
        Err(EnrollFailure::Refused(why)) => {
            let says = format!(
                "{why}. It left, or was put out: to bring the host back, remove {} and the settings file, and join with a new token",
                settings.data_dir.display()
            );
            fail("membership", says)
        }
        Err(error) => warn("membership", format!("whether the cluster still admits its key is not known: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_port_that_is_held_is_well_only_where_the_own_daemon_holds_it() {
        let at: SocketAddr = "127.0.0.1:6550".parse().unwrap();
        let refused = |kind: io::ErrorKind| Some(io::Error::from(kind));
        let verdict = |held, error| port("peers", at, "listen", held, error).verdict;
        assert_eq!(verdict(false, None), Verdict::Ok);
        assert_eq!(verdict(true, None), Verdict::Warn);
        assert_eq!(verdict(true, refused(io::ErrorKind::AddrInUse)), Verdict::Ok);
        assert_eq!(verdict(false, refused(io::ErrorKind::AddrInUse)), Verdict::Fail);
        let denied = port("dns", at, "x", false, refused(io::ErrorKind::PermissionDenied));
        assert!(denied.verdict == Verdict::Fail && denied.says.contains("CAP_NET_BIND_SERVICE"), "{denied:?}");
    }
}
