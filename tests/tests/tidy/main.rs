//! The house rules, as tests over everything that git tracks (after tigerbeetle's `tidy.zig`). Each rule is a function
//! from files to findings, and has a test of its own with a sample that it must catch.

mod code;
mod determinism;
mod documents;
mod imports;
mod messages;
mod text;
mod tree;
mod words;

use tree::{File, Finding};

/// A rule: what is wrong with these files.
type Rule = fn(&[File]) -> Vec<Finding>;

fn hold(rule: Rule) {
    let files = tree::tracked();
    assert!(files.len() > 100, "git tracks the whole workspace, not {} files", files.len());
    let findings = rule(&files);
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), lines.join("\n"));
}

/// That a rule finds something in a bad sample, and nothing in a good one.
fn bites(rule: Rule, bad: &[(&str, &str)], good: &[(&str, &str)]) {
    for (path, text) in bad {
        assert!(!rule(&[File::new(path, text)]).is_empty(), "not caught: {path}: {text}");
    }
    let good: Vec<File> = good.iter().map(|(path, text)| File::new(path, text)).collect();
    let findings: Vec<String> = rule(&good).iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "caught, and innocent: {findings:?}");
}
