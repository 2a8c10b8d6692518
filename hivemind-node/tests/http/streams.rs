//! Streams: resumed without a gap where that can be, and with a word where it can not.

use std::time::Duration;

use hivemind_core::view::View;
use hivemind_core::wire::access::CredentialId;
use hivemind_core::wire::command::Command;
use hivemind_node::http::model::{Config, Event, EventPage, Gap, HostGone, LoggedEvent, ProblemKind, StateSent};
use hivemind_node::http::{HttpSettings, Limits};

use crate::client::{Answer, Sent, Stream, get, get_until, within};
use crate::nodes::{Cluster, limits, loopback, name};

const EVENTS: &str = "/api/v1/events";

async fn until_joined(stream: &mut Stream, called: &str) -> Sent {
    loop {
        let sent = stream.next().await.expect("the stream goes on");
        assert_eq!(sent.name, "log");
        let logged: LoggedEvent = sent.json();
        assert_eq!(logged.position, sent.id);
        if matches!(&logged.event, Event::Joined { member, .. } if member.name.as_deref() == Some(called)) {
            return sent;
        }
    }
}

#[tokio::test]
async fn events_are_streamed_and_a_stream_resumes_without_a_gap() {
    let cluster = Cluster::born(loopback()).await;
    let mut live = Stream::open(cluster.at, EVENTS, &[]).await.unwrap();
    let _web1 = cluster.host("web1", 80).await;
    let first = until_joined(&mut live, "web1").await;
    drop(live);
    let _web2 = cluster.host("web2", 80).await;
    let mut resumed = Stream::open(cluster.at, EVENTS, &[("Last-Event-ID", &first.id)]).await.unwrap();
    let second = until_joined(&mut resumed, "web2").await;
    let mut again = Stream::open(cluster.at, &format!("{EVENTS}?after={}", first.id), &[]).await.unwrap();
    assert_eq!(until_joined(&mut again, "web2").await, second);
    let page: EventPage = get(cluster.at, &format!("{EVENTS}?after={}", first.id)).await.json();
    assert!(page.gap.is_none() && page.events.iter().any(|event| event.position == second.id));

    let bad = Stream::open(cluster.at, EVENTS, &[("Last-Event-ID", "x")]).await.err().unwrap();
    assert_eq!(bad.problem(), ProblemKind::BadRequest);
}

#[tokio::test]
async fn a_stream_that_is_lost_before_its_first_event_resumes_where_it_began() {
    let cluster = Cluster::born(loopback()).await;
    let mut live = Stream::open(cluster.at, EVENTS, &[]).await.unwrap();
    let begun = within("where it begins", live.start()).await.expect("it stands first");
    assert_eq!(live.header("hivemind-position"), Some(begun.as_str()));
    drop(live);
    let _web1 = cluster.host("web1", 80).await;
    let mut resumed = Stream::open(cluster.at, EVENTS, &[("Last-Event-ID", &begun)]).await.unwrap();
    assert_eq!(resumed.start().await, Some(begun));
    until_joined(&mut resumed, "web1").await;
}

#[tokio::test]
async fn what_is_not_kept_any_more_is_announced_as_a_gap() {
    let limits = Limits { events: 1, ..limits() };
    let cluster = Cluster::born(HttpSettings { limits, ..loopback() }).await;
    let _hosts = [cluster.host("web1", 80).await, cluster.host("web2", 80).await];
    let last = cluster.voter.handle().view().unwrap().facts.position();
    let caught_up = |answer: &Answer| answer.json::<EventPage>().next.as_deref() == Some(last.to_string().as_str());
    let page: EventPage = get_until(cluster.at, EVENTS, caught_up).await.json();
    let first = format!("{}-0", last.epoch);
    let before = format!("{}-{}", last.epoch, last.index.0 - 1);
    assert_eq!((page.gap.unwrap().until, page.events.len()), (before.clone(), 1));

    let mut stream = Stream::open(cluster.at, EVENTS, &[("Last-Event-ID", &first)]).await.unwrap();
    let gap = stream.next().await.unwrap();
    assert_eq!((gap.name.as_str(), gap.id.as_str()), ("gap", before.as_str()));
    let said: Gap = gap.json();
    assert_eq!((said.after.as_deref(), said.until), (Some(first.as_str()), before));
    let event = stream.next().await.unwrap();
    assert_eq!((event.name.as_str(), event.id), ("log", last.to_string()));

    let other = Stream::open(cluster.at, EVENTS, &[("Last-Event-ID", "7.0-1")]).await.unwrap().next().await.unwrap();
    assert!(other.name == "gap" && other.json::<Gap>().why.contains("another history"), "{other:?}");
}

