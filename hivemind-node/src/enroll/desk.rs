//! The side that is asked. Voters that have the authority's key issue certificates; every other node says who does.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hivemind_core::ids::{NodeName, PublicKey};
use hivemind_core::keys::Keys;
use hivemind_core::view::View;
use hivemind_core::wire::access::SignedEnrollment;
use hivemind_core::wire::command::{Command, Outcome, Refusal};
use quinn::{Connection, VarInt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::places::{Asks, Places};
use super::reached::addresses;
use super::renewal::is_clock_behind;
use super::safe::Safe;
use super::words::{Answer, MAX_VOTERS, Request, hear, say};
use crate::authority::{Authority, requested};
use crate::keys::Ed25519Keys;
use crate::node::NodeHandle;
use crate::tasks::Tasks;
use crate::transport::proven_key;

/// One that has not asked after so long is hung up on, and so is one that has not taken its answer.
const SILENT: Duration = Duration::from_secs(2);
/// A decision that takes longer is none: the control plane gives up a proposal after 5 s.
const DECISION: Duration = Duration::from_secs(8);
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
        let places = Places::default();
        while let Some(connection) = connections.recv().await {
            // Who finds no place asks again: to wait for one here would make all others wait.
            let Some(place) = places.take(desk.who(&connection), Instant::now()) else {
                connection.close(VarInt::from_u32(0), b"");
                continue;
            };
            let desk = desk.clone();
            tasks.spawn(async move {
                desk.attend(&connection).await;
                connection.close(VarInt::from_u32(0), b"");
                drop(place);
            });
        }
    }

    /// A certificate alone makes nobody a member: whoever was put out still has one.
    fn who(&self, connection: &Connection) -> Asks {
        let proven = proven_key(connection);
        let member = proven.filter(|key| self.handle.view().is_some_and(|view| view.facts.with_key(key).is_some()));
        member.map_or_else(|| Asks::Stranger(connection.remote_address().ip()), Asks::Member)
    }

    async fn attend(&self, connection: &Connection) {
        connection.set_receive_window(VarInt::from_u32(READ_WINDOW));
        connection.set_max_concurrent_bi_streams(VarInt::from_u32(1));
        let asked = async {
            let (send, mut receive) = connection.accept_bi().await.ok()?;
            Some((send, hear::<Request>(&mut receive).await.ok()?))
        };
        let Ok(Some((mut send, request))) = timeout(SILENT, asked).await else { return };
        let Ok(answer) = timeout(DECISION, self.decide(request, proven_key(connection))).await else { return };
        let answered = async {
            if say(&mut send, &answer).await.is_ok() {
                // Hanging up at once would throw the answer away.
                connection.closed().await;
            }
        };
        // Whoever does not take it is hung up on.
        let _ = timeout(SILENT, answered).await;
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
}
