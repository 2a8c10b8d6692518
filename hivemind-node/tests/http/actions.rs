//! What is done to members.

use std::time::Duration;

use hivemind_core::view::View;
use hivemind_node::http::model::{ActionResult, ActionStage, Event, EventPage, LeaveReason, ProblemKind, Status};
use hivemind_node::http::{HttpSettings, Limits};

use crate::client::{ask, get, get_until, within};
use crate::nodes::{Cluster, limits, loopback, name};

const ADMIN: (&str, &str) = ("Authorization", "Bearer admin");
const JSON: (&str, &str) = ("Content-Type", "application/json");

async fn admin(settings: HttpSettings) -> Cluster {
    Cluster::with_secrets(settings).await
}

#[tokio::test]
async fn a_member_leaves_and_another_is_put_out() {
    let cluster = admin(loopback()).await;
    let hosts = [cluster.host("web1", 80).await, cluster.host("web2", 80).await];
    let post = async |path: &str, body: &str| ask(cluster.at, "POST", path, &[ADMIN, JSON], body).await;

    let tried: ActionResult = post("/api/v1/members/web1/leave?dry_run=true", "").await.json();
    assert_eq!((tried.stage, tried.member.name.as_deref()), (ActionStage::Possible, Some("web1")));
    assert!(cluster.voter.handle().view().unwrap().facts.named(&name("web1")).is_some(), "nothing was done");
    assert_eq!(post("/api/v1/members/web1/leave", "{\"node\":\"9.9\"}").await.problem(), ProblemKind::Conflict);

    let body = format!("{{\"node\":\"{}\"}}", tried.member.node);
    let left: ActionResult = post("/api/v1/members/web1/leave", &body).await.json();
    assert_eq!((left.stage, &left.member), (ActionStage::Committed, &tried.member));
    let evicted: ActionResult = post("/api/v1/members/web2/evict", "").await.json();
    let gone = |view: &View| view.facts.named(&name("web2")).is_none();
    within("web2 is gone", cluster.voter.handle().view_where(gone)).await.unwrap();
    assert_eq!(post("/api/v1/members/web2/evict", "").await.problem(), ProblemKind::NotFound);

    let found = |answer: &crate::client::Answer| answer.json::<EventPage>().next.as_deref() == Some(evicted.position.as_str());
    let events: EventPage = get_until(cluster.at, "/api/v1/events", found).await.json();
    let left_at = |event: hivemind_node::http::model::LoggedEvent| match event.event {
        Event::Left { member, reason, .. } => Some((event.position, member, reason)),
        _ => None,
    };
    let leaves: Vec<_> = events.events.into_iter().filter_map(left_at).collect();
    let expected = [(left.position, left.member, LeaveReason::Asked), (evicted.position, evicted.member, LeaveReason::Evicted)];
    assert_eq!(leaves, expected);
    drop(hosts);
}

#[tokio::test]
async fn the_last_voter_can_not_be_put_out() {
    let cluster = admin(loopback()).await;
    let answer = ask(cluster.at, "POST", "/api/v1/members/voter1/evict", &[ADMIN], "").await;
    assert_eq!(answer.problem(), ProblemKind::Conflict);
}

#[tokio::test]
async fn without_a_quorum_nothing_linearizable_is_answered_and_no_outcome_is_made_up() {
    let limits = Limits { time: Duration::from_millis(500), ..limits() };
    let cluster = admin(HttpSettings { limits, ..loopback() }).await;
    let host = cluster.host("web1", 80).await;
    let others = cluster.two_voters().await;
    let leads = |status: &hivemind_node::NodeStatus| status.machine.leader == Some(status.machine.node);
    within("voter1 leads", cluster.voter.handle().status_where(leads)).await.unwrap();
    for voter in &others {
        voter.filter().isolate([]);
    }
    let act = async |path: &str| ask(cluster.at, "POST", path, &[ADMIN], "").await;
    let unknown = act("/api/v1/members/web1/leave").await;
    assert_eq!(unknown.problem(), ProblemKind::OutcomeUnknown, "it is in a log, and no quorum has it");

    let answer = get(cluster.at, "/api/v1/members?consistency=linearizable").await;
    assert_eq!(answer.problem(), ProblemKind::NoQuorum);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(act("/api/v1/members/web1/leave?dry_run=true").await.problem(), ProblemKind::NoQuorum);

    within("it knows", cluster.voter.handle().view_where(|view| view.condition.degraded)).await.unwrap();
    let answer = get(cluster.at, "/api/v1/status").await;
    assert_eq!(answer.header("hivemind-degraded"), Some("true"));
    let status: Status = answer.json();
    assert!(status.condition.degraded && status.members == 4);
    assert_eq!(get(cluster.at, "/api/v1/members/web1").await.status, 200, "what is known is still told");
    drop((host, others));
}
