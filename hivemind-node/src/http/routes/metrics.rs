//! Figures in the text format of Prometheus (0.0.4), under its naming conventions. Labels take few values: none is a member's name.

use std::fmt::{Display, Write as _};
use std::time::SystemTime;

use axum::response::Response;

use super::state;
use crate::driver::{NodeStatus, RoleReport};
use crate::http::answer;
use crate::http::call::Call;
use crate::http::desk::Desk;
use crate::http::model::MemberState;
use crate::http::openapi::VERSION;
use crate::http::operations::METRICS_TYPE;
use crate::node::NodeHandle;
use crate::transport::{Discard, Flow, Refused, TransportStats};

/// `GET /metrics`: also of a node that is no member yet.
pub(in crate::http) fn metrics(call: &Call) -> Response {
    let desk = &call.desk;
    let status = desk.handle.status();
    let mut text = Exposition::default();
    text.one("hivemind_build_info", "gauge", "The version of the program.", &format!("{{version=\"{VERSION}\"}}"), 1);
    node(&mut text, &desk.handle, &status);
    members(&mut text, &desk.handle);
    transport(&mut text, &status.transport);
    roles(&mut text, &status.roles);
    http(&mut text, desk);
    answer::text(METRICS_TYPE, text.0)
}

#[derive(Default)]
struct Exposition(String);

