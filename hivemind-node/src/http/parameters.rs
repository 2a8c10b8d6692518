//! The parameters of queries.

use axum::extract::Query;
use axum::http::Uri;
use serde::Deserialize;

use super::cursor::{self, Cursor};
use super::failure::Failure;
use super::model::ProblemKind;

/// Most items of a page, and how many there are where none are asked for.
pub(super) const PAGE: u16 = 1000;
/// The longest `after` of a list.
pub(super) const AFTER_NAME: usize = 160;

/// A parameter that some paths take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    /// `after`, as a position.
    AfterPosition,
    /// `after`, as the last name of the page before.
    AfterName,
    /// `limit`.
    Limit,
    /// `consistency`.
    Consistency,
    /// `dry_run`.
    DryRun,
}

impl Parameter {
    pub(super) fn name(self) -> &'static str {
        match self {
            Parameter::AfterPosition | Parameter::AfterName => "after",
            Parameter::Limit => "limit",
            Parameter::Consistency => "consistency",
            Parameter::DryRun => "dry_run",
        }
    }

    pub(super) fn description(self) -> &'static str {
        match self {
            Parameter::AfterPosition => "The position after which to begin. Without it: from the beginning; of a stream, from now on.",
            Parameter::AfterName => "`next` of the page before.",
            Parameter::Limit => "The most items of the page.",
            Parameter::Consistency => "`linearizable`: wait until the node knows all that was committed before the request.",
            Parameter::DryRun => "Only say whether it could be done.",
        }
    }

    pub(super) fn schema(self) -> serde_json::Value {
        match self {
            Parameter::AfterPosition => serde_json::json!({ "type": "string", "pattern": cursor::PATTERN }),
            Parameter::AfterName => serde_json::json!({ "type": "string", "maxLength": AFTER_NAME }),
            Parameter::Limit => serde_json::json!({ "type": "integer", "minimum": 1, "maximum": PAGE, "default": PAGE }),
            Parameter::Consistency => serde_json::json!({ "type": "string", "enum": ["local", "linearizable"], "default": "local" }),
            Parameter::DryRun => serde_json::json!({ "type": "boolean", "default": false }),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    after: Option<String>,
    limit: Option<String>,
    consistency: Option<String>,
    dry_run: Option<String>,
}

/// What a query asks for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) after_position: Option<Cursor>,
    pub(super) after_name: Option<String>,
    pub(super) limit: usize,
    pub(super) linearizable: bool,
    pub(super) dry_run: bool,
}

fn bad(detail: impl Into<String>) -> Failure {
    Failure::new(ProblemKind::BadQuery, detail)
}

/// Reads a query of a path that takes `taken`.
pub(super) fn read(uri: &Uri, taken: &[Parameter]) -> Result<Asked, Failure> {
    let Query(typed) = Query::<Typed>::try_from_uri(uri).map_err(|error| bad(error.body_text()))?;
    let given = [
        ("after", typed.after.is_some()),
        ("limit", typed.limit.is_some()),
        ("consistency", typed.consistency.is_some()),
        ("dry_run", typed.dry_run.is_some()),
    ];
    if let Some((name, _)) = given.into_iter().find(|(name, given)| *given && taken.iter().all(|parameter| parameter.name() != *name)) {
        return Err(bad(format!("this path does not take `{name}`")));
    }
    let mut asked = Asked { limit: usize::from(PAGE), ..Asked::default() };
    if let Some(limit) = typed.limit {
        let number = limit.parse::<u16>().ok().filter(|limit| (1..=PAGE).contains(limit));
        asked.limit = number.ok_or_else(|| bad(format!("`limit` is a number from 1 to {PAGE}")))?.into();
    }
    asked.linearizable = one_of("consistency", typed.consistency.as_deref(), [("local", false), ("linearizable", true)])?;
    asked.dry_run = one_of("dry_run", typed.dry_run.as_deref(), [("false", false), ("true", true)])?;
    match typed.after {
        Some(after) if taken.contains(&Parameter::AfterPosition) => {
            asked.after_position = Some(position("`after`", &after)?);
        }
        Some(after) if after.chars().count() > AFTER_NAME => {
            return Err(bad(format!("`after` is longer than {AFTER_NAME} characters; give `next` of the page before")));
        }
        after => asked.after_name = after,
    }
    Ok(asked)
}

/// A position that a client names.
pub(super) fn position(what: &str, text: &str) -> Result<Cursor, Failure> {
    Cursor::parse(text).ok_or_else(|| bad(format!("{what} is not a position; one looks like 1.0-7")))
}

fn one_of(name: &str, typed: Option<&str>, choices: [(&str, bool); 2]) -> Result<bool, Failure> {
    let Some(typed) = typed else { return Ok(false) };
    let chosen = choices.iter().find(|(choice, _)| *choice == typed);
    chosen.map(|(_, value)| *value).ok_or_else(|| bad(format!("`{name}` is `{}` or `{}`", choices[0].0, choices[1].0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[Parameter] = &[Parameter::AfterPosition, Parameter::Limit, Parameter::Consistency, Parameter::DryRun];

    fn ask(query: &str, taken: &[Parameter]) -> Result<Asked, String> {
        read(&format!("/x?{query}").parse().unwrap(), taken).map_err(|failure| failure.detail)
    }

    #[test]
    fn a_query_is_taken_whole_or_not_at_all() {
        let asked = ask("after=1.0-7&limit=5&consistency=linearizable&dry_run=true", ALL).unwrap();
        assert_eq!(asked.after_position.unwrap().index, 7);
        assert!(asked.limit == 5 && asked.linearizable && asked.dry_run);
        for bad in [
            "after=x",
            "limit=0",
            "limit=1001",
            "limit=",
            "limit=-1",
            "consistency=LOCAL",
            "dry_run=1",
            "x=1",
            "limit=1&limit=1",
            "limit=%ff",
        ] {
            assert!(ask(bad, ALL).is_err(), "{bad}");
        }
        assert_eq!(ask("limit=5", &[]).unwrap_err(), "this path does not take `limit`");
        assert_eq!(ask("after=w%2Fx", &[Parameter::AfterName]).unwrap().after_name.unwrap(), "w/x");
        assert!(ask(&format!("after={}", "x".repeat(161)), &[Parameter::AfterName]).is_err());
    }
}
