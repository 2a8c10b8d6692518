//! What code must not say, anywhere or outside tests.

use super::code;
use super::tree::{File, Finding};
use super::{bites, hold};

const UNFINISHED: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

fn unwraps(files: &[File]) -> Vec<Finding> {
    let of = |file: &File| file.lines(&code::production(file), "an unwrap outside tests", |line| line.contains(".unwrap()"));
    files.iter().filter(|file| file.is_rust()).flat_map(of).collect()
}

fn unfinished(files: &[File]) -> Vec<Finding> {
    let is_mark = |line: &str| code::words(line).any(|word| UNFINISHED.contains(&word));
    let marked = files.iter().flat_map(|file| file.lines(&file.text, "unfinished", is_mark));
    let is_stub = |line: &str| line.contains("todo!") || line.contains("unimplemented!");
    let rust = files.iter().filter(|file| file.is_rust());
    marked.chain(rust.flat_map(|file| file.lines(&code::all(file), "unfinished", is_stub))).collect()
}

/// Benchmarks wait for what they measure from outside; they are no tests.
fn sleeping(files: &[File]) -> Vec<Finding> {
    let is_bad = |line: &str| line.contains("#[ignore") || line.contains("thread::sleep");
    let judged = files.iter().filter(|file| file.is_rust() && !file.path.starts_with("benches/"));
    judged.flat_map(|file| file.lines(&code::all(file), "an ignored test, or a sleep", is_bad)).collect()
}

#[test]
fn what_may_fail_is_expected_with_its_reason() {
    bites(
        unwraps,
        &[("a/src/b.rs", "let x = y.unwrap();\n")],
        &[
            ("a/src/b.rs", "x.unwrap_or(1); // y.unwrap()\n#[cfg(test)]\nmod tests { fn t() { x.unwrap(); } }\n"),
            ("a/tests/b.rs", "x.unwrap();\n"),
        ],
    );
    hold(unwraps);
}

#[test]
fn nothing_is_left_unfinished() {
    let note = format!("// {}: later\n", UNFINISHED[0]);
    bites(
        unfinished,
        &[("a/src/b.rs", &note), ("a.toml", &note), ("a/src/b.rs", "todo!()\n"), ("a/src/b.rs", "unimplemented!()\n")],
        &[("a/src/b.rs", "let s = \"todo!\";\n")],
    );
    hold(unfinished);
}

#[test]
fn no_test_sleeps_or_is_ignored() {
    bites(
        sleeping,
        &[("a/tests/b.rs", "std::thread::sleep(x);\n"), ("a/tests/b.rs", "#[ignore]\nfn t() {}\n")],
        &[("a/tests/b.rs", "sleep(x).await; // thread::sleep\n")],
    );
    hold(sleeping);
}
