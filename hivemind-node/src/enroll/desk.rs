//! The side that is asked. Voters that have the authority's key issue certificates; every other node says who does.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hivemind_core::ids::{NodeName, PublicKey};
use hivemind_core::keys::Keys;
use hivemind_core::view::View;
use hivemind_core::wire::access::SignedEnrollment;
use hivemind_core::wire::command::{Command, Outcome, Refusal};
use quinn::{Connection, VarInt};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::reached::addresses;
use super::renewal::is_clock_behind;
use super::safe::Safe;
use super::words::{Answer, MAX_VOTERS, Request, hear, say};
use crate::authority::{Authority, requested};
use crate::keys::Ed25519Keys;
use crate::node::NodeHandle;
use crate::tasks::Tasks;
use crate::transport::proven_key;

/// So many are answered at once; as many wait.
pub(crate) const AT_ONCE: usize = 16;
/// From one address so many may ask in a window: a rack behind one address that is set up at once.
const PER_SOURCE: u32 = 60;
const WINDOW: Duration = Duration::from_secs(60);
/// So many addresses are kept count of. Where they are all busy, no other is served.
const MAX_SOURCES: usize = 1024;
/// One that has not asked, or not taken its answer, after so long is hung up on.
const HANG_UP: Duration = Duration::from_secs(10);
/// What one that asks may have on its way unread.
const READ_WINDOW: u32 = 64 << 10;

/// What certificates are issued at.
pub(crate) struct Desk {
    pub(crate) handle: NodeHandle,
    pub(crate) safe: Arc<Safe>,
    pub(crate) keys: Arc<Ed25519Keys>,
}

impl Desk {
    /// Serves until the transport is closed.
    pub(crate) async fn serve(self, mut connections: mpsc::Receiver<Connection>, tasks: Tasks) {
        let desk = Arc::new(self);
        let sources = Mutex::new(Sources::default());
        let places = Arc::new(Semaphore::new(AT_ONCE));
        while let Some(connection) = connections.recv().await {
            let source = connection.remote_address().ip().to_canonical();
            if !sources.lock().unwrap_or_else(PoisonError::into_inner).admit(source, Instant::now()) {
                connection.close(VarInt::from_u32(0), b"");
                continue;
            }
            let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
            let desk = desk.clone();
            tasks.spawn(async move {
                // Whoever takes longer is hung up on.
                let _ = tokio::time::timeout(HANG_UP, desk.attend(&connection)).await;
                connection.close(VarInt::from_u32(0), b"");
                drop(place);
            });
        }
    }

    async fn attend(&self, connection: &Connection) {
        connection.set_receive_window(VarInt::from_u32(READ_WINDOW));
        connection.set_max_concurrent_bi_streams(VarInt::from_u32(1));
        let Ok((mut send, mut receive)) = connection.accept_bi().await else { return };
        let Ok(request) = hear::<Request>(&mut receive).await else { return };
        let answer = self.decide(request, proven_key(connection)).await;
        if say(&mut send, &answer).await.is_ok() {
            // Hanging up at once would throw the answer away.
            connection.closed().await;
        }
    }

    async fn decide(&self, request: Request, peer: Option<PublicKey>) -> Answer {
        let Some(view) = self.handle.view() else { return Answer::Later };
        match request {
            // Also one that votes no more: it keeps the key until the others have it.
            Request::AuthorityKey { authority: wanted } => {
                let held = wanted.map_or_else(|| self.safe.authority(), |wanted| self.safe.find(wanted));
                held.map_or_else(|| elsewhere(&view), |held| hand_over(&view, &held, peer))
            }
            Request::Enroll { enrollment, request } => match self.issuing(&view) {
                Some(authority) => self.enroll(&authority, enrollment, &request).await,
                None => elsewhere(&view),
            },
            Request::Renew { request } => match self.issuing(&view) {
                Some(authority) => self.renew(&authority, &request).await,
                None => elsewhere(&view),
            },
        }
    }

    /// The authority that this voter issues by. `None`: another voter has the present one, or a clock that may be right.
    fn issuing(&self, view: &View) -> Option<Arc<Authority>> {
        let authority = self.safe.authority().filter(|_| view.facts.is_voter(view.node))?;
        let is_present = view.facts.trust().current().is_none_or(|current| current.digest() == authority.digest());
        let is_trusted = self.handle.identity().roots().contains(authority.certificate());
        (is_present && is_trusted && !is_clock_behind(self.handle.certificate())).then_some(authority)
    }

    async fn enroll(&self, authority: &Authority, signed: SignedEnrollment, request: &[u8]) -> Answer {
        let wish = &signed.enrollment;
        let (key, certified) = match requested(request) {
            Ok(found) => found,
            Err(error) => return Answer::Refused(Refusal::Invalid { why: error.to_string() }),
        };
        // The control plane is not troubled with what anybody may send.
        if key != wish.key || !self.keys.verify(&wish.token, &wish.digest(), &signed.proof) {
            return Answer::Refused(Refusal::BadProof);
        }
        let name = wish.name.clone();
        match self.handle.propose(Command::Enroll(signed)).await {
            // Where it is reached it says when it joins.
            Outcome::Committed { .. } => Desk::issue(authority, &certified, &name, &[]),
            Outcome::Refused(Refusal::Degraded | Refusal::Busy) | Outcome::OutcomeUnknown => Answer::Later,
            Outcome::Refused(refusal) => Answer::Refused(refusal),
        }
    }

