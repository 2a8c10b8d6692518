//! What a test asks of the net's nodes, and what it does to them.

use std::time::Duration;

use protobuf::Message as _;
use raft::eraftpb;

use super::disk::Disk;
use super::wishes::{request, signed};
use super::{Host, Net, V1};
use crate::control::Control;
use crate::facts::Facts;
use crate::ids::{BootNonce, NodeId, ProposalId};
use crate::wire::command::{Command, Outcome, Proposal};
use crate::wire::member::JoinRequest;
use crate::wire::message;

impl Net {
    pub(in crate::control::tests) fn control(&self, node: NodeId) -> &Control {
        self.hosts[&node].control.as_ref().expect("a control plane")
    }

    pub(in crate::control::tests) fn facts(&self, node: NodeId) -> &Facts {
        self.control(node).facts().expect("facts")
    }

    pub(in crate::control::tests) fn voters(&self, node: NodeId) -> Vec<NodeId> {
        let facts = self.facts(node);
        facts.voters().keys().copied().filter(|voter| facts.is_voter(*voter)).collect()
    }

    /// The live leader of the highest term.
    pub(in crate::control::tests) fn leader(&self) -> Option<NodeId> {
        let leads = |host: &Host| host.is_up && host.control.as_ref().is_some_and(Control::is_leader);
        let leaders = self.hosts.iter().filter(|(_, host)| leads(host));
        leaders.max_by_key(|(_, host)| host.control.as_ref().map(Control::term)).map(|(&node, _)| node)
    }

    pub(in crate::control::tests) fn id(&mut self, node: NodeId) -> ProposalId {
        let host = self.hosts.get_mut(&node).unwrap();
        host.counter += 1;
        ProposalId { node, boot: BootNonce::new(host.boots, 0), counter: host.counter }
    }

    pub(in crate::control::tests) fn propose_as(&mut self, id: ProposalId, command: Command) {
        self.with_host(id.node, |host, ctx| {
            host.control.as_mut().unwrap().propose(Proposal { id, time: ctx.now.wall, command }, ctx);
        });
    }

    pub(in crate::control::tests) fn propose(&mut self, node: NodeId, command: Command) -> ProposalId {
        let id = self.id(node);
        self.propose_as(id, command);
        id
    }

    pub(in crate::control::tests) fn outcome(&self, id: ProposalId) -> Option<&Outcome> {
        self.hosts[&id.node].outcomes.get(&id)
    }

    /// Proposes, and waits for the outcome.
    pub(in crate::control::tests) fn decide(&mut self, node: NodeId, command: Command) -> Outcome {
        let id = self.propose(node, command);
        self.until(Duration::from_secs(8), "an outcome", |net| net.outcome(id).is_some());
        self.outcome(id).unwrap().clone()
    }

    pub(in crate::control::tests) fn nonce(&mut self) -> u64 {
        self.nonces += 1;
        self.nonces
    }

    /// A node of this name joins through v1; its host is added.
    pub(in crate::control::tests) fn join(&mut self, name: &str) -> NodeId {
        let nonce = self.nonce();
        self.join_with(request(name, nonce))
    }

    pub(in crate::control::tests) fn join_with(&mut self, wish: JoinRequest) -> NodeId {
        let through = self.leader().unwrap_or(V1);
        let (key, nonce) = (wish.key, wish.nonce);
        let outcome = self.decide(through, signed(wish));
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
        let node = self.control(through).granted(key, nonce).expect("a grant");
        if !self.hosts.contains_key(&node) {
            self.add_host(node);
        }
        node
    }

    pub(in crate::control::tests) fn read(&mut self, node: NodeId) -> ProposalId {
        let id = self.id(node);
        self.with_host(node, |host, ctx| host.control.as_mut().unwrap().read_index(id, ctx));
        id
    }

    pub(in crate::control::tests) fn evidence(&mut self, voter: NodeId, observer: NodeId, suspect: NodeId) {
        self.with_host(voter, |host, ctx| host.control.as_mut().unwrap().handle_evidence(observer, suspect, ctx));
    }

    /// The process dies; of the writes on their way the first `done` get through.
    pub(in crate::control::tests) fn crash_after(&mut self, node: NodeId, done: usize) {
        let host = self.hosts.get_mut(&node).unwrap();
        let writing = std::mem::take(&mut host.writing);
        for write in writing.iter().flat_map(|(_, _, writes)| writes).take(done) {
            host.disk.write(write);
        }
        host.is_up = false;
        host.control = None;
        host.timers.clear();
    }

    pub(in crate::control::tests) fn crash(&mut self, node: NodeId) {
        self.crash_after(node, 0);
    }

    pub(in crate::control::tests) fn restart(&mut self, node: NodeId) {
        let seed = self.seed;
        let host = self.hosts.get_mut(&node).unwrap();
        host.is_up = true;
        host.boots += 1;
        host.counter = 0;
        host.events.clear();
        let log = host.disk.found();
        self.with_host(node, |host, ctx| {
            let mut control = Control::recover(node, &log, seed, ctx).expect("what survives a crash is whole");
            host.view.iter().for_each(|facts| control.handle_view(facts));
            host.control = Some(control);
        });
    }

    /// All that the node had written is gone.
    pub(in crate::control::tests) fn wipe(&mut self, node: NodeId) {
        self.hosts.get_mut(&node).unwrap().disk = Disk::default();
    }

    /// Cuts both directions between two groups.
    pub(in crate::control::tests) fn split(&mut self, one: &[NodeId], other: &[NodeId]) {
        for &a in one {
            for &b in other {
                self.cut.insert((a, b));
                self.cut.insert((b, a));
            }
        }
    }

    /// What `from` says does not reach `to` any more; the other way is open.
    pub(in crate::control::tests) fn silence(&mut self, from: NodeId, to: NodeId) {
        self.cut.insert((from, to));
    }

    pub(in crate::control::tests) fn heal(&mut self) {
        self.cut.clear();
    }
}

/// A raft message out of a control message.
pub(in crate::control::tests) fn raft(message: &message::Control) -> Option<eraftpb::Message> {
    match message {
        message::Control::Raft(bytes) => eraftpb::Message::parse_from_bytes(bytes).ok(),
        message::Control::Forward(_)
        | message::Control::Outcome { .. }
        | message::Control::ReadIndex { .. }
        | message::Control::ReadIndexed { .. }
        | message::Control::Evidence { .. }
        | message::Control::SnapshotWant(_)
        | message::Control::Probe { .. } => None,
        message::Control::SnapshotPart(part) => eraftpb::Message::parse_from_bytes(&part.head).ok(),
    }
}
