//! All operations of the interface: the one table that routes are made from, and the document that describes them.

use hivemind_core::wire::access::Right;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::model::{self, ProblemKind};
use super::parameters::Parameter;

/// How it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// GET, and HEAD with it.
    Get,
    /// POST.
    Post,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Status,
    Members,
    Member,
    Events,
    Configs,
    Config,
    Services,
    Neighborhoods,
    Voters,
    Act(model::Action),
    Transfer,
    Why,
    Tokens,
    Admitted,
    CreateToken,
    RevokeToken,
    Credentials,
    CreateCredential,
    RevokeCredential,
    Authority,
    RotateAuthority,
    RetireAuthority,
    Features,
    EnableFeature,
    Healthz,
    Readyz,
    Metrics,
    Document,
    Page,
    Style,
}

/// What is answered.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    /// JSON of this schema.
    Json(fn(&mut SchemaGenerator) -> Schema),
    /// Text of this type.
    Text(&'static str),
}

/// A body in JSON.
#[derive(Clone, Copy)]
pub(super) struct Taken {
    pub(super) schema: fn(&mut SchemaGenerator) -> Schema,
    /// Whether leaving it out is a mistake.
    pub(super) required: bool,
}

/// One operation.
pub(super) struct Operation {
    pub(super) verb: Verb,
    /// With axum's and OpenAPI's braces, which mean the same.
    pub(super) path: &'static str,
    /// Its name in the document, and the tool's word for it.
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    /// What it takes; `None`: everybody may.
    pub(super) right: Option<Right>,
    pub(super) parameters: &'static [Parameter],
    /// The body that is taken, if any is.
    pub(super) body: Option<Taken>,
    /// What is streamed where `Accept: text/event-stream` is asked for.
    pub(super) stream: Option<&'static str>,
    pub(super) answer: Answer,
    /// What may go wrong besides what may go wrong with every operation.
    pub(super) problems: &'static [ProblemKind],
    pub(super) task: Task,
}

fn json<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// What is made, or in a dry run that it could be.
fn made<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let (made, tried) = (generator.subschema_for::<T>(), generator.subschema_for::<model::Tried>());
    schemars::json_schema!({ "anyOf": [made, tried] })
}

const fn look(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    task: Task,
    schema: fn(&mut SchemaGenerator) -> Schema,
) -> Operation {
    Operation {
        verb: Verb::Get,
        path,
        id,
        summary,
        right: Some(Right::Read),
        parameters: &[Parameter::Consistency],
        body: None,
        stream: None,
        answer: Answer::Json(schema),
        problems: &[ProblemKind::Unavailable, ProblemKind::NoQuorum],
        task,
    }
}

const fn plain(path: &'static str, id: &'static str, summary: &'static str, task: Task, media_type: &'static str) -> Operation {
    Operation {
        right: None,
        parameters: &[],
        answer: Answer::Text(media_type),
        problems: &[],
        ..look(path, id, summary, task, json::<model::Status>)
    }
}

const fn act(path: &'static str, id: &'static str, summary: &'static str, action: model::Action) -> Operation {
    Operation { task: Task::Act(action), ..act_on(path, id, summary, json::<model::ActionResult>) }
}

const fn act_on(path: &'static str, id: &'static str, summary: &'static str, answer: fn(&mut SchemaGenerator) -> Schema) -> Operation {
    Operation {
        verb: Verb::Post,
        right: Some(Right::Admin),
        parameters: &[Parameter::DryRun],
        body: Some(Taken { schema: json::<model::ActionBody>, required: false }),
        problems: &[
            ProblemKind::NotFound,
            ProblemKind::BadBody,
            ProblemKind::MediaType,
            ProblemKind::TooSlow,
            ProblemKind::Conflict,
            ProblemKind::Unavailable,
            ProblemKind::NoQuorum,
            ProblemKind::OutcomeUnknown,
        ],
        ..look(path, id, summary, Task::Act(model::Action::Leave), answer)
    }
}

/// An operation that lets somebody come in or ask.
const fn grant(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    task: Task,
    body: fn(&mut SchemaGenerator) -> Schema,
    answer: fn(&mut SchemaGenerator) -> Schema,
) -> Operation {
    Operation { body: Some(Taken { schema: body, required: true }), task, ..act_on(path, id, summary, answer) }
}

const fn revoke(path: &'static str, id: &'static str, summary: &'static str, task: Task) -> Operation {
    Operation { body: None, task, ..act_on(path, id, summary, json::<model::Revoked>) }
}

const LIST: &[Parameter] = &[Parameter::AfterName, Parameter::Limit, Parameter::Consistency];
const FOUND: &[ProblemKind] = &[ProblemKind::NotFound, ProblemKind::Unavailable, ProblemKind::NoQuorum];

/// The Prometheus text format.
pub(super) const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
pub(super) const HTML_TYPE: &str = "text/html; charset=utf-8";
pub(super) const CSS_TYPE: &str = "text/css; charset=utf-8";
pub(super) const TEXT_TYPE: &str = "text/plain; charset=utf-8";
pub(super) const STREAM_TYPE: &str = "text/event-stream";

