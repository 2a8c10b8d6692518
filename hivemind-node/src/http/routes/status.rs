//! How the node fares.

use std::time::{Duration, SystemTime};

use axum::response::Response;
use hivemind_core::machine;
use hivemind_core::time::Timestamp;
use hivemind_core::view;

use super::{moment, named, part};
use crate::authority::Validity;
use crate::driver::RoleReport;
use crate::http::answer;
use crate::http::call::Call;
use crate::http::failure::Failure;
use crate::http::model::{Certificate, Condition, MemberRef, Phase, Role, Status};
use crate::http::openapi::VERSION;

/// `GET /api/v1/status`: also of a node that is no member yet.
pub(in crate::http) fn status(call: &Call) -> Result<Response, Failure> {
    let desk = &call.desk;
    let status = desk.handle.status();
    let machine = status.machine;
    let view = desk.handle.view();
    let name_of = |node: hivemind_core::ids::NodeId| {
        view.as_ref().map_or_else(|| MemberRef { node: node.to_string(), name: None }, |view| named(view, node))
    };
    let body = Status {
        version: VERSION.to_owned(),
        name: machine.name.to_string(),
        node: (!machine.node.is_none()).then(|| machine.node.to_string()),
        cluster: view.as_ref().map(|view| view.facts.cluster().to_string()),
        phase: phase(machine.phase),
        part: part(machine.voter),
        leader: machine.leader.map(name_of),
        term: machine.term,
        position: machine.position.map(|position| position.to_string()),
        leader_heard_ms: u64::try_from(desk.handle.leader_heard_ago().as_millis()).unwrap_or(u64::MAX),
        condition: condition(machine.condition),
        members: view.as_ref().map_or(0, |view| view.facts.live().len() as u64),
        neighborhoods: view.as_ref().map_or(0, |view| view.facts.neighborhood_count()),
        configs: machine.configs as u64,
        own_seq: machine.own_seq.0,
        junk: machine.junk,
        certificate: status.certificate.map(|validity| certificate(validity, desk.handle.wall())),
        roles: status.roles.into_iter().map(role).collect(),
    };
    let response = answer::json(&body);
    Ok(match view {
        Some(view) => answer::of_view(desk, &view, response),
        None => response,
    })
}

pub(in crate::http) fn phase(phase: machine::Phase) -> Phase {
    match phase {
        machine::Phase::Starting => Phase::Starting,
        machine::Phase::Joining => Phase::Joining,
        machine::Phase::Resuming => Phase::Resuming,
        machine::Phase::Member => Phase::Member,
        machine::Phase::Resyncing => Phase::Resyncing,
        machine::Phase::Stopped => Phase::Stopped,
    }
}

fn certificate(validity: Validity, wall: Timestamp) -> Certificate {
    let until = validity.until.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let until = Timestamp(u64::try_from(until.as_millis()).unwrap_or(u64::MAX));
    Certificate { until_ms: until.0, until: moment(until), late: validity.is_late(SystemTime::UNIX_EPOCH + Duration::from_millis(wall.0)) }
}

fn condition(condition: view::Condition) -> Condition {
    Condition { degraded: condition.degraded, stale: condition.stale, incomplete: condition.incomplete }
}

fn role(report: RoleReport) -> Role {
    let apply = report.apply.unwrap_or_default();
    let texts = |kinds: Vec<hivemind_core::ids::SectionKind>| kinds.iter().map(ToString::to_string).collect();
    Role {
        name: report.spec.name.to_string(),
        publishes: texts(report.spec.publishes),
        consumes: texts(report.spec.consumes),
        applied: apply.applied,
        failures: apply.failures,
        failing: report.role.failing.or(apply.failing),
    }
}
