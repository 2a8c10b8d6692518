//! Features among whole machines: who is upgraded says so, and who is not, or is set back, stops with the reason.

use std::collections::BTreeSet;
use std::time::Duration;

use hivemind_core::machine::{HaltReason, Phase};
use hivemind_core::wire::command::{Command, Outcome, Refusal};
use hivemind_core::wire::feature::FeatureName;

use super::net::{Net, Part};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Proposes, and waits for what became of it.
fn switch_on(net: &mut Net, request: u64) -> Outcome {
    net.propose("v1", request, Command::FeatureOn { feature: FeatureName::new("x").expect("a valid name") });
    net.run(seconds(2));
    net.outcome("v1", request).expect("it has an outcome").clone()
}

fn features(names: &[&str]) -> BTreeSet<FeatureName> {
    names.iter().map(|name| FeatureName::new(name).expect("a valid name")).collect()
}

fn lacks_x() -> HaltReason {
    HaltReason::Refused(Refusal::LacksFeatures { features: features(&["x"]).into_iter().collect() })
}

#[test]
fn a_cluster_is_upgraded_node_by_node_and_then_takes_no_older_one() {
    let mut net = Net::new();
    net.birth("v1", Part::Voter);
    net.start("h1", Part::Host, &["v1"]);
    net.run(seconds(3));
    net.settings.features = features(&["x"]);
    net.kill("v1");
    net.restart("v1");
    net.run(seconds(5));
    let outcome = switch_on(&mut net, 1);
    assert!(matches!(&outcome, Outcome::Refused(Refusal::Unsupported { members, .. }) if members.len() == 1), "{outcome:?}");
    net.kill("h1");
    net.restart("h1");
    net.run(seconds(5));
    let outcome = switch_on(&mut net, 2);
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    assert_eq!(net.machine("h1").view().expect("a member has one").facts.features().len(), 1);

    net.settings.features = features(&[]);
    net.start("h2", Part::Host, &["v1"]);
    net.kill("h1");
    net.restart("h1");
    net.run(seconds(10));
    assert_eq!(net.places["h2"].halted, Some(lacks_x()), "an older one does not join");
    assert_eq!(net.places["h1"].halted, Some(lacks_x()), "one that was set back does not go on");
    net.kill("v1");
    net.restart("v1");
    net.run(seconds(2));
    assert_eq!(net.places["v1"].halted, Some(lacks_x()), "a voter neither");
    net.settings.features = features(&["x"]);
    for name in ["v1", "h1"] {
        net.kill(name);
        net.restart(name);
    }
    net.run(seconds(10));
    assert_eq!(net.phase("h1"), Some(Phase::Member), "the newer version goes on");
}
