//! S4: in one consumer's store a config never goes back; what is in force is its owner's, signed by the owner's key.

use std::collections::BTreeMap;

use hivemind_core::ids::{NodeId, Seq};
use hivemind_core::keys::Keys;
use hivemind_core::view::{Changed, View};

use super::{At, Invariant, PerSlot, Violation};
use crate::sim::network::Slot;

/// What a consumer held last for one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    /// The membership that published it: the member's own, or an earlier one of the same host.
    node: NodeId,
    seq: Seq,
}

/// The checker of S4.
#[derive(Debug, Default)]
pub struct Configs {
    held: PerSlot<BTreeMap<NodeId, Held>>,
}

impl Configs {
    /// A process starts: what it kept may have been lost, so that it may get older configs again.
    pub fn started(&mut self, slot: Slot) {
        self.held.of(slot).clear();
    }

    /// A consumer's view changed.
    ///
    /// # Errors
    /// S4.
    pub fn viewed(&mut self, at: At<'_>, view: &View, changed: &Changed, keys: &dyn Keys) -> Result<(), Violation> {
        match changed.everything {
            true => view.configs.keys().try_for_each(|&member| self.check(at, view, member, keys)),
            false => changed.configs.iter().try_for_each(|&member| self.check(at, view, member, keys)),
        }
    }

    fn check(&mut self, at: At<'_>, view: &View, member: NodeId, keys: &dyn Keys) -> Result<(), Violation> {
        let Some(signed) = view.configs.get(&member) else { return Ok(()) };
        let (node, seq) = (signed.config.node, signed.config.seq);
        let Some(owner) = view.facts.member(member) else {
            return Err(
                at.violates(Invariant::S4, format!("a config of {member} is in force, which is no member at {}", view.facts.position()))
            );
        };
        if node > member {
            return Err(at.violates(Invariant::S4, format!("the config in force for {member} is of the later membership {node}")));
        }
        if !signed.is_signed_by(&owner.key, keys) {
            return Err(
                at.violates(Invariant::S4, format!("the config {seq} of {node} is not signed by {}, who owns the name", owner.name))
            );
        }
        let held = Held { node, seq };
        match self.held.of(at.slot).insert(member, held) {
            Some(before) if held < before => {
                let what = format!("the config of {} went back from {} of {} to {seq} of {node}", owner.name, before.seq, before.node);
                Err(at.violates(Invariant::S4, what))
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hivemind_core::wire::config::{HostConfig, SignedConfig};

    use super::super::fabricated::{at, birth, member, name, view};
    use super::*;
    use crate::sim::keys::SimKeys;

    fn with_config(owner: u64, config: SignedConfig) -> (View, Changed) {
        let node = NodeId::new(1, owner);
        let mut view = view(birth());
        view.configs.insert(node, Arc::new(config));
        (view, Changed { configs: [node].into_iter().collect(), ..Changed::default() })
    }

    fn signed(node: u64, seq: u64, by: u64) -> SignedConfig {
        SignedConfig::new(HostConfig { node: NodeId::new(1, node), seq: Seq(seq), sections: Vec::new() }, &SimKeys::new(1, by))
    }

    fn check(configs: &mut Configs, (view, changed): (View, Changed)) -> Result<(), Violation> {
        configs.viewed(at(&name("dns1")), &view, &changed, &SimKeys::new(1, 99))
    }

    #[test]
    fn a_config_that_goes_back_is_caught() {
        let mut configs = Configs::default();
        check(&mut configs, with_config(1, signed(1, 4, 1))).expect("the first");
        check(&mut configs, with_config(1, signed(1, 6, 1))).expect("a newer one");
        assert_eq!(check(&mut configs, with_config(1, signed(1, 5, 1))).expect_err("an older one").invariant, Invariant::S4);
    }

    #[test]
    fn a_config_that_its_owner_did_not_sign_is_caught() {
        let violation = check(&mut Configs::default(), with_config(1, signed(1, 4, 2))).expect_err("another's signature");
        assert!(violation.what.contains("not signed"), "{violation}");
    }

    #[test]
    fn a_config_of_one_who_is_no_member_is_caught() {
        let stranger = member(7).node.counter();
        let violation = check(&mut Configs::default(), with_config(stranger, signed(stranger, 1, stranger))).expect_err("no member");
        assert_eq!(violation.invariant, Invariant::S4);
    }
}
