//! What hosts publish.

use std::sync::Arc;

use axum::response::Response;
use hivemind_core::ids::NodeId;
use hivemind_core::view::View;
use hivemind_core::wire::config::SignedConfig;
use hivemind_core::wire::member::MemberRecord;
use imbl::ordmap::DiffItem;

use super::events::last_event_id;
use super::{is_complete, page_of};
use crate::http::answer;
use crate::http::call::Call;
use crate::http::cursor::Cursor;
use crate::http::failure::Failure;
use crate::http::model::{Config, ConfigDetail, Configs, Gap, HostGone, ProblemKind, SectionSummary, StateSent};
use crate::http::sections;
use crate::http::stream::{self, Closed, Sink};
use crate::node::NodeHandle;

/// `GET /api/v1/configs`.
pub(in crate::http) fn configs(call: &Call) -> Result<Response, Failure> {
    let view = call.view()?;
    let desk = &call.desk;
    if call.wants_stream() {
        let resumed = last_event_id(call)?;
        let handle = desk.handle.clone();
        let first = Arc::clone(&view);
        let response = stream::begin(call, |sink| write(sink, handle, first, resumed))?;
        return Ok(answer::of_view(desk, &view, response));
    }
    let mut held: Vec<(String, (&MemberRecord, &SignedConfig))> =
        view.hosts().map(|(member, config)| (member.name.to_string(), (member.as_ref(), config.as_ref()))).collect();
    held.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let total = held.len() as u64;
    let (page, next) = page_of(held, call.asked.after_name.as_deref(), call.asked.limit);
    let configs = page.into_iter().map(|(member, config)| summary(member, config)).collect();
    let body = Configs { configs, total, complete: is_complete(&view), next };
    Ok(answer::of_view(desk, &view, answer::json(&body)))
}

/// `GET /api/v1/configs/{name}`.
pub(in crate::http) fn config(call: &Call) -> Result<Response, Failure> {
    let name = call.name()?;
    let view = call.view()?;
    let held = view.facts.named(&name).and_then(|member| Some((member, view.configs.get(&member.node)?)));
    let Some((member, config)) = held else {
        let detail = if is_complete(&view) {
            format!("no host `{name}` publishes anything")
        } else {
            format!("this node holds no config of a host `{name}`, and does not hold all; ask a consumer")
        };
        return Err(Failure::new(ProblemKind::NotFound, detail));
    };
    let contents = config.config.sections.iter().map(sections::content).collect();
    let body = ConfigDetail { config: summary(member, config), contents };
    Ok(answer::of_view(&call.desk, &view, answer::json(&body)))
}

fn summary(member: &MemberRecord, signed: &SignedConfig) -> Config {
    let config = &signed.config;
    Config {
        host: member.name.to_string(),
        node: member.node.to_string(),
        published_by: config.node.to_string(),
        seq: config.seq.0,
        hash: config.content_hash().to_string(),
        sections: config
            .sections
            .iter()
            .map(|section| SectionSummary { kind: section.kind.to_string(), bytes: section.body.len() as u64 })
            .collect(),
    }
}

/// The state, and then what changes, from view to view: a slow client gets less often, and never less.
async fn write(mut sink: Sink, mut handle: NodeHandle, mut shown: Arc<View>, resumed: Option<Cursor>) -> Result<(), Closed> {
    let id = shown.facts.position().to_string();
    if let Some(after) = resumed {
        let why = "configs change without a position: what follows is all that is in force now; a host that is not in it is gone";
        let gap = Gap { after: Some(after.to_string()), until: id.clone(), why: why.to_owned() };
        sink.send("gap", &id, &gap).await?;
    }
    let mut sent = 0;
    for (member, config) in shown.hosts() {
        sink.send("config", &id, &summary(member, config)).await?;
        sent += 1;
    }
    sink.send("state", &id, &StateSent { configs: sent, complete: is_complete(&shown) }).await?;
    loop {
        let Some(view) = sink.until(handle.changed()).await? else { return Ok(()) };
        let id = view.facts.position().to_string();
        for change in changes(&shown, &view) {
            match change {
                Change::Config(config) => sink.send("config", &id, &config).await?,
                Change::Gone(gone) => sink.send("gone", &id, &gone).await?,
            }
        }
        shown = view;
    }
}

enum Change {
    Config(Config),
    Gone(HostGone),
}

fn changes(before: &View, after: &View) -> Vec<Change> {
    let mut gone = Vec::new();
    let mut changed = Vec::new();
    let mut change = |node: NodeId, config: &SignedConfig| {
        changed.extend(after.facts.member(node).map(|member| summary(member, config)));
    };
    for item in before.configs.diff(&after.configs) {
        match item {
            DiffItem::Add(node, config) => change(*node, config),
            DiffItem::Update { old: _, new: (node, config) } => change(*node, config),
            DiffItem::Remove(node, _) => gone.extend(before.facts.member(*node).map(|member| &member.name)),
        }
    }
    // A host that joined again has its config under another id.
    let is_gone = |name: &&hivemind_core::ids::NodeName| after.config_of(name).is_none();
    let gone = gone.into_iter().filter(is_gone).map(|name| Change::Gone(HostGone { host: name.to_string() }));
    gone.chain(changed.into_iter().map(Change::Config)).collect()
}