    async fn renew(&self, authority: &Authority, request: &[u8]) -> Answer {
        let (key, certified) = match requested(request) {
            Ok(found) => found,
            Err(error) => return Answer::Refused(Refusal::Invalid { why: error.to_string() }),
        };
        match self.handle.admitted_name(key).await {
            Some(name) => {
                let at = self.handle.view().map(|view| addresses(&view, &key)).unwrap_or_default();
                Desk::issue(authority, &certified, &name, &at)
            }
            None => Answer::Refused(Refusal::NotEnrolled),
        }
    }

    fn issue(authority: &Authority, key: &rcgen::PublicKey, name: &NodeName, at: &[IpAddr]) -> Answer {
        match authority.sign(key, name, at) {
            Ok(chain) => Answer::Issued { chain: chain.iter().map(|one| one.to_vec()).collect() },
            Err(error) => {
                tracing::error!(node = %name, "no certificate: {error}");
                Answer::Later
            }
        }
    }
}

/// The authority's key goes to those who have a part in the Raft group, as they have proven by their certificates.
fn hand_over(view: &View, authority: &Authority, peer: Option<PublicKey>) -> Answer {
    let member = peer.and_then(|peer| view.facts.with_key(&peer));
    match member.filter(|member| view.facts.voters().contains_key(&member.node)) {
        Some(voter) => {
            tracing::info!(node = %voter.name, "a voter gets the authority's key");
            Answer::AuthorityKey { pem: authority.whole_pem() }
        }
        None => Answer::Refused(Refusal::VoterNotAdmitted),
    }
}

fn elsewhere(view: &View) -> Answer {
    Answer::Elsewhere { voters: voter_addresses(view).into_iter().take(MAX_VOTERS).collect() }
}

/// Where the other voters listen.
pub(crate) fn voter_addresses(view: &View) -> Vec<SocketAddr> {
    let others = view.facts.voters().keys().filter(|&&node| node != view.node && view.facts.is_voter(node));
    others.filter_map(|node| view.facts.member(*node)?.addresses.first().copied()).collect()
}

/// Who asked how often.
#[derive(Debug, Default)]
struct Sources(HashMap<IpAddr, (Instant, u32)>);

impl Sources {
    /// Whether one more is served from there now; then it counts.
    fn admit(&mut self, source: IpAddr, now: Instant) -> bool {
        if self.0.len() >= MAX_SOURCES {
            self.0.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
        }
        if self.0.len() >= MAX_SOURCES && !self.0.contains_key(&source) {
            return false;
        }
        let (since, count) = self.0.entry(source).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= PER_SOURCE
    }
}

#[cfg(test)]
mod tests {
    use hivemind_core::facts::{Facts, NeighborhoodLimits};
    use hivemind_core::ids::{ClusterId, Epoch, Index, NeighborhoodId, NodeId};
    use hivemind_core::view::Condition;
    use hivemind_core::wire::event::{Event, LogEvent};
    use hivemind_core::wire::member::MemberRecord;

    use super::*;

    fn member(counter: u64, name: &str) -> MemberRecord {
        let (addresses, roles) = (Vec::new(), Vec::new());
        let (node, key) = (NodeId::new(1, counter), PublicKey([counter as u8; 32]));
        let name = NodeName::new(name).unwrap();
        MemberRecord {
            node,
            name,
            key,
            addresses,
            address_seq: 0,
            roles,
            voter_eligible: counter == 1,
            features: Default::default(),
            joined: Index(counter - 1),
        }
    }

    #[test]
    fn the_authoritys_key_goes_to_voters_alone() {
        let epoch = Epoch { generation: 1, number: 1, tag: 1 };
        let mut facts = Facts::birth(ClusterId(7), epoch, NeighborhoodLimits::default(), member(1, "v1"));
        let joined = Event::Joined { member: member(2, "web1"), neighborhood: NeighborhoodId(0), supersedes: None, listed: Vec::new() };
        facts.apply(&LogEvent::new(Index(1), &joined)).unwrap();
        let (configs, unreachable, condition) = (Default::default(), Default::default(), Condition::default());
        let view = View { node: NodeId::new(1, 1), facts, configs, unreachable, condition };
        let authority = Authority::new(ClusterId(7)).unwrap();
        let handed = |peer| matches!(hand_over(&view, &authority, peer), Answer::AuthorityKey { .. });
        assert!(handed(Some(PublicKey([1; 32]))));
        assert!(!handed(Some(PublicKey([2; 32]))), "a plain member");
        assert!(!handed(Some(PublicKey([9; 32]))), "nobody's");
        assert!(!handed(None), "nothing proven");
    }

    #[tokio::test]
    async fn one_source_asks_so_often_and_the_next_window_is_another() {
        let (mut sources, now) = (Sources::default(), Instant::now());
        let one = IpAddr::from([10, 0, 0, 1]);
        assert!((0..PER_SOURCE).all(|_| sources.admit(one, now)));
        assert!(!sources.admit(one, now));
        assert!(sources.admit(IpAddr::from([10, 0, 0, 2]), now));
        assert!(sources.admit(one, now + WINDOW));
    }

    #[tokio::test]
    async fn many_sources_take_bounded_memory() {
        let (mut sources, now) = (Sources::default(), Instant::now());
        for number in 0..=u16::try_from(MAX_SOURCES).unwrap() {
            let [high, low] = number.to_be_bytes();
            sources.admit(IpAddr::from([10, 0, high, low]), now);
        }
        assert_eq!(sources.0.len(), MAX_SOURCES);
        assert!(sources.admit(IpAddr::from([10, 9, 9, 9]), now + WINDOW), "who is quiet makes room");
    }
}
