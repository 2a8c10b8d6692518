//! Join tokens and credentials: made, listed, revoked.

use hivemind_core::view::View;
use hivemind_node::enroll::JoinToken;
use hivemind_node::http::HttpListener;
use hivemind_node::http::model::{ActionStage, Credentials, NewCredential, NewToken, ProblemKind, Revoked, Right, Status, Tokens, Tried};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::client::{Answer, ask, text, within};
use crate::nodes::{Cluster, loopback};

const ADMIN: (&str, &str) = ("Authorization", "Bearer admin");
const JSON: (&str, &str) = ("Content-Type", "application/json");

async fn post(cluster: &Cluster, path: &str, body: &str) -> Answer {
    ask(cluster.at, "POST", path, &[ADMIN, JSON], body).await
}

async fn look(cluster: &Cluster, path: &str, secret: &str) -> Answer {
    ask(cluster.at, "GET", path, &[("Authorization", &format!("Bearer {secret}"))], "").await
}

#[tokio::test]
async fn a_join_token_is_made_shown_once_listed_and_revoked() {
    let cluster = Cluster::with_secrets(loopback()).await;
    let made = post(&cluster, "/api/v1/tokens", r#"{"label":"rack 7","roles":["host"],"ttl_s":3600,"uses":2}"#).await;
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let made: NewToken = made.json();
    assert_eq!(JoinToken::parse(&made.line).unwrap().id().to_string(), made.id);

    let listed = look(&cluster, "/api/v1/tokens?consistency=linearizable", "admin").await;
    assert!(!listed.body.contains(&made.line), "the secret is shown once");
    let [token] = listed.json::<Tokens>().tokens.try_into().unwrap();
    assert_eq!((&token.id, token.label.as_str(), token.uses, token.voter), (&made.id, "rack 7", 2, false));
    assert_eq!(token.roles, ["host"]);

    let path = format!("/api/v1/tokens/{}/revoke", made.id);
    assert_eq!(post(&cluster, &path, "").await.json::<Revoked>().id, made.id);
    assert_eq!(post(&cluster, &path, "").await.problem(), ProblemKind::NotFound, "it is gone");
    let listed = look(&cluster, "/api/v1/tokens?consistency=linearizable", "admin").await;
    assert!(listed.json::<Tokens>().tokens.is_empty());
}

#[tokio::test]
async fn what_makes_no_sense_makes_no_token() {
    let cluster = Cluster::with_secrets(loopback()).await;
    for bad in [
        "",
        "{}",
        r#"{"label":"","ttl_s":1,"uses":1}"#,
        r#"{"label":"a","ttl_s":1,"uses":1,"x":1}"#,
        r#"{"label":"a","ttl_s":-1,"uses":1}"#,
        r#"{"label":"a","roles":["host","host"],"ttl_s":1,"uses":1}"#,
    ] {
        assert_eq!(post(&cluster, "/api/v1/tokens", bad).await.problem(), ProblemKind::BadBody, "{bad}");
    }
    let refused = post(&cluster, "/api/v1/tokens", r#"{"label":"a","ttl_s":0,"uses":1}"#).await;
    assert_eq!(refused.problem(), ProblemKind::Conflict);
    assert_eq!(post(&cluster, "/api/v1/tokens/abc/revoke", "").await.problem(), ProblemKind::NotFound);
    assert_eq!(post(&cluster, "/api/v1/credentials", r#"{"label":"a","right":"root"}"#).await.problem(), ProblemKind::BadBody);
    assert_eq!(post(&cluster, "/api/v1/credentials/1/revoke", "").await.problem(), ProblemKind::NotFound);
    for secret in ["reader", "writer"] {
        assert_eq!(look(&cluster, "/api/v1/tokens", secret).await.problem(), ProblemKind::Forbidden);
        assert_eq!(look(&cluster, "/api/v1/credentials", secret).await.problem(), ProblemKind::Forbidden);
    }
}

#[tokio::test]
async fn a_dry_run_makes_and_revokes_nothing() {
    let cluster = Cluster::with_secrets(loopback()).await;
    let dry = async |path: &str, body: &str| {
        let with = [("Authorization", "Bearer writer"), JSON];
        ask(cluster.at, "POST", &format!("{path}?dry_run=true"), &with, body).await
    };
    let made: NewToken = post(&cluster, "/api/v1/tokens", r#"{"label":"a","ttl_s":60,"uses":1}"#).await.json();
    let before = cluster.voter.handle().view().unwrap().facts.position();

    let tried: Tried = dry("/api/v1/tokens", r#"{"label":"b","ttl_s":60,"uses":1}"#).await.json();
    assert_eq!(tried.stage, ActionStage::Possible);
    assert_eq!(dry("/api/v1/tokens", r#"{"label":"b","ttl_s":60,"uses":0}"#).await.problem(), ProblemKind::Conflict);
    let tried: Revoked = dry(&format!("/api/v1/tokens/{}/revoke", made.id), "").await.json();
    assert_eq!((tried.id, tried.stage), (made.id.clone(), ActionStage::Possible));
    assert_eq!(dry(&format!("/api/v1/tokens/{}/revoke", "0".repeat(64)), "").await.problem(), ProblemKind::NotFound);
    let tried: Tried = dry("/api/v1/credentials", r#"{"label":"b","right":"admin"}"#).await.json();
    assert_eq!(tried.stage, ActionStage::Possible);
    let known = cluster.voter.handle().view().unwrap();
    let id = known.facts.credentials().keys().next().unwrap().to_string();
    assert_eq!(dry(&format!("/api/v1/credentials/{id}/revoke"), "").await.json::<Revoked>().stage, ActionStage::Possible);
    assert_eq!(dry("/api/v1/credentials/0000000000000000/revoke", "").await.problem(), ProblemKind::NotFound);

    let listed = look(&cluster, "/api/v1/tokens?consistency=linearizable", "admin").await.json::<Tokens>();
    assert_eq!(listed.tokens.len(), 1);
    assert_eq!(cluster.voter.handle().view().unwrap().facts.position(), before);
}

#[tokio::test]
async fn a_plain_host_says_who_knows_the_tokens() {
    let cluster = Cluster::with_secrets(loopback()).await;
    let host = cluster.host("web1", 80).await;
    let listener = HttpListener::bind(loopback()).unwrap();
    let at = listener.local_addr();
    let server = listener.serve(host.handle().clone());
    let known = |view: &View| view.facts.credentials().len() == 3;
    within("the host knows the credentials", host.handle().view_where(known)).await.unwrap();
    let answer = ask(at, "GET", "/api/v1/tokens", &[ADMIN], "").await;
    assert!(answer.body.contains("ask one of voter1"), "{answer:?}");
    assert_eq!(answer.problem(), ProblemKind::Conflict);
    let with = [ADMIN, JSON];
    let tried = ask(at, "POST", "/api/v1/credentials?dry_run=true", &with, r#"{"label":"b","right":"admin"}"#).await;
    assert_eq!(tried.problem(), ProblemKind::Conflict, "only a voter may");
    server.stop().await;
}

#[tokio::test]
async fn a_credential_serves_until_it_is_revoked() {
    let cluster = Cluster::with_secrets(loopback()).await;
    let made: NewCredential = post(&cluster, "/api/v1/credentials", r#"{"label":"ci","right":"admin"}"#).await.json();
    let knows = |view: &View| view.facts.credentials().len() == 4;
    within("it is known", cluster.voter.handle().view_where(knows)).await.unwrap();
    let listed = look(&cluster, "/api/v1/credentials", &made.secret).await;
    assert!(!listed.body.contains(&made.secret), "the secret is shown once");
    let found = listed.json::<Credentials>().credentials.into_iter().find(|credential| credential.id == made.id).unwrap();
    assert_eq!((found.label.as_str(), found.right), ("ci", Right::Admin));

    post(&cluster, &format!("/api/v1/credentials/{}/revoke", made.id), "").await.json::<Revoked>();
    let gone = |view: &View| view.facts.credentials().len() == 3;
    within("it is gone", cluster.voter.handle().view_where(gone)).await.unwrap();
    assert_eq!(look(&cluster, "/api/v1/status", &made.secret).await.problem(), ProblemKind::Unauthorized);
}

#[tokio::test]
async fn whoever_may_open_the_socket_is_an_operator() {
    use std::os::unix::fs::PermissionsExt as _;

    let cluster = Cluster::born(loopback()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hivemind.sock");
    // Of a process that is gone.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let server = HttpListener::bind(loopback()).unwrap().with_socket(&path).unwrap().serve(cluster.voter.handle().clone());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    for (method, asked) in [("GET", "/api/v1/status"), ("GET", "/api/v1/tokens"), ("GET", "/api/v1/credentials")] {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(text(method, asked, &[], "").as_bytes()).await.unwrap();
        let mut heard = String::new();
        within("an answer", stream.read_to_string(&mut heard)).await.unwrap();
        assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
    }
    let status: Status = ask(server.local_addr(), "GET", "/api/v1/status", &[], "").await.json();
    assert_eq!(status.name, "voter1", "the address is served beside it");
    server.stop().await;
    assert!(!path.exists());
}
