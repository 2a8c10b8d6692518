//! Voters that an operator adds and takes away, and leadership that is handed over.

use hivemind_core::view::View;
use hivemind_core::wire::event::VoterPart;
use hivemind_node::NodeStatus;
use hivemind_node::http::HttpListener;
use hivemind_node::http::model::{ActionResult, ActionStage, Part, ProblemKind, Transferred, VoterWish, Voters};

use crate::client::{Answer, ask, get, get_until, within};
use crate::nodes::{Cluster, loopback, name};

const ADMIN: (&str, &str) = ("Authorization", "Bearer admin");
const JSON: (&str, &str) = ("Content-Type", "application/json");

async fn post(cluster: &Cluster, path: &str, body: &str) -> Answer {
    ask(cluster.at, "POST", path, &[ADMIN, JSON], body).await
}

#[tokio::test]
async fn a_voter_is_taken_away_stays_away_and_is_added_again() {
    let cluster = Cluster::with_secrets(loopback()).await;
    let others = cluster.two_voters().await;
    let tried: ActionResult = post(&cluster, "/api/v1/voters/voter3/remove?dry_run=true", "").await.json();
    assert_eq!(tried.stage, ActionStage::Possible);
    let done: ActionResult = post(&cluster, "/api/v1/voters/voter3/remove", "").await.json();
    assert_eq!((done.stage, done.member.name.as_deref()), (ActionStage::Committed, Some("voter3")));
    let node = cluster.voter.handle().view().unwrap().facts.named(&name("voter3")).unwrap().node;
    assert!(!cluster.voter.handle().view().unwrap().facts.voters().contains_key(&node), "it is in effect");

    let listed: Voters = get(cluster.at, "/api/v1/voters").await.json();
    let found = listed.voters.iter().find(|voter| voter.member.name.as_deref() == Some("voter3")).unwrap();
    assert_eq!((found.part, found.wish), (Part::None, Some(VoterWish::Abstain)));

    let again = post(&cluster, "/api/v1/voters/voter3/remove", "").await;
    assert!(again.body.contains("has no vote"), "{again:?}");
    assert_eq!(again.problem(), ProblemKind::Conflict);

    post(&cluster, "/api/v1/voters/voter3/add", "").await.json::<ActionResult>();
    let votes = |view: &View| view.facts.voters().get(&node) == Some(&VoterPart::Voter);
    assert!(votes(&cluster.voter.handle().view().unwrap()));
    drop(others);
}

#[tokio::test]
async fn who_can_not_be_added_or_taken_away_is_refused_with_a_reason() {
    let cluster = Cluster::with_secrets(loopback()).await;
    let host = cluster.host("web1", 80).await;
    for path in ["/api/v1/voters/web1/add", "/api/v1/voters/web1/add?dry_run=true"] {
        let answer = post(&cluster, path, "").await;
        assert!(answer.body.contains("did not join as one that may vote"), "{answer:?}");
        assert_eq!(answer.problem(), ProblemKind::Conflict);
    }
    assert_eq!(post(&cluster, "/api/v1/voters/web1/remove", "").await.problem(), ProblemKind::Conflict);
    assert_eq!(post(&cluster, "/api/v1/voters/nobody/add", "").await.problem(), ProblemKind::NotFound);
    let last = post(&cluster, "/api/v1/voters/voter1/remove", "").await;
    assert!(last.body.contains("the last member that may vote"), "{last:?}");
    assert_eq!(last.problem(), ProblemKind::Conflict);

    let listener = HttpListener::bind(loopback()).unwrap();
    let at = listener.local_addr();
    let server = listener.serve(host.handle().clone());
    within("the host knows", host.handle().view_where(|view| view.facts.credentials().len() == 3)).await.unwrap();
    let answer = ask(at, "POST", "/api/v1/voters/voter1/add", &[ADMIN], "").await;
    assert!(answer.body.contains("only a voter may ask for that"), "{answer:?}");
    server.stop().await;
}

#[tokio::test]
async fn leadership_goes_to_who_is_named_and_is_asked_of_voters() {
    let cluster = Cluster::with_secrets(loopback()).await;
    let host = cluster.host("web1", 80).await;
    let others = cluster.two_voters().await;
    let tried: Transferred = post(&cluster, "/api/v1/leader/transfer?dry_run=true", "{\"to\":\"voter2\"}").await.json();
    assert_eq!(tried.stage, ActionStage::Possible);
    assert_eq!(cluster.voter.handle().status().machine.leader, Some(cluster.voter.handle().status().machine.node), "nothing was done");
    let moved: Transferred = post(&cluster, "/api/v1/leader/transfer", "{\"to\":\"voter2\"}").await.json();
    assert_eq!(moved.stage, ActionStage::Committed);
    assert_eq!(moved.leader.and_then(|leader| leader.name).as_deref(), Some("voter2"));
    let leads = |status: &NodeStatus| status.machine.leader == Some(status.machine.node);
    within("voter2 leads", others[0].handle().status_where(leads)).await.unwrap();

    let listener = HttpListener::bind(loopback()).unwrap();
    let at = listener.local_addr();
    let server = listener.serve(host.handle().clone());
    within("the host knows", host.handle().view_where(|view| view.facts.credentials().len() == 3)).await.unwrap();
    let refused = ask(at, "POST", "/api/v1/leader/transfer", &[ADMIN], "").await;
    assert_eq!(refused.problem(), ProblemKind::Conflict);
    assert!(refused.body.contains("only a voter may ask for that"), "{refused:?}");
    post(&cluster, "/api/v1/leader/transfer", "").await.json::<Transferred>();
    let led_by_another = |answer: &Answer| {
        let leader = answer.json::<Voters>().leader.and_then(|leader| leader.name);
        leader.is_some_and(|leader| leader != "voter2")
    };
    get_until(cluster.at, "/api/v1/voters", led_by_another).await;
    server.stop().await;
}

#[tokio::test]
async fn leadership_is_not_handed_to_who_can_not_lead() {
    let cluster = Cluster::with_secrets(loopback()).await;
    let host = cluster.host("web1", 80).await;
    for (body, kind, says) in [
        ("{\"to\":\"voter1\"}", ProblemKind::Conflict, "leads already"),
        ("{\"to\":\"web1\"}", ProblemKind::Conflict, "has no vote"),
        ("{\"to\":\"nobody\"}", ProblemKind::NotFound, "knows no member `nobody`"),
        ("{\"to\":\"..\"}", ProblemKind::NotFound, "nothing of this name"),
        ("{\"heir\":\"voter1\"}", ProblemKind::BadBody, "unknown field"),
        ("", ProblemKind::Conflict, "no other voter"),
    ] {
        let answer = post(&cluster, "/api/v1/leader/transfer", body).await;
        assert!(answer.body.contains(says), "{answer:?}");
        assert_eq!(answer.problem(), kind);
        if !body.is_empty() {
            assert_eq!(post(&cluster, "/api/v1/leader/transfer?dry_run=true", body).await.problem(), kind, "{body}");
        }
    }
    drop(host);
}
