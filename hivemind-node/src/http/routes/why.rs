//! What is known of the fate of one member.

use axum::response::Response;
use hivemind_core::ids::NodeName;

use super::members::described;
use super::named;
use crate::http::answer;
use crate::http::call::Call;
use crate::http::failure::Failure;
use crate::http::model::{ProblemKind, Why};

/// `GET /api/v1/why/{name}`.
pub(in crate::http) fn why(call: &Call) -> Result<Response, Failure> {
    let asked = call.in_path.as_deref().unwrap_or_default();
    let view = call.view()?;
    let member = NodeName::new(asked).ok().and_then(|name| view.facts.named(&name));
    let member = member.or_else(|| view.facts.members().values().find(|member| member.node.to_string() == asked));
    let name = member.map_or(asked, |member| member.name.as_str());
    let chronicle = &call.desk.journal.chronicle;
    let fate = chronicle.of(name);
    if member.is_none() && fate.is_none() {
        let shown: String = asked.chars().take(63).collect();
        let all = if view.facts.is_full() { "" } else { ", and does not know all members" };
        let detail = format!(
            "nothing is known of `{shown}` here: it is no member, and none of this name came or went as far back as this node keeps the log{all}; \
             ask a voter, or look for the name in `hivemind members` and `hivemind events`"
        );
        return Err(Failure::new(ProblemKind::NotFound, detail));
    }
    let machine = call.desk.handle.status().machine;
    let fate = fate.unwrap_or_default();
    let body = Why {
        name: name.to_owned(),
        member: member.map(|member| described(&view, member)),
        observer: machine.name.to_string(),
        leads: machine.leader == Some(machine.node),
        leader: machine.leader.map(|leader| named(&view, leader)),
        since_ms: chronicle.begun().0,
        forgotten: fate.forgotten,
        history: fate.episodes.into_iter().collect(),
    };
    Ok(answer::of_view(&call.desk, &view, answer::json(&body)))
}
