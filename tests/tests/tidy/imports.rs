//! Who may name whom: ARCHITECTURE.md's rooms.

use super::code;
use super::tree::{File, Finding};
use super::{bites, hold};

const CORE: &str = "hivemind-core/src/";
/// The machine routes between these; they know nothing of each other.
const SUBSYSTEMS: [&str; 5] = ["membership", "control", "events", "configs", "role"];
/// Where lite installs concrete roles: for real, and in simulation.
const INSTALLERS: [&str; 4] = [
    "hivemind-node/src/daemon/roles.rs",
    "hivemind-lite/src/cluster/kept.rs",
    "hivemind-lite/src/cluster/prepare.rs",
    "hivemind-lite/src/sim/roles.rs",
];
const CONCRETE_ROLES: [&str; 2] = ["DnsProcessor", "HostRole"];

fn rust_of<'a>(files: &'a [File], folder: &'a str) -> impl Iterator<Item = &'a File> {
    files.iter().filter(move |file| file.is_rust() && file.path.starts_with(folder))
}

/// The top-level modules of the own crate that a piece of code names: `crate::x`, and each `x` in `crate::{x, y::z}`.
fn named_modules(code: &str) -> Vec<String> {
    let first = |item: &str| code::words(item).next().map(ToOwned::to_owned);
    let named = |after: &str| match after.strip_prefix('{') {
        None => first(after).into_iter().collect::<Vec<_>>(),
        Some(list) => top_level(list).split(',').filter_map(first).collect(),
    };
    code.split("crate::").skip(1).flat_map(named).collect()
}

/// A list up to its closing brace, without what is in braces itself.
fn top_level(list: &str) -> String {
    let mut depth = 0;
    let mut out = String::new();
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            _ if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

/// Everything in core but the machine: a subsystem names itself and the base, the base names no subsystem.
fn crossings(files: &[File]) -> Vec<Finding> {
    let of = |file: &File| {
        let inside = &file.path[CORE.len()..];
        let own = inside.split(['/', '.']).next().unwrap_or(inside).to_owned();
        let is_foreign = move |name: &String| name == "machine" || (SUBSYSTEMS.contains(&name.as_str()) && *name != own);
        let foreign = named_modules(&code::production(file)).into_iter().filter(is_foreign);
        foreign.map(|name| file.finding(None, format!("names {name}; only the machine may"))).collect::<Vec<_>>()
    };
    let routes = |file: &&File| file.path.starts_with("hivemind-core/src/machine/") || file.path == "hivemind-core/src/lib.rs";
    rust_of(files, CORE).filter(|file| !routes(file)).flat_map(of).collect()
}

/// A word that one file alone may say in code.
fn only_in(files: &[File], word: &str, home: &str) -> Vec<Finding> {
    let others = files.iter().filter(|file| file.is_rust() && file.path != home);
    others.flat_map(|file| file.lines(&code::all(file), home, |line| code::words(line).any(|found| found == word))).collect()
}

fn raw_nodes(files: &[File]) -> Vec<Finding> {
    only_in(files, "RawNode", "hivemind-core/src/control/raw.rs")
}

fn encodings(files: &[File]) -> Vec<Finding> {
    only_in(files, "bincode", "hivemind-core/src/wire/codec.rs")
}

/// Core and the library know no role; lite installs them in a few files.
fn concrete_roles(files: &[File]) -> Vec<Finding> {
    let is_role = |line: &str| code::words(line).any(|word| CONCRETE_ROLES.contains(&word));
    let installs = |file: &&File| INSTALLERS.contains(&file.path.as_str());
    let lite = rust_of(files, "hivemind-lite/src/").filter(|file| !installs(file));
    let lite = lite.flat_map(|file| file.lines(&code::production(file), "a concrete role outside where roles are installed", is_role));
    let is_crate = |line: &str| code::words(line).any(|word| ["hivemind_host", "hivemind_dns_processor", "hivemind_lite"].contains(&word));
    let below = ["hivemind-core/src/", "hivemind-node/src/"].into_iter().flat_map(|folder| rust_of(files, folder));
    let below = below.filter(|file| !installs(file));
    lite.chain(below.flat_map(|file| file.lines(&code::all(file), "a role's crate below the roles", is_crate))).collect()
}

#[test]
fn subsystems_know_nothing_of_each_other() {
    bites(
        crossings,
        &[
            ("hivemind-core/src/events/pull.rs", "use crate::control::Control;\n"),
            ("hivemind-core/src/events/pull.rs", "use crate::{ids::{NodeId, control}, membership::X};\n"),
            ("hivemind-core/src/configs/mod.rs", "fn f(x: &crate::machine::Machine) {}\n"),
            ("hivemind-core/src/context.rs", "use crate::events::EventLog;\n"),
        ],
        &[
            ("hivemind-core/src/events/pull.rs", "use crate::{events::tail, wire::{events, control}}; // crate::control\n"),
            ("hivemind-core/src/machine/mod.rs", "use crate::control::Control;\n"),
            ("hivemind-core/src/events/tests.rs", "use crate::control::Control;\n"),
        ],
    );
    hold(crossings);
}

#[test]
fn one_file_touches_raft() {
    bites(
        raw_nodes,
        &[("hivemind-core/src/control/mod.rs", "use raft::RawNode;\n")],
        &[("hivemind-core/src/control/raw.rs", "use raft::RawNode;\n"), ("hivemind-core/src/control/mod.rs", "//! RawNode is in raw.rs\n")],
    );
    hold(raw_nodes);
}

#[test]
fn one_file_knows_the_encoding() {
    bites(encodings, &[("hivemind-node/src/a.rs", "bincode::encode(x);\n")], &[("hivemind-core/src/wire/codec.rs", "use bincode::X;\n")]);
    hold(encodings);
}

#[test]
fn concrete_roles_are_named_where_they_are_installed() {
    bites(
        concrete_roles,
        &[
            ("hivemind-lite/src/run.rs", "let role = DnsProcessor::new();\n"),
            ("hivemind-core/src/role/mod.rs", "use hivemind_host::HostRole;\n"),
            ("hivemind-node/src/node/mod.rs", "use hivemind_dns_processor::zone::Zone;\n"),
        ],
        &[(INSTALLERS[0], "let role = DnsProcessor::new();\n"), ("roles/host/src/role.rs", "pub struct HostRole;\n")],
    );
    let files = super::tree::tracked();
    assert!(INSTALLERS.iter().all(|path| files.iter().any(|file| file.path == *path)), "an installer has moved: {INSTALLERS:?}");
    hold(concrete_roles);
}
