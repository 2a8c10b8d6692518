//! Refusing.

use hivemind_core::machine::HaltReason;
use hivemind_core::wire::command::Refusal;

use super::{consumer, formed, host, version};
use crate::{Stage, name};

/// The node that asks for another one's name stops and says why; the cluster does not take notice of it.
pub fn a_name_in_use_by_another_key_is_refused_and_nothing_else_happens<S: Stage>(options: S::Options) -> S {
    let mut stage: S = formed(options, vec![consumer("dns1"), host("web1", 1)]);
    let before = stage.views();
    let owner = before["web1"].facts.named(&name("web1")).expect("it is a member").key;
    let reason = stage.start_impostor(host("web1", 7));
    assert_eq!(reason, HaltReason::Refused(Refusal::NameInUse { name: name("web1"), owner }));
    let after = stage.read("dns1");
    assert_eq!(after, before["dns1"].facts.position(), "nothing was committed");
    for (node, view) in stage.views() {
        assert_eq!(view.facts.position(), after, "{node} knows of nothing new");
        let seq = version(&view, "web1");
        assert!(seq.is_none() || seq == version(&before["dns1"], "web1"), "{node} has what the owner said, or nothing: {seq:?}");
    }
    stage
}