#[tokio::test]
async fn a_position_that_the_cluster_never_reached_is_said_to_be_none() {
    let cluster = Cluster::born(loopback()).await;
    let [_second, _third] = cluster.two_voters().await;
    let last = cluster.voter.handle().view().unwrap().facts.position();
    let beyond = format!("{}-{}", last.epoch, last.index.0 + 1000);
    let mut stream = Stream::open(cluster.at, EVENTS, &[("Last-Event-ID", &beyond)]).await.unwrap();
    let first = stream.next().await.unwrap();
    let gap: Gap = first.json();
    assert!(first.name == "gap" && gap.why.contains("never came so far") && gap.after.as_deref() == Some(beyond.as_str()), "{gap:?}");
    assert_eq!(stream.next().await.unwrap().name, "log", "what there is follows");
    let page: EventPage = get(cluster.at, &format!("{EVENTS}?after={beyond}")).await.json();
    assert!(page.gap == Some(gap) && !page.events.is_empty(), "{page:?}");

    // Nobody can say so without a quorum.
    drop((_second, _third));
    let refused = get(cluster.at, &format!("{EVENTS}?after={beyond}")).await;
    assert_eq!(refused.problem(), ProblemKind::NoQuorum);
}

#[tokio::test]
async fn configs_are_streamed_as_a_state_and_its_changes() {
    let cluster = Cluster::born(loopback()).await;
    let web1 = cluster.host("web1", 80).await;
    let mut stream = Stream::open(cluster.at, "/api/v1/configs", &[]).await.unwrap();
    let config = stream.next().await.unwrap();
    let first: Config = config.json();
    assert_eq!((config.name.as_str(), first.host.as_str()), ("config", "web1"));
    let state = stream.next().await.unwrap();
    assert_eq!((state.name.as_str(), state.json::<StateSent>().configs), ("state", 1));

    cluster.publish(&web1, "web1", 81).await;
    let second: Config = stream.next().await.unwrap().json();
    assert!(second.host == "web1" && second.seq > first.seq, "{second:?}");

    let command = hivemind_core::wire::command::Command::Leave {
        node: web1.handle().status().machine.node,
        reason: hivemind_core::wire::event::LeaveReason::Asked,
    };
    cluster.voter.handle().propose(command).await;
    let gone = |view: &View| view.facts.named(&name("web1")).is_none();
    within("web1 is gone", cluster.voter.handle().view_where(gone)).await.unwrap();
    let gone = stream.next().await.unwrap();
    assert_eq!((gone.name.as_str(), gone.json::<HostGone>().host.as_str()), ("gone", "web1"));

    let mut resumed = Stream::open(cluster.at, "/api/v1/configs", &[("Last-Event-ID", &config.id)]).await.unwrap();
    assert_eq!(resumed.next().await.unwrap().name, "gap", "nobody remembers what changed meanwhile");
    assert_eq!(resumed.next().await.unwrap().json::<StateSent>().configs, 0);
}

#[tokio::test]
async fn streams_are_few_outlive_the_time_of_requests_and_end_with_the_server() {
    let millisecond = Duration::from_millis(1);
    let limits = Limits { streams: 1, time: millisecond * 50, heartbeat: millisecond * 100, ..limits() };
    let cluster = Cluster::born(HttpSettings { limits, ..loopback() }).await;
    let mut stream = Stream::open(cluster.at, EVENTS, &[]).await.unwrap();
    for _ in 0..3 {
        stream.heartbeat().await;
    }
    let refused = Stream::open(cluster.at, EVENTS, &[]).await.err().unwrap();
    assert_eq!(refused.problem(), ProblemKind::TooMany);
    assert!(refused.header("retry-after").is_some());
    cluster.http.stop().await;
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn a_stream_ends_with_its_credential_and_others_go_on() {
    let limits = Limits { heartbeat: Duration::from_millis(50), ..limits() };
    let cluster = Cluster::with_secrets(HttpSettings { limits, ..loopback() }).await;
    let open = async |path: &str, secret: &str| {
        let mut stream = Stream::open(cluster.at, path, &[("Authorization", &format!("Bearer {secret}"))]).await.unwrap();
        stream.heartbeat().await;
        stream
    };
    let ended = [open(EVENTS, "reader").await, open("/api/v1/configs", "reader").await];
    let mut others = [open(EVENTS, "writer").await, Stream::open(cluster.at, EVENTS, &[]).await.unwrap()];
    // The reader's is the first that was made.
    cluster.voter.handle().propose(Command::CredentialRevoke { id: CredentialId(1) }).await;
    for mut stream in ended {
        let end = async { while stream.next().await.is_some() {} };
        within("the end of a stream whose credential was revoked", end).await;
    }
    for other in &mut others {
        assert_eq!(other.next().await.unwrap().name, "log", "the revocation, for those who may read");
        other.heartbeat().await;
    }
}
