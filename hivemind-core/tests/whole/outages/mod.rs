//! Permanent scripts of what brought others down: the part of them that plays between machines, frame by frame. What users
//! would have seen of it, the answers of DNS, is in `hivemind-lite/tests/outages`.

mod dead_data;
mod equal_ids;
mod old_plan;
mod one_way_switch;
mod poison;

use std::time::Duration;

use hivemind_core::machine::Phase;

use super::net::{Net, Part};

const VOTERS: [&str; 3] = ["v1", "v2", "v3"];

/// Three voters, two consumers and two hosts that have published `one of` themselves.
fn cluster() -> Net {
    let mut net = Net::new();
    net.birth("v1", Part::Voter);
    let others =
        [("v2", Part::Voter), ("v3", Part::Voter), ("c1", Part::Consumer), ("c2", Part::Consumer), ("h1", Part::Host), ("h2", Part::Host)];
    for (name, part) in others {
        net.start(name, part, &["v1", "v2", "v3"].into_iter().filter(|seed| net_has(&net, seed)).collect::<Vec<_>>());
        net.run(Duration::from_secs(1));
    }
    net.publish("h1", 1, "one of h1");
    net.publish("h2", 2, "one of h2");
    net.run(Duration::from_secs(4));
    assert!(net.places.keys().all(|name| net.phase(name) == Some(Phase::Member)));
    assert!(["c1", "c2"].iter().all(|consumer| net.text(consumer, "h1").as_deref() == Some("one of h1")));
    net
}

fn net_has(net: &Net, name: &str) -> bool {
    net.places.contains_key(name)
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
