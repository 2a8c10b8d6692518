//! Whole nodes in one process, over real sockets: birth, joining, publishing, restarts.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail as tests do")]

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hivemind_core::ids::{ClusterId, NodeName, PublicKey, SectionKind, Seq};
use hivemind_core::machine::{Birth, Phase, PublishError};
use hivemind_core::role::{Apply, Requests, Role, RoleEvent, RoleSpec};
use hivemind_core::view::{Changed, View};
use hivemind_core::wire::config::Section;
use hivemind_core::wire::event::{Event, VoterPart};
use hivemind_node::authority::{Authority, NodeIdentity};
use hivemind_node::keys::Ed25519Keys;
use hivemind_node::transport::BindError;
use hivemind_node::{Heard, Node, NodeBuilder, PublishFailure, StartFailure, StopReason};
use tokio::sync::watch;

const BOUND: Duration = Duration::from_secs(30);
const CLUSTER: ClusterId = ClusterId(0xfeed);

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

fn kind() -> SectionKind {
    SectionKind::new("service").unwrap()
}

fn section(body: &'static [u8]) -> Section {
    Section { kind: kind(), body: Bytes::from_static(body) }
}

fn spec(role: &str, publishes: Vec<SectionKind>, consumes: Vec<SectionKind>) -> RoleSpec {
    let name = SectionKind::new(role).unwrap();
    RoleSpec { name, requires: Vec::new(), bootstraps_from: Vec::new(), publishes, consumes }
}

struct Publisher;

impl Role for Publisher {
    type Desired = ();

    fn spec(&self) -> RoleSpec {
        spec("host", vec![kind()], Vec::new())
    }

    fn desired(&self, _view: &View, _changed: &Changed, _last: Option<&()>) {}
}

/// Wants the bodies of all sections, by host.
struct Consumer;

type Bodies = Vec<(String, Vec<u8>)>;

impl Role for Consumer {
    type Desired = Bodies;

    fn spec(&self) -> RoleSpec {
        spec("consumer", Vec::new(), vec![kind()])
    }

    fn desired(&self, view: &View, _changed: &Changed, _last: Option<&Bodies>) -> Bodies {
        let sections = view.hosts().filter_map(|(member, config)| Some((member, config.config.section(&kind())?)));
        sections.map(|(member, section)| (member.name.to_string(), section.body.to_vec())).collect()
    }
}

/// Remembers what its node's view said in the moment in which the node became a member.
struct Newcomer(watch::Sender<Option<(bool, usize)>>);

impl Role for Newcomer {
    type Desired = ();

    fn spec(&self) -> RoleSpec {
        spec("consumer", Vec::new(), vec![kind()])
    }

    fn desired(&self, _view: &View, _changed: &Changed, _last: Option<&()>) {}

    fn on_event(&mut self, event: RoleEvent<'_>, view: &View, _requests: &mut Requests) {
        match event {
            RoleEvent::Member => drop(self.0.send_replace(Some((view.condition.incomplete, view.hosts().count())))),
            RoleEvent::Event(_) | RoleEvent::Outcome { .. } => {}
        }
    }
}

/// Keeps what was applied last, where a test sees it.
struct Keep(watch::Sender<Bodies>);

impl Apply<Bodies> for Keep {
    type Error = Infallible;

    async fn apply(&mut self, desired: Arc<Bodies>) -> Result<(), Infallible> {
        self.0.send_replace(Bodies::clone(&desired));
        Ok(())
    }
}

async fn within<T>(what: &str, waiting: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, waiting).await.unwrap_or_else(|_| panic!("not within {BOUND:?}: {what}"))
}

fn builder(authority: &Arc<Authority>, node: &str) -> NodeBuilder {
    Node::builder(name(node)).authority(authority.clone()).listen("127.0.0.1:0".parse().unwrap())
}

fn authority() -> Arc<Authority> {
    Arc::new(Authority::new(CLUSTER).unwrap())
}

fn birth() -> Birth {
    Birth { cluster: CLUSTER, tag: 5 }
}

async fn is_member(node: &Node) {
    let reached = within("it is a member", node.handle().status_where(|status| status.machine.phase == Phase::Member)).await;
    reached.unwrap_or_else(|| panic!("stopped: {:?}", node.handle().status()));
}

async fn sees_members(node: &Node, count: usize) {
    let view = within("it sees all members", node.handle().view_where(|view| view.facts.members().len() == count)).await;
    view.expect("the node runs");
}

async fn born(authority: &Arc<Authority>) -> Node {
    let first = builder(authority, "voter1").in_memory().birth(birth()).start().await.unwrap();
    is_member(&first).await;
    first
}

#[tokio::test]
async fn a_node_is_born_and_leads() {
    let node = born(&authority()).await;
    let leads = node.handle().status_where(|status| status.machine.leader == Some(status.machine.node));
    let status = within("it leads", leads).await.unwrap();
    assert_eq!(status.machine.voter, VoterPart::Voter);
    let position = within("a read is answered", node.handle().read()).await.unwrap();
    assert!(node.handle().view().unwrap().facts.position().index >= position.index);
    assert_eq!(node.stop().await, StopReason::Asked);
}

