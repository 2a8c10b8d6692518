//! One authority follows another, while nodes come, go and talk.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use hivemind_core::ids::Digest256;
use hivemind_core::wire::command::AUTHORITY_OVERLAP;
use hivemind_node::RotationFailure;

use super::*;

/// Refused for what they have proven themselves with.
fn refused(node: &Node) -> u64 {
    let transport = node.handle().status().transport;
    let counted = |why: Refused| transport.refused.get(&why).copied().unwrap_or_default();
    counted(Refused::OtherAuthority) + counted(Refused::NoCertificate)
}

/// The authority that issued the certificate in a folder, by the name that it goes by.
fn issuer(folder: &Path) -> Vec<u8> {
    let kept = CertificateDer::from_pem_file(folder.join("certificate.pem")).unwrap();
    webpki::EndEntityCert::try_from(&kept).unwrap().issuer().to_vec()
}

fn key_in(folder: &Path) -> Option<Vec<u8>> {
    fs::read(folder.join("authority/authority.key")).ok()
}

struct Three {
    cluster: Cluster,
    voters: Vec<(Node, TempDir)>,
}

impl Three {
    async fn new() -> Self {
        let cluster = Cluster::new(DAY).await;
        let token = cluster.token(voters(), 2).await;
        let mut others = Vec::new();
        for node in ["v2", "v3"] {
            let folder = tempfile::tempdir().unwrap();
            let node = on(folder.path(), node, Entry::Token(token.clone())).seeds([cluster.at()]).voter(true).start().await.unwrap();
            is_member(&node).await;
            within("it votes", node.handle().status_where(|status| status.machine.voter == VoterPart::Voter)).await.unwrap();
            comes_true("it has the authority's key", || key_in(folder.path()).is_some()).await;
            others.push((node, folder));
        }
        Three { cluster, voters: others }
    }

    fn all(&self) -> impl Iterator<Item = (&Node, &Path)> {
        let others = self.voters.iter().map(|(node, folder)| (node, folder.path()));
        std::iter::once((&self.cluster.founder, self.cluster.folder.path())).chain(others)
    }

    /// Another authority issues, and nothing of the former one is left where a node runs.
    async fn rotate_and_retire(&self, former: &[u8]) {
        let founder = self.cluster.founder.handle();
        founder.rotate_authority().await.unwrap();
        for (node, folder) in self.all() {
            comes_true("the new one issues", || issuer(folder) != former).await;
            within("everywhere", node.handle().view_where(|view| view.facts.trust().former().is_some())).await.unwrap();
        }
        let retired = founder.retire_authority(true).await;
        assert!(matches!(retired, Outcome::Committed { .. }), "{retired:?}");
        for (node, _) in self.all() {
            within("everywhere", node.handle().view_where(|view| view.facts.trust().former().is_none())).await.unwrap();
        }
    }

    async fn stop(self) {
        self.cluster.founder.stop().await;
        for (node, _folder) in self.voters {
            node.stop().await;
        }
    }
}

