//! Whom a node trusts: what the control plane says of authorities, as far as it follows from those that the node trusts already.

use hivemind_core::facts::Trust;
use hivemind_core::wire::trust::CertificateBytes;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;

use crate::authority::{NodeIdentity, PeerVerifier, leads};

/// An authority as it is known to those who check certificates.
pub(crate) fn certificate(bytes: &CertificateBytes) -> CertificateDer<'static> {
    CertificateDer::from(bytes.as_bytes().to_vec())
}

/// The authorities to trust from now on, the one that issues first: those that were trusted already, and those to whom a bridge leads from
/// there. The one before is taken at the word of the control plane, where that is one of a trusted authority. `None`: they stay as they are.
pub(super) fn trusted(trust: &Trust, known: &[CertificateDer<'static>]) -> Option<Vec<CertificateDer<'static>>> {
    let mut accepted = Vec::new();
    if let Some(present) = trust.present().filter(|present| is_trusted(present, trust.bridge(), known)) {
        accepted.push(certificate(present));
        accepted.extend(
            trust
                .next()
                .filter(|next| is_trusted(&next.certificate, Some(&next.bridge), &accepted))
                .map(|next| certificate(&next.certificate)),
        );
        accepted.extend(trust.former().map(certificate));
    }
    (!accepted.is_empty() && accepted != known).then_some(accepted)
}

/// Whether an authority is one of these, or a bridge leads to it from one of these.
pub(super) fn is_trusted(authority: &CertificateBytes, bridge: Option<&CertificateBytes>, known: &[CertificateDer<'static>]) -> bool {
    let authority = certificate(authority);
    let leads_there = |bridge: CertificateDer<'static>| known.iter().any(|from| leads(&bridge, from, &authority));
    known.contains(&authority) || bridge.map(certificate).is_some_and(leads_there)
}

/// Whether the certificate of a node was issued by this very authority.
pub(crate) fn is_by(identity: &NodeIdentity, authority: &CertificateDer<'static>) -> bool {
    let verifier = PeerVerifier::new(std::slice::from_ref(authority), default_provider().signature_verification_algorithms);
    let own = identity.chain().get(..1).unwrap_or_default();
    verifier.is_some_and(|verifier| verifier.validity(own).is_some())
}

#[cfg(test)]
mod tests {
    use hivemind_core::facts::{Facts, NeighborhoodLimits};
    use hivemind_core::ids::{ClusterId, Epoch, Index, NodeId, NodeName, PublicKey};
    use hivemind_core::wire::event::{Event, LogEvent};
    use hivemind_core::wire::member::MemberRecord;
    use hivemind_core::wire::trust::{AuthorityChange, Successor};

    use super::*;
    use crate::authority::Authority;

    const NODE: NodeId = NodeId::new(1, 1);

    fn bytes(certificate: &CertificateDer<'_>) -> CertificateBytes {
        CertificateBytes::new(certificate).unwrap()
    }

    fn birth() -> Facts {
        let (addresses, roles, features) = (Vec::new(), Vec::new(), Default::default());
        let (name, key) = (NodeName::new("v1").unwrap(), PublicKey([1; 32]));
        let first =
            MemberRecord { node: NODE, name, key, addresses, address_seq: 0, roles, voter_eligible: true, features, joined: Index(0) };
        Facts::birth(ClusterId(1), Epoch { generation: 1, number: 1, tag: 1 }, NeighborhoodLimits::default(), first)
    }

    fn say(facts: &mut Facts, change: AuthorityChange) {
        let index = facts.position().index.next();
        facts.apply(&LogEvent::new(index, &Event::Authority(change))).unwrap();
    }

    fn announce(facts: &mut Facts, present: &Authority, next: &Authority) {
        let successor = Successor { certificate: bytes(next.certificate()), bridge: bytes(next.bridge().unwrap()) };
        say(facts, AuthorityChange::Announced { present: bytes(present.certificate()), next: successor });
    }

    #[test]
    fn a_node_follows_from_one_authority_to_the_next_and_takes_nobodys_word_for_it() {
        let one = Authority::new(ClusterId(1)).unwrap();
        let two = one.successor().unwrap();
        let (of_one, of_two) = (one.certificate().clone(), two.certificate().clone());
        let mut facts = birth();
        assert_eq!(trusted(facts.trust(), std::slice::from_ref(&of_one)), None, "nothing was said");
        announce(&mut facts, &one, &two);
        let both = [of_one.clone(), of_two.clone()];
        assert_eq!(trusted(facts.trust(), &both[..1]).unwrap(), both, "both, before it issues");
        assert_eq!(trusted(facts.trust(), &both), None);
        say(&mut facts, AuthorityChange::Held { node: NODE, authority: two.digest() });
        assert_eq!(trusted(facts.trust(), &both).unwrap(), [of_two.clone(), of_one.clone()], "it issues");
        say(&mut facts, AuthorityChange::Retired);
        assert_eq!(trusted(facts.trust(), &both).unwrap(), [of_two], "the former one is nobody");
        assert_eq!(trusted(facts.trust(), &[of_one]).unwrap().len(), 1, "who was away all the time follows the bridge");

        let stranger = Authority::new(ClusterId(1)).unwrap();
        let false_next = stranger.successor().unwrap();
        let mut facts = birth();
        announce(&mut facts, &one, &false_next);
        assert_eq!(trusted(facts.trust(), &[one.certificate().clone()]), None, "no bridge leads there");
    }
}