/// All of them.
pub(super) const OPERATIONS: &[Operation] = &[
    look("/api/v1/status", "status", "How the node fares", Task::Status, json::<model::Status>),
    Operation { parameters: LIST, ..look("/api/v1/members", "members", "The members, by name", Task::Members, json::<model::Members>) },
    Operation { problems: FOUND, ..look("/api/v1/members/{name}", "member", "One member", Task::Member, json::<model::Member>) },
    act("/api/v1/members/{name}/leave", "leave", "End a membership; the host may join again, enrolled anew", model::Action::Leave),
    act("/api/v1/members/{name}/evict", "evict", "End a membership and revoke its key", model::Action::Evict),
    Operation {
        parameters: &[Parameter::AfterPosition, Parameter::Limit, Parameter::Consistency],
        stream: Some("Events as they are applied, named `log`; `gap` says what is missing. Ids are positions; `Last-Event-ID` resumes."),
        ..look(
            "/api/v1/events",
            "events",
            "What happened to the cluster, as far as the node keeps it",
            Task::Events,
            json::<model::EventPage>,
        )
    },
    Operation {
        parameters: LIST,
        stream: Some("All configs, named `config`, then `state`, then each change: `config`, or `gone`. `gap` says that it begins anew."),
        ..look("/api/v1/configs", "configs", "What hosts publish, by host", Task::Configs, json::<model::Configs>)
    },
    Operation {
        problems: FOUND,
        ..look("/api/v1/configs/{name}", "config", "What one host publishes", Task::Config, json::<model::ConfigDetail>)
    },
    Operation {
        parameters: LIST,
        ..look("/api/v1/services", "services", "The services that hosts offer", Task::Services, json::<model::Services>)
    },
    look("/api/v1/neighborhoods", "neighborhoods", "Who probes each other", Task::Neighborhoods, json::<model::Neighborhoods>),
    look("/api/v1/voters", "voters", "The Raft group", Task::Voters, json::<model::Voters>),
    Operation {
        problems: FOUND,
        ..look("/api/v1/why/{name}", "why", "What happened to a member, or to one that is gone", Task::Why, json::<model::Why>)
    },
    act("/api/v1/voters/{name}/add", "addVoter", "Let a member vote, and stay a voter", model::Action::AddVoter),
    act("/api/v1/voters/{name}/remove", "removeVoter", "Let a member not vote until it is added again", model::Action::RemoveVoter),
    Operation {
        body: Some(Taken { schema: json::<model::TransferBody>, required: false }),
        task: Task::Transfer,
        ..act_on("/api/v1/leader/transfer", "transferLeader", "Let another voter lead", json::<model::Transferred>)
    },
    Operation {
        right: Some(Right::Admin),
        problems: &[ProblemKind::Conflict, ProblemKind::Unavailable, ProblemKind::NoQuorum],
        ..look("/api/v1/tokens", "tokens", "The join tokens; voters alone know them", Task::Tokens, json::<model::Tokens>)
    },
    Operation {
        right: Some(Right::Admin),
        problems: &[ProblemKind::Conflict, ProblemKind::Unavailable, ProblemKind::NoQuorum],
        ..look(
            "/api/v1/admitted",
            "admitted",
            "The hosts that were admitted and are no members; voters alone know them",
            Task::Admitted,
            json::<model::Admissions>,
        )
    },
    grant(
        "/api/v1/tokens",
        "createToken",
        "Make a join token; its line is shown this once",
        Task::CreateToken,
        json::<model::TokenBody>,
        made::<model::NewToken>,
    ),
    revoke("/api/v1/tokens/{token}/revoke", "revokeToken", "Let a join token admit nobody any more", Task::RevokeToken),
    Operation {
        right: Some(Right::Admin),
        ..look("/api/v1/credentials", "credentials", "Who may use this interface", Task::Credentials, json::<model::Credentials>)
    },
    grant(
        "/api/v1/credentials",
        "createCredential",
        "Make a credential; its secret is shown this once",
        Task::CreateCredential,
        json::<model::CredentialBody>,
        made::<model::NewCredential>,
    ),
    revoke("/api/v1/credentials/{credential}/revoke", "revokeCredential", "Make a credential worth nothing", Task::RevokeCredential),
    look("/api/v1/authority", "authority", "The cluster's certificate authority", Task::Authority, json::<model::Authorities>),
    Operation {
        body: None,
        task: Task::RotateAuthority,
        ..act_on(
            "/api/v1/authority/rotate",
            "rotateAuthority",
            "Let another authority, with a new key, follow the present one",
            json::<model::Rotated>,
        )
    },
    Operation {
        body: Some(Taken { schema: json::<model::RetireBody>, required: false }),
        task: Task::RetireAuthority,
        ..act_on("/api/v1/authority/retire", "retireAuthority", "Trust the former authority no more", json::<model::Retired>)
    },
    look("/api/v1/features", "features", "Optional features, and who lacks them", Task::Features, json::<model::Features>),
    Operation {
        body: None,
        task: Task::EnableFeature,
        ..act_on(
            "/api/v1/features/{feature}/enable",
            "enableFeature",
            "Switch an optional feature on, for good",
            json::<model::FeatureResult>,
        )
    },
    plain("/healthz", "healthz", "Whether the process lives", Task::Healthz, TEXT_TYPE),
    Operation {
        right: None,
        parameters: &[],
        problems: &[ProblemKind::Unavailable],
        ..look("/readyz", "readyz", "Whether the node can be sent work", Task::Readyz, json::<model::Readiness>)
    },
    Operation { right: Some(Right::Read), ..plain("/metrics", "metrics", "Figures for Prometheus", Task::Metrics, METRICS_TYPE) },
    plain("/openapi.json", "openapi", "This document", Task::Document, "application/json"),
    Operation {
        right: Some(Right::Read),
        problems: &[ProblemKind::Unavailable],
        ..plain("/", "page", "The state of the cluster, for people", Task::Page, HTML_TYPE)
    },
    plain("/assets/hivemind.css", "style", "How the page looks", Task::Style, CSS_TYPE),
];
