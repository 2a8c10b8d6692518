//! What happened to a member, asked of whoever.

use std::time::Duration;

use hivemind_core::view::View;
use hivemind_core::wire::command::{Command, Outcome};
use hivemind_node::http::model::{Event, Happening, LeaveReason, ProblemKind, Why};

use crate::client::{Answer, ask, get, get_until, within};
use crate::nodes::{Cluster, loopback, name};

const ADMIN: (&str, &str) = ("Authorization", "Bearer admin");

fn committed(why: &Why) -> Vec<&'static str> {
    let events = why.history.iter().filter_map(|episode| match &episode.what {
        Happening::Committed { event, .. } => Some(event),
        Happening::Unreachable | Happening::Reachable | Happening::Accused { .. } => None,
    });
    let word = |event: &Event| match event {
        Event::Joined { .. } => "joined",
        Event::Restarting { .. } => "restarting",
        Event::Restarted { .. } => "restarted",
        Event::Left { reason: LeaveReason::Evicted, .. } => "evicted",
        Event::Left { reason: LeaveReason::Failed, observers, .. } if !observers.is_empty() => "failed",
        _ => "else",
    };
    events.map(word).collect()
}

#[tokio::test]
async fn one_that_is_gone_has_its_history_by_name_and_by_id() {
    let cluster = Cluster::with_secrets(loopback()).await;
    let host = cluster.host("web1", 80).await;
    let node = host.handle().status().machine.node;
    for command in [Command::Restarting { node, grace: Duration::from_secs(9) }, Command::Restarted { node }] {
        let outcome = within("it is committed", cluster.voter.handle().propose(command)).await;
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    }
    ask(cluster.at, "POST", "/api/v1/members/web1/evict", &[ADMIN], "").await;
    let ended = |answer: &Answer| answer.status == 200 && committed(&answer.json()).ends_with(&["evicted"]);
    let why: Why = get_until(cluster.at, "/api/v1/why/web1", ended).await.json();
    assert_eq!(committed(&why), ["joined", "restarting", "restarted", "evicted"]);
    assert!(why.member.is_none() && why.leads && why.history.iter().all(|episode| episode.at_ms >= Some(why.since_ms)), "{why:?}");
    let indices = why.history.iter().filter_map(|episode| match &episode.what {
        Happening::Committed { index, .. } => Some(*index),
        Happening::Unreachable | Happening::Reachable | Happening::Accused { .. } => None,
    });
    assert!(indices.is_sorted(), "{why:?}");
    let by_id: Why = get(cluster.at, &format!("/api/v1/why/{node}")).await.json();
    assert_eq!(by_id.history, why.history);
}

#[tokio::test]
async fn one_that_fails_is_told_with_who_saw_it() {
    let cluster = Cluster::with_secrets(loopback()).await;
    let host = cluster.host("web1", 80).await;
    host.kill().await;
    let gone = |view: &View| view.facts.named(&name("web1")).is_none();
    within("it is given up", cluster.voter.handle().view_where(gone)).await.unwrap();
    let ended = |answer: &Answer| answer.status == 200 && committed(&answer.json()).ends_with(&["failed"]);
    let why: Why = get_until(cluster.at, "/api/v1/why/web1", ended).await.json();
    let saw = |what: fn(&Happening) -> bool| why.history.iter().any(|episode| what(&episode.what));
    assert!(saw(|what| *what == Happening::Unreachable), "{why:?}");
    assert!(saw(|what| matches!(what, Happening::Accused { observer } if observer.name.as_deref() == Some("voter1"))), "{why:?}");
}

#[tokio::test]
async fn a_name_that_never_was_is_said_to_be_none() {
    let cluster = Cluster::born(loopback()).await;
    for path in ["/api/v1/why/nobody", "/api/v1/why/9.9", "/api/v1/why/%00"] {
        let answer = get(cluster.at, path).await;
        assert!(answer.body.contains("nothing is known of"), "{answer:?}");
        assert_eq!(answer.problem(), ProblemKind::NotFound);
    }
    assert_eq!(get(cluster.at, "/api/v1/why/voter1").await.json::<Why>().member.unwrap().name, "voter1");
}
