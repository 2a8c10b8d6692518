//! The cluster for tests does what it says: its nodes join, die, come back, and are told of by name.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hivemind_core::ids::{NodeName, SectionKind};
use hivemind_core::role::{Role, RoleSpec};
use hivemind_core::settings::Settings;
use hivemind_core::view::{Changed, View};
use hivemind_core::wire::command::{Command, Outcome};
use hivemind_core::wire::config::Section;
use hivemind_core::wire::feature::FeatureName;
use hivemind_node::NodeBuilder;
use hivemind_node::testing::{TestCluster, TestClusterError, TestClusterOptions, Views};

fn members(views: &Views, count: usize) -> bool {
    views.len() == count && views.values().all(|view| view.facts.members().len() == count)
}

fn kind() -> SectionKind {
    SectionKind::new("greeting").expect("a valid name")
}

/// Publishes and consumes greetings.
struct Greeter;

impl Role for Greeter {
    type Desired = ();

    fn spec(&self) -> RoleSpec {
        RoleSpec { name: kind(), requires: vec![], bootstraps_from: vec![], publishes: vec![kind()], consumes: vec![kind()] }
    }

    fn desired(&self, _view: &View, _changed: &Changed, _last: Option<&()>) {}
}

#[tokio::test]
async fn five_nodes_are_members_of_each_others_views_and_three_of_them_vote() {
    let cluster = TestCluster::start(5).await.unwrap();
    assert!(members(&cluster.views(), 5));
    assert_eq!(cluster.names().map(ToString::to_string).collect::<Vec<_>>(), ["node1", "node2", "node3", "node4", "node5"]);
    for view in cluster.views().values() {
        assert_eq!(view.facts.members().keys().filter(|node| view.facts.is_voter(**node)).count(), 3);
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_killed_node_goes_and_a_restarted_one_comes_back() {
    let mut cluster = TestCluster::start(4).await.unwrap();
    cluster.kill("node4").await.unwrap();
    assert!(matches!(cluster.node("node4"), Err(TestClusterError::NotRunning(_))));
    assert!(matches!(cluster.kill("node4").await, Err(TestClusterError::NotRunning(_))));
    cluster.wait_for("three members", |views| members(views, 3)).await.unwrap();
    cluster.restart("node4").await.unwrap();
    cluster.wait_for("four members", |views| members(views, 4)).await.unwrap();
    cluster.restart("node1").await.unwrap();
    cluster.wait_for("the first one too", |views| views.contains_key("node1") && members(views, 4)).await.unwrap();
}

#[tokio::test]
async fn what_a_role_of_the_tests_own_publishes_is_in_every_consumers_view() {
    let options = TestClusterOptions::new(3).voters(1).configure(|_, node| node.role_without_apply(Greeter));
    let cluster = options.start().await.unwrap();
    let section = Section { kind: kind(), body: b"hello".as_slice().into() };
    cluster.node("node2").unwrap().publish(vec![section]).await.unwrap();
    let heard = |view: &View| view.hosts().any(|(host, of)| host.name.as_str() == "node2" && of.config.section(&kind()).is_some());
    cluster.wait_for("all heard it", |views| views.values().all(|view| heard(view))).await.unwrap();
}

#[tokio::test]
async fn who_is_cut_off_says_so_until_it_is_healed() {
    let mut settings = Settings::one_machine();
    settings.control.voter_degraded_after = Duration::from_millis(1500);
    let cluster = TestClusterOptions::new(3).settings(settings).start().await.unwrap();
    cluster.isolate(&["node2", "node3"]).unwrap();
    cluster.wait_for("all are degraded", |views| views.values().all(|view| view.condition.degraded)).await.unwrap();
    cluster.heal();
    cluster.wait_for("none is", |views| views.values().all(|view| !view.condition.degraded)).await.unwrap();
}

#[tokio::test]
async fn mistakes_are_named() {
    assert!(matches!(TestCluster::start(0).await, Err(TestClusterError::Size(0))));
    let patience = Duration::from_millis(10);
    let mut cluster = TestClusterOptions::new(1).patience(patience).start().await.unwrap();
    let unknown = cluster.kill("node7").await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no node `node7`; there are node1");
    let late = cluster.wait_for("what never comes", |_| false).await.unwrap_err().to_string();
    assert!(late.starts_with("after 10ms still not: what never comes\nnode1: a member, at "), "{late}");
}

#[tokio::test]
async fn a_feature_that_all_support_is_switched_on_everywhere_and_an_older_node_stops() {
    let x = FeatureName::new("x").expect("a valid name");
    let newer = Settings { features: BTreeSet::from([x.clone()]), ..Settings::one_machine() };
    let older = Settings::one_machine();
    let starts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&starts);
    let set_back = move |name: &NodeName, node: NodeBuilder| {
        let again = name.as_str() == "node4" && counted.fetch_add(1, Ordering::Relaxed) > 0;
        if again { node.settings(older.clone()) } else { node }
    };
    let mut cluster = TestClusterOptions::new(4).settings(newer).configure(set_back).start().await.unwrap();
    let outcome = cluster.node("node1").unwrap().propose(Command::FeatureOn { feature: x.clone() }).await;
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    cluster.wait_for("it is on everywhere", |views| views.values().all(|view| view.facts.features().contains(&x))).await.unwrap();
    cluster.restart("node4").await.unwrap();
    let reason = cluster.node("node4").unwrap().stopped().await.to_string();
    assert!(reason.contains("does not support: x; install the version that the cluster runs"), "{reason}");
}
