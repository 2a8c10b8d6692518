//! An event in the words of the interface, with the names of members.

use std::collections::BTreeMap;
use std::sync::Arc;

use hivemind_core::ids::{NodeId, NodeName};
use hivemind_core::view::View;
use hivemind_core::wire::access::AccessChange;
use hivemind_core::wire::event;
use hivemind_core::wire::trust::AuthorityChange;

use crate::enroll::certificate;
use crate::http::model::{Event, LeaveReason, MemberRef};
use crate::http::routes::{fingerprint, part};

/// Of so many newcomers the names are kept until a view shows them.
const NEWCOMERS: usize = 1024;

/// Who is called what: by the last view, and by the events since.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) view: Option<Arc<View>>,
    pub(super) newcomers: BTreeMap<NodeId, NodeName>,
}

impl Names {
    pub(super) fn of(&self, node: NodeId) -> MemberRef {
        let member = self.view.as_ref().and_then(|view| view.facts.member(node));
        let name = self.newcomers.get(&node).or(member.map(|member| &member.name));
        MemberRef { node: node.to_string(), name: name.map(ToString::to_string) }
    }

    fn all<'a>(&self, nodes: impl IntoIterator<Item = &'a NodeId>) -> Vec<MemberRef> {
        nodes.into_iter().map(|node| self.of(*node)).collect()
    }

    fn learn(&mut self, node: NodeId, name: &NodeName) {
        self.newcomers.insert(node, name.clone());
        if self.newcomers.len() > NEWCOMERS {
            self.newcomers.pop_first();
        }
    }
}

/// An event of the log, as programs are told it.
pub(super) fn told(event: &event::Event, names: &mut Names) -> Event {
    match event {
        event::Event::Joined { member, neighborhood, supersedes, listed: _ } => {
            names.learn(member.node, &member.name);
            Event::Joined {
                member: names.of(member.node),
                roles: member.roles.iter().map(|role| role.name.to_string()).collect(),
                neighborhood: neighborhood.0,
                supersedes: supersedes.map(|node| names.of(node)),
            }
        }
        event::Event::Left { node, reason, listed: _ } => {
            let (reason, observers) = match reason {
                event::LeaveReason::Failed { observers } => (LeaveReason::Failed, names.all(observers)),
                event::LeaveReason::Asked => (LeaveReason::Asked, Vec::new()),
                event::LeaveReason::Evicted => (LeaveReason::Evicted, Vec::new()),
            };
            Event::Left { member: names.of(*node), reason, observers }
        }
        event::Event::Split { from, into, moved } => Event::Split { from: from.0, into: into.0, moved: names.all(moved) },
        event::Event::Merged { from, into, members } => {
            members.iter().for_each(|member| names.learn(member.node, &member.name));
            Event::Merged { from: from.0, into: into.0, members: names.all(members.iter().map(|member| &member.node)) }
        }
        event::Event::Voter { member, part: given } => {
            names.learn(member.node, &member.name);
            Event::Voter { member: names.of(member.node), part: part(*given) }
        }
        event::Event::Restarting { node, until } => Event::Restarting { member: names.of(*node), until_ms: until.0 },
        event::Event::Restarted { node } => Event::Restarted { member: names.of(*node) },
        event::Event::Addresses { node, seq: _, addresses } => Event::Addresses { member: names.of(*node), addresses: addresses.clone() },
        event::Event::EpochAdvanced { number, floor } => Event::EpochAdvanced { number: *number, floor: floor.0 },
        event::Event::Access(AccessChange::CredentialCreated { id, credential }) => Event::CredentialCreated {
            credential: id.to_string(),
            label: credential.label.to_string(),
            right: credential.right.to_string(),
        },
        event::Event::Access(AccessChange::CredentialRevoked { id }) => Event::CredentialRevoked { credential: id.to_string() },
        event::Event::Authority(AuthorityChange::Announced { next, .. }) => {
            Event::AuthorityAnnounced { fingerprint: fingerprint(&certificate(&next.certificate)) }
        }
        event::Event::Authority(AuthorityChange::Held { node, .. }) => Event::AuthorityHeld { member: names.of(*node) },
        event::Event::Authority(AuthorityChange::Retired) => Event::AuthorityRetired {},
        event::Event::FeatureOn { feature } => Event::FeatureOn { feature: feature.to_string() },
        event::Event::Features { node, features } => {
            Event::Features { member: names.of(*node), features: features.iter().map(ToString::to_string).collect() }
        }
    }
}
