//! How a consumer comes by what there is.

use super::{consumer, formed, has_version, holds_every_host, host, kill_with_grace, version};
use crate::{Stage, bounds};

/// Before it says that it is complete it has everything, from hosts that published before it was there.
pub fn the_first_consumer_gets_everything_from_the_hosts<S: Stage>(options: S::Options) -> S {
    let mut stage: S = formed(options, vec![host("web1", 1), host("web2", 2), host("web3", 3)]);
    let bound = bounds::join(stage.settings());
    let versions = ["web1", "web2", "web3"].map(|host| (host, version(&stage.view(host), host).expect("it has published")));
    stage.start(consumer("dns1"));
    let mut lied = false;
    stage.wait_until("it has everything", bound, |views| {
        let Some(view) = views.get("dns1") else { return false };
        lied |= !view.condition.incomplete && view.hosts().count() < 3;
        holds_every_host(view)
    });
    assert!(!lied, "it said that it was complete, and was not");
    assert!(versions.iter().all(|(host, seq)| has_version(&stage.views(), "dns1", host, *seq)));
    stage
}

/// With every host away, a second consumer has everything all the same.
pub fn a_later_consumer_gets_everything_from_its_fellows<S: Stage>(options: S::Options) -> S {
    let hosts = ["web1", "web2", "web3"];
    let mut stage: S = formed(options, vec![consumer("dns1"), host("web1", 1), host("web2", 2), host("web3", 3)]);
    let bound = bounds::join(stage.settings());
    let versions = hosts.map(|host| (host, version(&stage.view("dns1"), host).expect("it is complete")));
    kill_with_grace(&mut stage, &hosts);
    let asked = stage.sent("configs/want");
    stage.start(consumer("dns2"));
    stage.wait_until("it has everything", bound, |views| {
        let view = views.get("dns2");
        view.is_some_and(|view| holds_every_host(view)) && versions.iter().all(|(host, seq)| has_version(views, "dns2", host, *seq))
    });
    let once = asked.map(|asked| asked + 1);
    assert!(stage.sent("configs/want") <= once, "it asked its fellow for all that it lacked, once, and nobody for a single config");
    stage
}
