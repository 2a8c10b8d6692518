//! The files that git tracks.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A text file.
pub(crate) struct File {
    /// From the workspace's root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        File { path: path.into(), text: text.into() }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether all of it is for tests: `tests/` folders, `tests.rs`, and the fixture of the core's unit tests.
    pub(crate) fn is_test(&self) -> bool {
        self.path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "fixture.rs"))
    }

    /// The numbered lines of `text` that `is_bad`, as findings.
    pub(crate) fn lines(&self, text: &str, why: &str, is_bad: impl Fn(&str) -> bool) -> Vec<Finding> {
        let numbered = text.split('\n').enumerate().filter(|(_, line)| is_bad(line));
        numbered.map(|(at, line)| self.finding(Some(at + 1), format!("{why}: {}", line.trim()))).collect()
    }

    pub(crate) fn finding(&self, line: Option<usize>, why: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, why: why.into() }
    }
}

/// A place where a rule is broken.
pub(crate) struct Finding {
    path: String,
    line: Option<usize>,
    why: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.why),
            None => write!(f, "{}: {}", self.path, self.why),
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the workspace").to_owned()
}

/// All text files that git tracks, as they are in the work tree.
pub(crate) fn tracked() -> Vec<File> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().expect("git lists its files");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).expect("paths are UTF-8");
    let read = |path: &str| std::fs::read_to_string(root().join(path)).ok().map(|text| File::new(path, &text));
    listed.split('\0').filter(|path| !path.is_empty()).filter_map(read).collect()
}
