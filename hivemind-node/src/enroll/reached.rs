//! At which addresses a node is reached, as far as a certificate may say so.

use std::net::{IpAddr, SocketAddr};

use hivemind_core::ids::PublicKey;
use hivemind_core::view::View;
use rustls::pki_types::CertificateDer;

use crate::authority::names_address;

/// The addresses that the member with this key states, and no other member does: where a member listens is its own word, so that
/// one that states another's address must not be certified as being there.
pub(super) fn addresses(view: &View, key: &PublicKey) -> Vec<IpAddr> {
    let Some(member) = view.facts.with_key(key) else { return Vec::new() };
    let others = || view.facts.members().values().filter(|other| other.node != member.node);
    let is_anothers = |ip: &IpAddr| others().any(|other| other.addresses.iter().any(|stated| stated.ip().to_canonical() == *ip));
    certifiable(&member.addresses).into_iter().filter(|ip| !is_anothers(ip)).collect()
}

/// The addresses that the node of this view states, and that its certificate may name, as soon as it lacks one of them.
pub(super) fn unnamed(view: &View, certificate: &CertificateDer<'_>) -> Option<Vec<IpAddr>> {
    let own = view.facts.member(view.node)?;
    let wanted = certifiable(&own.addresses);
    wanted.iter().any(|ip| !names_address(certificate, *ip)).then_some(wanted)
}

/// Those of a node's addresses that mean one machine everywhere.
pub(crate) fn certifiable(addresses: &[SocketAddr]) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for ip in addresses.iter().map(|address| address.ip().to_canonical()) {
        if !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast() && !found.contains(&ip) {
            found.push(ip);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_mean_one_machine_are_certified() {
        let all = ["127.0.0.1", "0.0.0.0", "192.0.2.1", "::ffff:192.0.2.1", "::ffff:127.0.0.1", "ff02::1", "2001:db8::1", "::1"];
        let all = all.map(|one| SocketAddr::new(one.parse().unwrap(), 6550));
        assert_eq!(certifiable(&all), ["192.0.2.1", "2001:db8::1"].map(|one| one.parse::<IpAddr>().unwrap()));
    }
}