impl Exposition {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, labels: &str, value: impl Display) {
        self.head(name, kind, help);
        self.sample(name, labels, value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.one(name, "gauge", help, "", value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.one(name, "counter", help, "", value);
    }
}

fn node(text: &mut Exposition, handle: &NodeHandle, status: &NodeStatus) {
    let machine = &status.machine;
    let ready = machine.phase == hivemind_core::machine::Phase::Member && status.stopped.is_none();
    let heard = handle.leader_heard_ago().as_secs_f64();
    text.gauge("hivemind_ready", "1 where the node is a member and does not resync.", u8::from(ready));
    text.gauge(
        "hivemind_degraded",
        "1 where the control plane has no quorum, as far as the node knows.",
        u8::from(machine.condition.degraded),
    );
    text.gauge("hivemind_stale", "1 where the view is of an earlier time.", u8::from(machine.condition.stale));
    text.gauge("hivemind_incomplete", "1 where a consumer has not yet got all configs.", u8::from(machine.condition.incomplete));
    text.gauge("hivemind_leader_heard_seconds", "Time since a new sign of life of the leader.", format!("{heard:.3}"));
    text.gauge("hivemind_raft_term", "The Raft term that the node knows of.", machine.term);
    text.gauge(
        "hivemind_raft_leader",
        "1 where the node leads.",
        u8::from(machine.leader == Some(machine.node) && !machine.node.is_none()),
    );
    if let Some(position) = machine.position {
        text.gauge("hivemind_position_index", "The last event that the view holds.", position.index);
        text.gauge("hivemind_epoch_generation", "The generation of the view's epoch.", position.epoch.generation);
        text.gauge("hivemind_epoch_number", "The number of the view's epoch.", position.epoch.number);
    }
    text.gauge("hivemind_configs_held", "Hosts whose config the node holds.", machine.configs);
    text.gauge("hivemind_own_config_seq", "The version of the node's own config.", machine.own_seq);
    if let Some(validity) = status.certificate {
        let until = validity.until.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        text.gauge(
            "hivemind_certificate_expiry_timestamp_seconds",
            "When the node's certificate ends; it is renewed at half of its life.",
            until,
        );
    }
    text.counter("hivemind_junk_frames_total", "Frames from the network that the machine dropped.", machine.junk);
}

fn members(text: &mut Exposition, handle: &NodeHandle) {
    let Some(view) = handle.view() else { return };
    let mut counts = [
        (MemberState::Reachable, "reachable", 0),
        (MemberState::Unreachable, "unreachable", 0),
        (MemberState::Restarting, "restarting", 0),
    ];
    for node in view.facts.members().keys() {
        let found = state(&view, *node);
        counts.iter_mut().filter(|(state, ..)| *state == found).for_each(|(_, _, count)| *count += 1);
    }
    text.head("hivemind_known_members", "gauge", "Members whose record the node holds, as it sees them.");
    for (_, name, count) in counts {
        text.sample("hivemind_known_members", &format!("{{state=\"{name}\"}}"), count);
    }
    text.gauge("hivemind_members", "All members.", view.facts.live().len());
    text.gauge("hivemind_neighborhoods", "All neighborhoods.", view.facts.neighborhood_count());
    text.gauge("hivemind_voters", "Members that vote.", view.facts.voters().keys().filter(|node| view.facts.is_voter(**node)).count());
}

fn transport(text: &mut Exposition, stats: &TransportStats) {
    let flows = |flow: fn(&Flow) -> u64| {
        [("sent", &stats.sent), ("received", &stats.received)].map(|(direction, flows)| {
            [("datagram", &flows.datagram), ("ordered", &flows.ordered), ("bulk", &flows.bulk)]
                .map(|(channel, one)| (format!("{{direction=\"{direction}\",channel=\"{channel}\"}}"), flow(one)))
        })
    };
    for (name, help, flow) in [
        ("hivemind_transport_frames_total", "Frames between nodes.", (|flow| flow.frames) as fn(&Flow) -> u64),
        ("hivemind_transport_bytes_total", "Bytes in frames between nodes, without what QUIC adds.", |flow| flow.bytes),
    ] {
        text.head(name, "counter", help);
        for (labels, value) in flows(flow).into_iter().flatten() {
            text.sample(name, &labels, value);
        }
    }
    text.gauge("hivemind_transport_connections", "Connections to other nodes.", stats.open);
    text.counter("hivemind_transport_dials_total", "Connections made by this node.", stats.dialed);
    text.counter("hivemind_transport_dial_failures_total", "Connections that could not be made.", stats.dial_failures);
    text.counter("hivemind_transport_accepts_total", "Connections made by other nodes.", stats.accepted);
    text.head("hivemind_transport_discarded_frames_total", "counter", "Frames dropped, by reason.");
    for reason in Discard::ALL {
        let count = stats.discarded.get(&reason).copied().unwrap_or(0);
        text.sample("hivemind_transport_discarded_frames_total", &format!("{{reason=\"{}\"}}", reason.name()), count);
    }
    text.head("hivemind_transport_refused_connections_total", "counter", "Connections refused, by reason.");
    for reason in Refused::ALL {
        let count = stats.refused.get(&reason).copied().unwrap_or(0);
        text.sample("hivemind_transport_refused_connections_total", &format!("{{reason=\"{}\"}}", reason.name()), count);
    }
}

type Figure = fn(&RoleReport) -> u64;

/// A node has few roles, and their names have no character that a label would have to escape.
fn roles(text: &mut Exposition, roles: &[RoleReport]) {
    if roles.is_empty() {
        return;
    }
    let figures: [(&str, &str, &str, Figure); 3] = [
        ("hivemind_role_applies_total", "counter", "How often the outside world was changed as a role wants it.", |role| {
            role.apply.as_ref().map_or(0, |apply| apply.applied)
        }),
        ("hivemind_role_apply_failures_total", "counter", "How often that failed.", |role| {
            role.apply.as_ref().map_or(0, |apply| apply.failures)
        }),
        ("hivemind_role_failing", "gauge", "1 where a role can not do its work now.", |role| {
            u64::from(role.role.failing.is_some() || role.apply.as_ref().is_some_and(|apply| apply.failing.is_some()))
        }),
    ];
    for (name, kind, help, figure) in figures {
        text.head(name, kind, help);
        for role in roles {
            text.sample(name, &format!("{{role=\"{}\"}}", role.spec.name), figure(role));
        }
    }
}

fn http(text: &mut Exposition, desk: &Desk) {
    text.head("hivemind_http_answers_total", "counter", "Answers over HTTP, by class of status.");
    for (class, count) in desk.counts.answers() {
        text.sample("hivemind_http_answers_total", &format!("{{class=\"{class}\"}}"), count);
    }
    text.counter("hivemind_http_connections_total", "Connections over HTTP.", desk.counts.connections());
    if desk.settings.tls.is_some() {
        text.head("hivemind_http_handshake_failures_total", "counter", "Connections that did not get to HTTP over TLS, by reason.");
        for (reason, count) in desk.counts.handshake_failures() {
            text.sample("hivemind_http_handshake_failures_total", &format!("{{reason=\"{reason}\"}}"), count);
        }
    }
    text.counter("hivemind_http_streams_total", "Streams that were begun.", desk.counts.streams());
    let open = desk.settings.limits.streams - desk.streams.available_permits();
    text.gauge("hivemind_http_open_streams", "Streams that are open.", open);
}
