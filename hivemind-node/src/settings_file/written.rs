//! Writing: a settings file with a comment at each setting, and the reference of all of them.

use std::fmt::Write as _;

use super::keys::{KEYS, TABLES};

/// A settings file in which these settings stand, by path and as TOML; all others stand as comments with their defaults. A role is
/// performed where one of its settings is given.
pub fn written(given: &[(&str, String)]) -> String {
    let mut out = String::from("# The settings of hivemind-node. What is commented out shows its default.\n");
    let mut table = "";
    for key in KEYS {
        let (above, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if above != table {
            table = above;
            let is_role = table.starts_with("roles.");
            let is_given = given.iter().any(|(path, _)| path.rsplit_once('.').is_some_and(|(above, _)| above == table));
            let mark = if is_role && !is_given { "# " } else { "" };
            // Writing to a text does not fail.
            let _ = write!(out, "\n{mark}[{table}]\n");
        }
        let _ = writeln!(out, "# {}", key.meaning);
        let _ = match given.iter().find(|(path, _)| *path == key.path) {
            Some((_, value)) => writeln!(out, "{name} = {value}"),
            None if key.default.is_empty() => writeln!(out, "# {name} = \"\""),
            None => writeln!(out, "# {name} = {}", key.default),
        };
    }
    out
}

/// The manual of all settings, as a table in Markdown.
pub fn reference() -> String {
    let mut out = String::from("| setting | default | meaning |\n|---|---|---|\n");
    for key in KEYS {
        let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
        let _ = writeln!(out, "| `{}` | {default} | {} |", key.path, key.meaning);
    }
    debug_assert!(TABLES.iter().all(|table| KEYS.iter().any(|key| key.path.starts_with(table))), "every table has a setting");
    out
}
