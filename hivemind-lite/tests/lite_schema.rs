//! The HTTP interface of a real `hivemind-lite`, put to the test by schemathesis from what `/openapi.json` says of it.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail as tests do")]

mod lite;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hivemind_node::http::model::{Part, Status, Voters};
use lite::http::{json, until};
use lite::{Lite, examples, text};

/// `./test` installs this version, and no other.
const VERSION: &str = "4.32.5";
/// Any does, and the same one each time.
const SEED: &str = "1";

fn schemathesis() -> Command {
    let venv: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/schemathesis-{VERSION}"));
    let program = venv.join("bin/schemathesis");
    assert!(program.exists(), "{} is missing; run ./test once, which installs it", program.display());
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).env("NO_COLOR", "1");
    command
}

fn position(at: SocketAddr) -> String {
    json::<Status>(at, "/api/v1/status?consistency=linearizable").unwrap().position.unwrap()
}

#[test]
fn the_interface_is_as_its_description_says_and_trying_changes_nothing() {
    let lite = Lite::start(&["--hosts", examples().to_str().unwrap(), "--dns", "1"]);
    let at = lite.http();
    // After this nothing more happens by itself.
    until(at, "/api/v1/voters", |voters: &Voters| voters.voters.iter().filter(|voter| voter.part == Part::Voter).count() == 3);
    let before = position(at);

    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis.toml");
    let folder = tempfile::tempdir().unwrap();
    let mut command = schemathesis();
    command.current_dir(folder.path()).arg("--config-file").arg(config);
    let run = command.args(["run", &format!("http://{at}/openapi.json"), "--seed", SEED, "--rate-limit", "180/s"]).output().unwrap();
    let said = text(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", text(&run.stderr));
    for phase in ["Coverage", "Fuzzing", "Stateful"] {
        assert!(said.contains(&format!("✅ {phase}")), "{phase} did not run:\n{said}");
    }
    assert_eq!(position(at), before, "what is only tried changes nothing");
    lite.quit();
}
