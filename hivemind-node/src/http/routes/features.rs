//! Optional features.

use std::collections::BTreeSet;

use axum::response::Response;
use hivemind_core::view::View;
use hivemind_core::wire::command::{Command, MAX_LACKING, Outcome, Refusal};
use hivemind_core::wire::feature::{self, FeatureName};
use tokio::time::timeout_at;

use super::refusals::refused;
use super::tokens::judged;
use crate::http::answer;
use crate::http::call::Call;
use crate::http::failure::Failure;
use crate::http::model::{ActionStage, Feature, FeatureResult, Features, ProblemKind};
use crate::nearest::nearest;

/// `GET /api/v1/features`.
pub(in crate::http) fn features(call: &Call) -> Result<Response, Failure> {
    let view = call.view()?;
    let each = names(&view).into_iter().map(|name| Feature {
        summary: feature::KNOWN.iter().find(|(known, _)| *known == name.as_str()).map(|(_, summary)| (*summary).to_owned()),
        enabled: view.facts.features().contains(&name),
        lacking: lacking(&view, &name).map(|name| name.to_string()).collect(),
        name: name.to_string(),
    });
    let body = Features { features: each.collect(), complete: view.facts.is_full() };
    Ok(answer::of_view(&call.desk, &view, answer::json(&body)))
}

/// Those that this node, or a member, knows of.
fn names(view: &View) -> BTreeSet<FeatureName> {
    let supported = view.facts.members().values().flat_map(|member| member.features.iter().cloned());
    view.facts.features().iter().cloned().chain(feature::known()).chain(supported).collect()
}

/// What is said of a feature that nobody knows: no upgrade would bring it. A node that does not know all members can not tell.
fn unknown(view: &View, feature: &FeatureName) -> Option<Failure> {
    let known = names(view);
    if known.contains(feature) || !view.facts.is_full() {
        return None;
    }
    let known: Vec<&str> = known.iter().map(FeatureName::as_str).collect();
    let hint = match nearest(feature.as_str(), known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "no member's version has an optional one".to_owned(),
        None => format!("features are {}", known.join(", ")),
    };
    Some(Failure::new(ProblemKind::NotFound, format!("there is no feature `{feature}`; {hint}")))
}

fn lacking<'a>(view: &'a View, feature: &'a FeatureName) -> impl Iterator<Item = &'a hivemind_core::ids::NodeName> {
    view.facts.members().values().filter(|member| !member.features.contains(feature)).map(|member| &member.name)
}

/// `POST /api/v1/features/{feature}/enable`.
pub(in crate::http) async fn enable_feature(call: &Call) -> Result<Response, Failure> {
    let written = call.in_path.clone().unwrap_or_default();
    let none = |error| Failure::new(ProblemKind::NotFound, format!("there can be no feature of this name: {error}"));
    let feature = FeatureName::new(&written).map_err(none)?;
    if let Some(unknown) = unknown(call.view()?.as_ref(), &feature) {
        return Err(unknown);
    }
    if call.asked.dry_run {
        let view = judged(call).await?;
        let members: Vec<_> = lacking(&view, &feature).take(MAX_LACKING).cloned().collect();
        if !members.is_empty() && !view.facts.features().contains(&feature) {
            return Err(refused(call, &Refusal::Unsupported { feature, members }));
        }
        return result(call, written, ActionStage::Possible, view.facts.position().to_string());
    }
    let command = Command::FeatureOn { feature };
    match timeout_at(call.deadline, call.desk.handle.propose(command)).await {
        Ok(Outcome::Committed { position }) => {
            tracing::info!(feature = written, %position, "a feature was switched on over HTTP");
            result(call, written, ActionStage::Committed, position.to_string())
        }
        Ok(Outcome::Refused(refusal)) => Err(refused(call, &refusal)),
        Ok(Outcome::OutcomeUnknown) | Err(_) => Err(Failure::new(
            ProblemKind::OutcomeUnknown,
            "it may have been done, or may yet be; list the features with `consistency=linearizable` before you ask again",
        )),
    }
}

fn result(call: &Call, feature: String, stage: ActionStage, position: String) -> Result<Response, Failure> {
    let view = call.view_of_done()?;
    Ok(answer::of_view(&call.desk, &view, answer::json(&FeatureResult { feature, stage, position })))
}
