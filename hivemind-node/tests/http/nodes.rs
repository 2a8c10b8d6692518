//! Nodes to speak to.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hivemind_core::ids::{ClusterId, NodeName};
use hivemind_core::machine::{Birth, Phase};
use hivemind_core::role::{Role, RoleSpec};
use hivemind_core::settings::Settings;
use hivemind_core::view::{Changed, View};
use hivemind_core::wire::access::{Credential, CredentialId, Label, Right};
use hivemind_core::wire::command::{Command, Outcome};
use hivemind_core::wire::config::Section;
use hivemind_core::wire::event::VoterPart;
use hivemind_core::wire::feature::FeatureName;
use hivemind_node::authority::Authority;
use hivemind_node::http::{HttpListener, HttpServer, HttpSettings, Limits, Observer};
use hivemind_node::{CredentialSecret, Node, NodeBuilder};
use hivemind_sections::{DnsSection, HostSection, Section as _, Service, ServiceSection};

use crate::client::within;

const CLUSTER: ClusterId = ClusterId(0xfeed);

pub(crate) fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

/// Publishes what it is told to.
struct Host;

impl Role for Host {
    type Desired = ();

    fn spec(&self) -> RoleSpec {
        let publishes = vec![DnsSection::kind(), HostSection::kind(), ServiceSection::kind()];
        let name = hivemind_core::ids::SectionKind::new("host").unwrap();
        RoleSpec { name, requires: Vec::new(), bootstraps_from: Vec::new(), publishes, consumes: Vec::new() }
    }

    fn desired(&self, _view: &View, _changed: &Changed, _last: Option<&()>) {}
}

pub(crate) fn sections(port: u16) -> Vec<Section> {
    let host = HostSection { addresses: vec!["10.0.0.1".parse().unwrap()] };
    let service = Service { name: "web".to_owned(), port, tags: vec!["v1".to_owned()] };
    let service = ServiceSection { services: vec![service] };
    let section = |kind, body: Vec<u8>| Section { kind, body: body.into() };
    vec![section(HostSection::kind(), host.encode()), section(ServiceSection::kind(), service.encode())]
}

/// A secret for each right.
const SECRETS: [(&str, Right); 3] = [("reader", Right::Read), ("writer", Right::Write), ("admin", Right::Admin)];

/// A cluster, and the interface of its first node.
pub(crate) struct Cluster {
    authority: Arc<Authority>,
    settings: Settings,
    pub(crate) voter: Node,
    pub(crate) http: HttpServer,
    pub(crate) at: SocketAddr,
}

pub(crate) fn loopback() -> HttpSettings {
    HttpSettings { listen: "127.0.0.1:0".parse().unwrap(), limits: limits(), ..HttpSettings::default() }
}

/// A test may ask as often as it likes.
pub(crate) fn limits() -> Limits {
    Limits { rate: u32::MAX, burst: u32::MAX, ..Limits::default() }
}

pub(crate) fn builder(authority: &Arc<Authority>, node: &str) -> NodeBuilder {
    Node::builder(name(node)).in_memory().authority(authority.clone()).listen("127.0.0.1:0".parse().unwrap())
}

pub(crate) fn authority() -> Arc<Authority> {
    Arc::new(Authority::new(CLUSTER).unwrap())
}

pub(crate) async fn is_member(node: &Node) {
    within("it is a member", node.handle().status_where(|status| status.machine.phase == Phase::Member)).await.unwrap();
}

pub(crate) async fn has_leader(node: &Node) {
    within("there is a leader", node.handle().status_where(|status| status.machine.leader.is_some())).await.unwrap();
}

/// Makes a credential for each right.
pub(crate) async fn with_secrets(voter: &Node) {
    for (number, (secret, right)) in (1..).zip(SECRETS) {
        let credential = Credential { label: Label::new(secret).unwrap(), hash: CredentialSecret::hash_of(secret), right };
        let create = Command::CredentialCreate { id: CredentialId(number), credential };
        let outcome = within("a credential", voter.handle().propose(create)).await;
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    }
    let known = |view: &View| view.facts.credentials().len() == SECRETS.len();
    within("all are known", voter.handle().view_where(known)).await.unwrap();
}

impl Cluster {
    pub(crate) async fn born(http: HttpSettings) -> Self {
        Cluster::supporting(http, &[]).await
    }

    /// Whose nodes support these optional features.
    pub(crate) async fn supporting(http: HttpSettings, features: &[&str]) -> Self {
        let cluster = Cluster::bare(http, features.iter().map(|feature| FeatureName::new(feature).unwrap()).collect()).await;
        has_leader(&cluster.voter).await;
        cluster
    }

    /// With a credential for each right.
    pub(crate) async fn with_secrets(http: HttpSettings) -> Self {
        let cluster = Cluster::born(http).await;
        with_secrets(&cluster.voter).await;
        cluster
    }

    async fn bare(http: HttpSettings, features: BTreeSet<FeatureName>) -> Self {
        let authority = authority();
        let mut settings = Settings { features, ..Settings::default() };
        settings.control.tick = Duration::from_millis(20);
        settings.configs.offer_retry = Duration::from_millis(100);
        let voter = builder(&authority, "voter1").birth(Birth { cluster: CLUSTER, tag: 5 }).settings(settings.clone());
        let voter = voter.role_without_apply(Observer).start().await.unwrap();
        let listener = HttpListener::bind(http).unwrap();
        let at = listener.local_addr();
        let http = listener.serve(voter.handle().clone());
        is_member(&voter).await;
        Cluster { authority, settings, voter, http, at }
    }

    async fn joined(&self, builder: NodeBuilder) -> Node {
        let node = self.started(builder, self.settings.clone()).await;
        is_member(&node).await;
        node
    }

    async fn started(&self, builder: NodeBuilder, settings: Settings) -> Node {
        builder.settings(settings).seeds([self.voter.local_addr()]).start().await.unwrap()
    }

    /// A node of a version without any optional feature, which may be refused.
    pub(crate) async fn older(&self, called: &str) -> Node {
        self.started(builder(&self.authority, called), Settings { features: BTreeSet::new(), ..self.settings.clone() }).await
    }

    /// A host that publishes a service at `port`, once the first node holds that.
    pub(crate) async fn host(&self, called: &str, port: u16) -> Node {
        let host = self.joined(builder(&self.authority, called).role_without_apply(Host)).await;
        self.publish(&host, called, port).await;
        host
    }

    pub(crate) async fn publish(&self, host: &Node, called: &str, port: u16) {
        let seq = host.handle().publish(sections(port)).await.unwrap();
        let holds = |view: &View| view.config_of(&name(called)).is_some_and(|config| config.config.seq >= seq);
        within("the config is held", self.voter.handle().view_where(holds)).await.unwrap();
    }

    /// Two more voters, once they vote.
    pub(crate) async fn two_voters(&self) -> [Node; 2] {
        let second = self.joined(builder(&self.authority, "voter2").voter(true)).await;
        let third = self.joined(builder(&self.authority, "voter3").voter(true)).await;
        let voters = |view: &View| view.facts.voters().values().filter(|part| **part == VoterPart::Voter).count() == 3;
        within("three vote", self.voter.handle().view_where(voters)).await.unwrap();
        [second, third]
    }
}