#[tokio::test]
async fn three_voters_and_two_hosts_become_one_cluster_and_what_is_published_reaches_the_consumer() {
    let authority = authority();
    let (kept, mut applied) = watch::channel(Bodies::new());
    let first = builder(&authority, "voter1").in_memory().birth(birth()).role(Consumer, Keep(kept)).start().await.unwrap();
    is_member(&first).await;
    let mut joined = first.handle().events();
    let join = |node: &str| builder(&authority, node).in_memory().seeds([first.local_addr()]);
    let mut nodes = Vec::new();
    for voter in ["voter2", "voter3"] {
        nodes.push(join(voter).voter(true).start().await.unwrap());
    }
    for host in ["web1", "web2"] {
        nodes.push(join(host).role_without_apply(Publisher).start().await.unwrap());
    }
    for node in nodes.iter().chain([&first]) {
        sees_members(node, 5).await;
    }
    let three_vote = |view: &View| view.facts.voters().values().filter(|part| **part == VoterPart::Voter).count() == 3;
    within("three vote", first.handle().view_where(three_vote)).await.unwrap();
    let heard = within("a join is heard of", joined.next()).await;
    assert!(matches!(heard, Some(Heard::Happened(applied)) if matches!(*applied.event, Event::Joined { .. } | Event::Voter { .. })));

    let seq = within("it is stored", nodes[2].handle().publish(vec![section(b"a")])).await.unwrap();
    assert!(seq > Seq(0));
    within("it is stored", nodes[3].handle().publish(vec![section(b"b")])).await.unwrap();
    let all = |bodies: &Bodies| *bodies == [("web1".to_owned(), b"a".to_vec()), ("web2".to_owned(), b"b".to_vec())];
    let sorted = |bodies: &Bodies| {
        let mut bodies = bodies.clone();
        bodies.sort();
        all(&bodies)
    };
    within("the consumer applies both", applied.wait_for(sorted)).await.unwrap();
    let newer = within("it is stored", nodes[2].handle().publish(vec![section(b"c")])).await.unwrap();
    assert!(newer > seq);
    within("the consumer applies the edit", applied.wait_for(|bodies| bodies.contains(&("web1".to_owned(), b"c".to_vec())))).await.unwrap();
    assert!(first.handle().status().roles[0].apply.as_ref().unwrap().applied >= 2);

    for node in nodes {
        assert_eq!(within("it stops", node.stop()).await, StopReason::Asked);
    }
    assert_eq!(within("it stops", first.kill()).await, StopReason::Killed);
}

#[tokio::test]
async fn a_consumer_never_says_that_it_is_complete_before_it_is() {
    let authority = authority();
    let first = born(&authority).await;
    let join = |node: &str| builder(&authority, node).in_memory().seeds([first.local_addr()]);
    let host = join("web1").role_without_apply(Publisher).start().await.unwrap();
    is_member(&host).await;
    within("it is stored", host.handle().publish(vec![section(b"a")])).await.unwrap();
    let (said, mut heard) = watch::channel(None);
    let consumer = join("dns1").role_without_apply(Newcomer(said)).start().await.unwrap();
    let at_first = within("it is a member", heard.wait_for(Option::is_some)).await.unwrap().unwrap();
    assert_eq!(at_first, (true, 0), "it had nothing yet");
    let complete = consumer.handle().view_where(|view| !view.condition.incomplete);
    assert_eq!(within("it is complete", complete).await.unwrap().hosts().count(), 1);
}

#[tokio::test]
async fn a_kind_that_no_role_publishes_is_refused() {
    let node = born(&authority()).await;
    let refused = within("it is answered", node.handle().publish(vec![section(b"x")])).await;
    assert_eq!(refused, Err(PublishFailure::Refused(PublishError::NotDeclared { kind: kind() })));
}

fn in_folder(authority: &Arc<Authority>, node: &str, folder: &Path) -> NodeBuilder {
    builder(authority, node).data_dir(folder.join(node)).role_without_apply(Publisher)
}

#[tokio::test]
async fn a_stop_and_a_start_with_the_data_folder_resume_the_same_members() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority();
    let first = in_folder(&authority, "voter1", folder.path()).birth(birth()).start().await.unwrap();
    is_member(&first).await;
    let second = in_folder(&authority, "web1", folder.path()).seeds([first.local_addr()]).start().await.unwrap();
    is_member(&second).await;
    let (first_at, second_at) = (first.local_addr(), second.local_addr());
    let (first_id, second_id) = (first.handle().status().machine.node, second.handle().status().machine.node);
    let seq = within("it is stored", second.handle().publish(vec![section(b"a")])).await.unwrap();
    let key: PublicKey = second.public();
    second.stop().await;
    first.stop().await;

    let first = in_folder(&authority, "voter1", folder.path()).listen(first_at).birth(birth()).start().await.unwrap();
    is_member(&first).await;
    let second = in_folder(&authority, "web1", folder.path()).listen(second_at).seeds([first.local_addr()]).start().await.unwrap();
    is_member(&second).await;
    assert_eq!(first.handle().status().machine.node, first_id);
    assert_eq!(second.handle().status().machine.node, second_id);
    assert_eq!(second.public(), key);
    let newer = within("it is stored", second.handle().publish(vec![section(b"b")])).await.unwrap();
    assert!(newer > seq);
}

