//! The example of an embedder's own role does what it says.

use std::path::Path;
use std::process::Command;

#[test]
fn the_example_prints_what_was_published() {
    // Cargo builds examples before tests, beside the folder of the test binaries.
    let test = std::env::current_exe().expect("a test knows its binary");
    let built = test.ancestors().nth(2).map(|profile| profile.join("examples/own_role")).expect("target/<profile>/deps/<test>");
    assert!(Path::new(&built).exists(), "{} is missing: run the tests of the package, not this one alone", built.display());
    let run = Command::new(built).output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&run.stdout), "upstreams: {\"web1:8080\"}\n", "{}", String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success());
}