async fn host(folder: &Path, node: &str, token: &JoinToken) -> Node {
    let host = on(folder, node, Entry::Token(token.clone())).seeds(token.addresses().to_vec()).role_without_apply(Host);
    let host = host.start().await.unwrap_or_else(|error| panic!("{node}: {error}"));
    is_member(&host).await;
    host
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_follows_another_under_load_and_nobody_is_refused() {
    let three = Three::new().await;
    let token = three.cluster.token(hosts(), 100).await;
    let folder = tempfile::tempdir().unwrap();
    let settled = host(folder.path(), "settled", &token).await;
    let former = issuer(folder.path());

    // Hosts come and go, each over connections of its own, all the time.
    let over = Arc::new(AtomicBool::new(false));
    let (until, seeds, speaker) = (over.clone(), token.clone(), three.cluster.founder.handle().clone());
    let load = tokio::spawn(async move {
        let mut rounds = 0;
        while !until.load(Ordering::Relaxed) {
            let folder = tempfile::tempdir().unwrap();
            let node = format!("web{rounds}");
            let first = host(folder.path(), &node, &seeds).await;
            first.stop().await;
            let again = on(folder.path(), &node, Entry::Kept).seeds(seeds.addresses().to_vec()).role_without_apply(Host);
            let again = again.start().await.unwrap();
            is_member(&again).await;
            assert_eq!(refused(&again), 0);
            let node = again.handle().view().unwrap().node;
            let left = speaker.propose(Command::Leave { node, reason: LeaveReason::Asked }).await;
            assert!(matches!(left, Outcome::Committed { .. }), "{left:?}");
            again.stop().await;
            rounds += 1;
        }
        rounds
    });
    let (fingerprint, _) = three.cluster.founder.handle().rotate_authority().await.unwrap();
    assert_ne!(fingerprint, three.cluster.authority.fingerprint());
    for (node, folder) in three.all() {
        let issues = |view: &View| view.facts.trust().former().is_some();
        within("the new one issues", node.handle().view_where(issues)).await.unwrap();
        comes_true("each voter shows a certificate of it", || issuer(folder) != former).await;
    }
    comes_true("a host does", || issuer(folder.path()) != former).await;
    let keys: Vec<_> = three.all().map(|(_, folder)| key_in(folder)).collect();
    comes_true("all voters have the same key", || {
        let keys: Vec<_> = three.all().map(|(_, folder)| key_in(folder)).collect();
        keys[0].is_some() && keys.iter().all(|key| *key == keys[0])
    })
    .await;
    assert!(three.all().all(|(_, folder)| !folder.join("authority/next").exists()), "nothing is left over: {}", keys.len());

    let early = three.cluster.founder.handle().retire_authority(false).await;
    assert!(matches!(early, Outcome::Refused(Refusal::Overlap { left }) if left <= AUTHORITY_OVERLAP), "{early:?}");
    let again = three.cluster.founder.handle().rotate_authority().await;
    assert!(matches!(again, Err(RotationFailure::Refused(Refusal::FormerTrusted))), "{again:?}");
    over.store(true, Ordering::Relaxed);
    assert!(within("the load ends", load).await.unwrap() > 0);
    let retired = three.cluster.founder.handle().retire_authority(true).await;
    assert!(matches!(retired, Outcome::Committed { .. }), "{retired:?}");
    let new = three.cluster.token(hosts(), 1).await;
    assert_eq!(new.authority(), fingerprint);
    let late = tempfile::tempdir().unwrap();
    let latest = host(late.path(), "late", &new).await;
    for (node, _) in three.all().chain([(&settled, folder.path()), (&latest, late.path())]) {
        assert_eq!(refused(node), 0, "{:?}", node.handle().status().transport.refused);
    }
    let outdated = enroll(tempfile::tempdir().unwrap().path(), &token, &name("never"), &hosts()).await;
    assert!(matches!(outdated, Err(EnrollFailure::OtherAuthority { .. })), "a stolen key's token: {outdated:?}");
    settled.stop().await;
    latest.stop().await;
    three.stop().await;
}

#[tokio::test]
async fn who_was_away_all_the_time_comes_back_by_itself() {
    let three = Three::new().await;
    let token = three.cluster.token(hosts(), 1).await;
    let folder = tempfile::tempdir().unwrap();
    host(folder.path(), "web1", &token).await.stop().await;
    let former = issuer(folder.path());
    three.rotate_and_retire(&former).await;
    let back = on(folder.path(), "web1", Entry::Kept).seeds(token.addresses().to_vec()).role_without_apply(Host).start().await.unwrap();
    comes_true("it is issued one of the new authority", || issuer(folder.path()) != former).await;
    let token = three.cluster.token(hosts(), 1).await;
    let (after, folder) = (three.cluster.founder.handle().view().unwrap().facts.position(), tempfile::tempdir().unwrap());
    let other = host(folder.path(), "web2", &token).await;
    within("it hears what happens", back.handle().view_where(|view| view.facts.position().index > after.index)).await.unwrap();
    other.stop().await;
    back.stop().await;
    three.stop().await;
}

#[tokio::test]
async fn who_ended_after_it_heard_of_the_retirement_and_before_it_renewed_comes_back_by_itself() {
    let three = Three::new().await;
    let token = three.cluster.token(hosts(), 1).await;
    let folder = tempfile::tempdir().unwrap();
    host(folder.path(), "web1", &token).await.stop().await;
    let former = issuer(folder.path());
    three.rotate_and_retire(&former).await;
    let present = fs::read_to_string(three.cluster.folder.path().join("authority/authority.pem")).unwrap();
    let kept = fs::read_to_string(folder.path().join("certificate.pem")).unwrap();
    let first = |text: &str| text.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap().to_owned();
    // Its certificate is as before, and the authority is the present one alone.
    fs::write(folder.path().join("certificate.pem"), first(&kept) + &first(&present)).unwrap();
    let back = on(folder.path(), "web1", Entry::Kept).seeds(token.addresses().to_vec()).role_without_apply(Host).start().await.unwrap();
    comes_true("it is issued one of the present authority", || issuer(folder.path()) != former).await;
    let token = three.cluster.token(hosts(), 1).await;
    let (after, folder) = (three.cluster.founder.handle().view().unwrap().facts.position(), tempfile::tempdir().unwrap());
    let other = host(folder.path(), "web2", &token).await;
    within("it hears what happens", back.handle().view_where(|view| view.facts.position().index > after.index)).await.unwrap();
    other.stop().await;
    back.stop().await;
    three.stop().await;
}

#[tokio::test]
async fn a_voter_that_was_away_all_the_time_comes_back_and_issues() {
    let mut three = Three::new().await;
    let (away, folder) = three.voters.pop().unwrap();
    let (former, seeds) = (issuer(folder.path()), [three.cluster.at()]);
    away.kill().await;
    three.rotate_and_retire(&former).await;
    let back = on(folder.path(), "v3", Entry::Kept).seeds(seeds).voter(true).start().await.unwrap();
    comes_true("it is issued one of the new authority", || issuer(folder.path()) != former).await;
    let founders = key_in(three.cluster.folder.path());
    comes_true("it has the new key", || key_in(folder.path()) == founders).await;
    three.voters.push((back, folder));
    three.stop().await;
}

#[tokio::test]
async fn who_votes_no_more_forgets_the_key_and_is_given_it_again_when_it_does() {
    let three = Three::new().await;
    let (demoted, folder) = &three.voters[1];
    let node = demoted.handle().view().unwrap().node;
    committed(&three.cluster.founder, Command::VoterRemove { node }).await;
    comes_true("the key is gone", || key_in(folder.path()).is_none()).await;
    committed(&three.cluster.founder, Command::VoterAdd { node }).await;
    comes_true("the key is back", || key_in(folder.path()).is_some()).await;
    three.stop().await;
}

#[tokio::test]
async fn only_who_keeps_the_authority_rotates_it() {
    let three = Three::new().await;
    let token = three.cluster.token(hosts(), 1).await;
    let folder = tempfile::tempdir().unwrap();
    let host = host(folder.path(), "web1", &token).await;
    let refused = host.handle().rotate_authority().await;
    assert!(matches!(refused, Err(RotationFailure::NotHeld)), "{refused:?}");
    let retired = host.handle().retire_authority(true).await;
    assert!(matches!(retired, Outcome::Refused(Refusal::NotAVoter)), "{retired:?}");
    let view = three.cluster.founder.handle().view().unwrap();
    let other = view.facts.voters().keys().copied().find(|node| *node != view.node).unwrap();
    for node in [view.node, other] {
        let said = host.handle().propose(Command::AuthorityHeld { node, authority: Digest256([1; 32]) }).await;
        assert!(matches!(said, Outcome::Refused(Refusal::NotAVoter)), "{said:?}");
    }
    let for_another = three.cluster.founder.handle().propose(Command::AuthorityHeld { node: other, authority: Digest256([1; 32]) }).await;
    assert!(matches!(for_another, Outcome::Refused(Refusal::NotAVoter)), "{for_another:?}");
    let nothing = three.cluster.founder.handle().retire_authority(true).await;
    assert!(matches!(nothing, Outcome::Refused(Refusal::NoFormer)), "{nothing:?}");
    host.stop().await;
    let given = Node::builder(name("alone")).in_memory().authority(Arc::new(Authority::new(CLUSTER).unwrap()));
    let given = given.listen("127.0.0.1:0".parse().unwrap()).birth(Birth { cluster: CLUSTER, tag: 1 }).start().await.unwrap();
    is_member(&given).await;
    let refused = given.handle().rotate_authority().await;
    assert!(matches!(refused, Err(RotationFailure::Given)), "{refused:?}");
    given.stop().await;
    three.stop().await;
}
