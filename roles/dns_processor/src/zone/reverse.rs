//! Reverse names, and the private reverse zones of RFC 6303 that this server answers by itself.

use std::fmt::Write;
use std::net::IpAddr;

use hivemind_sections::PRIVATE_REVERSE_ZONES;

use crate::name::DnsName;

/// All private reverse zones, as names.
pub(crate) fn private_zones() -> Vec<DnsName> {
    PRIVATE_REVERSE_ZONES.iter().map(|zone| DnsName::parse(zone).expect("the zones of RFC 6303 are names")).collect()
}

/// The name whose PTR record tells the names of `address` (RFC 1035 section 3.5, RFC 3596 section 2.5).
pub(crate) fn reverse_name(address: IpAddr) -> DnsName {
    let mut text = String::with_capacity(73);
    match address {
        IpAddr::V4(v4) => {
            for octet in v4.octets().iter().rev() {
                let _ = write!(text, "{octet}.");
            }
            text.push_str("in-addr.arpa.");
        }
        IpAddr::V6(v6) => {
            for octet in v6.octets().iter().rev() {
                let _ = write!(text, "{:x}.{:x}.", octet & 0xf, octet >> 4);
            }
            text.push_str("ip6.arpa.");
        }
    }
    DnsName::parse(&text).expect("a reverse name has at most 32 labels of one character")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverse_names_follow_rfc_1035_and_rfc_3596() {
        assert_eq!(reverse_name(IpAddr::from([10, 0, 0, 11])).to_string(), "11.0.0.10.in-addr.arpa.");
        let v6 = reverse_name("fd00::11".parse().expect("an address")).to_string();
        assert_eq!(v6, format!("1.1.{}0.0.d.f.ip6.arpa.", "0.".repeat(26)));
    }

    #[test]
    fn every_private_zone_is_a_name_and_stands_once() {
        let zones = private_zones();
        let different: std::collections::BTreeSet<_> = zones.iter().collect();
        assert_eq!(zones.len(), PRIVATE_REVERSE_ZONES.len());
        assert_eq!(different.len(), zones.len());
    }
}
