//! Members, and how they are arranged.

use axum::response::Response;
use hivemind_core::view::View;
use hivemind_core::wire::event::VoterPart;
use hivemind_core::wire::member::MemberRecord;

use super::{named, page_of, part, state};
use crate::http::answer;
use crate::http::call::Call;
use crate::http::failure::Failure;
use crate::http::model::{Member, Members, Neighborhood, Neighborhoods, ProblemKind};

/// `GET /api/v1/members`.
pub(in crate::http) fn members(call: &Call) -> Result<Response, Failure> {
    let view = call.view()?;
    let mut records: Vec<(String, &MemberRecord)> =
        view.facts.members().values().map(|member| (member.name.to_string(), member.as_ref())).collect();
    records.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let (page, next) = page_of(records, call.asked.after_name.as_deref(), call.asked.limit);
    let body = Members {
        members: page.into_iter().map(|member| described(&view, member)).collect(),
        total: view.facts.live().len() as u64,
        complete: view.facts.is_full(),
        next,
    };
    Ok(answer::of_view(&call.desk, &view, answer::json(&body)))
}

/// `GET /api/v1/members/{name}`.
pub(in crate::http) fn member(call: &Call) -> Result<Response, Failure> {
    let name = call.name()?;
    let view = call.view()?;
    let Some(member) = view.facts.named(&name) else {
        let detail = if view.facts.is_full() {
            format!("there is no member `{name}`")
        } else {
            format!("this node knows no member `{name}`, and does not know all; ask a voter")
        };
        return Err(Failure::new(ProblemKind::NotFound, detail));
    };
    Ok(answer::of_view(&call.desk, &view, answer::json(&described(&view, member))))
}

pub(super) fn described(view: &View, member: &MemberRecord) -> Member {
    Member {
        node: member.node.to_string(),
        name: member.name.to_string(),
        key: member.key.to_string(),
        addresses: member.addresses.clone(),
        roles: member.roles.iter().map(|role| role.name.to_string()).collect(),
        state: state(view, member.node),
        restarting_until_ms: view.facts.restarting_until(member.node).map(|until| until.0),
        part: part(view.facts.voters().get(&member.node).copied().unwrap_or(VoterPart::None)),
        voter_eligible: member.voter_eligible,
        neighborhood: view.facts.neighborhood_of(member.node).map(|(id, _)| id.0),
        joined: member.joined.0,
    }
}

/// `GET /api/v1/neighborhoods`.
pub(in crate::http) fn neighborhoods(call: &Call) -> Result<Response, Failure> {
    let view = call.view()?;
    let each = view.facts.neighborhoods().iter().map(|(id, hood)| Neighborhood {
        id: id.0,
        created: hood.created.0,
        members: hood.members.iter().map(|node| named(&view, *node)).collect(),
    });
    let body = Neighborhoods { neighborhoods: each.collect(), total: view.facts.neighborhood_count(), complete: view.facts.is_full() };
    Ok(answer::of_view(&call.desk, &view, answer::json(&body)))
}