#[tokio::test]
async fn a_cluster_whose_voters_all_crash_goes_on_with_what_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority();
    let voters = ["voter1", "voter2", "voter3"];
    let mut nodes = vec![in_folder(&authority, "voter1", folder.path()).birth(birth()).start().await.unwrap()];
    is_member(&nodes[0]).await;
    for voter in &voters[1..] {
        let seeds = [nodes[0].local_addr()];
        nodes.push(in_folder(&authority, voter, folder.path()).voter(true).seeds(seeds).start().await.unwrap());
    }
    let three_vote = |view: &View| view.facts.voters().values().filter(|part| **part == VoterPart::Voter).count() == 3;
    for node in &nodes {
        within("three vote", node.handle().view_where(three_vote)).await.unwrap();
    }
    let before = nodes[0].handle().view().unwrap().facts.clone();
    let places: Vec<_> = nodes.iter().map(|node| (node.local_addr(), node.handle().status().machine.node)).collect();
    for node in nodes {
        within("it is gone", node.kill()).await;
    }

    let mut nodes = Vec::new();
    for (voter, (address, _)) in voters.iter().zip(&places) {
        nodes.push(in_folder(&authority, voter, folder.path()).listen(*address).voter(true).start().await.unwrap());
    }
    for (node, (_, id)) in nodes.iter().zip(&places) {
        is_member(node).await;
        assert_eq!(node.handle().status().machine.node, *id);
        within("three vote again", node.handle().view_where(three_vote)).await.unwrap();
    }
    let position = within("a read is answered", async {
        loop {
            if let Ok(position) = nodes[1].handle().read().await {
                return position;
            }
        }
    });
    assert!(position.await.index >= before.position().index);
    assert_eq!(*nodes[1].handle().view().unwrap().facts.members(), *before.members());
}

#[tokio::test]
async fn a_killed_host_comes_back_under_its_key() {
    let authority = authority();
    let first = born(&authority).await;
    let keys = Arc::new(Ed25519Keys::generate().unwrap());
    let identity: NodeIdentity = authority.issue(keys, &name("web1")).unwrap();
    let start = || builder(&authority, "web1").in_memory().identity(identity.clone()).seeds([first.local_addr()]).start();
    let host = start().await.unwrap();
    is_member(&host).await;
    let old = host.handle().status().machine.node;
    host.kill().await;
    let host = start().await.unwrap();
    is_member(&host).await;
    assert_ne!(host.handle().status().machine.node, old);
    sees_members(&first, 2).await;
}

#[tokio::test]
async fn a_node_that_can_not_start_says_what_to_do_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority();
    let node = in_folder(&authority, "voter1", folder.path()).birth(birth()).start().await.unwrap();
    is_member(&node).await;

    let taken = builder(&authority, "other").in_memory().listen(node.local_addr()).birth(birth()).start().await;
    assert!(matches!(taken, Err(StartFailure::Bind(BindError::Address { address, .. })) if address == node.local_addr()));
    let in_use = in_folder(&authority, "voter1", folder.path()).start().await;
    assert!(matches!(in_use, Err(StartFailure::Storage(_))), "{in_use:?}");
    let nothing = builder(&authority, "other").in_memory().start().await;
    assert!(matches!(nothing, Err(StartFailure::Machine(_))), "{nothing:?}");
    let undecided = Node::builder(name("other")).start().await;
    assert!(matches!(undecided, Err(StartFailure::NoStorage(_))));
    let everywhere = builder(&authority, "other").in_memory().listen("[::]:0".parse().unwrap()).birth(birth()).start().await;
    assert!(matches!(everywhere, Err(StartFailure::NoAddress(_))));

    node.stop().await;
    let strangers = Arc::new(Authority::new(ClusterId(2)).unwrap());
    let foreign = in_folder(&strangers, "voter1", folder.path()).start().await;
    assert!(matches!(foreign, Err(StartFailure::OtherCluster { what: "the data folder", .. })), "{foreign:?}");
    let other_name = builder(&authority, "voter2").data_dir(folder.path().join("voter1")).start().await;
    assert!(matches!(other_name, Err(StartFailure::Machine(_))), "{other_name:?}");
}

#[tokio::test]
async fn a_node_that_is_dropped_stops() {
    let node = born(&authority()).await;
    let handle = node.handle().clone();
    drop(node);
    assert_eq!(within("it stops", handle.stopped()).await, StopReason::Killed);
    assert!(handle.publish(Vec::new()).await.is_err());
    assert!(handle.events().next().await.is_none());
}
