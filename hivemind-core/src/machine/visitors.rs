//! Members of other neighborhoods that spoke to this node: no record of theirs is in its slice, so they are answered under the
//! key that their connection was proven with, and may say little.

use std::collections::{BTreeMap, VecDeque};

use super::Machine;
use crate::context::Junk;
use crate::ids::{NodeId, PublicKey};
use crate::wire::frame::Header;
use crate::wire::message::{Admission, Events, Membership, Message};

/// So many are remembered; the one that came first is forgotten first.
const REMEMBERED: usize = 256;

/// Who came by.
#[derive(Debug, Default)]
pub(super) struct Visitors {
    keys: BTreeMap<NodeId, PublicKey>,
    order: VecDeque<NodeId>,
}

impl Visitors {
    pub(super) fn key(&self, node: NodeId) -> Option<PublicKey> {
        self.keys.get(&node).copied()
    }

    fn came(&mut self, node: NodeId, key: PublicKey) {
        if self.keys.insert(node, key).is_none() {
            self.order.push_back(node);
        }
        while self.order.len() > REMEMBERED {
            if let Some(first) = self.order.pop_front() {
                self.keys.remove(&first);
            }
        }
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        if self.keys.remove(&node).is_some() {
            self.order.retain(|one| *one != node);
        }
    }
}

impl Machine {
    /// A frame of one that is a member, and out of scope here. Nobody vouches for its key, so nothing is taken that would have to
    /// be believed on its word: events are proven by voters, and the rest is a question or a hint.
    pub(super) fn admit_visitor(&mut self, peer: PublicKey, header: Header, message: Message) -> Result<(), Junk> {
        let is_harmless = match &message {
            Message::Admission(Admission::Resume { .. } | Admission::Resumed { .. }) => true,
            Message::Events(Events::Push(_) | Events::Pull { .. } | Events::Range(_) | Events::Collected { .. }) => true,
            Message::Events(Events::Announce | Events::AskAnother | Events::Resync | Events::Snapshot(_)) => true,
            Message::Membership(Membership::Ping { .. } | Membership::Pong { .. } | Membership::Sample { .. }) => true,
            // Of one that was a neighbor until now, and does not know yet.
            Message::Membership(Membership::Swim { .. }) => true,
            Message::Admission(_) | Message::Membership(_) | Message::Control(_) | Message::Configs(_) => false,
        };
        if !is_harmless {
            return Err(Junk::OutOfScope);
        }
        self.visitors.came(header.from, peer);
        self.admit_member(peer, header, message)
    }
}
