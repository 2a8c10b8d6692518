//! Every operation answers, as the document says.

use hivemind_core::view::View;
use hivemind_node::http::document;
use hivemind_node::http::model::{
    Config, ConfigDetail, Configs, EventPage, Member, MemberState, Members, Neighborhoods, NewCredential, NewToken, Part, Phase,
    ProblemKind, Readiness, SectionContent, ServiceInstance, Services, Status, Voters,
};
use serde_json::Value;

use crate::client::{ask, get, get_until, within};
use crate::nodes::{Cluster, authority, builder, loopback};
use hivemind_node::http::{Anonymous, HttpListener, HttpSettings};

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[tokio::test]
async fn every_operation_of_the_document_answers_as_it_says() {
    let cluster = Cluster::with_secrets(HttpSettings { anonymous: Anonymous::Write, ..loopback() }).await;
    let _host = cluster.host("web1", 80).await;
    let admin = [("Authorization", "Bearer admin")];
    let document: Value = get(cluster.at, "/openapi.json").await.json();
    assert_eq!(document, document_again());
    let post = async |path: &str, body: &str| ask(cluster.at, "POST", path, &[admin[0], JSON], body).await;
    let wish = [("/api/v1/tokens", r#"{"label":"a","ttl_s":60,"uses":1}"#), ("/api/v1/credentials", r#"{"label":"a","right":"read"}"#)];
    let token: NewToken = post(wish[0].0, wish[0].1).await.json();
    let credential: NewCredential = post(wish[1].0, wish[1].1).await.json();
    let knows = |view: &View| view.facts.credentials().len() == 4;
    within("it is known", cluster.voter.handle().view_where(knows)).await.unwrap();
    let mut operations = 0;
    for (path, verbs) in document["paths"].as_object().unwrap() {
        for (verb, operation) in verbs.as_object().unwrap() {
            operations += 1;
            let body = wish.iter().find(|(made, _)| verb == "post" && made == path).map_or("", |(_, body)| body);
            let path = path
                .replace("{name}", if path.contains("/voters/") { "voter1" } else { "web1" })
                .replace("{token}", &token.id)
                .replace("{credential}", &credential.id)
                .replace("{feature}", "none");
            let path = if verb == "post" { path + "?dry_run=true" } else { path };
            let answer = ask(cluster.at, &verb.to_uppercase(), &path, &[admin[0], JSON], body).await;
            if path.contains("/features/none/") {
                // This version has no feature that could be switched on.
                assert!(answer.problem() == ProblemKind::NotFound && answer.body.contains("there is no feature `none`"), "{answer:?}");
                continue;
            }
            if path.contains("/authority/") {
                // The test has the authority, which is no voter's to rotate, and there is no former one.
                let words = if path.contains("rotate") { "kept by the program" } else { "nothing to retire" };
                assert!(answer.problem() == ProblemKind::Conflict && answer.body.contains(words), "{answer:?}");
                continue;
            }
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            let media_type = answer.header("content-type").unwrap().split(';').next().unwrap();
            assert!(operation["responses"]["200"]["content"].get(media_type).is_some(), "{path}: {media_type}");
            for header in operation["responses"]["200"]["headers"].as_object().unwrap().keys() {
                assert!(answer.header(header).is_some(), "{path}: no {header}");
            }
            let head = ask(cluster.at, "HEAD", &path, &admin, "").await;
            let headed = match (verb.as_str(), verbs.as_object().unwrap().len()) {
                ("get", _) => 200,
                (_, 1) => 405,
                // It goes where GET goes, which takes no dry run.
                _ => 400,
            };
            assert_eq!((head.status, head.body.as_str()), (headed, ""), "{path}");
            let other = ask(cluster.at, "PATCH", &path, &[], "").await;
            assert_eq!(other.problem(), ProblemKind::Method);
            let allowed = match (verb.as_str(), verbs.as_object().unwrap().len()) {
                ("get", 1) => "GET,HEAD",
                (_, 1) => "POST",
                _ => "GET,HEAD,POST",
            };
            assert_eq!(other.header("allow"), Some(allowed), "{path}");
            assert_eq!(ask(cluster.at, "GET", &format!("{path}?x=1&x=2"), &[], "").await.status / 100, 4, "{path}");
        }
    }
    assert_eq!(operations, 33);
}

/// What the manual must name: every path of the document, and every problem with its status.
#[test]
fn the_manual_names_every_path_and_every_problem() {
    let manual = include_str!("../../../docs/http.md");
    let document = document();
    for path in document["paths"].as_object().unwrap().keys().filter(|path| !path.starts_with("/assets/")) {
        let path = path.replace("{name}", "NAME").replace("{token}", "ID").replace("{credential}", "ID").replace("{feature}", "NAME");
        let short = path.trim_start_matches("/api/v1");
        assert!(manual.contains(&path) || manual.contains(&format!("`{short}`")), "docs/http.md says nothing of {path}");
    }
    for kind in ProblemKind::ALL {
        let row = format!("| `{}` | {} |", kind.name(), kind.status());
        assert!(manual.contains(&row), "docs/http.md has no row `{row}`");
    }
}

fn document_again() -> Value {
    serde_json::from_str(&document().to_string()).unwrap()
}

#[tokio::test]
async fn a_node_tells_of_its_cluster() {
    let cluster = Cluster::born(loopback()).await;
    let _host = cluster.host("web1", 80).await;
    let at = cluster.at;

    let answer = get(at, "/api/v1/status?consistency=linearizable").await;
    let status: Status = answer.json();
    assert_eq!((status.name.as_str(), status.phase, status.part, status.members), ("voter1", Phase::Member, Part::Voter, 2));
    assert_eq!(status.leader.unwrap().name.as_deref(), Some("voter1"));
    assert_eq!(answer.header("hivemind-position"), status.position.as_deref());
    assert_eq!(answer.header("hivemind-degraded"), Some("false"));
    assert!(answer.header("hivemind-age").unwrap().parse::<f64>().unwrap() >= 0.0);

    let members: Members = get(at, "/api/v1/members").await.json();
    let names: Vec<&str> = members.members.iter().map(|member| member.name.as_str()).collect();
    assert_eq!((names, members.total, members.complete, members.next), (vec!["voter1", "web1"], 2, true, None));
    let first: Members = get(at, "/api/v1/members?limit=1").await.json();
    let second: Members = get(at, &format!("/api/v1/members?limit=1&after={}", first.next.unwrap())).await.json();
    assert_eq!((second.members[0].name.as_str(), second.next), ("web1", None));
    let member: Member = get(at, "/api/v1/members/web1").await.json();
    assert_eq!((member.state, member.part, member.roles), (MemberState::Reachable, Part::None, vec!["host".to_owned()]));

    let configs: Configs = get(at, "/api/v1/configs").await.json();
    assert_eq!((configs.configs.len(), configs.total), (1, 1));
    let Config { host, node, published_by, .. } = &configs.configs[0];
    assert_eq!((host.as_str(), node, published_by), ("web1", &member.node, &member.node));
    get_until(at, "/api/v1/configs", |answer| answer.json::<Configs>().complete).await;
    let detail: ConfigDetail = get(at, "/api/v1/configs/web1").await.json();
    assert_eq!(detail.config.host, "web1");
    let addresses = vec!["10.0.0.1".parse().unwrap()];
    let service = SectionContent::Service { services: vec!["web 80 v1".to_owned()] };
    assert_eq!(detail.contents, [SectionContent::Host { addresses: addresses.clone() }, service]);

    let services: Services = get(at, "/api/v1/services").await.json();
    let web = ServiceInstance {
        name: "web".to_owned(),
        host: "web1".to_owned(),
        node: member.node.clone(),
        port: 80,
        tags: vec!["v1".to_owned()],
        addresses,
        state: MemberState::Reachable,
    };
    assert_eq!((services.services, services.next), (vec![web], None));

    let hoods: Neighborhoods = get(at, "/api/v1/neighborhoods").await.json();
    assert_eq!((hoods.neighborhoods.len(), hoods.total, hoods.neighborhoods[0].members.len()), (1, 1, 2));
    let voters: Voters = get(at, "/api/v1/voters").await.json();
    assert_eq!(
        (voters.voters.len(), voters.voters[0].part, voters.leader),
        (1, Part::Voter, voters.voters.first().map(|one| one.member.clone()))
    );

    let events: EventPage = get(at, "/api/v1/events?limit=1").await.json();
    assert_eq!((events.events.len(), events.gap.is_some(), events.next.is_some()), (1, false, true));

    let ready: Readiness = get(at, "/readyz").await.json();
    assert_eq!(ready.phase, Phase::Member);
    let page = get(at, "/").await;
    assert!(
        ["voter1", "web1", "reachable", "10.0.0.1", "/assets/hivemind.css"].iter().all(|word| page.body.contains(word)),
        "{}",
        page.body
    );
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    assert!(!page.body.contains("//"), "it needs nothing of elsewhere");
}

#[tokio::test]
async fn a_node_that_is_no_member_says_so_and_still_lives() {
    let authority = authority();
    let nowhere: std::net::SocketAddr = "127.0.0.1:9".parse().unwrap();
    let node = builder(&authority, "web1").seeds([nowhere]).start().await.unwrap();
    let listener = HttpListener::bind(loopback()).unwrap();
    let at = listener.local_addr();
    let server = listener.serve(node.handle().clone());
    assert_eq!(get(at, "/healthz").await.body, "ok\n");
    assert_eq!(get(at, "/readyz").await.problem(), ProblemKind::Unavailable);
    for path in ["/", "/api/v1/members", "/api/v1/events", "/api/v1/configs/web1"] {
        assert_eq!(get(at, path).await.problem(), ProblemKind::Unavailable, "{path}");
    }
    let status: Status = get(at, "/api/v1/status").await.json();
    assert_eq!((status.node, status.position, status.members), (None, None, 0));
    assert!(get(at, "/metrics").await.body.contains("\nhivemind_ready 0\n"));
    node.stop().await;
    assert_eq!(get(at, "/healthz").await.status, 200);
    assert!(get(at, "/readyz").await.body.contains("stopped"));
    server.stop().await;
}
