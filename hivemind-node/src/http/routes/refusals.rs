//! What the control plane refuses, as a problem.

use hivemind_core::ids::NodeId;
use hivemind_core::wire::command::Refusal;

use crate::http::call::Call;
use crate::http::failure::Failure;
use crate::http::model::ProblemKind;

/// A command that was refused, or would be. Members are named where they can be: people know no ids.
pub(super) fn refused(call: &Call, refusal: &Refusal) -> Failure {
    let view = call.desk.handle.view();
    let name_of = |node| view.as_ref()?.facts.member(node).map(|member| member.name.to_string());
    named(refusal, name_of)
}

fn named(refusal: &Refusal, name_of: impl Fn(NodeId) -> Option<String>) -> Failure {
    let kind = match refusal {
        Refusal::NotAMember { .. } | Refusal::NoSuchToken | Refusal::NoSuchCredential { .. } => ProblemKind::NotFound,
        Refusal::Degraded | Refusal::Busy => ProblemKind::NoQuorum,
        Refusal::NameInUse { .. }
        | Refusal::Revoked
        | Refusal::Invalid { .. }
        | Refusal::StillVoter { .. }
        | Refusal::Restarting { .. }
        | Refusal::NotEnrolled
        | Refusal::EnrolledAs { .. }
        | Refusal::RoleNotAdmitted { .. }
        | Refusal::VoterNotAdmitted
        | Refusal::TokenExpired
        | Refusal::TokenUsedUp
        | Refusal::BadProof
        | Refusal::StillMember { .. }
        | Refusal::NotAVoter
        | Refusal::Unsupported { .. }
        | Refusal::LacksFeatures { .. }
        | Refusal::NotEligible { .. }
        | Refusal::NotVoting { .. }
        | Refusal::LastVoter { .. }
        | Refusal::LeadsAlready { .. }
        | Refusal::Lags { .. }
        | Refusal::NoHeir
        | Refusal::NotTakenOver { .. }
        | Refusal::FormerTrusted
        | Refusal::NoFormer
        | Refusal::Overlap { .. }
        | Refusal::Outdated => ProblemKind::Conflict,
    };
    let mut said = refusal.to_string();
    if let Some((node, name)) = about(refusal).and_then(|node| Some((node, name_of(node)?))) {
        said = said.replacen(&node.to_string(), &name, 1);
    }
    let failure = Failure::new(kind, format!("{said}; nothing was done"));
    if kind == ProblemKind::NoQuorum { failure.retry_after(1) } else { failure }
}

/// The member that it is about.
fn about(refusal: &Refusal) -> Option<NodeId> {
    match refusal {
        Refusal::NotAMember { node }
        | Refusal::StillVoter { node }
        | Refusal::Restarting { node }
        | Refusal::StillMember { node }
        | Refusal::NotEligible { node }
        | Refusal::NotVoting { node }
        | Refusal::LastVoter { node }
        | Refusal::LeadsAlready { node }
        | Refusal::Lags { node }
        | Refusal::NotTakenOver { node } => Some(*node),
        Refusal::NameInUse { .. }
        | Refusal::Revoked
        | Refusal::Invalid { .. }
        | Refusal::NotEnrolled
        | Refusal::EnrolledAs { .. }
        | Refusal::RoleNotAdmitted { .. }
        | Refusal::VoterNotAdmitted
        | Refusal::NoSuchToken
        | Refusal::TokenExpired
        | Refusal::TokenUsedUp
        | Refusal::BadProof
        | Refusal::NoSuchCredential { .. }
        | Refusal::Outdated
        | Refusal::Degraded
        | Refusal::Busy
        | Refusal::NotAVoter
        | Refusal::Unsupported { .. }
        | Refusal::LacksFeatures { .. }
        | Refusal::FormerTrusted
        | Refusal::NoFormer
        | Refusal::Overlap { .. }
        | Refusal::NoHeir => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_called_by_its_name_where_it_has_one() {
        let node = NodeId::new(1, 3);
        let said = |name: Option<&str>| named(&Refusal::LastVoter { node }, |_| name.map(str::to_owned)).detail;
        assert_eq!(said(Some("eu3")), "eu3 is the last member that may vote; add another voter first; nothing was done");
        assert!(said(None).starts_with("1.3 is the last"));
    }
}
