//! The services that hosts offer.

use axum::response::Response;
use hivemind_core::view::View;

use super::{is_complete, page_of, state};
use crate::http::answer;
use crate::http::call::Call;
use crate::http::failure::Failure;
use crate::http::model::{ServiceInstance, Services};
use crate::http::sections;

/// `GET /api/v1/services`.
pub(in crate::http) fn services(call: &Call) -> Result<Response, Failure> {
    let view = call.view()?;
    let offered = offered(&view);
    let total = offered.len() as u64;
    let (services, next) = page_of(offered, call.asked.after_name.as_deref(), call.asked.limit);
    let body = Services { services, total, complete: is_complete(&view), next };
    Ok(answer::of_view(&call.desk, &view, answer::json(&body)))
}

/// All that the view has, in the order of their keys.
pub(super) fn offered(view: &View) -> Vec<(String, ServiceInstance)> {
    let mut offered = Vec::new();
    for (member, config) in view.hosts() {
        let addresses = sections::addresses(&config.config);
        for service in sections::services(&config.config) {
            let instance = ServiceInstance {
                name: service.name,
                host: member.name.to_string(),
                node: member.node.to_string(),
                port: service.port,
                tags: service.tags,
                addresses: addresses.clone(),
                state: state(view, member.node),
            };
            // A host may offer a service at several ports.
            offered.push((format!("{}/{}/{:05}", instance.name, instance.host, instance.port), instance));
        }
    }
    offered.sort_by(|a, b| a.0.cmp(&b.0));
    offered
}
