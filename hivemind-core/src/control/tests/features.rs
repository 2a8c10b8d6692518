//! Features: switched on when all support them, and asked of whoever joins from then on.

use std::collections::BTreeSet;

use super::commands::State;
use super::net::{V1, request, signed};
use crate::control::snapshot;
use crate::facts::Facts;
use crate::ids::{NodeId, NodeName};
use crate::wire::access::AdmissionPolicy;
use crate::wire::codec;
use crate::wire::command::{Command, Refusal};
use crate::wire::event::Event;
use crate::wire::feature::{FeatureName, MAX_FEATURES};

fn names(names: &[&str]) -> BTreeSet<FeatureName> {
    names.iter().map(|name| FeatureName::new(name).unwrap()).collect()
}

fn on(name: &str) -> Command {
    Command::FeatureOn { feature: FeatureName::new(name).unwrap() }
}

fn supports(node: NodeId, features: &[&str]) -> Command {
    Command::Features { node, features: names(features) }
}

fn join(name: &str, nonce: u64, features: &[&str]) -> Command {
    let mut wish = request(name, nonce);
    wish.features = names(features);
    signed(wish)
}

fn joined(state: &mut State, command: Command) -> NodeId {
    match state.event(command) {
        Some(Event::Joined { member, .. }) => member.node,
        other => panic!("no join: {other:?}"),
    }
}

fn open() -> State {
    State::with(AdmissionPolicy::Open)
}

#[test]
fn a_feature_waits_until_every_member_supports_it_and_names_who_does_not() {
    let mut state = open();
    let a = joined(&mut state, join("a", 1, &["slow-start"]));
    let b = joined(&mut state, join("b", 2, &[]));
    let lacking = |names: &[&str]| Refusal::Unsupported {
        feature: FeatureName::new("slow-start").unwrap(),
        members: names.iter().map(|name| NodeName::new(name).unwrap()).collect(),
    };
    let refusal = state.refusal(on("slow-start"));
    assert_eq!(refusal, lacking(&["v1", "b"]));
    assert_eq!(refusal.to_string(), "the feature slow-start is not supported by v1, b; upgrade them first, or evict those that are gone");
    state.event(supports(V1, &["slow-start"]));
    assert_eq!(state.refusal(on("slow-start")), lacking(&["b"]));
    state.event(supports(b, &["other", "slow-start"]));
    assert_eq!(state.event(on("slow-start")), Some(Event::FeatureOn { feature: FeatureName::new("slow-start").unwrap() }));
    assert_eq!(state.event(on("slow-start")), None, "once is enough");
    assert_eq!(state.applied.facts.member(a).unwrap().features, names(&["slow-start"]));
    assert!(matches!(state.refusal(on("other")), Refusal::Unsupported { .. }));
}

#[test]
fn who_lacks_what_is_switched_on_neither_joins_nor_falls_back() {
    let mut state = open();
    state.event(supports(V1, &["x", "y"]));
    state.event(on("x"));
    let lacks = Refusal::LacksFeatures { features: names(&["x"]).into_iter().collect() };
    assert_eq!(state.refusal(join("old", 1, &["y"])), lacks);
    assert_eq!(
        lacks.to_string(),
        "the cluster has switched on what this node does not support: x; install the version that the cluster runs"
    );
    assert_eq!(state.refusal(supports(V1, &["y"])), lacks);
    state.event(supports(V1, &["x"]));
    joined(&mut state, join("new", 2, &["x", "z"]));
    assert!(matches!(state.refusal(supports(NodeId::new(1, 99), &["x"])), Refusal::NotAMember { .. }));
}

#[test]
fn what_is_said_again_is_no_event_and_too_much_is_refused() {
    let mut state = open();
    assert_eq!(state.event(supports(V1, &[])), None);
    let many: Vec<String> = (0..=MAX_FEATURES).map(|number| format!("f{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(matches!(state.refusal(supports(V1, &many)), Refusal::Invalid { .. }));
    assert!(matches!(state.refusal(join("a", 1, &many)), Refusal::Invalid { .. }));
    state.event(supports(V1, &many[..MAX_FEATURES]));
    for name in &many[..MAX_FEATURES] {
        state.event(on(name));
    }
    assert!(matches!(state.refusal(on("one-more")), Refusal::Invalid { .. }));
}

#[test]
fn features_are_in_snapshots_and_digests() {
    let mut state = open();
    state.event(supports(V1, &["x"]));
    state.event(on("x"));
    let made = snapshot::encode(&state.applied, 7);
    assert_eq!(snapshot::decode(&made.data).unwrap(), state.applied);
    let facts = codec::decode::<Facts, { 1 << 20 }>(&codec::encode(&state.applied.facts)).unwrap();
    assert_eq!(facts.features().iter().cloned().collect::<BTreeSet<_>>(), names(&["x"]));
    let slice = facts.slice_for(V1).unwrap();
    assert_eq!(slice.features(), facts.features(), "in every scope");
}
