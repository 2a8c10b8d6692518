//! Publishing.

use hivemind_lite::sim::roles;

use super::{all_know, consumer, formed, has_version, holds_every_host, host, kill_with_grace, version};
use crate::{Stage, bounds};

/// What a host says last is what every consumer has, with exactly that content.
pub fn a_change_reaches_every_consumer<S: Stage>(options: S::Options) -> S {
    let mut stage: S = formed(options, vec![consumer("dns1"), consumer("dns2"), consumer("dns3"), host("web1", 1)]);
    let bound = bounds::spread(stage.settings());
    let mut last = version(&stage.view("dns1"), "web1");
    for number in 1..=3 {
        let sections = roles::sections(1, number);
        let seq = stage.publish("web1", sections.clone());
        assert!(Some(seq) > last, "{seq} after {last:?}");
        last = Some(seq);
        stage.wait_until("every consumer has it", bound, |views| {
            ["dns1", "dns2", "dns3"].iter().all(|consumer| has_version(views, consumer, "web1", seq))
        });
        for consumer in ["dns1", "dns2", "dns3"] {
            let view = stage.view(consumer);
            let held = &view.config_of(&crate::name("web1")).expect("it has it").config;
            assert!(sections.iter().all(|section| held.section(&section.kind) == Some(section)), "{consumer}: {held:?}");
        }
    }
    stage
}

/// A consumer that was cut off meets its fellows again with an old version, while the host itself is away:
/// the newer one wins on both.
pub fn a_stale_config_never_overwrites_a_newer_one<S: Stage>(options: S::Options) -> S {
    let mut stage: S = formed(options, vec![consumer("dns1"), consumer("dns2"), host("web1", 1)]);
    let bound = bounds::join(stage.settings());
    stage.isolate(&["dns2"]);
    let newer = stage.publish("web1", roles::sections(1, 1));
    stage.wait_until("one consumer has it", bound, |views| has_version(views, "dns1", "web1", newer));
    assert!(version(&stage.view("dns2"), "web1") < Some(newer), "the other is cut off");
    kill_with_grace(&mut stage, &["web1"]);
    stage.heal();
    let mut fell_back = false;
    stage.wait_until("the other has it", bound, |views| {
        fell_back |= !has_version(views, "dns1", "web1", newer);
        has_version(views, "dns2", "web1", newer)
    });
    assert!(!fell_back, "the newer one was overwritten");

    stage.restart("web1");
    stage.wait_until("it is back", bound, |views| {
        all_know(views, 6, 6) && ["dns1", "dns2"].iter().all(|consumer| holds_every_host(&views[*consumer]))
    });
    assert!(version(&stage.view("dns1"), "web1") >= Some(newer), "the host goes on from there");
    stage
}
