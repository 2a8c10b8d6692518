//! What every text file keeps: sizes, names, blanks, and no word of the machine that it was written on.

use super::tree::{File, Finding};
use super::{bites, hold};

const SOURCE_LINES: usize = 600;
const TEST_LINES: usize = 800;
/// Names of drawers: what is in one is said by none of them.
const DRAWERS: [&str; 9] = ["util", "utils", "helper", "helpers", "common", "misc", "manager", "handler", "handlers"];
/// Beginnings of absolute paths of people and of work.
const FOLDERS: [&str; 4] = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];

fn sizes(files: &[File]) -> Vec<Finding> {
    let check = |file: &File| {
        let (lines, limit) = (file.text.lines().count(), if file.is_test() { TEST_LINES } else { SOURCE_LINES });
        (lines > limit).then(|| file.finding(None, format!("{lines} lines; {limit} is the most: it has two subjects")))
    };
    files.iter().filter(|file| file.is_rust()).filter_map(check).collect()
}

fn names(files: &[File]) -> Vec<Finding> {
    let is_drawer = |part: &str| DRAWERS.contains(&part.split('.').next().unwrap_or(part));
    files.iter().filter(|file| file.path.split('/').any(is_drawer)).map(|file| file.finding(None, "a drawer's name")).collect()
}

fn blanks(files: &[File]) -> Vec<Finding> {
    let of = |file: &File| {
        let mut findings = file.lines(&file.text, "a tab, or blanks at the end", |line| line.contains('\t') || line.ends_with([' ', '\r']));
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            findings.push(file.finding(None, "no newline at the end"));
        }
        findings
    };
    files.iter().flat_map(of).collect()
}

fn folders(files: &[File]) -> Vec<Finding> {
    let is_bad = |line: &str| FOLDERS.iter().any(|folder| line.contains(folder));
    files.iter().flat_map(|file| file.lines(&file.text, "a path of one machine", is_bad)).collect()
}

#[test]
fn every_file_has_one_subject() {
    let long = |lines: usize| "x\n".repeat(lines);
    bites(
        sizes,
        &[("a/src/b.rs", &long(601)), ("a/tests/b.rs", &long(801))],
        &[("a/src/b.rs", &long(600)), ("a/tests/b.rs", &long(800)), ("a/testdata/b.txt", &long(2_000))],
    );
    hold(sizes);
}

#[test]
fn no_file_is_a_drawer() {
    bites(names, &[("a/src/util.rs", ""), ("a/src/helpers/x.rs", ""), ("a/src/manager.rs", "")], &[("a/src/utility_bill.rs", "")]);
    hold(names);
}

#[test]
fn no_line_ends_in_blanks() {
    bites(blanks, &[("a.md", "x \n"), ("a.md", "\tx\n"), ("a.md", "x\r\n"), ("a.md", "x")], &[("a.md", "x  y\n"), ("b.md", "")]);
    hold(blanks);
}

#[test]
fn no_file_names_a_folder_of_one_machine() {
    let bad = format!("see {}alice/notes\n", FOLDERS[0]);
    bites(folders, &[("a.md", &bad)], &[("a.md", "see docs/notes, or /etc/hosts\n")]);
    hold(folders);
}
