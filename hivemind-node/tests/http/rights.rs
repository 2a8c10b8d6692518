//! Who may do what.

use hivemind_node::http::model::ProblemKind;
use hivemind_node::http::{Anonymous, HttpSettings};

use crate::client::ask;
use crate::nodes::{Cluster, loopback};

const LOOK: (&str, &str) = ("GET", "/api/v1/members");
const TRY: (&str, &str) = ("POST", "/api/v1/members/voter1/evict?dry_run=true");
const DO: (&str, &str) = ("POST", "/api/v1/members/nobody/evict");
const OPEN: (&str, &str) = ("GET", "/readyz");

async fn tried(cluster: &Cluster, credential: Option<&str>) -> Vec<Option<ProblemKind>> {
    let mut out = Vec::new();
    for (method, path) in [OPEN, LOOK, TRY, DO] {
        let header = credential.map(|secret| ("Authorization", secret));
        let answer = ask(cluster.at, method, path, header.as_slice(), "").await;
        if answer.status == 401 {
            assert!(answer.header("www-authenticate").is_some_and(|scheme| scheme.starts_with("Bearer ")));
        }
        out.push((answer.status != 200).then(|| answer.problem()));
    }
    out
}

#[tokio::test]
async fn anonymous_requests_may_do_what_the_settings_say() {
    let (no, absent) = (Some(ProblemKind::Unauthorized), Some(ProblemKind::NotFound));
    for (anonymous, expected) in
        [(Anonymous::None, [None, no, no, no]), (Anonymous::Read, [None, None, no, no]), (Anonymous::Write, [None, None, None, no])]
    {
        let cluster = Cluster::with_secrets(HttpSettings { anonymous, ..loopback() }).await;
        assert_eq!(tried(&cluster, None).await, expected, "{anonymous:?}");
        assert_eq!(tried(&cluster, Some("Bearer admin")).await, [None, None, None, absent], "{anonymous:?}");
    }
}

#[tokio::test]
async fn a_credential_allows_what_its_right_says_and_a_wrong_one_nothing() {
    let cluster = Cluster::with_secrets(HttpSettings { anonymous: Anonymous::Write, ..loopback() }).await;
    let (no, weak) = (Some(ProblemKind::Unauthorized), Some(ProblemKind::Forbidden));
    assert_eq!(tried(&cluster, Some("Bearer reader")).await, [None, None, weak, weak]);
    assert_eq!(tried(&cluster, Some("Bearer writer")).await, [None, None, None, weak]);
    for wrong in ["Bearer Admin", "Bearer ", "Basic admin", "admin", "Bearer admin admin"] {
        assert_eq!(tried(&cluster, Some(wrong)).await, [None, no, no, no], "{wrong}");
    }
}

#[tokio::test]
async fn what_a_proxy_passes_on_needs_a_credential() {
    let cluster = Cluster::with_secrets(HttpSettings { anonymous: Anonymous::Write, ..loopback() }).await;
    for passed_on in [("Forwarded", "for=192.0.2.1"), ("X-Forwarded-For", "192.0.2.1"), ("Via", "1.1 proxy"), ("via", "")] {
        for (method, path) in [LOOK, TRY] {
            let answer = ask(cluster.at, method, path, &[passed_on], "").await;
            assert_eq!(answer.problem(), ProblemKind::Unauthorized, "{passed_on:?} {path}");
        }
        let answer = ask(cluster.at, LOOK.0, LOOK.1, &[passed_on, ("Authorization", "Bearer reader")], "").await;
        assert_eq!(answer.status, 200, "{passed_on:?}");
        assert_eq!(ask(cluster.at, OPEN.0, OPEN.1, &[passed_on], "").await.status, 200);
    }
}
