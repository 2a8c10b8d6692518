//! Optional features that are switched on.

use hivemind_core::machine::HaltReason;
use hivemind_node::http::HttpListener;
use hivemind_node::http::model::{ActionResult, ActionStage, Feature, FeatureResult, Features, ProblemKind};
use hivemind_node::{Node, StopReason};

use crate::client::{Answer, ask, get, get_until, within};
use crate::nodes::{Cluster, is_member, loopback, with_secrets};

const FEATURES: &str = "/api/v1/features";
const ENABLE: &str = "/api/v1/features/fast-joins/enable";
const ADMIN: (&str, &str) = ("Authorization", "Bearer admin");
const JSON: (&str, &str) = ("Content-Type", "application/json");

async fn post(cluster: &Cluster, path: &str) -> Answer {
    ask(cluster.at, "POST", path, &[ADMIN, JSON], "").await
}

/// A cluster whose members all support the feature, and one of them that is no voter.
async fn cluster() -> (Cluster, [Node; 2], Node) {
    let cluster = Cluster::supporting(loopback(), &["fast-joins", "spare"]).await;
    with_secrets(&cluster.voter).await;
    let voters = cluster.two_voters().await;
    let host = cluster.host("web1", 80).await;
    (cluster, voters, host)
}

fn named<'a>(features: &'a Features, name: &str) -> &'a Feature {
    features.features.iter().find(|feature| feature.name == name).unwrap()
}

#[tokio::test]
async fn a_feature_is_switched_on_once_no_member_lacks_it_and_every_node_shows_it() {
    let (cluster, voters, host) = cluster().await;
    let old = cluster.older("old1").await;
    is_member(&old).await;
    let known = |answer: &Answer| named(&answer.json(), "fast-joins").lacking == ["old1"];
    let listed: Features = get_until(cluster.at, FEATURES, known).await.json();
    assert!(listed.complete && !named(&listed, "fast-joins").enabled, "{listed:?}");
    for path in [ENABLE.to_owned(), format!("{ENABLE}?dry_run=true")] {
        let refused = post(&cluster, &path).await;
        assert!(refused.problem() == ProblemKind::Conflict && refused.body.contains("old1"), "{refused:?}");
    }
    post(&cluster, "/api/v1/members/old1/leave").await.json::<ActionResult>();

    let tried: FeatureResult = post(&cluster, &format!("{ENABLE}?dry_run=true")).await.json();
    assert_eq!(tried.stage, ActionStage::Possible);
    assert!(!named(&get(cluster.at, FEATURES).await.json(), "fast-joins").enabled, "nothing was done");
    for _ in ["the first time", "a second time is harmless"] {
        let done: FeatureResult = post(&cluster, ENABLE).await.json();
        assert_eq!((done.feature.as_str(), done.stage), ("fast-joins", ActionStage::Committed));
    }
    for node in [&cluster.voter, &voters[0], &voters[1], &host] {
        let listener = HttpListener::bind(loopback()).unwrap();
        let at = listener.local_addr();
        let server = listener.serve(node.handle().clone());
        let is_on = |answer: &Answer| named(&answer.json(), "fast-joins").enabled;
        let listed: Features = get_until(at, FEATURES, is_on).await.json();
        assert!(named(&listed, "fast-joins").lacking.is_empty() && !named(&listed, "spare").enabled, "{listed:?}");
        server.stop().await;
    }

    // From then on nobody joins who lacks it.
    let late = cluster.older("old2").await;
    let reason = within("an older node is refused", late.handle().stopped()).await;
    assert!(matches!(reason, StopReason::Halted(HaltReason::Refused(_))) && reason.to_string().contains("fast-joins"), "{reason}");
}

#[cfg(feature = "cli")]
#[tokio::test]
async fn the_tool_switches_a_feature_on() {
    let (cluster, _voters, _host) = cluster().await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "admin").unwrap();
    let tool = async |arguments: &[&str]| {
        let mut tool = std::process::Command::new(env!("CARGO_BIN_EXE_hivemind"));
        tool.args(arguments).arg("--credential-file").arg(&secret).env("HIVEMIND_ADDR", format!("http://{}", cluster.at));
        let output = within("the tool", tokio::task::spawn_blocking(move || tool.output())).await.unwrap().unwrap();
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let row =
        |table: &str, name: &str| table.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace().nth(1).unwrap().to_owned();
    let (status, table, _) = tool(&["features", "list"]).await;
    assert!(status == Some(0) && row(&table, "fast-joins") == "off" && row(&table, "spare") == "off", "{table}");
    let (status, _, said) = tool(&["features", "enable", "fast-join"]).await;
    assert!(status == Some(1) && said.contains("did you mean `fast-joins`?"), "{said}");
    for _ in ["the first time", "a second time is harmless"] {
        let done = tool(&["features", "enable", "fast-joins"]).await;
        let words = "feature fast-joins is on; whoever joins from now on must support it\n".to_owned();
        assert_eq!(done, (Some(0), words, String::new()));
    }
    let (_, table, _) = tool(&["features", "list"]).await;
    assert!(row(&table, "fast-joins") == "on" && row(&table, "spare") == "off", "{table}");
}
