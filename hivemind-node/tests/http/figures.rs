//! What Prometheus is told.

use std::io::Write as _;
use std::process::{Command, Stdio};

use hivemind_node::http::model::Status;

use crate::client::get;
use crate::nodes::{Cluster, loopback};

#[tokio::test]
async fn figures_keep_the_conventions_of_prometheus() {
    let cluster = Cluster::born(loopback()).await;
    let _host = cluster.host("web1", 80).await;
    let answer = get(cluster.at, "/metrics").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "hivemind_ready 1",
        "hivemind_degraded 0",
        "hivemind_members 2",
        "hivemind_known_members{state=\"reachable\"} 2",
        "hivemind_voters 1",
        "hivemind_configs_held 1",
        "hivemind_role_failing{role=\"observer\"} 0",
        "hivemind_http_connections_total 1",
    ] {
        assert!(answer.body.lines().any(|found| found == line), "no `{line}` in\n{}", answer.body);
    }
    let expiry = "hivemind_certificate_expiry_timestamp_seconds ";
    let until = answer.body.lines().find_map(|line| line.strip_prefix(expiry)).and_then(|until| until.parse::<u64>().ok());
    let status: Status = get(cluster.at, "/api/v1/status").await.json();
    let shown = status.certificate.expect("it has one");
    assert_eq!(until, Some(shown.until_ms / 1_000));
    assert!(!shown.late && shown.until.ends_with('Z'), "{shown:?}");
    let mut promtool = Command::new("promtool");
    let promtool = promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = promtool.spawn().expect("promtool is installed (prometheus)");
    child.stdin.take().unwrap().write_all(answer.body.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
