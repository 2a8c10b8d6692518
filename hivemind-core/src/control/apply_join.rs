//! Joining: who becomes a member, under which id, and whose membership ends by it.

use super::applied::Applied;
use super::apply_feature;
use crate::ids::NodeId;
use crate::keys::{Keys, Purpose};
use crate::wire::access::AdmissionPolicy;
use crate::wire::codec;
use crate::wire::command::Refusal;
use crate::wire::event::Event;
use crate::wire::member::{JoinRequest, MAX_ADDRESSES, MAX_ROLES, MemberRecord, RoleSpec, SignedJoin};

/// Whether a request is one that could be granted at all: its signature and its sizes. It depends on
/// nothing but the request, so that a leader may refuse one before it reaches the log.
///
/// # Errors
/// [`Refusal::Invalid`]; the joiner is at fault.
pub(super) fn check(join: &SignedJoin, keys: &dyn Keys) -> Result<(), Refusal> {
    let request = &join.request;
    if request.addresses.len() > MAX_ADDRESSES {
        return invalid(format!("{} addresses; {MAX_ADDRESSES} is the most", request.addresses.len()));
    }
    if request.roles.len() > MAX_ROLES {
        return invalid(format!("{} roles; {MAX_ROLES} is the most", request.roles.len()));
    }
    apply_feature::check(&request.features)?;
    if let Some(role) = request.roles.iter().find(|role| longest_list(role) > MAX_ROLES) {
        return invalid(format!("a list of the role {} has more than {MAX_ROLES} entries", role.name.as_str()));
    }
    let digest = Purpose::Join.digest(&codec::encode(request));
    if !keys.verify(&request.key, &digest, &join.signature) {
        return invalid("the signature is not by the key of the request".into());
    }
    Ok(())
}

fn longest_list(role: &RoleSpec) -> usize {
    [&role.requires, &role.bootstraps_from, &role.publishes, &role.consumes].iter().map(|list| list.len()).max().unwrap_or(0)
}

fn invalid(why: String) -> Result<(), Refusal> {
    Err(Refusal::Invalid { why })
}

impl Applied {
    /// The order of the checks is part of the protocol: a revoked key gets nothing, an earlier grant
    /// holds even where the name would be refused today.
    pub(super) fn join(&mut self, join: &SignedJoin, keys: &dyn Keys) -> Result<Option<Event>, Refusal> {
        check(join, keys)?;
        let request = &join.request;
        self.lets_join(request)?;
        let wish = (request.key, request.nonce);
        if self.registry.grants.get(&wish).is_some() {
            return Ok(None);
        }
        self.expect_features(&request.features)?;
        if let Some(owner) = self.facts.named(&request.name).filter(|owner| owner.key != request.key) {
            return Err(Refusal::NameInUse { name: request.name.clone(), owner: owner.key });
        }
        let supersedes = self.superseded_by(request);
        if let Some(old) = supersedes.filter(|old| self.facts.voters().contains_key(old)) {
            return Err(Refusal::StillVoter { node: old });
        }
        let node = NodeId::new(self.facts.epoch().generation, self.registry.counter + 1);
        self.registry.counter += 1;
        self.registry.grants.insert(wish, node);
        let member = MemberRecord {
            node,
            name: request.name.clone(),
            key: request.key,
            addresses: request.addresses.clone(),
            address_seq: 0,
            roles: request.roles.clone(),
            voter_eligible: request.voter_eligible,
            features: request.features.clone(),
            joined: self.facts.position().index.next(),
        };
        let listed = supersedes.map(|old| self.facts.successors_in_lists(old)).unwrap_or_default();
        Ok(Some(Event::Joined { member, neighborhood: self.facts.assignment(), supersedes, listed }))
    }

    /// Whether a key may join at all.
    pub(super) fn lets_join(&self, request: &JoinRequest) -> Result<(), Refusal> {
        if self.registry.revoked.contains(&request.key) {
            return Err(Refusal::Revoked);
        }
        if self.is_granted(request) { Ok(()) } else { self.expect_enrolled(request) }
    }

    /// Where keys are enrolled: refuses one that is not, and what it was not enrolled for.
    fn expect_enrolled(&self, request: &JoinRequest) -> Result<(), Refusal> {
        match self.registry.gate.policy {
            AdmissionPolicy::Open => return Ok(()),
            AdmissionPolicy::Enrolled => {}
        }
        let enrolled = self.registry.gate.roll.get(&request.key).ok_or(Refusal::NotEnrolled)?;
        if enrolled.name != request.name {
            return Err(Refusal::EnrolledAs { name: enrolled.name.clone() });
        }
        if let Some(role) = enrolled.lacks_role(request) {
            return Err(Refusal::RoleNotAdmitted { role });
        }
        if enrolled.lacks_vote(request) { Err(Refusal::VoterNotAdmitted) } else { Ok(()) }
    }

    /// The membership that a join ends: that of the same key, whatever its name was.
    pub(super) fn superseded_by(&self, request: &JoinRequest) -> Option<NodeId> {
        self.facts.with_key(&request.key).map(|member| member.node)
    }

    /// Whether the join would be granted by an earlier grant: then it ends no membership.
    pub(super) fn is_granted(&self, request: &JoinRequest) -> bool {
        self.registry.grants.get(&(request.key, request.nonce)).is_some()
    }
}
