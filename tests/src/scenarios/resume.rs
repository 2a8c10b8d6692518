//! Resuming.

use hivemind_lite::sim::roles;

use super::{all_know, consumer, formed, has_version, host, kill_with_grace, version};
use crate::{Stage, bounds, name};

/// A restart with the data is no join: the id stays, what was missed comes, and the versions go on.
pub fn a_node_that_restarts_with_its_data_goes_on_as_the_same_member<S: Stage>(options: S::Options) -> S {
    let mut stage: S = formed(options, vec![consumer("dns1"), host("web1", 1)]);
    let bound = bounds::join(stage.settings());
    let published = stage.publish("web1", roles::sections(1, 1));
    stage.wait_until("it is known", bound, |views| has_version(views, "dns1", "web1", published));
    let before = stage.view("web1").facts.named(&name("web1")).expect("it is a member").clone();

    kill_with_grace(&mut stage, &["web1"]);
    stage.start(host("web2", 2));
    stage.wait_until("the others go on without it", bound, |views| all_know(views, 5, 6));
    stage.restart("web1");
    stage.wait_until("it knows what it missed", bound, |views| all_know(views, 6, 6));

    let after = stage.view("dns1").facts.named(&name("web1")).expect("it is a member").clone();
    assert_eq!((after.node, after.joined), (before.node, before.joined), "it did not join again");
    let kept = version(&stage.view("dns1"), "web1").expect("its config stays in force");
    assert!(kept >= published, "{kept} after {published}");
    let next = stage.publish("web1", roles::sections(1, 2));
    assert!(next > kept, "{next} after {kept}");
    stage.wait_until("its next version is known", bound, |views| has_version(views, "dns1", "web1", next));
    stage
}
