//! What would make the core depend on anything but its inputs.

use super::code;
use super::tree::{File, Finding};
use super::{bites, hold};

/// Each is a word of code.
const BANNED: [&str; 18] = [
    "f32",
    "f64",
    "HashMap",
    "HashSet",
    "RandomState",
    "tokio",
    "quinn",
    "Instant",
    "SystemTime",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "thread_local",
    "Mutex",
    "RwLock",
    "mpsc",
    "println",
    "eprintln",
];
/// Each is a path of the standard library.
const BANNED_PATHS: [&str; 5] = ["std::fs", "std::thread", "std::env", "std::process", "std::io"];

fn impure(files: &[File]) -> Vec<Finding> {
    let is_bad = |line: &str| code::words(line).any(|word| BANNED.contains(&word)) || BANNED_PATHS.iter().any(|path| line.contains(path));
    let core = files.iter().filter(|file| file.is_rust() && file.path.starts_with("hivemind-core/src/"));
    core.flat_map(|file| file.lines(&code::production(file), "not a function of the inputs", is_bad)).collect()
}

/// What a role wants is pure; what makes it so is behind the feature `io` of its crate.
fn impure_roles(files: &[File]) -> Vec<Finding> {
    const BANNED: [&str; 7] = ["tokio", "notify", "quinn_udp", "UdpSocket", "TcpListener", "hivemind_node", "rustix"];
    let is_bad = |line: &str| code::words(line).any(|word| BANNED.contains(&word));
    let roles = files.iter().filter(|file| file.is_rust() && file.path.starts_with("roles/") && !is_behind_io(file, files));
    roles.flat_map(|file| file.lines(&without_io(&code::production(file)), "io in the pure half of a role", is_bad)).collect()
}

const IO: &str = "#[cfg(feature = \"io\")]";

/// Whether the crate root declares this file's module behind the feature.
fn is_behind_io(file: &File, files: &[File]) -> bool {
    let Some((krate, inside)) = file.path.split_once("/src/") else { return false };
    let module = inside.split(['/', '.']).next().unwrap_or(inside);
    let root = files.iter().find(|root| root.path == format!("{krate}/src/lib.rs"));
    let declared = root.map(|root| root.text.replace("pub mod", "mod")).unwrap_or_default();
    declared.contains(&format!("{IO}\nmod {module};"))
}

/// Without items that are behind the feature themselves; the text of literals is blank here.
fn without_io(code: &str) -> String {
    let lines: Vec<&str> = code.lines().collect();
    let is_marked = |at: usize| at > 0 && lines[at - 1].replace(' ', "").starts_with("#[cfg(feature=)]");
    lines.iter().enumerate().map(|(at, line)| if is_marked(at) { "\n".into() } else { format!("{line}\n") }).collect()
}

#[test]
fn the_core_is_a_function_of_its_inputs() {
    let path = "hivemind-core/src/a.rs";
    let bad = ["let x: f64 = y;", "use std::collections::HashMap;", "use std::fs::read;", "let now = Instant::now();", "tokio::spawn(x);"];
    bites(
        impure,
        &bad.map(|line| (path, line)),
        &[
            (path, "use std::net::SocketAddr; // not a HashMap\nlet instant = 1;\n"),
            ("hivemind-core/src/a/tests.rs", "let x: f64 = y;\n"),
            ("hivemind-node/src/a.rs", "use std::fs::read;\n"),
        ],
    );
    hold(impure);
}

#[test]
fn what_a_role_wants_is_pure() {
    bites(
        impure_roles,
        &[("roles/a/src/zone.rs", "use tokio::net;\n")],
        &[
            ("roles/a/src/lib.rs", "#[cfg(feature = \"io\")]\npub mod server;\npub mod zone;\n"),
            ("roles/a/src/server/udp.rs", "use tokio::net;\n"),
            ("roles/a/src/zone.rs", "#[cfg(feature = \"io\")]\nuse tokio::net;\n"),
        ],
    );
    hold(impure_roles);
}
