//! What is said in logs is explained in docs/messages.md.

use super::tree::{File, Finding};
use super::{bites, hold};

const MANUAL: &str = "docs/messages.md";
/// What speaks to people: lines of the log from `info` on, and what a machine reports.
const SPEAKERS: [&str; 6] =
    ["tracing::error!(", "tracing::warn!(", "tracing::info!(", "Report::Phase(", "Report::Limit(", "Report::CacheDamaged("];
const SPOKEN: [&str; 3] = ["hivemind-core/src/", "hivemind-node/src/", "roles/"];

fn speaks(file: &File) -> bool {
    file.is_rust() && !file.is_test() && SPOKEN.iter().any(|folder| file.path.starts_with(folder))
}

/// The last text literal of a call that is no argument of another, from behind its opening parenthesis; `None` where it has none.
fn said(call: &str) -> Option<String> {
    let (mut depth, mut last, mut chars) = (1, None, call.chars());
    while let Some(c) = chars.next() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '"' => {
                let mut text = String::new();
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    text.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
                }
                // What stands deeper is an argument.
                if depth == 1 || call.starts_with("format!(") {
                    last = Some(text.split_whitespace().collect::<Vec<_>>().join(" "));
                }
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    last
}

/// A message with `…` for what differs each time; `None` where all of it does.
fn form(message: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = message;
    while let Some((before, after)) = rest.split_once('{') {
        out += before;
        out.push('…');
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    out += rest;
    out.chars().any(char::is_alphabetic).then_some(out)
}

fn messages(file: &File) -> Vec<String> {
    let code = file.text.split("\nmod tests {").next().unwrap_or_default();
    let calls = SPEAKERS.iter().flat_map(|speaker| code.split(speaker).skip(1));
    calls.filter_map(|call| form(&said(call)?)).collect()
}

fn unexplained(files: &[File]) -> Vec<Finding> {
    let manual = files.iter().find(|file| file.path == MANUAL).map_or("", |file| file.text.as_str());
    let of = |file: &File| {
        let missing = messages(file).into_iter().filter(|message| !manual.contains(&format!("`{message}`")));
        missing.map(|message| file.finding(None, format!("{MANUAL} does not explain `{message}`"))).collect::<Vec<_>>()
    };
    files.iter().filter(|file| speaks(file)).flat_map(of).collect()
}

/// The other way: what is explained is said somewhere.
fn unsaid(files: &[File]) -> Vec<Finding> {
    let all: Vec<String> = files.iter().filter(|file| speaks(file)).flat_map(messages).collect();
    let manual = files.iter().filter(|file| file.path == MANUAL);
    let of = |file: &File| {
        let rows = file.text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |").map(|(message, _)| message.to_owned()));
        let idle = rows.filter(|message| !all.contains(message));
        idle.map(|message| file.finding(None, format!("nobody says `{message}`"))).collect::<Vec<_>>()
    };
    manual.flat_map(of).collect()
}

#[test]
fn every_message_is_explained() {
    let code = ("hivemind-node/src/a.rs", "tracing::warn!(%peer, why = f(\"x\"), \"no {what} (yet): {error}\");\n");
    bites(unexplained, &[code], &[code, (MANUAL, "| `no … (yet): …` | wait |\n")]);
    let report = ("hivemind-core/src/a.rs", "ctx.report(Report::Limit(\"too much\"));\n");
    bites(unexplained, &[report], &[report, (MANUAL, "| `too much` | wait |\n")]);
    bites(unsaid, &[(MANUAL, "| `no such` | wait |\n")], &[report, (MANUAL, "| `too much` | wait |\n")]);
    hold(unexplained);
    hold(unsaid);
}
