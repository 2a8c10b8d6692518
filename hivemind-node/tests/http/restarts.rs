//! What a node still knows of the past after its restart.

use std::path::Path;
use std::sync::Arc;

use hivemind_core::ids::ClusterId;
use hivemind_core::machine::Birth;
use hivemind_core::view::View;
use hivemind_core::wire::command::{Command, Outcome};
use hivemind_node::authority::Authority;
use hivemind_node::http::model::{Event, EventPage, Happening, Why};
use hivemind_node::http::{HttpListener, HttpServer, Observer};
use hivemind_node::{Node, NodeBuilder};

use crate::client::{Answer, get, get_until, within};
use crate::nodes::{authority, builder, has_leader, is_member, loopback, name};

fn in_folder(authority: &Arc<Authority>, node: &str, folder: &Path) -> NodeBuilder {
    builder(authority, node).data_dir(folder.join(node)).role_without_apply(Observer)
}

async fn born(authority: &Arc<Authority>, folder: &Path) -> Node {
    let birth = Birth { cluster: ClusterId(0xfeed), tag: 5 };
    let voter = in_folder(authority, "voter1", folder).birth(birth).start().await.unwrap();
    has_leader(&voter).await;
    voter
}

/// As a daemon does: from the first moment on.
fn serve(node: &Node) -> HttpServer {
    HttpListener::bind(loopback()).unwrap().serve(node.handle().clone())
}

async fn commit(voter: &Node, command: Command) {
    let outcome = within("it is committed", voter.handle().propose(command)).await;
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
}

/// The events, once they reach as far as the node does.
async fn events(node: &Node, http: &HttpServer) -> EventPage {
    is_member(node).await;
    let last = node.handle().view().unwrap().facts.position().to_string();
    let there = |answer: &Answer| answer.status == 200 && answer.json::<EventPage>().next.as_deref() == Some(last.as_str());
    get_until(http.local_addr(), "/api/v1/events", there).await.json()
}

async fn joined_again(voter: &Node, why: &HttpServer) -> Vec<u64> {
    is_member(voter).await;
    let told = |answer: &Answer| answer.status == 200 && !answer.json::<Why>().history.is_empty();
    let why: Why = get_until(why.local_addr(), "/api/v1/why/web1", told).await.json();
    let index = |what: &Happening| match what {
        Happening::Committed { index, .. } => *index,
        Happening::Unreachable | Happening::Reachable | Happening::Accused { .. } => 0,
    };
    why.history.iter().map(|episode| index(&episode.what)).filter(|index| *index > 0).collect()
}

#[tokio::test]
async fn events_and_fates_outlive_restarts_of_a_voter_and_of_a_member() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority();
    let voter = born(&authority, folder.path()).await;
    let web1 = in_folder(&authority, "web1", folder.path()).seeds([voter.local_addr()]).start().await.unwrap();
    is_member(&web1).await;
    let (node, at, own_at) = (web1.handle().status().machine.node, voter.local_addr(), web1.local_addr());
    // More than are between two writings of all facts; the epoch's number rises in the midst of them.
    for round in 0..40 {
        commit(&voter, Command::Restarting { node, grace: std::time::Duration::from_secs(9) }).await;
        commit(&voter, Command::Restarted { node }).await;
        if round == 20 {
            commit(&voter, Command::AdvanceEpoch { floor: hivemind_core::ids::Index(4) }).await;
        }
    }
    let last = voter.handle().view().unwrap().facts.position();
    within("web1 has them", web1.handle().view_where(|view: &View| view.facts.position().index >= last.index)).await.unwrap();
    web1.stop().await;
    voter.stop().await;

    let voter = in_folder(&authority, "voter1", folder.path()).listen(at).start().await.unwrap();
    let http = serve(&voter);
    let page = events(&voter, &http).await;
    let positions: Vec<&str> = page.events.iter().map(|event| event.position.as_str()).collect();
    let (from, to) = (positions.first().unwrap(), positions.last().unwrap());
    assert!(page.events.len() >= 78, "{from} to {to}, {:?}", page.gap);
    assert_eq!(positions.first(), Some(&"1.1-4"), "what was collected is gone");
    assert!(positions.contains(&last.to_string().as_str()), "{from} to {to}");
    let advanced = page.events.iter().position(|event| matches!(event.event, Event::EpochAdvanced { .. })).unwrap();
    assert!(positions[advanced].starts_with("1.2-") && positions[advanced - 1].starts_with("1.1-"), "{positions:?}");
    let known = joined_again(&voter, &http).await;
    assert!(known.len() >= 60 && known.is_sorted(), "{known:?}");
    assert_eq!(get(http.local_addr(), &format!("/api/v1/events?after={}", positions[3])).await.json::<EventPage>().gap, None);

    let web1 = in_folder(&authority, "web1", folder.path()).listen(own_at).seeds([at]).start().await.unwrap();
    let own = serve(&web1);
    let page_of_web1 = events(&web1, &own).await;
    let common = page.events.iter().filter(|event| page_of_web1.events.contains(event)).count();
    assert!(common >= 70, "{common} of {:?}", page_of_web1.events.iter().map(|event| &event.position).collect::<Vec<_>>());
    assert!(joined_again(&web1, &own).await.len() >= 60);
    assert!(web1.handle().view().unwrap().facts.named(&name("web1")).is_some());
}
