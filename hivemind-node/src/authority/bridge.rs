//! From one authority to the next: the certificate of the next one's key that the one before has signed.

use rustls::pki_types::CertificateDer;
use x509_parser::parse_x509_certificate;

use super::verify::{authority_cluster, is_self_signed, peer_key};

/// Whether `bridge` leads from the authority `from` to the authority `to` of the same cluster.
pub(crate) fn leads(bridge: &CertificateDer<'static>, from: &CertificateDer<'static>, to: &CertificateDer<'static>) -> bool {
    let same_key = peer_key(bridge).is_some() && peer_key(bridge) == peer_key(to);
    let clusters = [bridge, from, to].map(authority_cluster);
    let one_cluster = clusters[0].is_some() && clusters.iter().all(|cluster| *cluster == clusters[0]);
    same_key && one_cluster && is_self_signed(to) && is_signed(to, to) && is_signed(bridge, from)
}

fn is_signed(certificate: &CertificateDer<'_>, by: &CertificateDer<'_>) -> bool {
    let (Ok((_, certificate)), Ok((_, by))) = (parse_x509_certificate(certificate), parse_x509_certificate(by)) else { return false };
    certificate.is_ca() && by.is_ca() && certificate.verify_signature(Some(by.public_key())).is_ok()
}

#[cfg(test)]
mod tests {
    use hivemind_core::ids::ClusterId;

    use super::*;
    use crate::authority::Authority;

    #[test]
    fn a_bridge_leads_from_one_authority_to_the_next_and_nowhere_else() {
        let one = Authority::new(ClusterId(1)).unwrap();
        let two = one.successor().unwrap();
        let three = two.successor().unwrap();
        let bridge = two.bridge().unwrap();
        assert!(leads(bridge, one.certificate(), two.certificate()));
        assert!(!leads(bridge, two.certificate(), one.certificate()), "back");
        assert!(!leads(bridge, one.certificate(), three.certificate()), "elsewhere");
        assert!(!leads(three.bridge().unwrap(), one.certificate(), three.certificate()), "with a step left out");
        assert!(!leads(two.certificate(), one.certificate(), two.certificate()), "its own word");
        let stranger = Authority::new(ClusterId(2)).unwrap();
        assert!(!leads(stranger.successor().unwrap().bridge().unwrap(), one.certificate(), two.certificate()));
    }

    #[test]
    fn what_is_damaged_leads_nowhere() {
        let one = Authority::new(ClusterId(1)).unwrap();
        let two = one.successor().unwrap();
        let bridge = two.bridge().unwrap();
        for at in 0..bridge.len() {
            let mut damaged = bridge.to_vec();
            damaged[at] ^= 1;
            assert!(!leads(&CertificateDer::from(damaged), one.certificate(), two.certificate()), "byte {at}");
        }
    }
}
