//! From a bare host to a member by a join token, over real sockets; and what certificates go through afterwards.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail as tests do")]

mod quiet;
mod rotation;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hivemind_core::ids::{ClusterId, NodeName, SectionKind};
use hivemind_core::machine::{Birth, HaltReason, Phase};
use hivemind_core::role::{Role, RoleSpec};
use hivemind_core::settings::Settings;
use hivemind_core::view::{Changed, View};
use hivemind_core::wire::access::{AdmissionPolicy, Admits, Label, Right};
use hivemind_core::wire::command::{Command, Outcome, Refusal};
use hivemind_core::wire::event::{LeaveReason, VoterPart};
use hivemind_node::authority::{Authority, Fingerprint};
use hivemind_node::enroll::{EnrollFailure, Entry, JoinToken, enroll};
use hivemind_node::transport::Refused;
use hivemind_node::{Node, NodeBuilder, StartFailure, StopReason, TokenWish};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;

const BOUND: Duration = Duration::from_secs(60);
const CLUSTER: ClusterId = ClusterId(0xe4011);

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

struct Host;

impl Role for Host {
    type Desired = ();

    fn spec(&self) -> RoleSpec {
        let kinds = || Vec::new();
        RoleSpec { name: host_role(), requires: kinds(), bootstraps_from: kinds(), publishes: kinds(), consumes: kinds() }
    }

    fn desired(&self, _view: &View, _changed: &Changed, _last: Option<&()>) {}
}

fn host_role() -> SectionKind {
    SectionKind::new("host").unwrap()
}

fn hosts() -> Admits {
    Admits { roles: vec![host_role()], voter: false }
}

fn voters() -> Admits {
    Admits { roles: Vec::new(), voter: true }
}

async fn within<T>(what: &str, waiting: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, waiting).await.unwrap_or_else(|_| panic!("not within {BOUND:?}: {what}"))
}

/// What only looking tells: the transport's counters, files.
async fn comes_true(what: &str, mut holds: impl FnMut() -> bool) {
    let looking = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(what, looking).await;
}

async fn is_member(node: &Node) {
    let reached = within("it is a member", node.handle().status_where(|status| status.machine.phase == Phase::Member)).await;
    reached.unwrap_or_else(|| panic!("stopped: {:?}", node.handle().status()));
}

async fn committed(node: &Node, command: Command) {
    let outcome = node.handle().propose(command).await;
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
}

struct Cluster {
    founder: Node,
    authority: Arc<Authority>,
    folder: TempDir,
}

impl Cluster {
    /// A cluster that admits enrolled keys alone, whose certificates live so long.
    async fn new(life: Duration) -> Self {
        let authority = Arc::new(Authority::new(CLUSTER).unwrap().with_lifetime(life));
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.control.admission = AdmissionPolicy::Enrolled;
        let founder = on(folder.path(), "v1", Entry::Founder(authority.clone()));
        let founder = founder.birth(Birth { cluster: CLUSTER, tag: 9 }).settings(settings).start().await.unwrap();
        is_member(&founder).await;
        within("it votes", founder.handle().status_where(|status| status.machine.leader.is_some())).await.unwrap();
        Cluster { founder, authority, folder }
    }

    async fn token(&self, admits: Admits, uses: u32) -> JoinToken {
        let wish = TokenWish { label: Label::new("test").unwrap(), admits, ttl: Duration::from_secs(600), uses };
        self.founder.handle().create_token(wish).await.unwrap()
    }

    fn at(&self) -> SocketAddr {
        self.founder.local_addr()
    }
}

