//! The state of the cluster, for people: one page without scripts.

use std::fmt::{self, Write as _};

use axum::http::{HeaderValue, header};
use axum::response::Response;
use hivemind_core::view::View;

use super::members::described;
use super::services::offered;
use super::{is_complete, named};
use crate::http::answer;
use crate::http::call::Call;
use crate::http::desk::Desk;
use crate::http::failure::Failure;
use crate::http::model::{MemberState, Part};
use crate::http::operations::{CSS_TYPE, HTML_TYPE};

/// Rows of a table; the API has the rest.
const ROWS: usize = 500;

/// Text that may stand in HTML.
struct Escaped<T>(T);

impl<T: fmt::Display> fmt::Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.to_string().chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// `GET /`.
pub(in crate::http) fn page(call: &Call) -> Result<Response, Failure> {
    let view = call.view()?;
    let mut html = String::new();
    // Writing to a String does not fail.
    let _ = write(&mut html, &call.desk, &view);
    let mut response = answer::text(HTML_TYPE, html);
    let policy =
        HeaderValue::from_static("default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(answer::of_view(&call.desk, &view, response))
}

/// `GET /assets/hivemind.css`.
pub(in crate::http) fn style() -> Response {
    answer::text(CSS_TYPE, include_str!("../assets/hivemind.css"))
}

fn write(html: &mut String, desk: &Desk, view: &View) -> fmt::Result {
    let machine = desk.handle.status().machine;
    let facts = &view.facts;
    let health = match (view.condition.degraded, view.condition.stale) {
        (true, _) => ("bad", "degraded: no quorum of voters, nobody can join or leave"),
        (false, true) => ("bad", "stale: the node resyncs, or has no contact"),
        (false, false) => ("good", "ok"),
    };
    let leader =
        machine.leader.map_or_else(|| "not known here".to_owned(), |leader| named(view, leader).name.unwrap_or_else(|| leader.to_string()));
    write!(
        html,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"refresh\" content=\"5\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>hivemind: {name}</title>\n\
         <link rel=\"stylesheet\" href=\"/assets/hivemind.css\">\n</head>\n<body>\n<h1>hivemind <small>as {name} sees it</small></h1>\n\
         <dl>\n<dt>State</dt><dd class=\"{class}\">{state}</dd>\n<dt>Cluster</dt><dd>{cluster}</dd>\n<dt>Position</dt><dd>{position}</dd>\n\
         <dt>Leader</dt><dd>{leader}</dd>\n<dt>Members</dt><dd>{members} in {hoods} neighborhood(s)</dd>\n\
         <dt>Configs held</dt><dd>{configs}{partly}</dd>\n</dl>\n",
        name = Escaped(&machine.name),
        class = health.0,
        state = health.1,
        cluster = facts.cluster(),
        position = facts.position(),
        leader = Escaped(leader),
        members = facts.live().len(),
        hoods = facts.neighborhood_count(),
        configs = machine.configs,
        partly = if is_complete(view) { "" } else { ", not all" },
    )?;
    members(html, view)?;
    services(html, view)?;
    html.push_str("<footer><a href=\"/openapi.json\">API</a> <a href=\"/metrics\">Metrics</a></footer>\n</body>\n</html>\n");
    Ok(())
}

fn state(state: MemberState) -> (&'static str, &'static str) {
    match state {
        MemberState::Reachable => ("good", "reachable"),
        MemberState::Unreachable => ("bad", "unreachable"),
        MemberState::Restarting => ("wait", "restarting"),
    }
}

fn members(html: &mut String, view: &View) -> fmt::Result {
    html.push_str("<h2>Members</h2>\n<table>\n<tr><th>Name<th>Id<th>State<th>Roles<th>Vote<th>Addresses</tr>\n");
    let mut records: Vec<_> = view.facts.members().values().collect();
    records.sort_by(|a, b| a.name.cmp(&b.name));
    for record in records.iter().take(ROWS) {
        let member = described(view, record);
        let (class, state) = state(member.state);
        let vote = match member.part {
            Part::None => "",
            Part::Learner => "learner",
            Part::Voter => "voter",
        };
        let addresses: Vec<String> = member.addresses.iter().map(ToString::to_string).collect();
        writeln!(
            html,
            "<tr><td>{}<td>{}<td class=\"{class}\">{state}<td>{}<td>{vote}<td>{}</tr>",
            Escaped(&member.name),
            member.node,
            Escaped(member.roles.join(", ")),
            addresses.join(", ")
        )?;
    }
    html.push_str("</table>\n");
    rest(html, records.len())
}

fn services(html: &mut String, view: &View) -> fmt::Result {
    html.push_str("<h2>Services</h2>\n<table>\n<tr><th>Name<th>Host<th>State<th>Port<th>Tags<th>Addresses</tr>\n");
    let offered = offered(view);
    for (_, service) in offered.iter().take(ROWS) {
        let (class, state) = state(service.state);
        let addresses: Vec<String> = service.addresses.iter().map(ToString::to_string).collect();
        writeln!(
            html,
            "<tr><td>{}<td>{}<td class=\"{class}\">{state}<td>{}<td>{}<td>{}</tr>",
            Escaped(&service.name),
            Escaped(&service.host),
            service.port,
            Escaped(service.tags.join(", ")),
            addresses.join(", ")
        )?;
    }
    html.push_str("</table>\n");
    rest(html, offered.len())
}

fn rest(html: &mut String, rows: usize) -> fmt::Result {
    match rows.checked_sub(ROWS) {
        None | Some(0) => Ok(()),
        Some(rest) => writeln!(html, "<p>and {rest} more: the API lists all</p>"),
    }
}

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn text_of_hosts_can_not_become_markup() {
        assert_eq!(Escaped("<b a=\"1\" c='2'>&").to_string(), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;");
    }
}
