//! The document that describes the interface (OpenAPI 3.1), made from the table that its routes are made from and from the types that it answers.

use std::collections::BTreeMap;

use hivemind_core::wire::access::Right;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::answer;
use super::model::{self, ProblemKind};
use super::operations::{Answer, OPERATIONS, Operation, STREAM_TYPE, Verb};
use super::parameters::Parameter;
use super::request_id::REQUEST_ID;

/// The version of the program.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What may go wrong with every operation.
const ALWAYS: [ProblemKind; 8] = [
    ProblemKind::BadRequest,
    ProblemKind::BadQuery,
    ProblemKind::ForeignOrigin,
    ProblemKind::TooLarge,
    ProblemKind::UriTooLong,
    ProblemKind::HeadTooLarge,
    ProblemKind::Misdirected,
    ProblemKind::TooMany,
];
/// What stands in paths: name, meaning, pattern.
const IN_PATHS: [(&str, &str, &str); 4] = [
    ("name", "The name of a member.", "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"),
    ("token", "The id of a join token.", "^[0-9a-f]{64}$"),
    ("credential", "The id of a credential.", "^[0-9a-f]{16}$"),
    ("feature", "The name of an optional feature.", "^[a-z0-9_-]{1,32}$"),
];

/// The document: what `/openapi.json` answers.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in OPERATIONS {
        let described = operation_of(operation, &mut generator);
        paths.entry(operation.path).or_default().insert(verb(operation.verb).to_owned(), described);
    }
    // What streams carry, and what no answer names by itself.
    generator.subschema_for::<model::LoggedEvent>();
    generator.subschema_for::<model::HostGone>();
    generator.subschema_for::<model::StateSent>();
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "hivemind",
            "version": VERSION,
            "description": "A node of a hivemind cluster. Every answer with a status from 400 on is a problem (RFC 9457).",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn verb(verb: Verb) -> &'static str {
    match verb {
        Verb::Get => "get",
        Verb::Post => "post",
    }
}

fn operation_of(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = operation
        .parameters
        .iter()
        .map(|parameter| {
            json!({
                "name": parameter.name(),
                "in": "query",
                "required": false,
                "description": parameter.description(),
                "schema": parameter.schema(),
            })
        })
        .collect();
    for (name, description, pattern) in IN_PATHS {
        if operation.path.contains(&format!("{{{name}}}")) {
            let schema = json!({ "type": "string", "pattern": pattern });
            parameters.push(json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema }));
        }
    }
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": parameters,
        "responses": responses(operation, generator),
    });
    // Over loopback nothing may be needed: the empty requirement.
    described["security"] = match operation.right {
        None => json!([]),
        Some(Right::Read | Right::Write | Right::Admin) => json!([{}, { "bearer": [] }]),
    };
    if let Some(right) = operation.right {
        described["description"] = format!(
            "Needs the right `{}`{}.",
            right.name(),
            if operation.parameters.contains(&Parameter::DryRun) { "; a dry run, `write`" } else { "" }
        )
        .into();
    }
    if let Some(body) = &operation.body {
        let schema = (body.schema)(generator);
        described["requestBody"] = json!({ "required": body.required, "content": { "application/json": { "schema": schema } } });
    }
    described
}

fn responses(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut content = match operation.answer {
        Answer::Json(schema) => json!({ "application/json": { "schema": schema(generator) } }),
        Answer::Text("application/json") => json!({ "application/json": { "schema": { "type": "object" } } }),
        Answer::Text(media_type) => {
            let essence = media_type.split(';').next().unwrap_or(media_type);
            json!({ essence: { "schema": { "type": "string" } } })
        }
    };
    if let Some(streamed) = operation.stream {
        content[STREAM_TYPE] = json!({ "schema": { "type": "string", "description": streamed } });
    }
    let mut headers = json!({ REQUEST_ID.as_str(): header("The id of the request.") });
    if operation.path.starts_with("/api/") {
        headers[answer::POSITION.as_str()] = header("The position of the view that the answer was made from.");
        headers[answer::AGE.as_str()] = header("Seconds since the node heard a new sign of life of the leader.");
        headers[answer::DEGRADED.as_str()] = header("`true` where the control plane has no quorum, as far as the node knows.");
    }
    let mut responses = json!({ "200": { "description": operation.summary, "headers": headers, "content": content } });
    let rights: &[ProblemKind] = match operation.right {
        None => &[],
        Some(Right::Read) => &[ProblemKind::Unauthorized],
        Some(Right::Write | Right::Admin) => &[ProblemKind::Unauthorized, ProblemKind::Forbidden],
    };
    let mut problems: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for problem in ALWAYS.iter().chain(rights).chain(operation.problems) {
        problems.entry(problem.status()).or_default().push(problem.name());
    }
    let schema = generator.subschema_for::<model::Problem>();
    for (status, names) in problems {
        let content = json!({ "application/problem+json": { "schema": schema } });
        responses[status.to_string()] = json!({ "description": names.join(", "), "content": content });
    }
    responses
}

fn header(description: &str) -> Value {
    json!({ "description": description, "schema": { "type": "string" } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_of_the_document_is_in_it() {
        let document = document();
        let mut missing = Vec::new();
        let mut stack = vec![&document];
        while let Some(value) = stack.pop() {
            match value {
                Value::Object(fields) => {
                    if let Some(Value::String(reference)) = fields.get("$ref")
                        && document.pointer(reference.trim_start_matches('#')).is_none()
                    {
                        missing.push(reference.clone());
                    }
                    stack.extend(fields.values());
                }
                Value::Array(items) => stack.extend(items),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        assert!(missing.is_empty(), "{missing:?}");
        assert!(document.pointer("/components/schemas/LoggedEvent").is_some());
    }

    #[test]
    fn operations_have_names_and_paths_of_their_own() {
        let mut ids: Vec<&str> = OPERATIONS.iter().map(|operation| operation.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), OPERATIONS.len());
    }
}