fn on(folder: &Path, node: &str, entry: Entry) -> NodeBuilder {
    Node::builder(name(node)).data_dir(folder).certified(entry).listen("127.0.0.1:0".parse().unwrap())
}

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn a_bare_host_becomes_a_member_by_one_line() {
    let cluster = Cluster::new(DAY).await;
    let line = cluster.token(hosts(), 1).await.line();
    let folder = tempfile::tempdir().unwrap();
    let token = JoinToken::parse(&line).unwrap();
    within("it is enrolled", enroll(folder.path(), &token, &name("web1"), &hosts())).await.unwrap();
    within("again, it costs nothing", enroll(folder.path(), &token, &name("web1"), &hosts())).await.unwrap();
    let tokens = cluster.founder.handle().tokens().await.unwrap();
    assert_eq!(tokens.iter().map(|known| known.token.uses).collect::<Vec<_>>(), [0]);

    let host = on(folder.path(), "web1", Entry::Kept).seeds(token.addresses().to_vec()).role_without_apply(Host);
    let host = host.start().await.unwrap();
    is_member(&host).await;
    let certificate = host.handle().status().certificate.unwrap();
    assert!(certificate.until > certificate.from);
    let mode = std::fs::metadata(folder.path().join("identity")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "the key is for its owner alone");
    assert!(!folder.path().join("authority").exists(), "a plain host never has the authority's key");
    assert_eq!(host.handle().tokens().await, None);
    host.stop().await;

    let late = tempfile::tempdir().unwrap();
    let refused = enroll(late.path(), &token, &name("web2"), &hosts()).await;
    assert!(matches!(refused, Err(EnrollFailure::Refused(Refusal::TokenUsedUp))), "{refused:?}");
    cluster.founder.stop().await;
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_reason() {
    let cluster = Cluster::new(DAY).await;
    let token = cluster.token(hosts(), 5).await;
    let folder = tempfile::tempdir().unwrap();
    let foreign = JoinToken::generate(Fingerprint([9; 32]), token.addresses()).unwrap();
    let refused = enroll(folder.path(), &foreign, &name("web1"), &hosts()).await;
    assert!(matches!(refused, Err(EnrollFailure::OtherAuthority { address }) if address == cluster.at()), "{refused:?}");

    let made_up = JoinToken::generate(token.authority(), token.addresses()).unwrap();
    let refused = enroll(folder.path(), &made_up, &name("web1"), &hosts()).await;
    assert!(matches!(refused, Err(EnrollFailure::Refused(Refusal::NoSuchToken))), "{refused:?}");
    let refused = enroll(folder.path(), &token, &name("v1"), &hosts()).await;
    assert!(matches!(refused, Err(EnrollFailure::Refused(Refusal::NameInUse { .. }))), "{refused:?}");
    let refused = enroll(folder.path(), &token, &name("web1"), &voters()).await;
    assert!(matches!(refused, Err(EnrollFailure::Refused(Refusal::VoterNotAdmitted))), "{refused:?}");
    let kept = on(folder.path(), "web1", Entry::Kept).seeds([cluster.at()]).start().await;
    assert!(matches!(kept, Err(StartFailure::Enroll(EnrollFailure::NoCertificate))), "{kept:?}");

    // A certificate of the authority is not enough, and one of another authority gets no connection.
    let unknown = Node::builder(name("web2")).in_memory().authority(cluster.authority.clone());
    let unknown = unknown.listen("127.0.0.1:0".parse().unwrap()).seeds([cluster.at()]).start().await.unwrap();
    let reason = within("it is refused", unknown.handle().stopped()).await;
    assert_eq!(reason, StopReason::Halted(HaltReason::Refused(Refusal::NotEnrolled)));
    let other = Arc::new(Authority::new(CLUSTER).unwrap());
    let stranger = Node::builder(name("web3")).in_memory().authority(other).listen("127.0.0.1:0".parse().unwrap());
    let stranger = stranger.seeds([cluster.at()]).start().await.unwrap();
    let counted = || cluster.founder.handle().status().transport.refused.contains_key(&Refused::OtherAuthority);
    comes_true("another authority's certificate is refused", counted).await;
    stranger.kill().await;
    cluster.founder.stop().await;
}

#[tokio::test]
async fn an_evicted_node_is_out_at_once_and_gets_no_new_certificate() {
    let cluster = Cluster::new(DAY).await;
    let token = cluster.token(hosts(), 2).await;
    let folder = tempfile::tempdir().unwrap();
    let host = on(folder.path(), "web1", Entry::Token(token.clone())).seeds([cluster.at()]).role_without_apply(Host);
    let host = host.start().await.unwrap();
    is_member(&host).await;
    let node = host.handle().view().unwrap().node;
    committed(&cluster.founder, Command::Leave { node, reason: LeaveReason::Evicted }).await;
    assert_eq!(within("it is told", host.handle().stopped()).await, StopReason::Halted(HaltReason::Left));
    let key = host.public();
    host.stop().await;
    assert_eq!(cluster.founder.handle().admitted_name(key).await, None);
    let again = on(folder.path(), "web1", Entry::Kept).seeds([cluster.at()]).role_without_apply(Host).start().await.unwrap();
    let reason = within("it is refused", again.handle().stopped()).await;
    assert!(matches!(reason, StopReason::Halted(HaltReason::Left | HaltReason::Refused(Refusal::Revoked))), "{reason}");
    let refused = {
        again.stop().await;
        enroll(folder.path(), &token, &name("web1"), &hosts()).await
    };
    assert!(matches!(refused, Err(EnrollFailure::Refused(Refusal::Revoked))), "{refused:?}");
    cluster.founder.stop().await;
}

#[tokio::test]
async fn certificates_are_renewed_and_no_connection_is_lost() {
    let cluster = Cluster::new(Duration::from_secs(2)).await;
    let token = cluster.token(hosts(), 2).await;
    let folder = tempfile::tempdir().unwrap();
    let host = on(folder.path(), "web1", Entry::Token(token.clone())).seeds([cluster.at()]).role_without_apply(Host);
    let host = host.start().await.unwrap();
    is_member(&host).await;
    let made = |node: &Node| {
        let transport = node.handle().status().transport;
        transport.dialed + transport.accepted
    };
    let certificate = |node: &Node| node.handle().status().certificate.unwrap().until;
    let renewed = async |node: &Node| {
        let before = certificate(node);
        comes_true("a new certificate", || certificate(node) > before).await;
    };
    renewed(&host).await;
    let before = (made(&host), made(&cluster.founder));
    for _ in 0..2 {
        renewed(&host).await;
        renewed(&cluster.founder).await;
    }
    assert_eq!((made(&host), made(&cluster.founder)), before, "no connection was made anew");
    assert_eq!(host.handle().status().machine.phase, Phase::Member);
    // Who connects now sees the new ones; the first have expired.
    let other = tempfile::tempdir().unwrap();
    let other = on(other.path(), "web2", Entry::Token(token)).seeds([host.local_addr()]).role_without_apply(Host);
    let other = other.start().await.unwrap();
    is_member(&other).await;
    for node in [other, host, cluster.founder] {
        node.stop().await;
    }
}

#[tokio::test]
async fn a_new_voter_gets_the_authoritys_key_and_issues_when_the_first_is_gone() {
    let cluster = Cluster::new(DAY).await;
    let token = cluster.token(voters(), 2).await;
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut nodes = Vec::new();
    for (folder, node) in [(&one, "v2"), (&two, "v3")] {
        let node = on(folder.path(), node, Entry::Token(token.clone())).seeds([cluster.at()]).voter(true).start().await.unwrap();
        is_member(&node).await;
        within("it votes", node.handle().status_where(|status| status.machine.voter == VoterPart::Voter)).await.unwrap();
        let key = folder.path().join("authority/authority.key");
        comes_true("it has the authority's key", || key.exists() && folder.path().join("authority/authority.pem").exists()).await;
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        nodes.push(node);
    }
    let made = cluster.token(hosts(), 1).await;
    assert_eq!(made.addresses().len(), 3, "a token names the voters");
    let secret = cluster.founder.handle().create_credential(Label::new("ci").unwrap(), Right::Write).await.unwrap();
    cluster.founder.kill().await;
    drop(cluster.folder);
    let folder = tempfile::tempdir().unwrap();
    within("the others decide and sign", enroll(folder.path(), &made, &name("web1"), &hosts())).await.unwrap();
    let host = on(folder.path(), "web1", Entry::Kept).seeds(made.addresses().to_vec()).role_without_apply(Host);
    let host = host.start().await.unwrap();
    is_member(&host).await;
    assert_eq!(host.handle().right_of(secret.secret.line()), Some((secret.id, Right::Write)));
    assert_eq!(host.handle().right_of("hmc1-guessed"), None);
    host.stop().await;
    for node in nodes {
        node.stop().await;
    }
}

/// Whether the certificate that is kept in a folder is valid for a name or address.
fn is_named(folder: &Path, wanted: &str) -> bool {
    let certificate = CertificateDer::from_pem_file(folder.join("certificate.pem")).unwrap();
    let parsed = webpki::EndEntityCert::try_from(&certificate).unwrap();
    assert_eq!(parsed.valid_uri_names().count(), 1, "one id, whatever else it names");
    parsed.verify_is_valid_for_subject_name(&ServerName::try_from(wanted).unwrap()).is_ok()
}

#[tokio::test]
async fn a_certificate_names_the_addresses_of_its_node_and_none_that_another_states() {
    let cluster = Cluster::new(DAY).await;
    let token = cluster.token(hosts(), 2).await;
    let mut nodes = Vec::new();
    for (node, stated) in [("web1", &["127.0.0.1:0", "192.0.2.1:0"][..]), ("web2", &["127.0.0.1:0", "192.0.2.1:0", "[2001:db8::9]:0"])] {
        let folder = tempfile::tempdir().unwrap();
        let started = on(folder.path(), node, Entry::Token(token.clone())).seeds(token.addresses().to_vec()).role_without_apply(Host);
        let started = started.advertise(stated.iter().map(|one| one.parse().unwrap()).collect::<Vec<_>>()).names_addresses(true);
        let started = started.start().await.unwrap();
        is_member(&started).await;
        nodes.push((started, folder));
    }
    let second = nodes[1].1.path();
    comes_true("it has one with its address", || is_named(second, "2001:db8::9")).await;
    assert!(is_named(second, "web2"));
    for other in ["192.0.2.1", "127.0.0.1", "web1", "v1"] {
        assert!(!is_named(second, other), "{other}");
    }
    for (node, _folder) in nodes {
        node.stop().await;
    }
}
